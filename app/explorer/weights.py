"""Where the weights of the explorer come from: the strongest partners of a card, and all weights between cards.

Everything else in the explorer only asks a `WeightSource`: `StoredWeights` has the weights between layers that are directly
linked, `BypassingWeights` those that lead past bottlenecks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.explorer.query import Sign, UnitKey
from precompute.circuits.graph import MERGES, squares_and_sums
from precompute.store.arrays import Direction, kernel_between, kernels_of, links_of, weights_of
from precompute.store.expanded import FoundKernel
from precompute.store.partners import PartnerWeight, Ranking, ranked, spreads_of
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LinkRecord

Array = NDArray[Any]
Ends = tuple[UnitKey, UnitKey]


@dataclass(frozen=True)
class Block:
    """The weights from some units of one layer to some of another.

    Attributes:
        source, target: Names of the layers.
        sources, targets: Indices of the units.
        squares: Squared L2 norms `[target, source]`; 0 where there is no weight.
        sums: Signed sums `[target, source]`.
    """

    source: str
    target: str
    sources: NDArray[np.intp]
    targets: NDArray[np.intp]
    squares: NDArray[np.float64]
    sums: NDArray[np.float64]


class WeightSource(ABC):
    """Chooses partners and weights; where they come from is left to its children.

    The share of a weight is that of the squared norm of all weights into its target, whichever end asks.

    Args:
        reader: The atlas.
        catalog: The model.
        ranking: By what partners are chosen.
        sign: Only weights whose sum has this sign, or None for all.
    """

    def __init__(self, reader: AtlasReader, catalog: Catalog, ranking: Ranking, sign: Sign | None) -> None:
        self._reader = reader
        self._catalog = catalog
        self._ranking: Ranking = ranking
        self._sign = sign
        self._known_totals: dict[tuple[str, int, str | None], float] = {}

    @property
    def bypassed(self) -> list[str]:
        """Return the layers that weights lead past, in order of execution."""
        return []

    @abstractmethod
    def has_partners(self, layer: str, direction: Direction) -> bool:
        """Return whether the weights of a layer in a direction are there."""

    @abstractmethod
    def over(self, source: str, target: str) -> list[str]:
        """Return the layers that the weights between two layers lead past, in order of execution."""

    @abstractmethod
    def kernel(self, source: UnitKey, target: UnitKey) -> FoundKernel | None:
        """Return the kernel of a weight, or None where there is none."""

    @abstractmethod
    def _from(self, key: UnitKey, direction: Direction) -> Iterator[Block]:
        """Yield the weights between a unit and all its partners, one block for each of their layers."""

    @abstractmethod
    def _among(self, units: dict[str, NDArray[np.intp]]) -> Iterator[Block]:
        """Yield the weights between some units, given by layer."""

    @abstractmethod
    def _is_apart(self, source: str, target: str) -> bool:
        """Return whether the weights between two layers repeat others, so that their shares are of their own whole."""

    @abstractmethod
    def _count_totals(self, target: str, units: Sequence[int], source: str | None) -> Iterable[float]:
        """Return the squared norm of all weights into some units, or of those from one layer."""

    def partners(self, key: UnitKey, direction: Direction, limit: int) -> list[PartnerWeight]:
        """Return the first partners of a unit, ranked; where the ranking is `sum` and the sign negative, most negative first.

        Args:
            key: The unit.
            direction: `inputs` or `outputs`.
            limit: How many at most.
        """
        found: list[PartnerWeight] = []
        for block in self._from(key, direction):
            squares, sums = block.squares.ravel(), block.sums.ravel()
            allowed = np.flatnonzero(self._is_shown(squares, sums))
            # Stable, so that of equal partners the one with the smaller index is taken, here as everywhere.
            order = np.argsort(-self._values(block)[allowed], kind="stable")[:limit]
            found += [weight for _, _, weight in self._weights(block, allowed[order], direction)]
        is_ascending = self._ranking == "sum" and self._sign == "-"
        return ranked(found, self._ranking, is_ascending=is_ascending)[:limit]

    def between(
        self, keys: Iterable[UnitKey], minimum: float, limit: int, known: Collection[Ends]
    ) -> tuple[list[tuple[UnitKey, UnitKey, PartnerWeight]], int]:
        """Return the weights between some units that hold the largest shares, and how many there are.

        Args:
            keys: The units.
            minimum: Only weights with at least this share.
            limit: How many are returned.
            known: Weights that are not wanted, by source and target.

        Returns:
            Source, target, and the source as a partner; the largest share first.
        """
        units: dict[str, list[int]] = {}
        for layer, unit in keys:
            units.setdefault(layer, []).append(unit)
        blocks = list(self._among({layer: np.array(sorted(listed), np.intp) for layer, listed in units.items()}))
        shares = [self._shares(block, minimum, known) for block in blocks]
        whole = np.concatenate([np.zeros(0), *(share.ravel() for share in shares)])
        chosen = np.argsort(-whole, kind="stable")[: min(limit, num_found := int((whole >= 0).sum()))]
        found: list[tuple[UnitKey, UnitKey, PartnerWeight]] = []
        start = 0
        for block in blocks:
            here = chosen[(chosen >= start) & (chosen < start + block.squares.size)] - start
            found += self._weights(block, here, "inputs")
            start += block.squares.size
        found.sort(key=lambda item: (-(item[2].share or 0.0), item[0], item[1]))
        return found, num_found

    def _shares(self, block: Block, minimum: float, known: Collection[Ends]) -> NDArray[np.float64]:
        """Return the shares of the weights that may be shown, and -1 for all others."""
        totals = np.array(self._totals(block.target, block.targets.tolist(), block.source), np.float64)[:, None]
        shares = np.divide(block.squares, totals, out=np.zeros_like(block.squares), where=totals > 0)
        is_shown = self._is_shown(block.squares, block.sums) & (shares >= minimum)
        rows, columns = (
            {int(unit): place for place, unit in enumerate(units.tolist())} for units in (block.targets, block.sources)
        )
        for (source, source_unit), (target, target_unit) in known:
            if (source, target) == (block.source, block.target) and target_unit in rows and source_unit in columns:
                is_shown[rows[target_unit], columns[source_unit]] = False
        return np.where(is_shown, shares, -1.0)

    def _is_shown(self, squares: Array, sums: Array) -> Array:
        is_weight = squares > 0
        if self._sign is None:
            return is_weight
        return is_weight & (sums > 0 if self._sign == "+" else sums < 0)

    def _values(self, block: Block) -> NDArray[np.float64]:
        """Return what partners are ranked by, larger first; what is not known comes last."""
        if self._ranking == "sum":
            return (-block.sums if self._sign == "-" else block.sums).ravel()
        if self._ranking == "norm":
            return block.squares.ravel()
        moved = np.sqrt(block.squares) * self._spreads(block)
        return np.where(np.isnan(moved), -np.inf, moved).ravel()

    def _spreads(self, block: Block) -> NDArray[np.float64]:
        return spreads_of(self._reader, self._catalog, self._catalog.layers[block.source], block.sources.tolist())[None]

    def _weights(
        self, block: Block, places: NDArray[np.intp], direction: Direction
    ) -> list[tuple[UnitKey, UnitKey, PartnerWeight]]:
        """Return some weights of a block, by their places in it: source, target, and the end that was not asked from."""
        rows, columns = np.divmod(places, len(block.sources))
        targets, sources = block.targets[rows].tolist(), block.sources[columns].tolist()
        totals = dict(zip(unique := sorted(set(targets)), self._totals(block.target, unique, block.source), strict=True))
        spreads = self._spreads(block)[0][columns].tolist()
        squares, sums = block.squares[rows, columns].tolist(), block.sums[rows, columns].tolist()
        found: list[tuple[UnitKey, UnitKey, PartnerWeight]] = []
        for source, target, square, total_sum, spread in zip(sources, targets, squares, sums, spreads, strict=True):
            ends = (block.source, source), (block.target, target)
            norm, whole = square**0.5, totals[target]
            moved = None if np.isnan(spread) else norm * spread
            partner = ends[0] if direction == "inputs" else ends[1]
            found.append((*ends, PartnerWeight(*partner, norm, total_sum, square / whole if whole > 0 else 0.0, moved)))
        return found

    def _totals(self, target: str, units: Sequence[int], source: str) -> list[float]:
        alone = source if self._is_apart(source, target) else None
        missing = [unit for unit in units if (target, unit, alone) not in self._known_totals]
        if missing:
            for unit, total in zip(missing, self._count_totals(target, missing, alone), strict=True):
                self._known_totals[target, unit, alone] = total
        return [self._known_totals[target, unit, alone] for unit in units]


class StoredWeights(WeightSource):
    """The weights between units of layers that are directly linked, read from the whole arrays."""

    def has_partners(self, layer: str, direction: Direction) -> bool:
        """Return whether the weights of a layer in a direction are there."""
        return bool(self._linked(layer, direction))

    def over(self, source: str, target: str) -> list[str]:
        """Return no layers: stored weights lead past none."""
        return []

    def kernel(self, source: UnitKey, target: UnitKey) -> FoundKernel | None:
        """Return the kernel of a weight, or None where there is none."""
        link = self._catalog.link(source[0], target[0])
        kernel = None if link is None else kernel_between(self._reader, link, source[1], target[1])
        return None if link is None or kernel is None else FoundKernel(kernel, bool(link.is_exact))

    def _from(self, key: UnitKey, direction: Direction) -> Iterator[Block]:
        for link, _ in self._linked(key[0], direction):
            yield stored_block(self._reader, link, key[1], direction)

    def _among(self, units: dict[str, NDArray[np.intp]]) -> Iterator[Block]:
        for target in units:
            for link, array in self._linked(target, "inputs"):
                if link.source in units:
                    yield chosen_block(link, array, units[link.source], units[target])

    def _is_apart(self, source: str, target: str) -> bool:
        # Streams and concatenations hold the others again.
        return self._is_view(source)

    def _count_totals(self, target: str, units: Sequence[int], source: str | None) -> Iterable[float]:
        total = np.zeros(len(units))
        for link, array in self._all_links(target, "inputs"):
            if not self._is_view(link.source) if source is None else link.source == source:
                squares = np.square(array[np.asarray(units)], dtype=np.float64)
                total += squares.reshape(len(units), -1).sum(axis=1)
        return total.tolist()

    def _is_view(self, layer: str) -> bool:
        return self._catalog.layers[layer].spec.operation in MERGES

    def _all_links(self, layer: str, direction: Direction) -> list[tuple[LinkRecord, Array]]:
        links = links_of(self._catalog, self._catalog.layers[layer], direction)
        return [(link, array) for link in links if (array := weights_of(self._reader, link)) is not None]

    def _linked(self, layer: str, direction: Direction) -> list[tuple[LinkRecord, Array]]:
        """Return the links to partners; streams and concatenations, which hold other partners again, only where no others are."""
        found = self._all_links(layer, direction)
        direct = [item for item in found if not self._is_view(item[0].source if direction == "inputs" else item[0].target)]
        return direct or found


def stored_block(reader: AtlasReader, link: LinkRecord, unit: int, direction: Direction) -> Block:
    """Return the weights between a unit and all its partners over one link.

    Args:
        reader: The atlas.
        link: The link.
        unit: Of its target for `inputs`, else of its source.
        direction: `inputs` or `outputs`.
    """
    partners, kernels = kernels_of(reader, link, unit, direction)
    squares, sums = squares_and_sums(kernels)
    units, one = np.array(partners, np.intp), np.array([unit])
    if direction == "inputs":
        return Block(link.source, link.target, units, one, squares[None], sums[None])
    return Block(link.source, link.target, one, units, squares[:, None], sums[:, None])


def chosen_block(link: LinkRecord, array: Array, sources: NDArray[np.intp], targets: NDArray[np.intp]) -> Block:
    """Return the weights from some units to some others over one link, read at once.

    Args:
        link: The link.
        array: Its whole array.
        sources: Units of its source.
        targets: Units of its target.
    """
    if link.layout != "diagonal":
        return Block(link.source, link.target, sources, targets, *squares_and_sums(array[np.ix_(targets, sources)]))
    squares, sums = np.zeros((2, len(targets), len(sources)))
    rows, columns = np.nonzero((targets[:, None] == sources[None]) & (targets < len(array))[:, None])
    squares[rows, columns], sums[rows, columns] = squares_and_sums(array[targets[rows]])
    return Block(link.source, link.target, sources, targets, squares, sums)
