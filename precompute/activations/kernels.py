"""The two loops that read every activation once, compiled: torch would read and write the whole map for each reduction.

They release Python's lock, so the threads of the pass run side by side. Compiled at first use, in about two seconds.
"""

from __future__ import annotations

import numba
import numpy as np

from precompute.activations.histogram import NUM_BINS

# Not-a-number never gets here (the pass refuses it), which lets minima and maxima use the processor's own instructions.
_FAST = {"nnan", "nsz", "contract"}
_ROWS = 256  # single precision only over so many rows; then the sums go into double precision


@numba.njit(nogil=True, fastmath=_FAST, error_model="numpy")
def scan(x, a, bounds, pivot, high, low, total, sums):
    """Add one image to the running extremes and sums of every unit.

    Args:
        x: float32 `[position, unit]`, pre-activations.
        a: float32 `[position, unit]`, what the activation is the clamp of; may be `x` itself.
        bounds: float32 `[2]`: the activation is `a` clamped between them.
        pivot: float32 `[unit]`, subtracted from the activation before its powers are summed.
        high: float32 `[unit]`, largest pre-activation.
        low: float32 `[unit]`, smallest pre-activation.
        total: float64 `[unit]`, sum of pre-activations.
        sums: float64 `[4, unit]`, sums of the first to fourth power of `activation - pivot`.
    """
    num_positions, num_units = x.shape
    floor, ceiling = bounds[0], bounds[1]
    part = np.empty((5, num_units), dtype=np.float32)
    for start in range(0, num_positions, _ROWS):
        stop = min(num_positions, start + _ROWS)
        part[:] = 0
        whole = start + (stop - start) // 4 * 4
        # Four rows at a time: the running values of a unit are read and written a quarter as often.
        for p in range(start, whole, 4):
            for u in range(num_units):
                c = pivot[u]
                x0, x1, x2, x3 = x[p, u], x[p + 1, u], x[p + 2, u], x[p + 3, u]
                high[u] = max(high[u], max(max(x0, x1), max(x2, x3)))
                low[u] = min(low[u], min(min(x0, x1), min(x2, x3)))
                part[0, u] += (x0 + x1) + (x2 + x3)
                a0 = min(max(a[p, u], floor), ceiling) - c
                a1 = min(max(a[p + 1, u], floor), ceiling) - c
                a2 = min(max(a[p + 2, u], floor), ceiling) - c
                a3 = min(max(a[p + 3, u], floor), ceiling) - c
                s0, s1, s2, s3 = a0 * a0, a1 * a1, a2 * a2, a3 * a3
                part[1, u] += (a0 + a1) + (a2 + a3)
                part[2, u] += (s0 + s1) + (s2 + s3)
                part[3, u] += (s0 * a0 + s1 * a1) + (s2 * a2 + s3 * a3)
                part[4, u] += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
        for p in range(whole, stop):
            for u in range(num_units):
                value = x[p, u]
                high[u] = max(high[u], value)
                low[u] = min(low[u], value)
                part[0, u] += value
                activation = min(max(a[p, u], floor), ceiling) - pivot[u]
                square = activation * activation
                part[1, u] += activation
                part[2, u] += square
                part[3, u] += square * activation
                part[4, u] += square * square
        for u in range(num_units):
            total[u] += part[0, u]
            for power in range(4):
                sums[power, u] += part[power + 1, u]


@numba.njit(nogil=True, fastmath=_FAST, error_model="numpy")
def count(x, scale, origin, counts):
    """Count the values of one image into the histograms.

    Args:
        x: float32 `[position, unit]`.
        scale: float32 `[unit]`, powers of two, so that the product is exact and no value crosses an edge by rounding.
        origin: int32 `[unit]`: bin `i` holds what lies in `(origin + i, origin + i + 1]` after scaling.
        counts: uint32, `[unit * NUM_BINS]`.
    """
    num_positions, num_units = x.shape
    bins = np.empty(num_units, dtype=np.int32)
    for p in range(num_positions):
        for u in range(num_units):
            bins[u] = np.int32(np.ceil(x[p, u] * scale[u])) - origin[u] - 1 + u * NUM_BINS
        for u in range(num_units):
            counts[bins[u]] += 1
