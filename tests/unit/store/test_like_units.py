"""Search by example finds what a look at every unit finds, and no unit by its own example."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from precompute.store.bounds import Bounds
from precompute.store.like_units import best_units
from precompute.store.likeness import exact_scores, shuffled
from precompute.store.looks import NUM_EXAMPLES, LooksRecord

NUM_IMAGES = 300
NUM_NUMBERS = 34


def dataset(generator: np.random.Generator, *, is_shifted: bool) -> LooksRecord:
    values = generator.normal(size=(NUM_IMAGES, NUM_NUMBERS)) * 0.8 ** np.arange(NUM_NUMBERS)
    if is_shifted:  # the mean image is then far from none, and images beyond it are more than like themselves
        values[:, 0] += 1.5
        values[:60] *= np.linspace(0.2, 1, 60)[:, None]
    number = np.zeros(NUM_NUMBERS)
    return LooksRecord(number, number + 1, np.arange(NUM_IMAGES), values.astype(np.float32))


def of_units(means: NDArray[np.float32], looks: LooksRecord, *, is_counted: bool) -> Any:
    """Return what a build counted of some units."""
    other = shuffled(looks.directions) - looks.mean_direction
    bounds = (Bounds.of(means, looks.directions - looks.mean_direction), Bounds.of(means, other)) if is_counted else None
    return SimpleNamespace(looks=lambda: means, looks_bounds=lambda: bounds, num_units=len(means))


@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("count", [1, 60, 900])
def test_best_units_are_those_of_a_look_at_each(count: int, is_shifted: bool) -> None:
    generator = np.random.default_rng(7)
    looks = dataset(generator, is_shifted=is_shifted)
    examples = np.stack([generator.permutation(NUM_IMAGES)[:NUM_EXAMPLES] for _ in range(800)])
    examples[:40] = np.argsort(looks.directions @ looks.directions[:40].T, axis=0)[::-1][:NUM_EXAMPLES].T
    directions = looks.directions.astype(np.float64)
    means = directions[examples].mean(1).astype(np.float32)
    num_beyond = 0
    for place in range(0, 60, 3):
        direction = looks.directions[place]
        asked = directions[place] - looks.mean_direction
        likeness = directions[examples] @ asked
        is_own = (examples == place).any(1)
        rest = np.where(examples == place, 0, likeness).sum(1) / (NUM_EXAMPLES - is_own)
        num_beyond += bool((rest[is_own] > likeness.mean(1)[is_own]).any())
        expected = np.argsort(-rest, kind="stable")[:count]
        own = np.flatnonzero(is_own)
        for is_counted in (True, False):
            found = best_units(of_units(means, looks, is_counted=is_counted), looks, direction, own, count)
            np.testing.assert_allclose(found.scores, rest[expected], atol=2e-6)
            np.testing.assert_allclose(rest[found.places], rest[expected], atol=2e-6)
            assert len(set(found.places.tolist())) == min(count, 800)
            everywhere = exact_scores(looks, means, shuffled(direction))
            assert found.shuffled_top == pytest.approx(float(everywhere.max()), abs=2e-6)
    assert (num_beyond > 0) == is_shifted
