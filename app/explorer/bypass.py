"""The weights of the explorer that lead past bottlenecks: composed over depthwise and narrow layers, which get no columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.explorer.query import Sign, UnitKey
from app.explorer.weights import Block, WeightSource, stored_block
from precompute.circuits.bottlenecks import bottlenecks, ways_past
from precompute.circuits.expand import Expanded
from precompute.circuits.graph import squares_and_sums
from precompute.store.arrays import Direction, Side
from precompute.store.expanded import FoundKernel, composed, composed_inputs, kernel_of, weight_graph
from precompute.store.partners import Ranking
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

Array = NDArray[Any]
BATCH = 32
"""So many units are composed together: few enough that their kernels fit into memory."""


class BypassingWeights(WeightSource):
    """The weights between units of layers that are no bottlenecks, composed over the bottlenecks between them.

    The layer of the unit that the page is about is always shown, a bottleneck or not. Only ways over bottlenecks count: what
    leads over another layer that can be shown is found there.

    Args:
        reader: The atlas.
        catalog: The model.
        ranking: By what partners are chosen.
        sign: Only weights whose sum has this sign, or None for all.
        shown: A layer that is always shown.
        is_narrow: Whether narrow layers are bypassed as well as depthwise ones.
    """

    def __init__(
        self,
        reader: AtlasReader,
        catalog: Catalog,
        ranking: Ranking,
        sign: Sign | None,
        *,
        shown: str,
        is_narrow: bool,
    ) -> None:
        super().__init__(reader, catalog, ranking, sign)
        self._graph = weight_graph(reader, catalog)
        self._skipped = bottlenecks(self._graph, is_narrow=is_narrow) - {shown}
        self._composed: dict[tuple[str, str, int], tuple[Expanded, int]] = {}  # by source layer and target, with the row of it
        self._found_ways: dict[tuple[str, Direction], dict[str, frozenset[str]]] = {}

    @property
    def bypassed(self) -> list[str]:
        """Return the layers that weights lead past, in order of execution."""
        return sorted(self._skipped, key=self._graph.order.__getitem__)

    def has_partners(self, layer: str, direction: Direction) -> bool:
        """Return whether the weights of a layer in a direction are there."""
        return bool(self._ways(layer, direction))

    def over(self, source: str, target: str) -> list[str]:
        """Return the layers that the weights between two layers lead past, in order of execution."""
        return sorted(self._way(source, target), key=self._graph.order.__getitem__)

    def kernel(self, source: UnitKey, target: UnitKey) -> FoundKernel | None:
        """Return the kernel of a weight, or None where there is none."""
        known = self._composed.get((source[0], *target))
        if known is not None:
            expanded, row = known
            return FoundKernel(expanded.array[row, source[1]], expanded.is_exact)
        return kernel_of(self._reader, self._catalog, source, target, self._way(source[0], target[0]) or None)

    def _ways(self, layer: str, direction: Direction) -> dict[str, frozenset[str]]:
        key = (layer, direction)
        if key not in self._found_ways:
            self._found_ways[key] = ways_past(self._graph, layer, self._skipped, is_inputs=direction == "inputs")
        return self._found_ways[key]

    def _way(self, source: str, target: str) -> frozenset[str]:
        # From either end: a bottleneck that was pinned is no end of the ways that begin elsewhere.
        found = self._ways(target, "inputs").get(source)
        return self._ways(source, "outputs").get(target, frozenset()) if found is None else found

    def _from(self, key: UnitKey, direction: Direction) -> Iterator[Block]:
        for other, way in self._ways(key[0], direction).items():
            link = self._catalog.link(*((other, key[0]) if direction == "inputs" else (key[0], other)))
            if not way and link is not None:
                yield stored_block(self._reader, link, key[1], direction)
                continue
            side = Side(self._reader, self._catalog, self._catalog.layers[key[0]], key[1], direction)
            squares, sums = squares_and_sums(composed(side, other, way).array)
            units, one = np.arange(squares.shape[1], dtype=np.intp), np.array([key[1]], np.intp)
            if direction == "inputs":
                yield Block(other, key[0], units, one, squares, sums)
            else:
                yield Block(key[0], other, one, units, squares.T, sums.T)

    def _among(self, units: dict[str, NDArray[np.intp]]) -> Iterator[Block]:
        for target, targets in units.items():
            for source, sources in units.items():
                if source not in self._ways(target, "inputs") and target not in self._ways(source, "outputs"):
                    continue
                found = list(self._tables(target, targets, source))
                squares, sums = (np.concatenate(parts)[:, sources] for parts in zip(*found, strict=True))
                yield Block(source, target, sources, targets, squares, sums)

    def _tables(self, target: str, units: Sequence[int] | NDArray[np.intp], source: str) -> Iterator[tuple[Array, Array]]:
        """Yield squared norms and sums of the weights from all units of a layer to some of another, some rows at a time."""
        way = self._way(source, target)
        for start in range(0, len(units), BATCH):
            rows = [int(unit) for unit in units[start : start + BATCH]]
            expanded = composed_inputs(self._reader, self._catalog, target, rows, source, way)
            self._composed |= {(source, target, unit): (expanded, row) for row, unit in enumerate(rows)}
            yield squares_and_sums(expanded.array)

    def _is_apart(self, source: str, target: str) -> bool:
        # Of a pinned bottleneck: what leads past it is the whole already.
        return source not in self._ways(target, "inputs")

    def _count_totals(self, target: str, units: Sequence[int], source: str | None) -> Iterable[float]:
        total = np.zeros(len(units))
        for other in self._ways(target, "inputs") if source is None else (source,):
            total += np.concatenate([squares.sum(axis=1) for squares, _ in self._tables(target, units, other)])
        return total.tolist()
