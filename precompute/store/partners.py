"""All partners of a unit with what is said of each, as columns: rows are made only for those that a page shows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.graph import MERGES, squares_and_sums
from precompute.store.arrays import Kernels, Side, kernels_of
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

Ranking = Literal["norm", "sum", "contribution"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
MOST_OF_THE_NORM = 0.9
Column = NDArray[np.float64]


@dataclass(frozen=True)
class PartnerWeight:
    """The weight between a unit and a partner, computed from the whole array.

    Attributes:
        layer: Name of the partner's layer.
        unit: Index of the partner.
        norm: L2 norm of the kernel.
        sum: Signed sum of the kernel.
        share: Of the squared norm of all weights between the unit and the partners on this side, 0 to 1. The partners in a stream
            or a concatenation, which hold the others again, share a whole of their own.
        contribution: `norm` times the standard deviation of the source's activation over the images: how much the weight moves
            the target on data. None where the images were not seen.
        gross: Sum of the absolute weights of all paths between the two: where it is much larger than the norm, paths cancel.
    """

    layer: str
    unit: int
    norm: float
    sum: float
    share: float | None = None
    contribution: float | None = None
    gross: float | None = None


@dataclass(frozen=True, eq=False)
class Partners:
    """Partners of a unit, with what `PartnerWeight` says of each; all arrays are `[partner]`.

    Attributes:
        layers: Names of layers.
        places: Which of `layers` a partner is in.
        units: Indices of the partners.
        norms: See `PartnerWeight.norm`; so are those that follow.
        sums: Signed sums.
        shares: Shares of the squared norm.
        contributions: NaN where the images were not seen.
        gross: Sums over all paths.
        repeating: Which of `layers` are streams or concatenations, whose units repeat those of the layers that make them.
    """

    layers: tuple[str, ...]
    places: NDArray[np.intp]
    units: NDArray[np.intp]
    norms: Column
    sums: Column
    shares: Column
    contributions: Column
    gross: Column
    repeating: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.units)

    @property
    def columns(self) -> list[NDArray[Any]]:
        """Return all arrays in the order of the fields."""
        return [self.places, self.units, self.norms, self.sums, self.shares, self.contributions, self.gross]

    def take(self, which: slice | NDArray[Any]) -> Partners:
        """Return some of them: a slice, a mask, or their places in the order wanted."""
        return Partners(self.layers, *(column[which] for column in self.columns), repeating=self.repeating)

    def rows(self) -> list[PartnerWeight]:
        """Return them one by one."""
        lists: list[list[Any]] = [column.tolist() for column in self.columns]
        layers: list[str] = [self.layers[int(place)] for place in lists[0]]
        return [
            PartnerWeight(layer, unit, norm, total, share, None if isnan(moved) else moved, gross)
            for layer, unit, norm, total, share, moved, gross in zip(layers, *lists[1:], strict=True)
        ]

    def row(self, layer: str, unit: int) -> tuple[int, PartnerWeight] | None:
        """Return the place of a unit among them, from 0, and its row, or None where it is none of them."""
        if layer not in self.layers:
            return None
        found = np.flatnonzero((self.places == self.layers.index(layer)) & (self.units == unit))
        return None if not len(found) else (int(found[0]), self.take(found[:1]).rows()[0])

    def of_layers(self, names: Iterable[str]) -> Partners:
        """Return those in some layers, in the same order."""
        places = [self.layers.index(name) for name in names if name in self.layers]
        return self.take(np.isin(self.places, places))

    def of_sign(self, sign: Literal["+", "-"] | None) -> Partners:
        """Return those whose signed sum is above or below zero, in the same order; all where no sign is given."""
        if sign is None:
            return self
        return self.take(self.sums > 0 if sign == "+" else self.sums < 0)

    def ranked(self, ranking: Ranking, *, is_ascending: bool = False) -> Partners:
        """Return them in another order, the largest first; those without the number come last, ties by layer and unit.

        Args:
            ranking: By what.
            is_ascending: Whether the smallest comes first instead: of negative sums, the strongest.
        """
        values = {"norm": self.norms, "sum": self.sums, "contribution": self.contributions}[ranking]
        by_name = np.argsort(np.argsort(self.layers))
        # Not a number sorts last, whatever the sign.
        return self.take(np.lexsort((self.units, by_name[self.places], values if is_ascending else -values)))

    @cached_property
    def num_for_most(self) -> int | None:
        """Return how many hold 90 % of the squared norm of them all, or None where there are none.

        Those in streams and concatenations, which hold the others again, do not count, where there are others.
        """
        if not len(self):
            return None
        others = np.isin(self.places, [place for place, name in enumerate(self.layers) if name not in self.repeating])
        reached: list[float] = np.cumsum(-np.sort(-(self.shares[others] if others.any() else self.shares))).tolist()
        return bisect_left(reached, MOST_OF_THE_NORM * reached[-1] * (1 - 1e-12)) + 1


@dataclass(frozen=True)
class PartnerTable:
    """The weights between a unit and the units of one partner layer; all arrays are `[partner]`.

    Attributes:
        layer: Name of the partner layer.
        is_view: Whether it is a stream or a concatenation, whose units repeat those of the layers that make it.
        units: Indices of the partners.
        squares: Squared L2 norms of the kernels.
        sums: Signed sums of the kernels.
        gross: Sums of the absolute weights of all paths; of the absolute kernel for a direct link.
        spreads: Standard deviations of the sources' activations; NaN where the images were not seen.
    """

    layer: str
    is_view: bool
    units: Sequence[int]
    squares: Column
    sums: Column
    gross: Column
    spreads: Column

    @property
    def total(self) -> float:
        """Return the squared norm of all of them."""
        return float(self.squares.sum())


def ranked(partners: Iterable[PartnerWeight], ranking: Ranking, *, is_ascending: bool = False) -> list[PartnerWeight]:
    """Return rows in the order of `Partners.ranked`.

    Args:
        partners: The rows.
        ranking: By what.
        is_ascending: Whether the smallest comes first instead.
    """
    sign = 1.0 if is_ascending else -1.0

    def key(partner: PartnerWeight) -> tuple[bool, float, str, int]:
        value: float | None = getattr(partner, ranking)
        return (value is None, 0.0 if value is None else sign * value, partner.layer, partner.unit)

    return sorted(partners, key=key)


def join(tables: Sequence[PartnerTable]) -> Partners:
    """Return the partners of a unit in some layers, strongest norm first, ties by layer and unit."""
    direct = sum(table.total for table in tables if not table.is_view)
    totals = [table.total if table.is_view else direct for table in tables]
    shares = [
        table.squares / total if total > 0 else np.zeros(len(table.units)) for table, total in zip(tables, totals, strict=True)
    ]
    norms = [np.sqrt(table.squares) for table in tables]
    found = Partners(
        tuple(table.layer for table in tables),
        np.repeat(np.arange(len(tables)), [len(table.units) for table in tables]),
        np.concatenate([np.zeros(0, np.intp), *(np.asarray(table.units, np.intp) for table in tables)]),
        _column(norms),
        _column([table.sums for table in tables]),
        _column(shares),
        _column([norm * table.spreads for norm, table in zip(norms, tables, strict=True)]),
        _column([table.gross for table in tables]),
        frozenset(table.layer for table in tables if table.is_view),
    )
    return found.ranked("norm")


def _column(parts: Sequence[Column]) -> Column:
    return np.concatenate([np.zeros(0), *parts])


def all_partners(side: Side) -> Partners:
    """Return every partner on one side of a unit, strongest norm first, ties by layer and unit."""
    return join([_table(side, link) for link in side.links])


def spreads_of(reader: AtlasReader, catalog: Catalog, source: LayerRecord, units: Sequence[int]) -> Column:
    """Return the standard deviation of the activation of some units over the images, NaN where it is not known."""
    key = ("spreads", source.name)
    if key not in catalog.held:
        spread = reader.metric(source, "std")
        catalog.held[key] = np.array([spread.get(unit, np.nan) for unit in range(source.spec.num_units)], np.float64)
    spreads: Column = catalog.held[key]
    return spreads[np.asarray(units, np.intp)]


def table_of_kernels(side: Side, other: str, units: Sequence[int], kernels: Kernels) -> PartnerTable:
    """Return the table of the kernels between a unit and those of another layer.

    Args:
        side: Of the unit.
        other: The layer of the partners.
        units: The partners.
        kernels: `[partner, height, width]`.
    """
    exact = np.asarray(kernels, np.float64)
    squares, sums = squares_and_sums(exact)
    layer = side.catalog.layers[other]
    if side.direction == "inputs":
        spreads = spreads_of(side.reader, side.catalog, layer, units)
    else:
        spreads = np.full(len(units), spreads_of(side.reader, side.catalog, side.layer, [side.unit])[0])
    return PartnerTable(other, layer.spec.operation in MERGES, units, squares, sums, np.abs(exact).sum(axis=(-2, -1)), spreads)


def _table(side: Side, link: LinkRecord) -> PartnerTable:
    other = link.source if side.direction == "inputs" else link.target
    return table_of_kernels(side, other, *kernels_of(side.reader, link, side.unit, side.direction))
