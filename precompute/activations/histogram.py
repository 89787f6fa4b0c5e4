"""Histograms that need no range in advance and merge without error.

Bins are `(i·w, (i+1)·w]` with `w` a power of two, the smallest for which the units' smallest and largest value fit. So the
grid depends on nothing but these two values, halving the resolution moves no count across an edge, and zero is always an
edge: the share of positions above zero can be read off exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 64


@dataclass
class Histogram:
    """Counts of values of many units, each on its own grid.

    Attributes:
        exponent: int `[unit]`; the width of a bin is `2 ** exponent`.
        origin: int64 `[unit]`; the first bin begins at `origin * width`.
        counts: int64 `[unit, NUM_BINS]`.
    """

    exponent: np.ndarray
    origin: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, low: np.ndarray, high: np.ndarray) -> Histogram:
        """Return zero counts on the finest grid that holds `(low, high)` of each unit, float `[unit]`."""
        exponent = _finest(low, high)
        origin = _bin_of(low, exponent)
        return cls(exponent, origin, np.zeros((len(low), NUM_BINS), dtype=np.int64))

    def merged(self, other: Histogram) -> Histogram:
        """Return the counts of both on the grid that holds both; neither is changed."""
        first_used, last_used = zip(self._used(), other._used(), strict=True)
        exponent = np.maximum(self.exponent, other.exponent)
        while True:
            first = np.minimum(
                _coarser(first_used[0], exponent - self.exponent), _coarser(first_used[1], exponent - other.exponent)
            )
            last = np.maximum(_coarser(last_used[0], exponent - self.exponent), _coarser(last_used[1], exponent - other.exponent))
            too_wide = last - first >= NUM_BINS
            if not too_wide.any():
                break
            exponent = exponent + too_wide
        counts = np.zeros_like(self.counts)
        for part in (self, other):
            bins = part.origin[:, None] + np.arange(NUM_BINS)
            place = _coarser(bins, (exponent - part.exponent)[:, None]) - first[:, None]
            inside = (place >= 0) & (place < NUM_BINS)
            flat = (place + NUM_BINS * np.arange(len(first))[:, None])[inside]
            # Doubles hold counts exactly up to 2 ** 53.
            added = np.bincount(flat, part.counts[inside], minlength=counts.size)
            counts += added.astype(np.int64).reshape(counts.shape)
        return Histogram(exponent, first, counts)

    def _used(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first and last bin, on the own grid, that hold a count."""
        has = self.counts > 0
        first = has.argmax(axis=1)
        last = NUM_BINS - 1 - has[:, ::-1].argmax(axis=1)
        empty = ~has.any(axis=1)
        first[empty], last[empty] = 0, 0
        return self.origin + first, self.origin + last

    def num_above_zero(self) -> np.ndarray:
        """Return int64 `[unit]`: how many values were above zero."""
        is_positive = self.origin[:, None] + np.arange(NUM_BINS) >= 0
        return np.where(is_positive, self.counts, 0).sum(axis=1)

    def edges_and_counts(self, unit: int) -> tuple[list[float], list[int]]:
        """Return the edges and counts of one unit, without the empty bins at both ends."""
        used = np.flatnonzero(self.counts[unit])
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        width = 2.0 ** int(self.exponent[unit])
        edges = [(int(self.origin[unit]) + place) * width for place in range(first, last + 2)]
        return edges, [int(count) for count in self.counts[unit, first : last + 1]]


def _bin_of(value: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return the number of the bin `(i·w, (i+1)·w]` that holds each value."""
    return (np.ceil(np.ldexp(value.astype(np.float64), -exponent)) - 1).astype(np.int64)


def _coarser(bins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the number of the bin on a grid `2 ** steps` times as wide."""
    return bins >> np.minimum(steps, 62).astype(np.int64)


def _finest(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the smallest exponent for which both values lie within `NUM_BINS` bins."""
    span = np.maximum(high.astype(np.float64) - low, np.maximum(np.abs(low), np.abs(high)) * 1e-6)
    exponent = np.where(span > 0, np.floor(np.log2(np.where(span > 0, span, 1.0))) - 7, -20).astype(np.int64)
    while True:
        too_wide = _bin_of(high, exponent) - _bin_of(low, exponent) >= NUM_BINS
        if not too_wide.any():
            return exponent
        exponent = exponent + too_wide
