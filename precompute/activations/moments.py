"""Mean, spread and kurtosis of streams: central moments that merge exactly.

Source: Pébay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical moments",
Sandia report SAND2008-6212, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Moments:
    """Count, mean and sums of the second to fourth power of the deviation from the mean, float64 `[unit]`.

    Attributes:
        count: Of the values; the same for all units.
        mean: Of each unit.
        second, third, fourth: Sums of powers of the deviation.
    """

    count: int
    mean: np.ndarray
    second: np.ndarray
    third: np.ndarray
    fourth: np.ndarray

    @classmethod
    def empty(cls, num_units: int) -> Moments:
        """Return the moments of no value."""
        return cls(0, *(np.zeros(num_units) for _ in range(4)))

    @classmethod
    def around(cls, pivot: np.ndarray, count: int, sums: np.ndarray) -> Moments:
        """Return the moments of values whose powers were summed as deviations from a pivot.

        Args:
            pivot: `[unit]`, near the mean.
            count: Of the values.
            sums: `[4, unit]`, of the first to fourth power of `value - pivot`.
        """
        first, second, third, fourth = sums.astype(np.float64) / max(count, 1)
        return cls(
            count,
            pivot.astype(np.float64) + first,
            count * np.maximum(second - first**2, 0),
            count * (third - 3 * first * second + 2 * first**3),
            count * np.maximum(fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4, 0),
        )

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both streams together; neither is changed."""
        if self.count == 0 or other.count == 0:
            return other if self.count == 0 else self
        a, b = float(self.count), float(other.count)
        n = a + b
        delta = other.mean - self.mean
        second = self.second + other.second + delta**2 * a * b / n
        third = (
            self.third + other.third + delta**3 * a * b * (a - b) / n**2 + 3 * delta * (a * other.second - b * self.second) / n
        )
        fourth = (
            self.fourth
            + other.fourth
            + delta**4 * a * b * (a * a - a * b + b * b) / n**3
            + 6 * delta**2 * (a * a * other.second + b * b * self.second) / n**2
            + 4 * delta * (a * other.third - b * self.third) / n
        )
        return Moments(self.count + other.count, self.mean + delta * b / n, second, third, fourth)

    def std(self) -> np.ndarray:
        """Return the standard deviation of each unit, over all values (divided by their number)."""
        return np.sqrt(self.second / max(self.count, 1))

    def excess_kurtosis(self) -> np.ndarray:
        """Return the excess kurtosis of each unit: 0 if normal, large where few values are large, NaN if constant."""
        is_constant = self.second <= 1e-12 * self.count * np.maximum(self.mean**2, 1e-30)
        variance = np.where(is_constant, 1.0, self.second / max(self.count, 1))
        kurtosis = self.fourth / max(self.count, 1) / variance**2 - 3
        return np.where(is_constant, np.nan, kurtosis)
