"""How much the strongest examples of units are like an image, and what any image would find.

The likeness of two images is the cosine between their descriptions, each number in standard deviations of the dataset. The score
of a unit is the mean likeness of its strongest examples to the image, less the mean of that over all images of the dataset. The
mean of cosines is a product with the mean direction of the examples, so one product ranks all units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.store.looks import LooksRecord

NUM_RANDOM = 64
SEED = 0
_SAMPLE = 2048


@dataclass(frozen=True)
class ChanceScores:
    """What images drawn by chance from the dataset find; a unit is never scored by an image that is among its own examples.

    Attributes:
        top: Median over the images of the best unit's score.
        tenth: Median of the tenth unit's score.
        num_random: How many images were drawn.
        seed: Of the draw.
    """

    top: float
    tenth: float
    num_random: int
    seed: int


def scores_of(looks: LooksRecord, means: NDArray[np.float32], *directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the score of every unit for each direction, `[direction, unit]`.

    Args:
        looks: Of the dataset.
        means: Mean direction of the strongest examples of each unit, `[unit, number]`.
        directions: Of the images asked about.
    """
    asked = (np.stack(directions) - looks.mean_direction).astype(np.float32)
    return np.ascontiguousarray((means @ asked.T).T)


def exact_scores(looks: LooksRecord, means: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the score of each of a few units for a direction; equal units get equal scores, whatever stands beside them."""
    return (means * (direction.astype(np.float64) - looks.mean_direction)).sum(1).astype(np.float32)


def shuffled(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return directions with the same numbers in another order, the same for all; the last axis is that of the numbers."""
    return directions[..., np.random.default_rng(SEED).permutation(directions.shape[-1])]


def without_own(
    looks: LooksRecord, means: NDArray[np.float32], direction: NDArray[np.float32], num_examples: NDArray[np.int64] | int
) -> NDArray[np.float32]:
    """Return the scores of units that have the image itself among their examples, by the others of their examples alone."""
    asked = direction.astype(np.float64) - looks.mean_direction
    # The mean of all but one is a sum less one, and so is its product.
    rest = (means * asked).sum(1) * num_examples - float(direction @ asked)
    return (rest / np.maximum(num_examples - 1, 1)).astype(np.float32)


def drawn(looks: LooksRecord) -> NDArray[np.int64]:
    """Return the places of the images that are drawn by chance."""
    return np.random.default_rng(SEED).permutation(len(looks.stimuli))[:NUM_RANDOM]


def chance_scores(
    looks: LooksRecord, means: NDArray[np.float32], owners: Mapping[int, NDArray[np.int64]], num_examples: NDArray[np.int64]
) -> ChanceScores:
    """Return what images drawn by chance find.

    Args:
        looks: Of the dataset.
        means: Mean direction of the strongest examples of each unit, `[unit, number]`.
        owners: For the place of each image that is drawn, the units that have it among their examples.
        num_examples: Of each unit.
    """
    best: list[list[float]] = []
    for place in drawn(looks):
        direction = looks.directions[place]
        scores = scores_of(looks, means, direction)[0]
        own = owners.get(int(place))
        if own is not None and own.size:
            scores[own] = without_own(looks, means[own], direction, num_examples[own])
        found = np.sort(scores[first_places(-scores, 10)])[::-1]
        best.append([float(found[0]), float(found[-1])])
    top, tenth = np.median(np.array(best), axis=0)
    return ChanceScores(float(top), float(tenth), len(best), SEED)


def first_places(keys: NDArray[np.floating[Any]], limit: int) -> NDArray[np.int64]:
    """Return where the smallest keys are, in order; where keys are equal, the first place first.

    A bound from a sample spares most keys the search; the answer does not depend on it.
    """
    chosen = np.arange(len(keys))
    if len(keys) > 4 * _SAMPLE:
        step = len(keys) // _SAMPLE
        sample = np.sort(keys[::step])
        near = np.flatnonzero(keys <= sample[min(len(sample) - 1, 4 * limit // step + 8)])
        if len(near) >= limit:
            chosen = near
    few = keys[chosen]
    if len(few) > limit:
        bound = np.partition(few, limit - 1)[limit - 1]
        below, equal = chosen[few < bound], chosen[few == bound]
        chosen = np.concatenate([below, equal[: limit - len(below)]])
    return chosen[np.lexsort((chosen, keys[chosen]))]
