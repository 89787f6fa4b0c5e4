"""Up to six units side by side; two layers of one or two models with their units matched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from app import urls
from app.contexts import ComparedLayer, ComparedUnit, ComparePage, Matched, MatchedPair, MatchedUnit, SharedPartner
from app.dependencies import Visit, check_unit
from app.parts.examples import examples_of
from app.parts.summaries import page_links
from app.pictures.thumbs import layer_thumbnails, thumbnails
from app.query import Parameter
from app.twins import Page
from app.words.formats import MAX_OFFERED
from precompute.errors import UsageError
from precompute.store.arrays import Direction
from precompute.store.matching import Matching, correlations_between, match_layers
from precompute.store.questions import common_partners
from precompute.store.records import Catalog, LayerRecord
from precompute.store.responses import profile_of

MAX_UNITS = 6
NUM_SHARED = 8
NUM_UNMATCHED = 60
DEFAULT_LIMIT = 120
MAX_LIMIT = 4096
PARAMETERS = (
    Parameter("units", f"`MODEL/LAYER/UNIT,…`: up to {MAX_UNITS} units side by side, or each on its own", is_list=True),
    Parameter("layer", "`MODEL/LAYER` of the units that `units` names by their number alone"),
    Parameter("left", "`MODEL/LAYER`: a layer whose units are matched with those of `right`"),
    Parameter("right", "`MODEL/LAYER`, of the same model or of another that was shown the same images"),
    Parameter("limit", f"Pairs that are listed, 1 to {MAX_LIMIT}", kind="integer", default=str(DEFAULT_LIMIT)),
)
Member = tuple[Catalog, LayerRecord, int]


def build_compare(visit: Visit) -> ComparePage:
    """Return units side by side, or two layers matched."""
    query = visit.query
    text, left, right = query.text("units"), query.text("left"), query.text("right")
    limit = query.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    if text and (left or right):
        raise UsageError("Give either 'units', or 'left' and 'right'.")
    if bool(left) != bool(right):
        raise UsageError("Give both 'left' and 'right', each as MODEL/LAYER.")
    if query.text("layer") and not text:
        raise UsageError("'layer' says where the units of 'units' are: give both, as units=3,7&layer=MODEL/LAYER.")
    members = _members(visit, text, query.text("layer")) if text else []
    ends = [_layer(visit, name, value) for name, value in (("left", left), ("right", right)) if value]
    matched, problem = _matched(visit, ends, limit) if ends else (None, None)
    catalogs = [visit.reader.catalog(model.id, visit.revision) for model in visit.reader.models()]
    return ComparePage(
        units=_units(visit, members),
        correlations=_correlations(visit, members),
        correlation_chance=_chance(visit, members),
        shared_inputs=_shared(visit, members, "inputs"),
        shared_outputs=_shared(visit, members, "outputs"),
        left=_compared(*ends[0]) if ends else None,
        right=_compared(*ends[1]) if ends else None,
        matched=matched,
        problem=problem,
        layers=_offered(catalogs),
        num_layers=sum(len(catalog.layers) for catalog in catalogs),
        query=query.values,
        links=page_links(visit.full_address, home=urls.home()),
    )


def _offered(catalogs: Sequence[Catalog]) -> dict[str, list[str]]:
    """Return the first layers of each model, as many of each as all together leave room for."""
    found: dict[str, list[str]] = {}
    left = MAX_OFFERED
    for place, catalog in enumerate(catalogs):
        found[catalog.model.id] = list(islice(catalog.layers, left // (len(catalogs) - place)))
        left -= len(found[catalog.model.id])
    return found


# -- units ---------------------------------------------------------------------------------------------------------


def _members(visit: Visit, text: str, layer: str) -> list[Member]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    named = [f"{layer}/{part}" if layer and "/" not in part else part for part in parts]
    found = list({part: _member(visit, part) for part in named}.values())
    if not 1 <= len(found) <= MAX_UNITS:
        raise UsageError(f"'units' names {len(found)} units. Name two to {MAX_UNITS}: MODEL/LAYER/UNIT,MODEL/LAYER/UNIT.")
    return found


def _member(visit: Visit, text: str) -> Member:
    model_id, _, rest = text.partition("/")
    name, slash, unit = rest.rpartition("/")
    if not slash:
        raise UsageError(f"{text[:80]!r} in 'units' is not a unit. Write MODEL/LAYER/UNIT.")
    catalog = visit.reader.catalog(model_id, visit.revision)
    layer = catalog.layer(name)
    return catalog, layer, check_unit(layer, unit)


def _units(visit: Visit, members: Sequence[Member]) -> list[ComparedUnit]:
    found: list[ComparedUnit] = []
    keys = [(catalog.model.id, layer.name, unit) for catalog, layer, unit in members]
    for place, (catalog, layer, unit) in enumerate(members):
        examples = next((item for item in visit.reader.artifacts(layer, unit) if item.kind == "examples"), None)
        model_id = catalog.model.id
        found.append(
            ComparedUnit(
                model=model_id,
                layer=layer.name,
                unit=unit,
                label=visit.reader.labels(layer, [unit]).get(unit),
                thumbnail=layer_thumbnails(visit.reader, catalog, layer, [unit]).get(unit),
                metrics=visit.reader.metrics(layer, [unit]).get(unit, {}),
                examples=None if examples is None else examples_of(visit.reader, catalog, layer, unit, examples.payload),
                input_size=list(catalog.model.input_size),
                links=page_links(
                    urls.unit(model_id, layer.name, unit),
                    layer=urls.layer(model_id, layer.name),
                    without=urls.compare_units([*keys[:place], *keys[place + 1 :]]),
                    more=urls.layer(model_id, layer.name, choose=",".join("/".join(map(str, key)) for key in keys)),
                ),
            )
        )
    return found


def _correlations(visit: Visit, members: Sequence[Member]) -> list[list[float | None]]:
    if len({catalog.model.dataset_id for catalog, _, _ in members}) > 1:
        return [[None] * len(members) for _ in members]
    profiles = [(profile_of(visit.reader, catalog, layer), unit) for catalog, layer, unit in members]
    return correlations_between([None if profile is None else (profile, unit) for profile, unit in profiles])


def _chance(visit: Visit, members: Sequence[Member]) -> float | None:
    profiles = [profile_of(visit.reader, catalog, layer) for catalog, layer, _ in members]
    num_images = min((len(profile.images) for profile in profiles if profile is not None), default=0)
    return (num_images - 1) ** -0.5 if num_images > 1 else None


def _shared(visit: Visit, members: Sequence[Member], direction: Direction) -> list[SharedPartner]:
    if len(members) < 2 or len({catalog.model.id for catalog, _, _ in members}) != 1:
        return []
    catalog = members[0][0]
    units = [(layer.name, unit) for _, layer, unit in members]
    found = common_partners(visit.reader, catalog, units, direction)[:NUM_SHARED]
    wanted: dict[str, list[int]] = {}
    for partner in found:
        wanted.setdefault(partner.layer, []).append(partner.unit)
    pictures = thumbnails(visit.reader, catalog, wanted)
    return [
        SharedPartner(
            layer=partner.layer,
            unit=partner.unit,
            thumbnail=pictures.get((partner.layer, partner.unit)),
            score=partner.score,
            sums=list(partner.sums),
            links=page_links(urls.unit(catalog.model.id, partner.layer, partner.unit)),
        )
        for partner in found
    ]


# -- layers --------------------------------------------------------------------------------------------------------


def _layer(visit: Visit, name: str, text: str) -> tuple[Catalog, LayerRecord]:
    model_id, slash, layer = text.partition("/")
    if not slash:
        raise UsageError(f"{name}={text[:80]!r} is not a layer. Write MODEL/LAYER.")
    catalog = visit.reader.catalog(model_id, visit.revision)
    return catalog, catalog.layer(layer)


def _compared(catalog: Catalog, layer: LayerRecord) -> ComparedLayer:
    links = page_links(urls.layer(catalog.model.id, layer.name), model=urls.model(catalog.model.id))
    return ComparedLayer(model=catalog.model.id, layer=layer.name, num_units=layer.spec.num_units, links=links)


def _matched(visit: Visit, ends: Sequence[tuple[Catalog, LayerRecord]], limit: int) -> tuple[Matched | None, str | None]:
    """Return the matching of two layers, or else why there is none."""
    (left, first), (right, second) = ends
    if left.model.dataset_id != right.model.dataset_id:
        return None, (
            f"{left.model.id} and {right.model.id} were shown other images: units can only be matched on the same. "
            "Build both with the same --images."
        )
    found = match_layers(visit.reader, (left, first), (right, second))
    if found is None:
        missing = [layer for catalog, layer in ends if profile_of(visit.reader, catalog, layer) is None] or [first]
        return None, (
            f"What the units of {missing[0].model_id} {missing[0].name} answer to the images is not built yet: "
            "`unitscope build … --techniques responses` does it."
        )
    return _listed(visit, ends, found, limit), None


def _listed(visit: Visit, ends: Sequence[tuple[Catalog, LayerRecord]], found: Matching, limit: int) -> Matched:
    threshold = np.inf if found.threshold is None else found.threshold
    is_above = found.correlation > threshold
    lonely = [
        np.setdiff1d(np.arange(layer.spec.num_units), side[is_above])
        for (_, layer), side in zip(ends, (found.left, found.right), strict=True)
    ]
    shown = [side[:limit].tolist() for side in (found.left, found.right)]
    sides = [
        _pictured(visit, catalog, layer, [*listed, *alone[:NUM_UNMATCHED].tolist()])
        for (catalog, layer), listed, alone in zip(ends, shown, lonely, strict=True)
    ]
    return Matched(
        items=[
            MatchedPair(left=sides[0][one], right=sides[1][other], correlation=float(value))
            for one, other, value in zip(*shown, found.correlation[:limit], strict=True)
        ],
        num_matched=int(is_above.sum()),
        num_pairs=len(found.left),
        median=float(np.median(found.correlation)) if len(found.left) else None,
        control_median=float(np.median(found.control)) if len(found.control) else None,
        threshold=found.threshold,
        num_images=found.num_images,
        left_unmatched=[sides[0][unit] for unit in lonely[0][:NUM_UNMATCHED].tolist()],
        right_unmatched=[sides[1][unit] for unit in lonely[1][:NUM_UNMATCHED].tolist()],
        num_left_unmatched=len(lonely[0]),
        num_right_unmatched=len(lonely[1]),
        num_same_index=int((found.left == found.right)[is_above].sum()),
    )


def _pictured(visit: Visit, catalog: Catalog, layer: LayerRecord, units: Sequence[int]) -> dict[int, MatchedUnit]:
    pictures = layer_thumbnails(visit.reader, catalog, layer, units)
    model_id = catalog.model.id
    return {
        unit: MatchedUnit(unit=unit, thumbnail=pictures.get(unit), links=page_links(urls.unit(model_id, layer.name, unit)))
        for unit in units
    }


PAGES = (
    Page(
        "/compare",
        "compare",
        "Up to six units side by side, or two layers with their units matched by what they answer to the same images.",
        build_compare,
        (ComparePage,),
        PARAMETERS,
    ),
)
