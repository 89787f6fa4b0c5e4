"""Mean, spread and kurtosis of streams, from sums of powers of the deviation from a fixed number near the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST_STD = 1e-9
"""Fourth powers of deviations below this vanish in single precision."""


@dataclass
class Moments:
    """Sums of powers of the values of many units.

    Attributes:
        pivot: float32 `[unit]`, near the mean: of the values themselves, large means would leave nothing of small spreads.
        sums: float64 `[4, unit]`, of the first to fourth power of `value - pivot`.
        count: Of the values; the same for all units.
    """

    pivot: np.ndarray
    sums: np.ndarray
    count: int = 0

    @classmethod
    def empty(cls, pivot: np.ndarray) -> Moments:
        """Return the moments of no value."""
        return cls(pivot, np.zeros((4, len(pivot))))

    def add(self, other: Moments) -> None:
        """Add other values, whose deviations are from the same pivot."""
        self.sums += other.sums
        self.count += other.count

    def mean(self) -> np.ndarray:
        """Return the mean of each unit."""
        mean: np.ndarray = self.pivot + self.sums[0] / max(self.count, 1)
        return mean

    def std(self) -> np.ndarray:
        """Return the standard deviation of each unit, over all values (divided by their number)."""
        return np.sqrt(self._central()[0])

    def excess_kurtosis(self) -> np.ndarray:
        """Return the excess kurtosis of each unit: 0 if normal, large where few values are large.

        NaN if the unit is constant, or varies so little that fourth powers leave the range of single precision.
        """
        variance, fourth = self._central()
        is_constant = variance <= np.maximum(1e-12 * self.mean() ** 2, SMALLEST_STD**2)
        return np.where(is_constant, np.nan, fourth / np.where(is_constant, 1.0, variance) ** 2 - 3)

    def _central(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the second and fourth central moment of each unit."""
        first, second, third, fourth = self.sums / max(self.count, 1)
        return (
            np.maximum(second - first**2, 0),
            np.maximum(fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4, 0),
        )
