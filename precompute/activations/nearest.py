"""The most alike units of a layer among all units of a model: one product of the profiles, in blocks, each read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from precompute.correlation import NONE, NUM_SIMILAR, SIMILAR_ROW, Profiles, permuted

UNITS_AT_ONCE = 256
MAX_CANDIDATES = 100_000
"""Units that one layer is compared with: what it costs then grows with the units of a model, and not with their square."""


@dataclass(frozen=True)
class Candidates:
    """The units of several layers, one after the other.

    Attributes:
        profiles: Standardised, `[unit, image]`.
        starts: int64 `[layer + 1]`, the first unit of each layer, and the end.
        positions: int64 `[layer]`, the position of each layer in the network, ascending.
        varies: bool `[unit]`.
    """

    profiles: Profiles
    starts: NDArray[np.int64]
    positions: NDArray[np.int64]
    varies: NDArray[np.bool_]

    @classmethod
    def of(cls, layers: Sequence[tuple[int, Profiles]]) -> Candidates:
        """Return the candidates of some layers: position and standardised profiles `[unit, image]` of each."""
        profiles = np.concatenate([values for _, values in layers])
        starts = np.cumsum([0, *(len(values) for _, values in layers)])
        return cls(
            profiles, starts, np.array([place for place, _ in layers], np.int64), np.any(profiles, axis=1, keepdims=True)[:, 0]
        )

    def units_of(self, place: int) -> slice:
        """Return the rows of the layer at a place of the list."""
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def near(self, place: int, limit: int = MAX_CANDIDATES) -> tuple[int, int]:
        """Return the first layer and the one after the last that a layer is compared with: all, or those around it.

        Layers are added before and after in turn, while the units of all are no more than `limit`.
        """
        first, stop = place, place + 1
        grows = True
        while grows:
            grows = False
            if first > 0 and self.starts[stop] - self.starts[first - 1] <= limit:
                first, grows = first - 1, True
            if stop < len(self.positions) and self.starts[stop + 1] - self.starts[first] <= limit:
                stop, grows = stop + 1, True
        return first, stop


def nearest_units(candidates: Candidates, place: int, seed: int, limit: int = MAX_CANDIDATES) -> tuple[np.ndarray, int]:
    """Return `SIMILAR_ROW` `[unit]` of the layer at a place of the list, and how many layers were compared.

    Args:
        candidates: All units.
        place: Of the layer.
        seed: Of the order of images of the control.
        limit: Of the units that are compared with.
    """
    own = candidates.units_of(place)
    first, stop = candidates.near(place, limit)
    some = slice(int(candidates.starts[first]), int(candidates.starts[stop]))
    others, varies = candidates.profiles[some], candidates.varies[some]
    mine = candidates.profiles[own]
    begin, end = own.start - some.start, own.stop - some.start
    shuffled = permuted(mine, seed)
    units = np.full((len(mine), 2, NUM_SIMILAR), NONE, np.int64)
    values = np.full((len(mine), 2, NUM_SIMILAR), -np.inf, np.float32)
    chance = np.full((len(mine), 2), -np.inf, np.float32)
    for start in range(0, len(mine), UNITS_AT_ONCE):
        rows = slice(start, start + UNITS_AT_ONCE)
        keep_strongest(mine[rows] @ others.T, varies, begin, end, start, units[rows], values[rows])
        keep_highest(shuffled[rows] @ others.T, varies, begin, end, start, chance[rows])
    return _table(candidates, mine, some.start, own.start, units, values, chance), stop - first


def _table(
    candidates: Candidates,
    mine: Profiles,
    offset: int,
    begin: int,
    units: NDArray[np.int64],
    values: NDArray[np.float32],
    chance: NDArray[np.float32],
) -> np.ndarray:
    table = np.zeros(len(mine), dtype=SIMILAR_ROW)
    varies = np.any(mine, axis=1, keepdims=True)[:, 0]
    table["is_constant"] = ~varies
    is_there = np.isfinite(values) & varies[:, None, None]
    rows = np.where(is_there, units + offset, 0)
    values = np.where(is_there, np.clip(values, -1, 1), np.nan)
    layers = np.searchsorted(candidates.starts, rows[:, 1], side="right") - 1
    table["within_unit"] = np.where(is_there[:, 0], rows[:, 0] - begin, NONE)
    table["within_correlation"] = values[:, 0]
    table["other_layer"] = np.where(is_there[:, 1], candidates.positions[layers], NONE)
    table["other_unit"] = np.where(is_there[:, 1], rows[:, 1] - candidates.starts[layers], NONE)
    table["other_correlation"] = values[:, 1]
    is_there = np.isfinite(chance) & varies[:, None]
    chance = np.where(is_there, np.clip(chance, -1, 1), np.nan)
    table["within_chance"], table["other_chance"] = chance[:, 0], chance[:, 1]
    return table


@numba.njit(cache=True, nogil=True)
def keep_strongest(correlation, varies, begin, end, start, units, values):
    """Keep the strongest columns of each row, largest first, of equals the first: those of its own layer and all others.

    Args:
        correlation: float32 `[row, column]`.
        varies: bool `[column]`: others are left out.
        begin: First column of the layer that the rows are of; a unit is not compared with itself.
        end: The column after its last.
        start: Place of the first row in its layer.
        units: int64 `[row, 2, place]`, columns; changed.
        values: float32 like `units`, minus infinity at first; changed.
    """
    count = units.shape[2]
    for row in range(correlation.shape[0]):
        own = begin + start + row
        for column in range(correlation.shape[1]):
            side = 0 if begin <= column < end else 1
            value = correlation[row, column]
            if value <= values[row, side, count - 1] or not varies[column] or column == own:
                continue
            place = count - 1
            while place > 0 and values[row, side, place - 1] < value:
                values[row, side, place] = values[row, side, place - 1]
                units[row, side, place] = units[row, side, place - 1]
                place -= 1
            values[row, side, place] = value
            units[row, side, place] = column


@numba.njit(cache=True, nogil=True)
def keep_highest(correlation, varies, begin, end, start, highest):
    """Keep the largest value of each row among its own layer and among all others; see `keep_strongest`.

    Args:
        correlation: float32 `[row, column]`.
        varies: bool `[column]`.
        begin: First column of the rows' layer.
        end: The column after its last.
        start: Place of the first row in its layer.
        highest: float32 `[row, 2]`, minus infinity at first; changed.
    """
    for row in range(correlation.shape[0]):
        own = begin + start + row
        for column in range(correlation.shape[1]):
            side = 0 if begin <= column < end else 1
            value = correlation[row, column]
            if value > highest[row, side] and varies[column] and column != own:
                highest[row, side] = value
