"""The compiled loops of the pass: everything that touches each activation, each count or each list entry.

torch would read and write the whole map for each reduction; here a block of positions is read from memory once and stays in
the cache for all of them. The loops release Python's lock, so the threads of the pass run side by side. Compiled at first use.
"""

from __future__ import annotations

import math

import numba
import numpy as np

NUM_BINS = 64
NO_WIDTH = -1000
"""The exponent of a histogram that holds nothing yet."""

_STRICT = {"nogil": True, "error_model": "numpy"}
# Minima, maxima and sums may use the processor's own instructions. Blocks with a number that is not finite are refused.
_FAST = {**_STRICT, "fastmath": {"nnan", "nsz", "contract"}}
_MAX_ROWS = 128  # single precision only over so many positions; then the sums go into double precision
_TILE = 128  # units at a time: what is counted and summed of them stays in the first-level cache
_FINEST = -120  # widths below 2 ** -120 leave what single precision can scale by


@numba.njit(**_STRICT)
def read_maps(x, a, bounds, pivot, exponent, origin, counts, high, low, high_start, low_start, total, activity, sums):
    """Read the pre-activations of some images once: extremes, sums and counts of every unit.

    Args:
        x: float32 `[image, position, unit]`, pre-activations.
        a: float32 like `x`, what the activation is the clamp of; may be `x` itself.
        bounds: float32 `[2]`: the activation is `a` clamped between them.
        pivot: float32 `[unit]`, subtracted from the activation before its powers are summed.
        exponent: int64 `[unit]`, of the histograms' grids; refitted as values come that do not fit.
        origin: int64 `[unit]`, likewise.
        counts: uint32 `[unit, NUM_BINS]`, of the histograms; added to.
        high: float32 `[image, unit]`, set to the largest pre-activation.
        low: float32 `[image, unit]`, set to the smallest.
        high_start: int32 `[image, unit]`, set to the first position of the block of `block_rows` that holds the largest.
        low_start: int32 `[image, unit]`, likewise of the smallest.
        total: float64 `[image, unit]`, set to the sum of pre-activations.
        activity: float64 `[image, unit]`, set to the sum of `activation - pivot`.
        sums: float64 `[4, unit]`, to which the sums of the first to fourth power of `activation - pivot` are added.

    Returns:
        Whether all numbers were finite; if not, what was set means nothing.
    """
    num_images, num_positions, num_units = x.shape
    rows = block_rows(num_positions)
    part, extremes = np.empty((5, _TILE), dtype=np.float32), np.empty((2, _TILE), dtype=np.float32)
    scale, offset = np.empty(num_units, dtype=np.float32), np.empty(num_units, dtype=np.int32)
    upper, lower = np.empty(num_units), np.empty(num_units)
    bins = np.empty((4, _TILE), dtype=np.uint32)
    flat = counts.reshape(-1)
    for u in range(num_units):
        _place_grid(u, exponent, origin, scale, offset, lower, upper)
    for image in range(num_images):
        for u in range(num_units):
            high[image, u], low[image, u], total[image, u], activity[image, u] = -np.inf, np.inf, 0.0, 0.0
        for start in range(0, num_positions, rows):
            stop = min(num_positions, start + rows)
            for first in range(0, num_units, _TILE):
                last = min(num_units, first + _TILE)
                block = (start, stop, first, last)
                _scan(x[image], x[image] if a is None else a[image], block, bounds, pivot, part, extremes)
                _take_block(image, block, part, extremes, high, low, high_start, low_start, total, activity, sums)
                for u in range(first, last):
                    if not math.isfinite(part[0, u - first]):
                        return False
                    if extremes[0, u - first] > upper[u] or extremes[1, u - first] <= lower[u]:
                        _make_room(u, extremes[1, u - first], extremes[0, u - first], exponent, origin, counts)
                        _place_grid(u, exponent, origin, scale, offset, lower, upper)
                _count(x[image], block, scale, offset, bins, flat)
    return True


