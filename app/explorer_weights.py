"""Where the weights of the explorer come from: the strongest partners of a card, and all weights between cards.

Everything else in the explorer only asks `partners` and `between`, so that weights across several layers can take their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.explorer_query import Sign, UnitKey
from precompute.circuits.graph import MERGES
from precompute.store.arrays import Direction, links_of, weights_of
from precompute.store.partners import PartnerWeight, Ranking, ranked
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LinkRecord

Array = NDArray[Any]


class ExplorerWeights:
    """The weights between units of layers that are directly linked, read from the whole arrays.

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
        self._totals: dict[tuple[str, int, bool], float] = {}
        self._spreads: dict[str, dict[int, float]] = {}
        self._links: dict[tuple[str, Direction], list[tuple[LinkRecord, Array]]] = {}

    def has_partners(self, layer: str, direction: Direction) -> bool:
        """Return whether the weights of a layer in a direction are there."""
        return bool(self._linked(layer, direction))

    def partners(self, key: UnitKey, direction: Direction, limit: int) -> list[PartnerWeight]:
        """Return the first partners of a unit, ranked; where the ranking is `sum` and the sign negative, most negative first.

        Args:
            key: The unit.
            direction: `inputs` or `outputs`.
            limit: How many at most.
        """
        found: list[PartnerWeight] = []
        for link, array in self._linked(key[0], direction):
            found += self._strongest(link, array, key[1], direction, limit)
        is_ascending = self._ranking == "sum" and self._sign == "-"
        return ranked(found, self._ranking, is_ascending=is_ascending)[:limit]

    def between(self, keys: Iterable[UnitKey]) -> Iterator[tuple[UnitKey, UnitKey, PartnerWeight]]:
        """Yield every weight between some units of directly linked layers: source, target, and the source as a partner."""
        units: dict[str, list[int]] = {}
        for layer, unit in keys:
            units.setdefault(layer, []).append(unit)
        for target in units:
            for link, array in self._linked(target, "inputs"):
                if link.source in units:
                    yield from self._block(link, array, sorted(units[link.source]), sorted(units[target]))

    def _block(
        self, link: LinkRecord, array: Array, sources: list[int], targets: list[int]
    ) -> Iterator[tuple[UnitKey, UnitKey, PartnerWeight]]:
        for target in targets:
            if link.layout == "diagonal":
                chosen = [source for source in sources if source == target < len(array)]
                kernels = _flat(array[chosen])
            else:
                chosen = sources
                kernels = _flat(array[target, chosen])
            squares, sums = (kernels * kernels).sum(axis=1), kernels.sum(axis=1)
            for place in np.flatnonzero(self._has_sign(sums) & (squares > 0)).tolist():
                weight = self._weight(link, chosen[place], target, "inputs", float(squares[place]), float(sums[place]))
                yield (link.source, chosen[place]), (link.target, target), weight

    def _strongest(self, link: LinkRecord, array: Array, unit: int, direction: Direction, limit: int) -> Iterator[PartnerWeight]:
        """Yield the first partners of a unit over one link, in no order."""
        if link.layout == "diagonal":
            units = np.array([unit])
            kernels = _flat(array[unit : unit + 1])
        else:
            kernels = _flat(array[unit] if direction == "inputs" else array[:, unit])
            units = np.arange(len(kernels))
        squares, sums = (kernels * kernels).sum(axis=1), kernels.sum(axis=1)
        allowed = np.flatnonzero(self._has_sign(sums) & (squares > 0))
        # Stable, so that of equal partners the one with the smaller index is taken, here as everywhere.
        order = np.argsort(-self._values(link, units, unit, direction, squares, sums)[allowed], kind="stable")[:limit]
        for place in allowed[order].tolist():
            partner = int(units[place])
            ends = (partner, unit) if direction == "inputs" else (unit, partner)
            yield self._weight(link, *ends, direction, float(squares[place]), float(sums[place]))

    def _values(
        self, link: LinkRecord, units: Array, unit: int, direction: Direction, squares: Array, sums: Array
    ) -> NDArray[np.float64]:
        """Return what partners are ranked by, larger first; what is not known comes last."""
        if self._ranking == "sum":
            return -sums if self._sign == "-" else sums
        if self._ranking == "norm":
            return squares
        spread = self._spread(link.source)
        sources: Sequence[int] = units.tolist() if direction == "inputs" else [unit] * len(units)
        return np.sqrt(squares) * np.array([spread.get(source, -np.inf) for source in sources], np.float64)

    def _weight(
        self, link: LinkRecord, source: int, target: int, direction: Direction, square: float, total_sum: float
    ) -> PartnerWeight:
        partner = (link.source, source) if direction == "inputs" else (link.target, target)
        whole = self._total(link, target)
        norm = square**0.5
        spread = self._spread(link.source).get(source)
        share = square / whole if whole > 0 else 0.0
        return PartnerWeight(*partner, norm, total_sum, share, None if spread is None else norm * spread)

    def _total(self, link: LinkRecord, target: int) -> float:
        """Return the squared norm of all weights into a unit; streams and concatenations, which hold others again, apart."""
        is_view = self._is_view(link.source)
        key = (link.source if is_view else link.target, target, is_view)
        if key not in self._totals:
            parts = [
                array[target]
                for other, array in self._all_links(link.target, "inputs")
                if (other.source == link.source if is_view else not self._is_view(other.source)) and target < len(array)
            ]
            self._totals[key] = sum(float(np.square(part, dtype=np.float64).sum()) for part in parts)
        return self._totals[key]

    def _spread(self, layer: str) -> dict[int, float]:
        """Return the standard deviation of the activation of the units of a layer."""
        if layer not in self._spreads:
            self._spreads[layer] = self._reader.metric(self._catalog.layers[layer], "std")
        return self._spreads[layer]

    def _has_sign(self, sums: Array) -> Array:
        if self._sign is None:
            return np.ones(len(sums), bool)
        return sums > 0 if self._sign == "+" else sums < 0

    def _is_view(self, layer: str) -> bool:
        return self._catalog.layers[layer].spec.operation in MERGES

    def _all_links(self, layer: str, direction: Direction) -> list[tuple[LinkRecord, Array]]:
        found = [
            (link, weights_of(self._reader, link)) for link in links_of(self._catalog, self._catalog.layers[layer], direction)
        ]
        return [(link, array) for link, array in found if array is not None]

    def _linked(self, layer: str, direction: Direction) -> list[tuple[LinkRecord, Array]]:
        """Return the links to partners; streams and concatenations, which hold other partners again, only where no others are."""
        if (layer, direction) not in self._links:
            found = self._all_links(layer, direction)
            direct = [
                (link, array) for link, array in found if not self._is_view(link.source if direction == "inputs" else link.target)
            ]
            self._links[layer, direction] = direct or found
        return self._links[layer, direction]


def _flat(kernels: Array) -> NDArray[np.float64]:
    # The number of columns is said, since an empty array leaves it open.
    return np.array(kernels, np.float64).reshape(len(kernels), math.prod(kernels.shape[1:]))
