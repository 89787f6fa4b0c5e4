"""Histograms that need no range in advance and merge without error.

Bins are `(i·w, (i+1)·w]` with `w` a power of two, the smallest for which the units' smallest and largest value fit. So the
width depends on nothing but these two values, halving the resolution moves no count across an edge, and zero is always an
edge: the share of positions above zero can be read off exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from precompute.activations.kernels import NO_WIDTH, NUM_BINS, add_counts


@dataclass
class Histogram:
    """Counts of values of many units, each on its own grid.

    Attributes:
        exponent: int64 `[unit]`; the width of a bin is `2 ** exponent`.
        origin: int64 `[unit]`; the first bin begins at `origin * width`.
        counts: int64 or (of one batch) uint32 `[unit, NUM_BINS]`.
    """

    exponent: np.ndarray
    origin: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, num_units: int) -> Histogram:
        """Return the histograms of no value; their grids are made by the first values."""
        return cls(np.full(num_units, NO_WIDTH), np.zeros(num_units, np.int64), np.zeros((num_units, NUM_BINS), np.int64))

    def add(self, other: Histogram) -> None:
        """Add the counts of other values, on the grid that holds both."""
        add_counts(self.exponent, self.origin, self.counts, other.exponent, other.origin, other.counts)

    def num_above_zero(self) -> np.ndarray:
        """Return int64 `[unit]`: how many values were above zero."""
        is_positive = self.origin[:, None] + np.arange(NUM_BINS) >= 0
        return np.where(is_positive, self.counts, 0).sum(axis=1, dtype=np.int64)

    def edges_and_counts(self, unit: int) -> tuple[list[float], list[int]]:
        """Return the edges and counts of one unit, without the empty bins at both ends."""
        used = np.flatnonzero(self.counts[unit])
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        width = 2.0 ** int(self.exponent[unit])
        edges = [(int(self.origin[unit]) + place) * width for place in range(first, last + 2)]
        return edges, [int(count) for count in self.counts[unit, first : last + 1]]