@numba.njit(**_STRICT)
def _take_block(image, block, part, extremes, high, low, high_start, low_start, total, activity, sums):
    """Take what `_scan` found in a block into the results of its image."""
    start, _, first, last = block
    for u in range(first, last):
        if extremes[0, u - first] > high[image, u]:
            high[image, u], high_start[image, u] = extremes[0, u - first], start
        if extremes[1, u - first] < low[image, u]:
            low[image, u], low_start[image, u] = extremes[1, u - first], start
        total[image, u] += part[0, u - first]
        activity[image, u] += part[1, u - first]
    for power in range(4):
        for u in range(first, last):
            sums[power, u] += part[power + 1, u - first]


@numba.njit(**_STRICT)
def block_rows(num_positions):
    """Return how many positions are read at a time."""
    return min(num_positions, _MAX_ROWS)


@numba.njit(**_FAST)
def _scan(x, a, block, bounds, pivot, part, extremes):
    """Set the extremes of some positions, and the sums: of `x`, then of the powers of the activation less the pivot."""
    start, stop, first, last = block
    floor, ceiling = bounds[0], bounds[1]
    highest, lowest, pivots = extremes[0], extremes[1], pivot[first:last]
    sum_x, sum_1, sum_2, sum_3, sum_4 = part[0], part[1], part[2], part[3], part[4]
    for u in range(last - first):
        highest[u], lowest[u] = -np.inf, np.inf
        sum_x[u] = sum_1[u] = sum_2[u] = sum_3[u] = sum_4[u] = 0
    whole = start + (stop - start) // 4 * 4
    # Four rows at a time: the running values of a unit are read and written a quarter as often.
    for p in range(start, whole, 4):
        row0, row1, row2, row3 = x[p][first:last], x[p + 1][first:last], x[p + 2][first:last], x[p + 3][first:last]
        act0, act1, act2, act3 = a[p][first:last], a[p + 1][first:last], a[p + 2][first:last], a[p + 3][first:last]
        for u in range(last - first):
            c = pivots[u]
            x0, x1, x2, x3 = row0[u], row1[u], row2[u], row3[u]
            highest[u] = max(highest[u], max(max(x0, x1), max(x2, x3)))
            lowest[u] = min(lowest[u], min(min(x0, x1), min(x2, x3)))
            sum_x[u] += (x0 + x1) + (x2 + x3)
            a0 = min(max(act0[u], floor), ceiling) - c
            a1 = min(max(act1[u], floor), ceiling) - c
            a2 = min(max(act2[u], floor), ceiling) - c
            a3 = min(max(act3[u], floor), ceiling) - c
            s0, s1, s2, s3 = a0 * a0, a1 * a1, a2 * a2, a3 * a3
            sum_1[u] += (a0 + a1) + (a2 + a3)
            sum_2[u] += (s0 + s1) + (s2 + s3)
            sum_3[u] += (s0 * a0 + s1 * a1) + (s2 * a2 + s3 * a3)
            sum_4[u] += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
    for p in range(whole, stop):
        row0, act0 = x[p][first:last], a[p][first:last]
        for u in range(last - first):
            value = row0[u]
            highest[u] = max(highest[u], value)
            lowest[u] = min(lowest[u], value)
            sum_x[u] += value
            activation = min(max(act0[u], floor), ceiling) - pivots[u]
            square = activation * activation
            sum_1[u] += activation
            sum_2[u] += square
            sum_3[u] += square * activation
            sum_4[u] += square * square


