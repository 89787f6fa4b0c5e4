"""Correlation of units by their activation profiles: nearest units, one-to-one matching, and what chance gives. Numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Profiles = NDArray[np.float32]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

NUM_SIMILAR = 12
NONE = -1
SIMILAR_ROW: np.dtype[Any] = np.dtype(
    [
        ("within_unit", "<i4", (NUM_SIMILAR,)),
        ("within_correlation", "<f4", (NUM_SIMILAR,)),
        ("other_layer", "<i4", (NUM_SIMILAR,)),
        ("other_unit", "<i4", (NUM_SIMILAR,)),
        ("other_correlation", "<f4", (NUM_SIMILAR,)),
        ("within_chance", "<f4"),
        ("other_chance", "<f4"),
        ("is_constant", "?"),
    ]
)
"""What is stored of the nearest units of one unit; `NONE` and not-a-number fill up where there are fewer. Layers by position."""

# Half-precision numbers are 2^-11 apart at 1: a spread below this share of the mean is their rounding.
SMALLEST_SPREAD = 2.0**-9


def standardise(profile: NDArray[np.floating]) -> tuple[Profiles, Mask]:
    """Return profiles with mean 0 and length 1, whose products are Pearson correlations, and which units do not vary.

    Args:
        profile: `[unit, image]`, mean activations.

    Returns:
        float32 `[unit, image]`, zero for units that do not vary; bool `[unit]`, those units.
    """
    values = np.asarray(profile, dtype=np.float32)
    mean = values.mean(axis=1, keepdims=True, dtype=np.float64)
    centred = (values - mean).astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred, dtype=np.float64))
    spread = length / np.sqrt(max(values.shape[1], 1))
    is_constant = ~(spread > np.maximum(SMALLEST_SPREAD * np.abs(mean[:, 0]), 0.0))
    centred[is_constant] = 0.0
    return (centred / np.where(is_constant, 1.0, length)[:, None]).astype(np.float32), is_constant


def permuted(profiles: Profiles, seed: int) -> Profiles:
    """Return profiles with their images in another order, the same for all units: what they share with others is then chance."""
    order = np.random.default_rng(seed).permutation(profiles.shape[1])
    return np.ascontiguousarray(profiles[:, order])


def correlate(left: Profiles, right: Profiles, *, is_same_layer: bool = False) -> NDArray[np.float32]:
    """Return the correlation of every unit of one layer with every one of another `[left unit, right unit]`.

    Pairs without a correlation are minus infinity: those of a unit that does not vary, and a unit with itself.

    Args:
        left: Standardised profiles.
        right: On the same images.
        is_same_layer: Whether both are the same units.
    """
    found = left @ right.T
    np.clip(found, -1.0, 1.0, out=found)
    found[~left.any(axis=1)] = -np.inf
    found[:, ~right.any(axis=1)] = -np.inf
    if is_same_layer:
        np.fill_diagonal(found, -np.inf)
    return found


def strongest(correlation: NDArray[np.float32], count: int) -> tuple[Places, NDArray[np.float32]]:
    """Return columns and values of the largest entries of each row, largest first; of equals the first column first."""
    count = min(count, correlation.shape[1])
    if count < correlation.shape[1]:
        some = np.sort(np.argpartition(-correlation, count - 1, axis=1)[:, :count], axis=1)
    else:
        some = np.broadcast_to(np.arange(count), (len(correlation), count))
    values = np.take_along_axis(correlation, some, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1), np.take_along_axis(values, order, axis=1)


def match(correlation: NDArray[np.float32]) -> tuple[Places, Places]:
    """Return the one-to-one matching in which no two units would both rather have each other: rows and their columns.

    In each round the pairs that are each other's best of those left are matched. The result is that of taking the largest
    correlation left again and again; unlike the assignment with the largest sum, it never parts two units that are each
    other's best. It depends on nothing but the numbers; ties go to the first row and column.

    Args:
        correlation: `[left unit, right unit]`; minus infinity never matches.
    """
    left = np.full(correlation.shape[0], -1, np.intp)
    rows, columns = np.arange(correlation.shape[0]), np.arange(correlation.shape[1])
    rest = correlation
    while rest.size:
        best, back = rest.argmax(axis=1), rest.argmax(axis=0)
        places = np.arange(len(rows))
        is_mutual = (back[best] == places) & np.isfinite(rest[places, best])
        if not is_mutual.any():
            break
        left[rows[is_mutual]] = columns[best[is_mutual]]
        stays = np.ones(len(columns), dtype=bool)
        stays[best[is_mutual]] = False
        rest = rest[np.ix_(~is_mutual, stays)]
        rows, columns = rows[~is_mutual], columns[stays]
    matched = np.flatnonzero(left >= 0)
    return matched, left[matched]


def common_images(left: NDArray[np.int32], right: NDArray[np.int32]) -> tuple[Places, Places]:
    """Return the places of the images that two profiles share, in both, in the order of the images."""
    _, first, second = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return first, second
