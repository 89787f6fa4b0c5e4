"""Kernels between units, read from the whole arrays of weights by memory map: only the pages that are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.graph import MERGES, squares_and_sums
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

Direction = Literal["inputs", "outputs"]
Ranking = Literal["norm", "sum", "contribution"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
MOST_OF_THE_NORM = 0.9
Kernels = NDArray[Any]


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


@lru_cache(maxsize=2048)
def open_array(path: Path) -> Kernels | None:
    """Return an array of the store, memory-mapped, or None where it is missing or no array."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None


def weights_of(reader: AtlasReader, link: LinkRecord) -> Kernels | None:
    """Return the whole array of a link, memory-mapped, or None where it is not there yet."""
    if link.blob_sha256 is None:
        return None
    return open_array(reader.blobs.path(link.blob_sha256, "npy"))


def kernel_between(reader: AtlasReader, link: LinkRecord, source_unit: int, target_unit: int) -> NDArray[np.float64] | None:
    """Return the kernel `[height, width]` from one unit to another, or None where there is none."""
    array = weights_of(reader, link)
    if array is None:
        return None
    if link.layout == "diagonal":
        return np.array(array[target_unit], np.float64) if source_unit == target_unit < len(array) else None
    if target_unit >= array.shape[0] or source_unit >= array.shape[1]:
        return None
    return np.array(array[target_unit, source_unit], np.float64)


def kernels_of(reader: AtlasReader, link: LinkRecord, unit: int, direction: Direction) -> tuple[list[int], NDArray[np.float64]]:
    """Return all partners of a unit over one link, and the kernels `[partner, height, width]`; none where it is not there yet."""
    array = weights_of(reader, link)
    if array is None:
        return [], np.zeros((0, 1, 1))
    if link.layout == "diagonal":
        kernels = np.array(array[unit : unit + 1], np.float64)
        return ([unit] if len(kernels) else []), kernels
    kernels = np.array(array[unit] if direction == "inputs" else array[:, unit], np.float64)
    return list(range(len(kernels))), kernels


def links_of(catalog: Catalog, layer: LayerRecord, direction: Direction) -> list[LinkRecord]:
    """Return the links of a layer in one direction, to all partner layers."""
    return [link for link in catalog.links if (link.target if direction == "inputs" else link.source) == layer.name]


def all_partners(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int, direction: Direction
) -> list[PartnerWeight]:
    """Return every partner of a unit in one direction, strongest norm first, ties by layer and unit.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: Layer of the unit.
        unit: The unit.
        direction: `inputs` or `outputs`.
    """
    return ranked(_partners(reader, catalog, layer, unit, direction, None), "norm")


def strongest_partners(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int, direction: Direction, limit: int
) -> list[PartnerWeight]:
    """Return the first of `all_partners` without making the others.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: Layer of the unit.
        unit: The unit.
        direction: `inputs` or `outputs`.
        limit: How many.
    """
    return ranked(_partners(reader, catalog, layer, unit, direction, limit), "norm")[:limit]


def _partners(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int, direction: Direction, limit: int | None
) -> list[PartnerWeight]:
    tables = [_table(reader, catalog, link, unit, direction) for link in links_of(catalog, layer, direction)]
    direct = sum(float(table.squares.sum()) for table in tables if not table.is_view)
    found: list[PartnerWeight] = []
    for table in tables:
        found += table.partners(float(table.squares.sum()) if table.is_view else direct, limit)
    return found


def ranked(partners: Iterable[PartnerWeight], ranking: Ranking, *, is_ascending: bool = False) -> list[PartnerWeight]:
    """Return partners in another order, the largest first; those without the number come last, ties by layer and unit.

    Args:
        partners: The partners.
        ranking: By what.
        is_ascending: Whether the smallest comes first instead: of negative sums, the strongest.
    """
    sign = 1.0 if is_ascending else -1.0

    def key(partner: PartnerWeight) -> tuple[bool, float, str, int]:
        value: float | None = getattr(partner, ranking)
        return (value is None, 0.0 if value is None else sign * value, partner.layer, partner.unit)

    return sorted(partners, key=key)


def count_for_most(partners: Iterable[PartnerWeight]) -> int | None:
    """Return how many partners hold 90 % of the squared norm of them all, or None where there are none.

    Args:
        partners: All on one side of a unit, without those in streams and concatenations, which hold the others again.
    """
    shares: list[float] = [partner.share for partner in partners if partner.share is not None]
    if not shares:
        return None
    reached = list(accumulate(sorted(shares, reverse=True)))
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
    squares: NDArray[np.float64]
    sums: NDArray[np.float64]
    gross: NDArray[np.float64]
    spreads: NDArray[np.float64]

    def partners(self, total: float, limit: int | None = None) -> list[PartnerWeight]:
        """Return the partners, given the squared norm that their shares are of.

        Args:
            total: Squared norm of all weights that count together.
            limit: Only the strongest; the others are not made.
        """
        chosen = np.arange(len(self.squares))
        if limit is not None and limit < len(chosen):
            chosen = np.argsort(-self.squares, kind="stable")[:limit]
        squares = self.squares[chosen]
        norms = np.sqrt(squares)
        shares = squares / total if total > 0 else np.zeros_like(squares)
        contributions = norms * self.spreads[chosen]
        columns = (chosen, norms, self.sums[chosen], shares, contributions, self.gross[chosen])
        lists: list[list[Any]] = [column.tolist() for column in columns]
        return [
            PartnerWeight(self.layer, self.units[int(place)], norm, total_sum, share, None if np.isnan(moved) else moved, gross)
            for place, norm, total_sum, share, moved, gross in zip(*lists, strict=True)
        ]


def table_of_kernels(layer: str, is_view: bool, units: Sequence[int], kernels: Kernels, spreads: Kernels) -> PartnerTable:
    """Return the table of some kernels.

    Args:
        layer: Name of the partner layer.
        is_view: Whether it is a stream or a concatenation.
        units: The partners.
        kernels: `[partner, height, width]`.
        spreads: Standard deviations of the sources' activations `[partner]`.
    """
    exact = np.asarray(kernels, np.float64)
    squares, sums = squares_and_sums(exact)
    return PartnerTable(layer, is_view, units, squares, sums, np.abs(exact).sum(axis=(-2, -1)), spreads)


def spreads_of(reader: AtlasReader, catalog: Catalog, source: LayerRecord, units: Sequence[int]) -> NDArray[np.float64]:
    """Return the standard deviation of the activation of some units over the images, NaN where it is not known."""
    key = ("spreads", source.name)
    if key not in catalog.held:
        spread = reader.metric(source, "std")
        catalog.held[key] = np.array([spread.get(unit, np.nan) for unit in range(source.spec.num_units)], np.float64)
    spreads: NDArray[np.float64] = catalog.held[key]
    return spreads[np.asarray(units, np.intp)]


def _table(reader: AtlasReader, catalog: Catalog, link: LinkRecord, unit: int, direction: Direction) -> PartnerTable:
    layer = link.source if direction == "inputs" else link.target
    is_view = catalog.layers[layer].spec.operation in MERGES
    units, kernels = kernels_of(reader, link, unit, direction)
    if not units:
        return table_of_kernels(layer, is_view, [], kernels, np.zeros(0))
    source = catalog.layers[link.source]
    if direction == "inputs":
        spreads = spreads_of(reader, catalog, source, units)
    else:
        spreads = np.full(len(units), spreads_of(reader, catalog, source, [unit])[0])
    return table_of_kernels(layer, is_view, units, kernels, spreads)
