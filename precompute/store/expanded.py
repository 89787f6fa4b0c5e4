"""Weights between layers any number of layers apart, composed from the stored arrays when they are asked for, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.expand import Expanded, expand_inputs, expand_outputs, gross_weights
from precompute.circuits.graph import MERGES, Link, Node, UnitKey, Way, WeightGraph
from precompute.errors import AtlasError
from precompute.store.arrays import (
    Direction,
    Side,
    kernel_between,
    kernels_of,
    weights_of,
)
from precompute.store.partners import Partners, PartnerTable, join, table_of_kernels
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

MAX_KEPT_BYTES = 256 << 20
Route = tuple[str, ...]


@dataclass(frozen=True)
class FoundKernel:
    """The kernel between two units.

    Attributes:
        kernel: `[height, width]`, as it lies on the source's map.
        is_exact: Whether nothing but linear operations lies between.
    """

    kernel: NDArray[np.float64]
    is_exact: bool


class _Kept:
    """Answers that were asked for lately, bounded by their size."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Expanded] = OrderedDict()
        self._num_bytes = 0

    def peek(self, key: Hashable) -> Expanded | None:
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def get(self, key: Hashable, make: Callable[[], Expanded]) -> Expanded:
        found = self.peek(key)
        if found is not None:
            return found
        made = make()
        with self._lock:
            if key in self._found:  # another request asked the same meanwhile
                return self._found[key]
            self._found[key] = made
            self._num_bytes += made.array.nbytes
            while self._num_bytes > MAX_KEPT_BYTES and len(self._found) > 1:
                self._num_bytes -= self._found.popitem(last=False)[1].array.nbytes
        return made


def weight_graph(reader: AtlasReader, catalog: Catalog) -> WeightGraph:
    """Return the layers of a model and the links between them whose weights are there."""
    found = catalog.held.get("weight graph")
    if found is None:
        nodes = [
            Node(
                name,
                layer.spec.num_units,
                layer.spec.operation in MERGES,
                layer.spec.nonlinearity is None,
                _map_size(layer),
                layer.spec.operation == "depthwise",
            )
            for name, layer in catalog.layers.items()
        ]
        links = [
            Link(link.source, link.target, link.placement, bool(link.is_exact), partial(_load, reader, link))
            for link in catalog.links
            if link.blob_sha256 is not None and link.placement is not None
        ]
        found = catalog.held["weight graph"] = WeightGraph(nodes, links)
    return found


def _map_size(layer: LayerRecord) -> tuple[int, int] | None:
    size = layer.spec.map_size
    return (size[0], size[1]) if len(size) == 2 else None


def _load(reader: AtlasReader, link: LinkRecord) -> NDArray[Any]:
    array = weights_of(reader, link)
    if array is None:
        raise AtlasError(
            f"The weights from {link.source} to {link.target} cannot be read. `unitscope verify` tells what is missing."
        )
    return array


def layers_in_reach(
    reader: AtlasReader, catalog: Catalog, layer: str, direction: Direction, nearest: int | None = None
) -> list[str]:
    """Return the layers whose units have weights to those of a layer, any number of layers apart, in order of execution.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: The layer.
        direction: `inputs` for the layers before it.
        nearest: Only so many; None for all.
    """
    graph = weight_graph(reader, catalog)
    return graph.layers_before(layer, nearest) if direction == "inputs" else graph.layers_after(layer, nearest)


def expanded_table(side: Side, other: str, route: Way | None = None) -> tuple[PartnerTable, bool]:
    """Return the weights between a unit and all units of a layer any number of layers away, and whether they are exact.

    Args:
        side: Of the unit.
        other: Name of the other layer.
        route: Only the paths over these layers.

    Raises:
        UsageError: There is no path.
    """
    expanded = composed(side, other, route)
    table = table_of_kernels(side, other, range(expanded.array.shape[1]), expanded.array[0])
    graph = weight_graph(side.reader, side.catalog)
    gross = gross_weights(graph, *side.layers(other), side.unit, is_inputs=side.direction == "inputs", route=route)
    return replace(table, gross=gross), expanded.is_exact