@numba.njit(**_FAST)
def _count(x, block, scale, offset, bins, flat):
    """Count the values of some positions; all of them fit.

    The scale is a power of two, so the product is exact and no value crosses an edge by rounding.
    """
    start, stop, first, last = block
    one = np.uint32(1)
    scales, offsets = scale[first:last], offset[first:last]
    bins0, bins1, bins2, bins3 = bins[0], bins[1], bins[2], bins[3]
    whole = start + (stop - start) // 4 * 4
    for p in range(start, whole, 4):
        row0, row1, row2, row3 = x[p][first:last], x[p + 1][first:last], x[p + 2][first:last], x[p + 3][first:last]
        for u in range(last - first):
            s, o = scales[u], offsets[u]
            bins0[u] = np.uint32(np.int32(np.ceil(row0[u] * s)) + o)
            bins1[u] = np.uint32(np.int32(np.ceil(row1[u] * s)) + o)
            bins2[u] = np.uint32(np.int32(np.ceil(row2[u] * s)) + o)
            bins3[u] = np.uint32(np.int32(np.ceil(row3[u] * s)) + o)
        for row in range(4):
            for u in range(last - first):
                flat[bins[row, u]] += one
    for p in range(whole, stop):
        row0 = x[p][first:last]
        for u in range(last - first):
            bins0[u] = np.uint32(np.int32(np.ceil(row0[u] * scales[u])) + offsets[u])
        for u in range(last - first):
            flat[bins0[u]] += one


@numba.njit(**_STRICT)
def _place_grid(u, exponent, origin, scale, offset, lower, upper):
    """Set what `_count` needs of the grid of one unit, and the range `(lower, upper]` that fits into it."""
    if exponent[u] == NO_WIDTH:
        lower[u], upper[u] = np.inf, -np.inf
        return
    width = math.ldexp(1.0, exponent[u])
    scale[u] = 1.0 / width
    offset[u] = u * NUM_BINS - origin[u] - 1
    lower[u], upper[u] = origin[u] * width, (origin[u] + NUM_BINS) * width


@numba.njit(**_STRICT)
def _bin_of(value, exponent):
    """Return the number `i` of the bin `(i·w, (i+1)·w]` that holds a value, with `w = 2 ** exponent`."""
    return np.int64(math.ceil(math.ldexp(np.float64(value), -exponent))) - 1


@numba.njit(**_STRICT)
def _finest(low, high):
    """Return the smallest exponent for which both values lie within `NUM_BINS` bins."""
    span = max(np.float64(high) - low, max(abs(np.float64(low)), abs(np.float64(high))) * 1e-6)
    if span == 0:
        return np.int64(-20)
    exponent = np.int64(max(math.frexp(span)[1] - 8, _FINEST))
    while _bin_of(high, exponent) - _bin_of(low, exponent) >= NUM_BINS:
        exponent += 1
    return exponent


@numba.njit(**_STRICT)
def _make_room(u, lowest, highest, exponent, origin, counts):
    """Refit the grid of one unit so that two values fit in."""
    finest = _finest(lowest, highest)
    first, last = _bin_of(lowest, finest), _bin_of(highest, finest)
    exponent[u], origin[u] = _refit(counts[u], exponent[u], origin[u], first, last, finest)


@numba.njit(**_STRICT)
def _refit(counts, exponent, origin, first, last, finest):
    """Move the counts of one unit to the finest grid that holds them and some bins more, and return its exponent and origin.

    Widths are powers of two, so that a coarser grid moves no count across an edge, and the finest grid does not depend on the
    order in which values came.

    Args:
        counts: `[NUM_BINS]`, changed in place.
        exponent: The width of the counts' bins is 2 to this power.
        origin: The first bin begins at so many widths.
        first: The lowest bin that is to fit in, on a grid of `2 ** finest`.
        last: The highest one.
        finest: No finer grid than this is asked for.
    """
    width = max(exponent, finest)
    first, last = first >> min(width - finest, 62), last >> min(width - finest, 62)
    steps = min(width - exponent, 62)
    for place in range(NUM_BINS):
        if counts[place]:
            first, last = min(first, (origin + place) >> steps), max(last, (origin + place) >> steps)
    while last - first >= NUM_BINS:
        first, last, width = first >> 1, last >> 1, width + 1
    start = first - (NUM_BINS - 1 - (last - first)) // 2  # room on both sides, so that the next refit comes late
    moved = counts.copy()
    counts[:] = 0
    steps = min(width - exponent, 62)
    for place in range(NUM_BINS):
        if moved[place]:
            counts[((origin + place) >> steps) - start] += moved[place]
    return width, start


