"""Questions about weights: paths between two units, common partners of a set, similar units, motifs between two layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from app import urls
from app.contexts import Links
from app.contexts.queries import (
    CommonItem,
    CommonPage,
    MotifGroup,
    MotifItem,
    MotifsPage,
    PathItem,
    PathsPage,
    PathStep,
    SimilarItem,
    SimilarPage,
    UnitRef,
)
from app.dependencies import Visit, check_unit
from app.explorer.query import NONE, write_unit
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from app.query import Parameter
from app.twins import Page
from app.words.formats import MAX_OFFERED
from precompute.circuits.graph import UnitKey
from precompute.circuits.motifs import KINDS, NULLS, Kind, MotifCount
from precompute.circuits.paths import Path
from precompute.errors import UnknownName, UsageError
from precompute.store.arrays import Direction
from precompute.store.expanded import weight_graph
from precompute.store.questions import (
    common_partners,
    default_source,
    feed_forward_first,
    find_motifs,
    find_paths,
    motif_sources,
    similar_units,
)

MAX_SET = 12
DEFAULT_LIMIT = 30
_UNIT_EXAMPLE = "Write LAYER/UNIT, for example {0}/{1}."
_LIST = (
    Parameter("limit", "How many on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)


def build_paths(visit: Visit) -> PathsPage:
    """Return the paths between the unit and another."""
    kind = visit.query.choice("kind", "strongest") or "strongest"
    by = visit.query.choice("by", "norm") or "norm"
    count = visit.query.integer("count", 5, 1, 20)
    here = (visit.layer.name, visit.unit)
    there = _parse_unit(visit, "to", visit.query.text("to")) if visit.query.text("to") else None
    found: list[Path] = []
    if there is not None:
        order = weight_graph(visit.reader, visit.catalog).order
        ends = (here, there) if order[here[0]] <= order[there[0]] else (there, here)
        found = find_paths(visit.reader, visit.catalog, *ends, count, is_shortest=kind == "shortest", is_shares=by == "share")
    keys = {key for path in found for key in path.units} | ({there} if there else set[UnitKey]())
    refs = _refs(visit, keys)
    graph = weight_graph(visit.reader, visit.catalog)
    return PathsPage(
        model=visit.catalog.model.id,
        layer=visit.layer.name,
        unit=visit.unit,
        to=None if there is None else refs[there],
        kind=kind,
        by=by,
        items=[_path(visit, path, refs) for path in found],
        total=len(found),
        next=None,
        reach=[*graph.layers_before(visit.layer.name, MAX_OFFERED), *graph.layers_after(visit.layer.name, MAX_OFFERED)],
        links=_links(visit, unit=urls.unit(visit.catalog.model.id, *here)),
    )


def _path(visit: Visit, path: Path, refs: dict[UnitKey, UnitRef]) -> PathItem:
    links = [visit.catalog.link(before[0], after[0]) for before, after in zip(path.units, path.units[1:], strict=False)]
    steps = [
        PathStep(norm=norm, sum=total, exact=None if link is None else link.is_exact)
        for norm, total, link in zip(path.norms, path.sums, links, strict=True)
    ]
    return PathItem(units=[refs[key] for key in path.units], steps=steps, strength=path.strength, sign=path.sign)


def build_common(visit: Visit) -> CommonPage:
    """Return the common partners of a set of units."""
    direction = cast("Direction", visit.query.choice("direction", "inputs"))
    named = [part for part in visit.query.text("with").split(",") if part]
    if len(named) >= MAX_SET:
        raise UsageError(f"'with' names {len(named)} units; at most {MAX_SET - 1} can be compared with this one.")
    units = list(dict.fromkeys([(visit.layer.name, visit.unit), *(_parse_unit(visit, "with", part) for part in named)]))
    found = common_partners(visit.reader, visit.catalog, units, direction) if len(units) > 1 else []
    scope = {"unit": visit.address, "with": visit.query.text("with"), "direction": direction}
    start, limit, following = _place(visit, scope, len(found))
    chosen = found[start : start + limit]
    refs = _refs(visit, [*units, *((partner.layer, partner.unit) for partner in chosen)])
    items = [
        CommonItem(
            **refs[partner.layer, partner.unit].model_dump(),
            score=partner.score,
            norms=list(partner.norms),
            sums=list(partner.sums),
            shares=list(partner.shares),
        )
        for partner in chosen
    ]
    return CommonPage(
        model=visit.catalog.model.id,
        layer=visit.layer.name,
        unit=visit.unit,
        units=[refs[key] for key in units],
        direction=direction,
        items=items,
        total=len(found),
        next=following,
        links=_links(visit, unit=urls.unit(visit.catalog.model.id, visit.layer.name, visit.unit)),
    )


def build_similar(visit: Visit) -> SimilarPage:
    """Return the units of the layer whose weights are most like those of the unit."""
    by = cast("Direction", visit.query.choice("by", "inputs"))
    found = similar_units(visit.reader, visit.catalog, visit.layer, visit.unit, by)
    units = [] if found is None else found.units
    start, limit, following = _place(visit, {"unit": visit.address, "by": by}, len(units))
    chosen = units[start : start + limit]
    refs = _refs(visit, [(visit.layer.name, unit) for unit in chosen])
    cosines = [] if found is None else found.cosines[start : start + limit]
    items = [
        SimilarItem(**refs[visit.layer.name, unit].model_dump(), cosine=cosine)
        for unit, cosine in zip(chosen, cosines, strict=True)
    ]
    return SimilarPage(
        model=visit.catalog.model.id,
        layer=visit.layer.name,
        unit=visit.unit,
        by=by,
        items=items,
        total=len(units),
        next=following,
        control=None if found is None else found.highest_by_chance,
        num_shuffles=0 if found is None else found.num_shuffles,
        seed=0 if found is None else found.seed,
        links=_links(visit, unit=urls.unit(visit.catalog.model.id, visit.layer.name, visit.unit)),
    )


def build_motifs(visit: Visit) -> MotifsPage:
    """Return the motifs in the weights into a layer."""
    sources = motif_sources(visit.reader, visit.catalog, visit.layer)
    asked = visit.query.text("source")
    if asked and asked not in sources:
        raise UnknownName("layer", asked, sources, where=f"{visit.layer.name} (inputs)")
    source = asked or default_source(visit.reader, visit.catalog, visit.layer)
    kind = visit.query.choice("kind")
    kinds = KINDS if kind is None else (cast("Kind", kind),)
    counts = {} if source is None else {k: find_motifs(visit.reader, visit.catalog, visit.layer, source, k) for k in kinds}
    layers = {} if source is None else {k: _layers_of(visit, k, source) for k in kinds}
    keys = {
        key
        for k, count in counts.items()
        if count is not None
        for instance in count.instances
        for key in zip(layers[k], instance.units, strict=True)
    }
    refs = _refs(visit, keys)
    return MotifsPage(
        model=visit.catalog.model.id,
        layer=visit.layer.name,
        source=source,
        sources=sources,
        groups=[_group(visit, count, layers[k], refs) for k, count in counts.items() if count is not None],
        impossible=[k for k in kinds if counts.get(k) is None],
        weights_origin=visit.catalog.model.weights_origin,
        links=_links(visit, layer=urls.layer(visit.catalog.model.id, visit.layer.name)),
    )


def _layers_of(visit: Visit, kind: Kind, source: str) -> list[str]:
    """Return the layer of each unit of an instance."""
    target = visit.layer.name
    if kind == "union":
        return [target, source, source]
    if kind == "opponent":
        return [target, target]
    if kind == "equivariant":
        return [source, target] * 4
    return [feed_forward_first(visit.reader, visit.catalog, visit.layer, source) or source, source, target]


def _group(visit: Visit, count: MotifCount, layers: Sequence[str], refs: dict[UnitKey, UnitRef]) -> MotifGroup:
    model_id = visit.catalog.model.id
    items: list[MotifItem] = []
    for instance in count.instances:
        keys = list(zip(layers, instance.units, strict=True))
        items.append(
            MotifItem(units=[refs[key] for key in keys], score=instance.score, links=_motif_links(visit, count.kind, keys))
        )
    query = {**visit.query.values, "kind": count.kind}
    return MotifGroup(
        kind=count.kind,
        count=count.count,
        null_mean=count.null_mean,
        null_std=count.null_std,
        z=count.z,
        p=count.p,
        null=NULLS[count.kind],
        num_shuffles=count.num_shuffles,
        seed=count.seed,
        items=items,
        links=page_links(urls.motifs(model_id, visit.layer.name, **query)),
    )


def _motif_links(visit: Visit, kind: Kind, keys: Sequence[UnitKey]) -> Links:
    """Return where an instance can be looked at. The explorer draws stored weights alone: it is left out where one is not."""
    model_id, catalog = visit.catalog.model.id, visit.catalog
    unique, edges = list(dict.fromkeys(keys)), _edges_of(kind, keys)
    written = ",".join(f"{one[0]}/{one[1]}>{two[0]}/{two[1]}" for one, two in edges)
    units = ",".join(f"{layer}/{unit}" for layer, unit in unique)
    links: Links = {"circuit": urls.new_circuit(model=model_id, units=units, edges=written or None)}
    if kind == "opponent":
        links["common"] = urls.common(model_id, *unique[0], **{"with": ",".join(f"{layer}/{unit}" for layer, unit in unique[1:])})
    stored = [catalog.link(one[0], two[0]) for one, two in edges]
    if stored and all(link is not None and link.blob_sha256 is not None for link in stored):
        pinned = ",".join(write_unit(key) for key in unique)
        links["explorer"] = urls.weights(model_id, *edges[-1][1], inputs=NONE, outputs=NONE, pin=pinned, between=1)
    return links


def _edges_of(kind: Kind, keys: Sequence[UnitKey]) -> list[tuple[UnitKey, UnitKey]]:
    """Return the edges that make an instance the motif that it is; an opponent pair has none between its units."""
    if kind == "union":
        return [(keys[1], keys[0]), (keys[2], keys[0])]
    if kind == "feed_forward":
        return [(keys[0], keys[1]), (keys[1], keys[2]), (keys[0], keys[2])]
    if kind == "equivariant":
        return [(keys[place], keys[place + 1]) for place in range(0, len(keys), 2)]
    return []


def _parse_unit(visit: Visit, name: str, text: str) -> UnitKey:
    layer, slash, index = text.rpartition("/")
    if not slash:
        raise UsageError(f"{name}={text[:80]!r} is not a unit. {_UNIT_EXAMPLE.format(visit.layer.name, visit.unit)}")
    return layer, check_unit(visit.catalog.layer(layer), index)


def _refs(visit: Visit, keys: Iterable[UnitKey]) -> dict[UnitKey, UnitRef]:
    chosen = sorted(set(keys))
    units: dict[str, list[int]] = {}
    for layer, unit in chosen:
        units.setdefault(layer, []).append(unit)
    pictures = thumbnails(visit.reader, visit.catalog, units)
    model_id = visit.catalog.model.id
    return {
        key: UnitRef(
            layer=key[0],
            unit=key[1],
            thumbnail=pictures.get(key),
            links=page_links(urls.unit(model_id, *key), weights=urls.weights(model_id, *key)),
        )
        for key in chosen
    }


def _place(visit: Visit, scope: Mapping[str, object], total: int) -> tuple[int, int, str | None]:
    """Return the first place, the number of places, and the address of what comes after."""
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, 200)
    start = visit.first_place(scope)
    return start, limit, visit.following(scope, start + limit, total)


def _links(visit: Visit, **others: str) -> Links:
    model_id = visit.catalog.model.id
    return {
        "html": visit.full_address,
        "self": urls.twin(visit.full_address),
        "model": urls.model(model_id),
        "layer": urls.layer(model_id, visit.layer.name),
        **others,
    }


_AT_UNIT = "/models/{model}/{layer}/{unit}"
# Before the page of a unit, whose address has the same number of parts.
LAYER_PAGES = (
    Page(
        "/models/{model}/{layer}/motifs",
        "motifs",
        "Motifs in the weights into a layer, each counted beside shuffled weights.",
        build_motifs,
        (MotifsPage,),
        (
            Parameter("source", "The layer that the weights come from; the nearest by default"),
            Parameter("kind", "Only this motif", choices=KINDS),
        ),
    ),
)
PAGES = (
    Page(
        f"{_AT_UNIT}/paths",
        "paths",
        "The strongest or shortest paths of weights between the unit and another.",
        build_paths,
        (PathsPage,),
        (
            Parameter("to", "The other unit, `LAYER/UNIT`, before or after this one"),
            Parameter(
                "kind", "All paths, or those over the fewest layers", choices=("strongest", "shortest"), default="strongest"
            ),
            Parameter(
                "by",
                "Steps count by their norm, or by their share of all into their target",
                choices=("norm", "share"),
                default="norm",
            ),
            Parameter("count", "How many paths, 1 to 20", kind="integer", default="5"),
        ),
    ),
    Page(
        f"{_AT_UNIT}/common",
        "common",
        "What feeds the unit and others alike, or what all of them feed.",
        build_common,
        (CommonPage,),
        (
            Parameter("with", f"The other units, `LAYER/UNIT,LAYER/UNIT`, at most {MAX_SET - 1}"),
            Parameter("direction", "What feeds them, or what they feed", choices=("inputs", "outputs"), default="inputs"),
            *_LIST,
        ),
    ),
    Page(
        f"{_AT_UNIT}/similar",
        "similar",
        "Units of the layer with similar weights, beside what chance gives.",
        build_similar,
        (SimilarPage,),
        (Parameter("by", "Compare what builds them, or what they feed", choices=("inputs", "outputs"), default="inputs"), *_LIST),
    ),
)
