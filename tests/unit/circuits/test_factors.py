"""Planted patterns are found again, noise is not taken for one, and the order of partners and the clock change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import NMF

from precompute.circuits.factors import Factorization, factorize

SHAPE = (4, 90, 3, 3)


def planted(seed: int, shape: tuple[int, int, int, int] = SHAPE, count: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return loadings `[factor, partner]`, maps `[factor, unit, height, width]` and the weights that they make."""
    generator = np.random.default_rng(seed)
    units, partners, height, width = shape
    loadings = generator.normal(size=(count, partners)) * (np.arange(partners) % count == np.arange(count)[:, None])
    maps = generator.uniform(0.2, 1, (count, units, height, width)) * (
        generator.uniform(size=(count, units, height, width)) < 0.4
    )
    loadings /= np.linalg.norm(loadings, axis=1)[:, None]
    maps *= np.arange(count, 0, -1)[:, None, None, None]
    return loadings, maps, np.einsum("kp,kuyx->upyx", loadings, maps)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first.ravel() @ second.ravel() / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_factors_are_recovered_with_their_signs(seed: int) -> None:
    loadings, maps, weights = planted(seed)
    found = factorize(weights, 3)
    for factor in range(3):  # the strongest comes first, as planted
        best = int(np.argmax([cosine(found.maps[factor], wanted) for wanted in maps]))
        assert cosine(found.maps[factor], maps[best]) > 0.99
        assert cosine(found.loadings[factor], loadings[best]) > 0.99
    assert found.error < 0.01
    assert found.control is not None
    assert found.control.mean > 0.5
    assert (np.diff(found.shares) <= 0).all()
    assert np.allclose(np.square(found.positive).sum(1) + np.square(found.negative).sum(1), 1)


def test_the_sum_of_the_patterns_is_the_weights() -> None:
    _, _, weights = planted(3)
    found = factorize(1e-6 * weights, 3, num_shuffles=0)
    made = np.einsum("kp,kuyx->upyx", found.loadings, found.maps)
    assert np.linalg.norm(made - 1e-6 * weights) <= (found.error + 1e-9) * np.linalg.norm(1e-6 * weights) * np.sqrt(2)
    assert found.control is None
    assert (found.maps >= 0).all()


def test_weights_without_structure_are_told_by_their_control() -> None:
    noise = np.random.default_rng(4).normal(size=SHAPE)
    found, structured = factorize(noise, 3), factorize(planted(4)[2] + 0.02 * noise, 3)
    assert found.control is not None
    assert structured.control is not None
    assert found.error / found.control.mean == pytest.approx(1, abs=0.03)
    assert structured.error / structured.control.mean < 0.6


@pytest.mark.parametrize("shape", [(1, 60, 5, 5), (8, 200, 1, 1), (3, 40, 3, 3)])
def test_error_is_that_of_the_usual_library(shape: tuple[int, int, int, int]) -> None:
    weights = np.random.default_rng(5).standard_t(3, size=shape)
    flat = np.moveaxis(weights, 1, 0).reshape(shape[1], -1)
    table = np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)])
    settings: dict[str, Any] = {"n_components": 3, "init": "random", "max_iter": 3000, "tol": 1e-7}
    reference = min(NMF(random_state=seed, **settings).fit(table).reconstruction_err_ for seed in range(5))
    assert factorize(weights, 3, num_shuffles=0).error <= reference / np.linalg.norm(table) * 1.005


def test_permuting_the_partners_permutes_the_loadings() -> None:
    weights = planted(6)[2] + 0.1 * np.random.default_rng(6).normal(size=SHAPE)
    order = np.random.default_rng(7).permutation(SHAPE[1])
    found, permuted = factorize(weights, 3, num_shuffles=0), factorize(weights[:, order], 3, num_shuffles=0)
    assert np.allclose(permuted.loadings, found.loadings[:, order], atol=1e-6)
    assert np.allclose(permuted.maps, found.maps, atol=1e-6)
    assert not np.allclose(permuted.loadings, found.loadings, atol=1e-2)


def bytes_of(found: Factorization) -> bytes:
    return b"".join(
        part.tobytes() for part in (found.positive, found.negative, found.maps, np.array(vars(found.control)["mean"]))
    )


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    weights = np.random.default_rng(8).normal(size=(2, 30, 3, 3))
    first, again, other = (factorize(weights, 3, seed=seed) for seed in (1, 1, 2))
    assert bytes_of(first) == bytes_of(again)
    assert bytes_of(first) != bytes_of(other)


def test_a_table_of_one_column_has_one_factor() -> None:
    found = factorize(np.random.default_rng(9).normal(size=(1, 20, 1, 1)), 3)
    assert len(found.maps) == 1
    assert found.error < 1e-12


@pytest.mark.parametrize(
    ("weights", "count"), [(np.zeros((1, 2, 3, 3)), 2), (np.full((1, 2, 3, 3), np.nan), 2), (np.ones((1, 2, 3, 3)), 7)]
)
def test_what_cannot_be_factored_is_refused(weights: np.ndarray, count: int) -> None:
    with pytest.raises(ValueError, match="factor"):
        factorize(weights, count)