@numba.njit(**_STRICT)
def add_counts(exponent, origin, counts, other_exponent, other_origin, other_counts):
    """Add histograms to histograms, unit by unit, refitting the first where needed."""
    for u in range(len(counts)):
        first, last = -1, -1
        for place in range(NUM_BINS):
            if other_counts[u, place]:
                first, last = (place if first < 0 else first), place
        if first < 0:
            continue
        first, last = other_origin[u] + first, other_origin[u] + last
        steps = min(exponent[u] - other_exponent[u], 62)
        if steps < 0 or (first >> steps) < origin[u] or (last >> steps) >= origin[u] + NUM_BINS:
            exponent[u], origin[u] = _refit(counts[u], exponent[u], origin[u], first, last, other_exponent[u])
            steps = min(exponent[u] - other_exponent[u], 62)
        for place in range(NUM_BINS):
            if other_counts[u, place]:
                counts[u, ((other_origin[u] + place) >> steps) - origin[u]] += other_counts[u, place]


@numba.njit(**_STRICT)
def find_positions(x, is_wanted, values, starts, positions):
    """Write where some values stand: the first position of the unit's map, within the block that begins at `starts`.

    Args:
        x: float32 `[image, position, unit]`.
        is_wanted: bool `[image, unit]`.
        values: float32 `[image, unit]`, each the same bits as one in `x`.
        starts: int32 `[image, unit]`, first position of the block that holds it.
        positions: int32 `[image, unit]`; only those that are wanted are written.
    """
    num_images, num_positions, num_units = x.shape
    rows = block_rows(num_positions)
    for image in range(num_images):
        for u in range(num_units):
            if is_wanted[image, u]:
                p = starts[image, u]
                last = min(num_positions, p + rows) - 1
                while p < last and x[image, p, u] != values[image, u]:
                    p += 1
                positions[image, u] = p


@numba.njit(**_STRICT)
def insert_run(start, stop, key, stimulus, position, floor, key_list, stimulus_list, position_list):
    """Insert a run of candidates into the lists of all units; of equals the earlier stays before.

    Args:
        start: First candidate of the run.
        stop: The candidate after the run.
        key: float32 `[candidate, unit]`.
        stimulus: int32 `[candidate]`.
        position: int32 `[candidate, unit]`.
        floor: float32 `[unit]`: candidates up to this are not inserted.
        key_list: `[unit, place]`, best first; changed in place.
        stimulus_list: `[unit, place]`, likewise.
        position_list: `[unit, place]`, likewise.
    """
    num_units, length = key_list.shape
    for candidate in range(start, stop):
        for u in range(num_units):
            value = key[candidate, u]
            if value > floor[u] and value > key_list[u, length - 1]:
                _insert(u, value, stimulus[candidate], position[candidate, u], key_list, stimulus_list, position_list)


@numba.njit(**_STRICT)
def insert_lists(key, stimulus, position, key_list, stimulus_list, position_list):
    """Insert lists `[unit, place]` into other lists, unit by unit; of equals the earlier stays before."""
    num_units, length = key_list.shape
    for u in range(num_units):
        for candidate in range(key.shape[1]):
            value = key[u, candidate]
            if not value > key_list[u, length - 1]:
                break
            _insert(u, value, stimulus[u, candidate], position[u, candidate], key_list, stimulus_list, position_list)


@numba.njit(**_STRICT)
def _insert(u, value, stimulus, position, key_list, stimulus_list, position_list):
    """Insert one candidate, which is better than the last, into the list of a unit."""
    place = key_list.shape[1] - 1
    while place > 0 and value > key_list[u, place - 1]:
        key_list[u, place] = key_list[u, place - 1]
        stimulus_list[u, place] = stimulus_list[u, place - 1]
        position_list[u, place] = position_list[u, place - 1]
        place -= 1
    key_list[u, place] = value
    stimulus_list[u, place] = stimulus
    position_list[u, place] = position
