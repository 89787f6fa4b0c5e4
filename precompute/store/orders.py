"""A metric of all units in order, as a build sorted it: which units lie between two values, and the first ones, exactly.

Beside the order each unit has one of 256 buckets of equal size. A range of values is a stretch of the order; the units in it are
found by their buckets, a byte each, and only those of the two buckets at its ends are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BUCKETS = 256
Places = NDArray[np.int32]
Mask = NDArray[np.bool_]


def sorted_places(values: NDArray[np.float64]) -> Places:
    """Return the places of all values, rising, equal ones by place; what is no number comes last."""
    return np.argsort(values, kind="stable").astype("<i4")


def buckets_of(places: Places) -> NDArray[np.uint8]:
    """Return the bucket of each place."""
    found = np.empty(len(places), np.uint8)
    found[places] = np.arange(len(places)) // _bucket_size(len(places))
    return found


def _bucket_size(count: int) -> int:
    return max(1, -(-count // NUM_BUCKETS))


@dataclass(frozen=True, eq=False)
class Order:
    """A metric in order.

    Attributes:
        values: `[unit]`, not a number where a unit has none.
        places: See `sorted_places`.
        buckets: See `buckets_of`.
        num_known: How many units have a value.
    """

    values: NDArray[np.float64]
    places: Places
    buckets: NDArray[np.uint8]
    num_known: int

    def _first(self, value: float) -> int:
        """Return how many values are smaller."""
        return bisect_left(self.places, value, hi=self.num_known, key=self.values.__getitem__)

    def _after(self, value: float) -> int:
        """Return how many values are smaller or equal."""
        return bisect_right(self.places, value, hi=self.num_known, key=self.values.__getitem__)

    def between(self, low: float | None, high: float | None) -> Mask:
        """Return which units have a value from `low` to `high`, both with them; None: no bound."""
        start = 0 if low is None else self._first(low)
        stop = self.num_known if high is None else self._after(high)
        if start >= stop:
            return np.zeros(len(self.places), dtype=bool)
        size = _bucket_size(len(self.places))
        first, last = start // size, (stop - 1) // size
        # A bucket before the first one wraps around to a large number.
        found = (self.buckets - np.uint8(first)) <= np.uint8(last - first)
        found[self.places[first * size : start]] = False
        found[self.places[stop : (last + 1) * size]] = False
        return found

    def walk(self, after: tuple[float | None, int] | None, *, is_descending: bool, size: int) -> Iterator[Places]:
        """Yield the places in order, some at a time; equal values by place, those without a value last.

        Args:
            after: `(value, place)` of the one before the first.
            is_descending: Whether the largest value comes first.
            size: How many to begin with; each time twice as many.
        """
        unknown = self.places[self.num_known :]
        if after is not None and after[0] is None:
            yield from _pieces(unknown[np.searchsorted(unknown, after[1], side="right") :], size)
            return
        stop = self.num_known
        if after is not None and after[0] is not None:
            start, end = self._first(after[0]), self._after(after[0])
            equal = self.places[start:end]
            yield equal[np.searchsorted(equal, after[1], side="right") :]
            known, stop = self.places[end : self.num_known], start
        else:
            known = self.places[: self.num_known]
        yield from self._falling(stop, size) if is_descending else _pieces(known, size)
        yield from _pieces(unknown, size)

    def _falling(self, stop: int, size: int) -> Iterator[Places]:
        """Yield the first so many places of the order, the last value first; equal ones stay in the order of places."""
        while stop:
            start = max(0, stop - size)
            value = float(self.values[self.places[start]])
            if self._first(value) < start:  # equal values are not parted
                end = self._after(value)
                start = end if end < stop else self._first(value)
            part = self.places[start:stop]
            yield part[np.argsort(-self.values[part], kind="stable")]
            stop, size = start, 2 * size


def _pieces(places: Places, size: int) -> Iterator[Places]:
    start = 0
    while start < len(places):
        yield places[start : start + size]
        start, size = start + size, 2 * size
