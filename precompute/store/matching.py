"""Units of two layers matched one to one by what they answer to the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from precompute.correlation import common_images, correlate, match, permuted, standardise
from precompute.domain import stable_hash
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord
from precompute.store.responses import Profile, profile_of

CONTROL_QUANTILE = 0.99
SMALLEST_SAMPLE = 3


@dataclass(frozen=True, eq=False)
class Matching:
    """Units of two layers, matched.

    Attributes:
        left, right: `[pair]`, the units of each pair, the most alike first.
        correlation: `[pair]`.
        control: `[pair]`, ascending: the correlations of the same matching with the images of the left layer in another order.
        threshold: The 99 % quantile of the control: a pair above it is more than chance. None where nothing could be matched.
        num_images: That both layers have profiles on.
        left_constant, right_constant: Units that give the same to all images, which nothing can match.
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    correlation: NDArray[np.float32]
    control: NDArray[np.float32]
    threshold: float | None
    num_images: int
    left_constant: NDArray[np.intp]
    right_constant: NDArray[np.intp]


def match_profiles(left: NDArray[np.floating], right: NDArray[np.floating]) -> Matching:
    """Return the matching of two sets of profiles `[unit, image]` on the same images."""
    first, is_constant = standardise(left)
    second, is_other_constant = standardise(right)
    correlation = correlate(first, second)
    rows, columns = match(correlation)
    values = correlation[rows, columns]
    order = np.argsort(-values, kind="stable")
    shuffled = correlate(permuted(first, stable_hash("matching", first.shape[1])), second)
    control = np.sort(shuffled[match(shuffled)])
    return Matching(
        rows[order],
        columns[order],
        values[order],
        control,
        float(np.quantile(control, CONTROL_QUANTILE)) if len(control) else None,
        first.shape[1],
        np.flatnonzero(is_constant),
        np.flatnonzero(is_other_constant),
    )


def match_layers(reader: AtlasReader, left: tuple[Catalog, LayerRecord], right: tuple[Catalog, LayerRecord]) -> Matching | None:
    """Return the matching of two layers that were shown the same images, or None where the profiles are not built."""
    profiles = [profile_of(reader, catalog, layer) for catalog, layer in (left, right)]
    if profiles[0] is None or profiles[1] is None:
        return None
    if len(common_images(profiles[0].images, profiles[1].images)[0]) < SMALLEST_SAMPLE:
        return None
    return _match(_Pair(profiles[0], profiles[1]))


class _Pair:
    """Two profiles, told apart by the names of their files, which never change their content."""

    def __init__(self, left: Profile, right: Profile) -> None:
        self.left, self.right = left, right

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pair) and self._names() == other._names()

    def __hash__(self) -> int:
        return hash(self._names())

    def _names(self) -> tuple[str, str]:
        return self.left.name, self.right.name


@lru_cache(maxsize=64)
def _match(pair: _Pair) -> Matching:
    first, second = common_images(pair.left.images, pair.right.images)
    return match_profiles(pair.left.array[:, first], pair.right.array[:, second])


def correlations_between(profiles: Sequence[tuple[Profile, int] | None]) -> list[list[float | None]]:
    """Return the correlation of every unit of a list with every other; None where one has no profile or does not vary.

    Args:
        profiles: The profile of each unit's layer and the unit; all of the same images' dataset.
    """
    size = len(profiles)
    found: list[list[float | None]] = [[None] * size for _ in range(size)]
    for row, first in enumerate(profiles):
        for column, second in enumerate(profiles[: row + 1]):
            if first is not None and second is not None:
                found[row][column] = found[column][row] = _correlation(*first, *second)
    return found


def _correlation(left: Profile, unit: int, right: Profile, other: int) -> float | None:
    here, there = common_images(left.images, right.images)
    if len(here) < SMALLEST_SAMPLE:
        return None
    first, is_constant = standardise(np.asarray(left.array[unit])[None, here])
    second, is_other_constant = standardise(np.asarray(right.array[other])[None, there])
    return None if is_constant[0] or is_other_constant[0] else float(np.clip(first[0] @ second[0], -1, 1))
