"""Circuits against the atlas: whether what they name exists, and what the weights say about their edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.circuit import Circuit, CircuitDraft, CircuitEdge, NumberName, UnitKey, check_units, complete
from precompute.circuits.expand import Expanded
from precompute.circuits.graph import MERGES, squares_and_sums
from precompute.circuits.labels import direction_deg
from precompute.errors import UsageError
from precompute.store.arrays import Side, kernel_between, weights_of
from precompute.store.expanded import composed_inputs, expanded_partners, kernel_of, layers_in_reach, weight_graph
from precompute.store.partners import Partners, all_partners
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog
from precompute.store.user_file import now

EdgeStatus = Literal["direct", "expanded", "not_linked", "not_built", "left_out", "unknown"]
MAX_EXPANDED = 24
"""So many tables of expanded weights are composed for one page: one for each target and source layer, or over given layers one
for each two layers."""
TOGETHER = 32
"""So many units are composed together."""


@dataclass(frozen=True)
class EdgeNumbers:
    """What the weights say about an edge.

    Attributes:
        status: `direct` where the layers are directly linked; `expanded` where the weight is composed over the layers between;
            `not_linked` where no path of weights leads from the source to the target; `not_built` where the weights are not in
            the atlas yet; `left_out` where too many would have to be composed; `unknown` where an end is no unit of the model.
        norm: L2 norm of the kernel.
        sum: Signed sum of the kernel.
        share: Of the squared norm over all direct inputs of the target, 0 to 1; where expanded, over the source's layer.
        rank: Among the same by norm, from 1; None where two units of a depthwise pair have no weight.
        num_inputs: How many those are.
        is_exact: Whether nothing but linear operations lies between.
        kernel: `[height, width]`.
    """

    status: EdgeStatus
    norm: float | None = None
    sum: float | None = None
    share: float | None = None
    rank: int | None = None
    num_inputs: int | None = None
    is_exact: bool | None = None
    kernel: NDArray[np.float64] | None = None

    @property
    def direction(self) -> float | None:
        """Return where the kernel rises to, in degrees, or None where it has no direction."""
        return None if self.kernel is None else direction_deg(self.kernel)

    def of(self, name: NumberName) -> float | None:
        """Return one of the numbers that a claim may state."""
        return {"norm": self.norm, "sum": self.sum, "share": self.share, "rank": self.rank, "direction": self.direction}[name]


def admit(reader: AtlasReader, draft: CircuitDraft, circuit_id: str | None = None) -> Circuit:
    """Return a circuit that may be stored: every unit exists, and what was left out is filled in.

    Args:
        reader: The atlas.
        draft: What was written.
        circuit_id: The id to give it; by default its own, or else a new one.

    Raises:
        UnknownName: The atlas has no such model, layer or unit.
        UsageError: An edge leads backwards, or over layers that do not lie between its ends.
    """
    catalog = reader.catalog(draft.model, reader.revision())
    check_units(draft, {layer.name: layer.spec.num_units for layer in catalog.layers.values()})
    _check_ways(draft, catalog)
    return complete(draft, catalog.model.weights_sha256, now(), circuit_id)


def _check_ways(draft: CircuitDraft, catalog: Catalog) -> None:
    order = {name: place for place, name in enumerate(catalog.layers)}
    for place, edge in enumerate(draft.edges):
        for name in edge.over or ():
            if not order[edge.source.layer] < order[catalog.layer(name).name] < order[edge.target.layer]:
                raise UsageError(
                    f"edges[{place}] leads over {name}, which does not come between {edge.source.layer} and {edge.target.layer}. "
                    "Leave it out of 'over'."
                )


def edge_numbers(
    reader: AtlasReader, catalog: Catalog, edges: Iterable[CircuitEdge]
) -> dict[tuple[UnitKey, UnitKey], EdgeNumbers]:
    """Return what the weights say about edges, computed from the whole arrays; by source and target.

    Args:
        reader: The atlas.
        catalog: The model.
        edges: Any edges, of this model or not.
    """
    edges = list(edges)
    known = [edge for edge in edges if _exists(catalog, edge.source.key) and _exists(catalog, edge.target.key)]
    past = _past(reader, catalog, [edge for edge in known if edge.over])
    exists = {edge.key for edge in known}
    inputs: dict[UnitKey, Partners] = {}
    composed: dict[tuple[UnitKey, str], Partners] = {}
    found: dict[tuple[UnitKey, UnitKey], EdgeNumbers] = {}
    for edge in edges:
        source, target = edge.key
        if edge.key not in exists:
            found[edge.key] = EdgeNumbers("unknown")
            continue
        if edge.over:
            found[edge.key] = past[edge.key]
            continue
        if catalog.link(source[0], target[0]) is None:
            found[edge.key] = _expanded(reader, catalog, source, target, composed)
            continue
        if target not in inputs:
            inputs[target] = all_partners(Side(reader, catalog, catalog.layers[target[0]], target[1], "inputs"))
        found[edge.key] = _numbers(reader, catalog, source, target, inputs[target])
    return found


def _exists(catalog: Catalog, unit: UnitKey) -> bool:
    layer = catalog.layers.get(unit[0])
    return layer is not None and unit[1] < layer.spec.num_units


def _past(reader: AtlasReader, catalog: Catalog, edges: list[CircuitEdge]) -> dict[tuple[UnitKey, UnitKey], EdgeNumbers]:
    """Return what the weights over some layers say, composed together where edges lead between the same layers."""
    graph = weight_graph(reader, catalog)
    groups: dict[tuple[str, str, frozenset[str]], list[CircuitEdge]] = {}
    for edge in edges:
        groups.setdefault((edge.source.layer, edge.target.layer, frozenset(edge.over or ())), []).append(edge)
    found: dict[tuple[UnitKey, UnitKey], EdgeNumbers] = {}
    for place, ((source, target, way), group) in enumerate(groups.items()):
        if not graph.links_between(source, target, way) or place >= MAX_EXPANDED:
            status = "left_out" if place >= MAX_EXPANDED else "not_linked"
            found |= {edge.key: EdgeNumbers(status) for edge in group}
            continue
        units = sorted({edge.target.unit for edge in group})
        for start in range(0, len(units), TOGETHER):
            batch = units[start : start + TOGETHER]
            expanded = composed_inputs(reader, catalog, target, batch, source, way)
            squares, sums = squares_and_sums(expanded.array)
            for edge in group:
                if edge.target.unit in batch:
                    row = batch.index(edge.target.unit)
                    found[edge.key] = _in_row(expanded, squares[row], sums[row], row, edge.source.unit)
    return found


def _in_row(expanded: Expanded, squares: NDArray[np.float64], sums: NDArray[np.float64], row: int, source: int) -> EdgeNumbers:
    order = np.argsort(-squares, kind="stable")
    return EdgeNumbers(
        "expanded",
        norm=float(np.sqrt(squares[source])),
        sum=float(sums[source]),
        share=float(squares[source] / total) if (total := squares.sum()) > 0 else 0.0,
        rank=int(np.flatnonzero(order == source)[0]) + 1,
        num_inputs=len(squares),
        is_exact=expanded.is_exact,
        kernel=expanded.array[row, source],
    )


def _numbers(reader: AtlasReader, catalog: Catalog, source: UnitKey, target: UnitKey, inputs: Partners) -> EdgeNumbers:
    link = catalog.link(source[0], target[0])
    if link is None:
        raise ValueError(f"{source[0]} and {target[0]} are not directly linked")
    if weights_of(reader, link) is None:
        return EdgeNumbers("not_built")
    known = [catalog.layers[name].spec for name in catalog.layers[target[0]].spec.inputs if name in catalog.layers]
    inputs = beside(inputs, source[0], [spec.name for spec in known if spec.operation not in MERGES])
    num_inputs = len(inputs)
    found = inputs.row(*source)
    if found is None:
        # Depthwise: each unit is linked to its own number alone, and to all others by a weight of exactly zero.
        return EdgeNumbers("direct", 0.0, 0.0, 0.0, None, num_inputs, link.is_exact, None)
    place, partner = found
    kernel = kernel_between(reader, link, source[1], target[1])
    return EdgeNumbers("direct", partner.norm, partner.sum, partner.share, place + 1, num_inputs, link.is_exact, kernel)


def beside(partners: Partners, layer: str, inputs: Sequence[str]) -> Partners:
    """Return the partners that one of a layer is ranked among.

    A stream or concatenation repeats what the layers that make it give: it is left out where the layer is a direct input, and
    ranked by itself where it is not, so that a rank does not depend on which streams an atlas holds.

    Args:
        partners: Of one unit, in their order.
        layer: Of the partner.
        inputs: The layers directly before the unit, streams and concatenations left out.
    """
    return partners.of_layers(inputs if layer in inputs else [layer])


def _expanded(
    reader: AtlasReader,
    catalog: Catalog,
    source: UnitKey,
    target: UnitKey,
    composed: dict[tuple[UnitKey, str], Partners],
) -> EdgeNumbers:
    """Return what the weights over the layers between say; `composed` holds the tables of earlier edges."""
    if source[0] not in layers_in_reach(reader, catalog, target[0], "inputs"):
        return EdgeNumbers("not_linked")
    key = (target, source[0])
    if key not in composed:
        if len(composed) >= MAX_EXPANDED:
            return EdgeNumbers("left_out")
        side = Side(reader, catalog, catalog.layers[target[0]], target[1], "inputs")
        composed[key] = expanded_partners(side, source[0])
    found = composed[key].row(*source)
    kernel = kernel_of(reader, catalog, source, target)
    if kernel is None or found is None:
        return EdgeNumbers("not_linked")
    place, weight = found
    numbers = (weight.norm, weight.sum, weight.share, place + 1, len(composed[key]))
    return EdgeNumbers("expanded", *numbers, kernel.is_exact, kernel.kernel)
