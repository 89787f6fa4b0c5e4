"""Circuits as parts of pages: units with their pictures, edges with the numbers of the weights, claims with their verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app import urls
from app.contexts import (
    CircuitEdgePart,
    CircuitPosition,
    CircuitUnitPart,
    ClaimPart,
    ExpectedNumber,
    Links,
    UnitPlace,
    UnitSample,
    Verdict,
)
from app.parts.partners import nested
from app.parts.summaries import page_links, unit_sample
from app.pictures.thumbs import thumbnails
from precompute.circuits.circuit import (
    AboutEdge,
    AboutUnit,
    Circuit,
    CircuitEdge,
    CircuitUnit,
    Claim,
    Expected,
    UnitAddress,
    UnitKey,
)
from precompute.store.circuits import EdgeNumbers
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

EdgeKey = tuple[UnitKey, UnitKey]
_ROUNDING = 1e-9  # of the larger number: what a decimal number on paper may differ from a binary one


class Known(NamedTuple):
    """What the atlas knows of some units."""

    labels: dict[UnitKey, str | None]
    thumbnails: dict[UnitKey, str]


def known_units(reader: AtlasReader, catalog: Catalog | None, circuits: list[Circuit]) -> Known:
    """Return labels and pictures of the units of circuits, as far as the atlas has them."""
    wanted: dict[str, list[int]] = {}
    for circuit in circuits:
        for unit in circuit.units:
            if unit_exists(catalog, unit.key):
                wanted.setdefault(unit.layer, []).append(unit.unit)
    if catalog is None:
        return Known({}, {})
    labels = {
        (name, index): label
        for name, indices in wanted.items()
        for index, label in reader.labels(catalog.layers[name], indices).items()
    }
    return Known(labels, thumbnails(reader, catalog, wanted))


def unit_exists(catalog: Catalog | None, unit: UnitKey) -> bool:
    """Return whether a model has a unit."""
    layer = None if catalog is None else catalog.layers.get(unit[0])
    return layer is not None and unit[1] < layer.spec.num_units


def layers_in_order(circuit: Circuit, catalog: Catalog | None) -> list[str]:
    """Return the layers of a circuit in the order of execution, and then those that the model does not have."""
    named = dict.fromkeys(unit.layer for unit in circuit.units)
    known = [] if catalog is None else [name for name in catalog.layers if name in named]
    return [*known, *(name for name in named if name not in known)]


def sample_units(circuit: Circuit, catalog: Catalog | None, known: Known, limit: int) -> list[UnitSample]:
    """Return the first units of a circuit as pictures."""
    found = [unit for unit in circuit.units if unit_exists(catalog, unit.key)][:limit]
    return [unit_sample(circuit.model, unit.layer, unit.unit, known.thumbnails.get(unit.key)) for unit in found]


def unit_part(unit: CircuitUnit, model_id: str, catalog: Catalog | None, known: Known) -> CircuitUnitPart:
    """Return a unit of a circuit as a part of its page."""
    exists = unit_exists(catalog, unit.key)
    links: Links = {}
    if exists:
        links = page_links(urls.unit(model_id, *unit.key), weights=urls.weights(model_id, *unit.key))
    return CircuitUnitPart(
        layer=unit.layer,
        unit=unit.unit,
        label=known.labels.get(unit.key),
        role=unit.role,
        note=unit.note,
        position=None if unit.position is None else CircuitPosition(x=unit.position.x, y=unit.position.y),
        exists=exists,
        thumbnail=known.thumbnails.get(unit.key),
        links=links,
    )


def edge_part(edge: CircuitEdge, model_id: str, numbers: EdgeNumbers, maximum: float) -> CircuitEdgePart:
    """Return an edge of a circuit as a part of its page.

    Args:
        edge: The edge.
        model_id: The model.
        numbers: What the weights say.
        maximum: The weight with the full colour, where the picture of a kernel has to be drawn.
    """
    kernel = numbers.kernel
    over = edge.over or []
    picture = None if kernel is None else urls.kernel(model_id, *edge.key, maximum, over=over)
    links: Links = {}
    if numbers.status != "unknown":
        links = {
            "source": urls.unit(model_id, *edge.source.key),
            "target": urls.unit(model_id, *edge.target.key),
            "weights": urls.weights(model_id, *edge.target.key),
            "picture": picture,
        }
    return CircuitEdgePart(
        source=_place(edge.source),
        target=_place(edge.target),
        note=edge.note,
        status=numbers.status,
        norm=numbers.norm,
        sum=numbers.sum,
        share=numbers.share,
        rank=numbers.rank,
        num_inputs=numbers.num_inputs,
        exact=numbers.is_exact,
        over=over,
        direction=numbers.direction,
        kernel_shape=None if kernel is None else list(kernel.shape),
        kernel=nested(kernel) or picture,
        scale=None if kernel is None else maximum,
        links=links,
    )


def claim_part(claim: Claim, numbers: Mapping[EdgeKey, EdgeNumbers]) -> ClaimPart:
    """Return a claim with the numbers of its edge and whether they are as it says."""
    about = claim.about
    edge = EdgeNumbers("unknown")
    if isinstance(about, AboutEdge):
        edge = numbers.get((about.source.key, about.target.key), edge)
    expected = claim.expected
    return ClaimPart(
        text=claim.text,
        about=about.kind,
        unit=_place(about.unit) if isinstance(about, AboutUnit) else None,
        source=_place(about.source) if isinstance(about, AboutEdge) else None,
        target=_place(about.target) if isinstance(about, AboutEdge) else None,
        norm=edge.norm,
        sum=edge.sum,
        expected=None if expected is None else ExpectedNumber(**expected.model_dump()),
        found=None if expected is None else edge.of(expected.number),
        verdict=None if expected is None else judge(expected, edge),
    )


def judge(expected: Expected, numbers: EdgeNumbers) -> Verdict:
    """Return whether the weights agree with a stated number."""
    found = numbers.of(expected.number)
    if found is None:
        return "cannot be checked"
    away = abs(found - expected.value)
    if expected.number == "direction":  # 359 and 1 degree are 2 apart
        away = abs((found - expected.value + 180) % 360 - 180)
    slack = _ROUNDING * max(abs(found), abs(expected.value))
    return "holds" if away <= expected.tolerance + slack else "does not hold"


def _place(unit: UnitAddress) -> UnitPlace:
    return UnitPlace(layer=unit.layer, unit=unit.unit)