def any_kernels(side: Side, other: str, route: Way | None = None) -> tuple[Sequence[int], NDArray[np.float64], bool]:
    """Return the partners of a unit in another layer, stored or composed, the kernels `[partner, height, width]`, and exactness.

    Args:
        side: Of the unit.
        other: Name of the other layer, any number of layers away.
        route: Only the paths over these layers.

    Raises:
        UsageError: There is no path.
    """
    link = side.link(other)
    if link is not None and route is None:
        return *kernels_of(side.reader, link, side.unit, side.direction), bool(link.is_exact)
    expanded = composed(side, other, route)
    kernels = np.array(expanded.array[0], np.float64)
    return range(len(kernels)), kernels, expanded.is_exact


def expanded_partners(side: Side, other: str, route: Way | None = None) -> Partners:
    """Return every unit of a layer any number of layers away as a partner, strongest norm first; see `expanded_table`."""
    return join([expanded_table(side, other, route)[0]])


def kernel_of(
    reader: AtlasReader, catalog: Catalog, source: UnitKey, target: UnitKey, route: Way | None = None
) -> FoundKernel | None:
    """Return the kernel between two units, stored or composed, or None where there is none.

    Args:
        reader: The atlas.
        catalog: The model.
        source: Layer and index of the earlier unit.
        target: Of the later one.
        route: Only the paths over these layers.
    """
    link = catalog.link(source[0], target[0])
    if link is not None and route is None:
        kernel = kernel_between(reader, link, source[1], target[1])
        return None if kernel is None else FoundKernel(kernel, bool(link.is_exact))
    graph = weight_graph(reader, catalog)
    if not graph.links_between(source[0], target[0], route):
        return None
    # Whichever end a page was made from, its kernels are there already. The two ends agree, except where kernels were cut.
    from_source = _kept(catalog).peek((source, "outputs", target[0], route))
    if from_source is not None and not from_source.is_cut:
        return FoundKernel(from_source.array[0, target[1]], from_source.is_exact)
    found = composed(Side(reader, catalog, catalog.layers[target[0]], target[1], "inputs"), source[0], route)
    return FoundKernel(found.array[0, source[1]], found.is_exact)


def composed(side: Side, other: str, route: Way | None = None) -> Expanded:
    """Return the kernels between a unit and all units of a layer any number of layers away; those asked for lately are kept.

    Args:
        side: Of the unit.
        other: Name of the other layer.
        route: Only the paths over these layers.

    Raises:
        UsageError: There is no path.
    """
    graph = weight_graph(side.reader, side.catalog)
    expand = expand_inputs if side.direction == "inputs" else expand_outputs
    key = (side.key, side.direction, other, route)
    return _kept(side.catalog).get(key, lambda: expand(graph, side.layer.name, [side.unit], other, route=route))


def composed_inputs(
    reader: AtlasReader, catalog: Catalog, target: str, units: Sequence[int], source: str, route: Way | None = None
) -> Expanded:
    """Return the kernels from all units of an earlier layer to some units of a layer, composed together; kept likewise.

    Args:
        reader: The atlas.
        catalog: The model.
        target: The later layer.
        units: Of the later layer.
        source: The earlier layer.
        route: Only the paths over these layers.

    Raises:
        UsageError: There is no path.
    """
    graph = weight_graph(reader, catalog)
    key = (target, tuple(units), source, route)
    return _kept(catalog).get(key, lambda: expand_inputs(graph, target, units, source, route=route))


def _kept(catalog: Catalog) -> _Kept:
    kept: _Kept = catalog.held.setdefault("expanded", _Kept())
    return kept


def routes_between(reader: AtlasReader, catalog: Catalog, source: str, target: str, limit: int) -> tuple[Sequence[Route], int]:
    """Return the ways between two layers, as the layers between, the shortest first, and how many there are."""
    return weight_graph(reader, catalog).routes(source, target, limit)
