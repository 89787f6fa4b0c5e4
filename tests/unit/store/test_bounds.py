"""The units with the largest products are those that a product with every unit finds."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.store.bounds import BLOCK, Bounds


def made(generator: np.random.Generator, count: int, kind: str) -> np.ndarray:
    """Return unit vectors `[unit, 34]`: of few directions, of all, some of them equal, or all of them."""
    vectors = generator.normal(size=(count, 34)) * (0.7 ** np.arange(34) if kind == "few directions" else 1)
    if kind == "many equal":
        vectors = vectors[generator.integers(0, max(1, count // 20), count)]
    if kind == "all equal":
        vectors[:] = vectors[0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 1000, 5000])
@pytest.mark.parametrize("kind", ["few directions", "all directions", "many equal", "all equal"])
def test_largest_are_those_of_all_products(kind: str, count: int) -> None:
    generator = np.random.default_rng(count)
    vectors = made(generator, count, kind)
    asked = made(generator, 40, kind).astype(np.float64)
    again = Bounds.from_bytes(Bounds.of(vectors, asked).to_bytes())
    assert sorted(again.places.tolist()) == list(range(count))
    usual = asked[0]
    for direction in np.stack([usual, generator.permutation(usual), -usual, np.zeros(34), np.eye(34)[33]]):
        exact = (vectors.astype(np.float64) @ direction).astype(np.float32)
        # Some are worth less than their product, as units are whose own example is asked about.
        worth = np.where(np.arange(count) % 7 == 0, exact - 0.2, exact).astype(np.float32)
        expected = np.lexsort((np.arange(count), -worth))
        for wanted in (1, 9, 60, count, count + 5):
            places, scores = again.largest(direction, wanted, lambda places, worth=worth: worth[places])
            assert places.tolist() == expected[:wanted].tolist()
            assert scores.tolist() == worth[expected[:wanted]].tolist()


def test_few_units_are_looked_at() -> None:
    generator = np.random.default_rng(0)
    vectors = made(generator, 50_000, "few directions")
    found = Bounds.of(vectors, vectors[:500])
    direction = vectors[7].astype(np.float64)
    looked = 0

    def score(places: np.ndarray) -> np.ndarray:
        nonlocal looked
        looked += len(places)
        return (vectors[places].astype(np.float64) @ direction).astype(np.float32)

    assert found.largest(direction, 60, score)[0][0] == 7
    assert looked < 5000
