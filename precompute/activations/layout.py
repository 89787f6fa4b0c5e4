"""A place in the plane for every unit of a layer: units that answer to the same images lie near each other.

The embedding is exact t-SNE from the principal components, written out here: it is the same on every run, without a random
start, and needs no package that takes longer to load and compile than to run.

Paper: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008,
https://jmlr.org/papers/v9/vandermaaten08a.html; the start from principal components as in Kobak and Berens, "The art of using
t-SNE for single-cell transcriptomics", Nature Communications 10, 2019, https://doi.org/10.1038/s41467-019-13056-x.
"""

from __future__ import annotations

import numba
import numpy as np

from precompute.correlation import correlate, strongest

NUM_NEIGHBOURS = 12
PERPLEXITY = 30.0
NUM_STEPS = 300
NUM_EARLY = 100
EXAGGERATION = 12.0
MAX_UNITS = 3000
"""Of a larger layer the principal components are taken as they are: the embedding takes time by the square of the units."""


def place_units(profiles: np.ndarray) -> tuple[np.ndarray, str]:
    """Return a place for every unit and the name of the method.

    Args:
        profiles: Standardised, `[unit, image]`, of units that vary.

    Returns:
        float32 `[unit, 2]`, between -1 and 1; `t-sne`, or `pca` where there are too few or too many units.
    """
    plane = principal_components(profiles)
    method = "pca"
    if 4 <= len(profiles) <= MAX_UNITS:
        plane, method = t_sne(profiles, plane), "t-sne"
    return _fitted(plane), method


def _fitted(plane: np.ndarray) -> np.ndarray:
    if not len(plane):
        return plane.astype(np.float32)
    centred = plane - (plane.max(axis=0) + plane.min(axis=0)) / 2
    return (centred / max(float(np.abs(centred).max()), 1e-12)).astype(np.float32)


def principal_components(profiles: np.ndarray) -> np.ndarray:
    """Return float64 `[unit, 2]`, the first two principal components; the sign is fixed: the largest coordinate is positive."""
    if len(profiles) < 2:
        return np.zeros((len(profiles), 2))
    centred = profiles.astype(np.float64) - profiles.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    plane = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    if plane.shape[1] < 2:
        plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    largest = np.abs(plane).argmax(axis=0)
    return plane * np.where(plane[largest, [0, 1]] < 0, -1.0, 1.0)


def t_sne(profiles: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return float64 `[unit, 2]`: exact t-SNE with momentum and early exaggeration, from the given start."""
    units = len(profiles)
    squares = np.maximum(2.0 - 2.0 * (profiles @ profiles.T), 0.0).astype(np.float64)
    shares = affinities(squares, min(PERPLEXITY, (units - 1) / 3)).astype(np.float32)
    plane = start / max(float(start[:, 0].std()), 1e-12) * 1e-4
    moved, gain = np.zeros_like(plane), np.ones_like(plane)
    rate = max(units / EXAGGERATION / 4, 50.0)
    for step in range(NUM_STEPS):
        is_early = step < NUM_EARLY
        pull, push, total = forces(plane, shares)
        slope = 4.0 * ((EXAGGERATION if is_early else 1.0) * pull - push / max(total, 1e-300))
        gain = np.maximum(np.where((slope > 0) != (moved > 0), gain + 0.2, gain * 0.8), 0.01)
        moved = (0.5 if is_early else 0.8) * moved - rate * gain * slope
        plane = plane + moved
        plane -= plane.mean(axis=0)
    return plane


@numba.njit(cache=True, nogil=True)
def forces(plane, shares):
    """Return what pulls units together and what pushes them apart, float64 `[unit, 2]` each, and the sum of all nearnesses.

    Args:
        plane: float64 `[unit, 2]`.
        shares: float32 `[unit, unit]`, symmetric.
    """
    units = plane.shape[0]
    pull, push, total = np.zeros((units, 2)), np.zeros((units, 2)), 0.0
    for first in range(units):
        for second in range(first):
            x, y = plane[first, 0] - plane[second, 0], plane[first, 1] - plane[second, 1]
            near = 1.0 / (1.0 + x * x + y * y)
            total += 2.0 * near
            drawn, driven = shares[first, second] * near, near * near
            pull[first, 0] += drawn * x
            pull[first, 1] += drawn * y
            pull[second, 0] -= drawn * x
            pull[second, 1] -= drawn * y
            push[first, 0] += driven * x
            push[first, 1] += driven * y
            push[second, 0] -= driven * x
            push[second, 1] -= driven * y
    return pull, push, total


def affinities(squares: np.ndarray, perplexity: float) -> np.ndarray:
    """Return how near each pair is as shares that add up to 1, symmetric: each unit has about `perplexity` neighbours.

    Args:
        squares: Squared distances `[unit, unit]`.
        perplexity: At least 1.
    """
    units = len(squares)
    distances = squares + np.where(np.eye(units, dtype=bool), np.inf, 0.0)
    distances -= distances.min(axis=1, keepdims=True)
    low, high = np.zeros(units), np.full(units, np.inf)
    sharp = np.ones(units)
    wanted = np.log(max(perplexity, 1.0))
    shares = np.zeros_like(squares)
    finite = np.where(np.isfinite(distances), distances, 0.0)
    for _ in range(40):
        shares = np.exp(-distances * sharp[:, None])
        total = shares.sum(axis=1)
        entropy = np.log(total) + sharp * (finite * shares).sum(axis=1) / total
        shares /= total[:, None]
        is_wide = entropy > wanted
        low, high = np.where(is_wide, sharp, low), np.where(is_wide, high, sharp)
        sharp = np.where(np.isinf(high), sharp * 2, (low + np.where(np.isinf(high), low, high)) / 2)
        if np.abs(entropy - wanted).max() < 1e-4:
            break
    both = shares + shares.T
    return both / both.sum()


def num_neighbours(num_units: int) -> int:
    """Return how many nearest units the map is judged by: fewer in small layers, where all are near; 0 where none can be."""
    return min(NUM_NEIGHBOURS, (num_units - 1) // 4)


def neighbours_kept(profiles: np.ndarray, plane: np.ndarray) -> float | None:
    """Return the share of each unit's nearest by correlation that are among its nearest in the plane; None for under 5 units."""
    count = num_neighbours(len(profiles))
    if count < 1:
        return None
    by_answer, _ = strongest(correlate(profiles, profiles, is_same_layer=True), count)
    apart = ((plane[:, None, :] - plane[None, :, :]) ** 2).sum(axis=2, dtype=np.float32)
    np.fill_diagonal(apart, np.inf)
    by_place, _ = strongest(-apart, count)
    both = [len(np.intersect1d(first, second, assume_unique=True)) for first, second in zip(by_answer, by_place, strict=True)]
    return float(np.mean(both)) / count
