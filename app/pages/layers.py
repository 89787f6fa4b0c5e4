"""The page of one layer: all its units, sorted, filtered and paged."""

from __future__ import annotations

from app import urls
from app.contexts import LayerMap, LayerPage, UnitSummary
from app.dependencies import Visit
from app.parts.addresses import subject_of
from app.parts.annotations import said_about
from app.parts.layer_map import map_of
from app.parts.ranges import metric_ranges
from app.parts.summaries import coverage_of, layer_summary, page_links, stages_of
from app.pictures.filters import Filters, filter_picture, filters_of
from app.pictures.thumbs import layer_thumbnails
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.domain import VISUALIZATION_STATUSES
from precompute.errors import UsageError, closest_names
from precompute.store.columns import facet_counts
from precompute.store.listing import ListedUnit, UnitFilter, count_statuses, count_units, list_units
from precompute.store.records import LayerRecord

DEFAULT_LIMIT = 60
MAX_LIMIT = 4096
PARAMETERS = (
    Parameter("sort", "A metric, or `index`", default="index"),
    Parameter("order", "Smallest or largest first", choices=("asc", "desc"), default="asc for index, desc for metrics"),
    Parameter("min.", "Only units whose METRIC is at least this", kind="number"),
    Parameter("max.", "Only units whose METRIC is at most this", kind="number"),
    Parameter("status", "Only units with a visualization of this status", choices=VISUALIZATION_STATUSES),
    Parameter("flag", "Only units with a picture that has this flag"),
    Parameter("label", "Only units whose label, of the model or given by people, contains this text"),
    Parameter("visualization", "Only units with, or without, a visualization", choices=("yes", "no")),
    Parameter("size", "Size of the pictures", choices=("s", "m", "l"), default="m"),
    Parameter(
        "picture",
        "What stands for a unit: its picture, or, in a layer that reads the image, its filter, on one scale or each on its own",
        choices=("unit", "filter", "filter_each"),
        default="unit",
    ),
    Parameter("view", "The units as a grid, or on a map by what they answer to", choices=("grid", "map"), default="grid"),
    Parameter("choose", "With a box at each unit, to compare some: `MODEL/LAYER/UNIT,…` are chosen already, or `none`"),
    Parameter("limit", f"Units on a page, 1 to {MAX_LIMIT}", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)


UNSORTED = ("after", "choose", "limit", "picture", "size", "view")
"""Parameters that change how the list looks and not what is in it: a place in the list holds for all their values."""


def build_layer(visit: Visit) -> LayerPage:
    """Return the page of a layer."""
    reader, layer = visit.reader, visit.layer
    metrics = metric_ranges(reader, layer.model_id, layer)
    facets = facet_counts(reader, layer.model_id, layer) or {"status": count_statuses(reader, layer)}
    wanted = _filter(visit, [metric.name for metric in metrics])
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    scope = {key: value for key, value in visit.query.values.items() if key not in UNSORTED}
    scope["layer"] = layer.name
    after = decode_cursor(scope, visit.query.text("after"), ((int, float, type(None)), int))
    units = list_units(reader, layer, wanted, None if after is None else (after[0], after[1]), limit + 1)
    following = None
    if len(units) > limit:
        units = units[:limit]
        cursor = encode_cursor(scope, [units[-1].value, units[-1].index])
        following = visit.prefer(urls.layer(layer.model_id, layer.name, **(visit.query.values | {"after": cursor})))
    filters = filters_of(reader, layer)
    picture = visit.query.choice("picture", "unit")
    if picture != "unit" and filters is None:
        raise UsageError(f"{layer.name} has no filters: it does not read the image, or its weights are not built yet.")
    summary = layer_summary(layer).model_dump()
    total = count_units(reader, layer, wanted)
    everything = None
    if len(units) < total <= MAX_LIMIT:
        values = {key: value for key, value in visit.query.values.items() if key != "after"}
        everything = urls.layer(layer.model_id, layer.name, **(values | {"limit": str(total)}))
    summary["links"] |= neighbours(visit) | {"everything": everything}
    labels, said = said_about(visit, subject_of(model=layer.model_id, layer=layer.name), visit.address)
    summary["links"]["list"] = urls.new_list(**{"from": visit.full_address})
    return LayerPage(
        **summary,
        model=layer.model_id,
        layer=layer.name,
        items=_items(visit, layer, units, None if picture == "unit" else filters),
        total=total,
        next=following,
        metrics=metrics,
        statuses=facets.get("status", {}),
        flags=facets.get("flag", {}),
        filter_maximum=None if filters is None else filters.maximum,
        map=_map(visit, wanted),
        query=visit.query.values,
        labels=labels,
        said=said,
        stages=stages_of(coverage_of(reader, visit.catalog, [layer])),
    )


def _map(visit: Visit, wanted: UnitFilter) -> LayerMap | None:
    if visit.query.choice("view", "grid") == "grid":
        return None
    return map_of(visit, list_units(visit.reader, visit.layer, wanted, None, MAX_LIMIT))


def neighbours(visit: Visit) -> dict[str, str | None]:
    """Return links to the layers before and after in the order of execution."""
    names = list(visit.catalog.layers)
    place = names.index(visit.layer.name)
    model_id = visit.layer.model_id
    return {
        "previous": urls.layer(model_id, names[place - 1]) if place else None,
        "next": urls.layer(model_id, names[place + 1]) if place + 1 < len(names) else None,
    }


def _filter(visit: Visit, metrics: list[str]) -> UnitFilter:
    query = visit.query
    sort = query.text("sort", "index")
    minimum, maximum = query.bounds()
    for name in [sort, *minimum, *maximum]:
        if name not in (*metrics, "index") or (name == "index" and name is not sort):
            raise UsageError(_no_metric(visit.layer, name, metrics))
    order = query.choice("order", "asc" if sort == "index" else "desc")
    visualization = query.choice("visualization")
    query.choice("size")
    label = query.text("label") or None
    return UnitFilter(
        sort=sort,
        is_descending=order == "desc",
        minimum=minimum,
        maximum=maximum,
        status=query.choice("status"),
        has_visualization=None if visualization is None else visualization == "yes",
        flag=query.text("flag") or None,
        label=label,
        called=_called(visit, label) if label else frozenset(),
    )


def _called(visit: Visit, label: str) -> frozenset[int]:
    """Return the units of the layer with a label by people that contains a text."""
    layer = visit.layer
    return frozenset(unit for _, unit in visit.door.annotations.labelled(layer.model_id, [label], layer.name))


def _no_metric(layer: LayerRecord, name: str, metrics: list[str]) -> str:
    close = closest_names(name, metrics, count=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    known = f"It has: {', '.join(sorted(metrics))}, and 'index' to sort by." if metrics else "No metrics have been built yet."
    return f"Layer {layer.name} has no metric {name[:80]!r}.{guess} {known}"


def _items(visit: Visit, layer: LayerRecord, units: list[ListedUnit], filters: Filters | None) -> list[UnitSummary]:
    indices = [unit.index for unit in units]
    metrics = visit.reader.metrics(layer, indices)
    pictures = layer_thumbnails(visit.reader, visit.catalog, layer, indices)
    called = visit.door.annotations.labels_of(layer.model_id, layer.name)
    maximum = filters.maximum if filters is not None and visit.query.choice("picture") == "filter" else None
    return [
        UnitSummary(
            index=unit.index,
            kind=layer.spec.kind,
            label=unit.label,
            labels=called.get(unit.index, []),
            metrics=metrics.get(unit.index, {}),
            thumbnail=pictures.get(unit.index),
            filter=filter_picture(layer, filters, unit.index, maximum),
            links=page_links(
                urls.unit(layer.model_id, layer.name, unit.index), weights=urls.weights(layer.model_id, layer.name, unit.index)
            ),
        )
        for unit in units
    ]


PAGES = (
    Page(
        "/models/{model}/{layer}",
        "layer",
        "All units of one layer.",
        build_layer,
        (LayerPage,),
        PARAMETERS,
        embed_template="pages/layer_embed.html",
        shows_annotations=True,
    ),
)
