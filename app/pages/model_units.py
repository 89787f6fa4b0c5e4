"""The page of all units of a model, of all its layers: sorted, filtered and paged."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fnmatch import translate

import numpy as np
from numpy.typing import NDArray

from app import urls
from app.contexts import Context, LayerPage, LayerShare, MetricRange, UnitInModel, UnitsPage
from app.dependencies import Visit
from app.pages.layers import DEFAULT_LIMIT, MAX_LIMIT, UNSORTED, build_layer
from app.pages.layers import PARAMETERS as LAYER_PARAMETERS
from app.parts.ranges import metric_ranges
from app.parts.summaries import model_summary, page_links
from app.pictures.thumbs import address
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.errors import UnknownName, UsageError, closest_names
from precompute.store.columns import ColumnFilter, UnitColumns, facet_counts, unit_columns
from precompute.store.finding import find_names
from precompute.store.many import labels_of, metrics_of, thumbs_of
from precompute.store.orders import Mask
from precompute.store.records import Catalog

NAME = "units"
MAX_LAYERS = 40
MAX_LABELLED = 2000
KINDS = ("channel", "neuron", "head", "feature", "stream")
PARAMETERS = (
    *LAYER_PARAMETERS,
    Parameter("layer", "Only units of this layer, or of the layers whose name a pattern fits (`blocks.3.*`)"),
    Parameter("kind", "Only units of this kind", choices=KINDS),
)


def build_units(visit: Visit) -> Context:
    """Return the list; a layer of that very name keeps its own page, at the same address."""
    if NAME in visit.catalog.layers:
        return build_layer(replace(visit, path={**visit.path, "layer": NAME}))
    columns = unit_columns(visit.reader, visit.catalog.model.id)
    metrics = metric_ranges(visit.reader, visit.catalog.model.id, None)
    if columns is None:
        return _page(visit, None, metrics, [], None, None)
    wanted = _filter(visit, metrics)
    mask = columns.passing(wanted)
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    scope = {key: value for key, value in visit.query.values.items() if key not in UNSORTED}
    after = _after(visit, columns, scope)
    places = columns.page(wanted, mask, after, limit + 1)
    following = None
    if len(places) > limit:
        places = places[:limit]
        row, unit = columns.units_at(places[-1:])[0]
        value = None if wanted.sort == "index" else float(columns.metric(wanted.sort)[places[-1]])
        cursor = encode_cursor(scope, [None if value is None or value != value else value, row, unit])
        following = visit.prefer(urls.units(visit.catalog.model.id, **(visit.query.values | {"after": cursor})))
    return _page(visit, columns, metrics, columns.units_at(places), following, mask)


def _after(visit: Visit, columns: UnitColumns, scope: dict[str, str]) -> tuple[float | None, int] | None:
    place = decode_cursor(scope, visit.query.text("after"), ((int, float, type(None)), int, int))
    if place is None:
        return None
    start = columns.layer_start(place[1])
    if start is None:
        raise UsageError("after=… is a place in a layer that is no longer counted. Leave `after` out to begin again.")
    return place[0], start + place[2]


def _page(
    visit: Visit,
    columns: UnitColumns | None,
    metrics: list[MetricRange],
    units: list[tuple[int, int]],
    following: str | None,
    mask: Mask | None,
) -> UnitsPage:
    model = visit.catalog.model
    by_layer = np.zeros(0, np.int64) if columns is None else columns.count_by_layer(mask)
    facets = facet_counts(visit.reader, model.id, None) or {}
    summary = model_summary(model).model_dump(exclude={"links"})
    return UnitsPage(
        **summary,
        model=model.id,
        counted_at=None if columns is None else columns.counted_at,
        items=_items(visit, [unit for unit in units if unit[0] in visit.catalog.by_row]),
        total=int(by_layer.sum()),
        next=following,
        metrics=metrics,
        statuses=facets.get("status", {}),
        flags=facets.get("flag", {}),
        kinds=dict(_kinds(visit.catalog).most_common()),
        layers=[] if columns is None else _layer_shares(visit, columns.layer_rows, by_layer),
        num_layers_found=int(np.count_nonzero(by_layer)),
        query=visit.query.values,
        links=page_links(urls.units(model.id), model=urls.model(model.id)),
    )


def _kinds(catalog: Catalog) -> Counter[str]:
    found = catalog.held.get("kinds")
    if found is None:
        found = catalog.held["kinds"] = Counter[str]()
        for layer in catalog.layers.values():
            found[layer.spec.kind] += layer.spec.num_units
    return found


def _layer_shares(visit: Visit, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> list[LayerShare]:
    """Return the layers with most of the units that pass, in the order of execution."""
    most = np.sort(np.argsort(-numbers, kind="stable")[:MAX_LAYERS])
    kept = {key: value for key, value in visit.query.values.items() if key not in ("after", "layer")}
    address = urls.units(visit.catalog.model.id, **kept)
    shares: list[LayerShare] = []
    for row, number in zip(rows[most].tolist(), numbers[most].tolist(), strict=True):
        layer = visit.catalog.by_row.get(row)
        if number and layer is not None:
            shares.append(LayerShare(layer=layer.name, num_units=number, link=urls.with_more(address, layer=layer.name)))
    return shares


def _filter(visit: Visit, metrics: list[MetricRange]) -> ColumnFilter:
    query = visit.query
    names = [metric.name for metric in metrics]
    sort = query.text("sort", "index")
    minimum, maximum = query.bounds()
    for name in [sort, *minimum, *maximum]:
        if name not in names and not (name == "index" and name is sort):
            close = closest_names(name, names, count=1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            known = f"There are: {', '.join(names)}."
            raise UsageError(f"No unit of {visit.catalog.model.id} has a metric {name[:80]!r}.{guess} {known}")
    order = query.choice("order", "asc" if sort == "index" else "desc")
    visualization = query.choice("visualization")
    for choice in ("size", "picture"):
        query.choice(choice)
    given = {"status": query.choice("status"), "flag": query.text("flag"), "visualization": visualization == "yes" and "yes"}
    label = query.text("label")
    return ColumnFilter(
        sort=sort,
        is_descending=order == "desc",
        minimum=minimum,
        maximum=maximum,
        has=[f"{facet}={value}" for facet, value in given.items() if value],
        lacks=["visualization=yes"] if visualization == "no" else [],
        layers=_chosen_layers(visit.catalog, query.text("layer"), query.choice("kind") or ""),
        units=_labelled(visit, label) if label else None,
    )


def _chosen_layers(catalog: Catalog, pattern: str, kind: str) -> frozenset[int] | None:
    """Return the rows of the layers that a name or a pattern, and a kind, choose.

    Raises:
        UnknownName: None is.
    """
    if not pattern and not kind:
        return None
    if pattern in catalog.layers:
        chosen = [catalog.layers[pattern]]
    else:
        fits = re.compile(translate(pattern or "*")).match
        chosen = [layer for name, layer in catalog.layers.items() if fits(name)]
        if not chosen:
            hint = "A pattern such as blocks.3.* works."
            raise UnknownName("layer", pattern, catalog.layers, where=catalog.model.id, hint=hint)
    if len(chosen) == len(catalog.layers) and (not kind or set(_kinds(catalog)) == {kind}):
        return None
    return frozenset(layer.row for layer in chosen if not kind or layer.spec.kind == kind)


def _labelled(visit: Visit, label: str) -> list[tuple[int, int]]:
    """Return the units of this model with a label, of the model or given by people, that has all the words of a text."""
    rows, layers = visit.catalog.by_row, visit.catalog.layers
    names = find_names(visit.reader, label, MAX_LABELLED, kinds=("unit",))
    found = {(name.layer_id, name.unit) for name in names if name.layer_id in rows and name.unit is not None}
    called = visit.door.annotations.labelled(visit.catalog.model.id, label.split())
    found |= {(layers[layer].row, unit) for layer, unit in called if layer in layers}
    return sorted(found)


def _items(visit: Visit, units: list[tuple[int, int]]) -> list[UnitInModel]:
    model = visit.catalog.model
    reader = visit.reader
    metrics, labels, thumbs = metrics_of(reader, units), labels_of(reader, units), thumbs_of(reader, units)
    found: list[UnitInModel] = []
    for unit in units:
        layer, thumb = visit.catalog.by_row[unit[0]], thumbs.get(unit)
        found.append(
            UnitInModel(
                layer=layer.name,
                index=unit[1],
                kind=layer.spec.kind,
                label=labels.get(unit),
                metrics=metrics.get(unit, {}),
                thumbnail=None if thumb is None else address(model.id, layer.name, unit[1], model.dataset_id, thumb),
                links=page_links(urls.unit(model.id, layer.name, unit[1]), weights=urls.weights(model.id, layer.name, unit[1])),
            )
        )
    return found


PAGES = (
    Page(
        f"/models/{{model}}/{NAME}",
        "model_units",
        "All units of a model, of all its layers.",
        build_units,
        (UnitsPage, LayerPage),
        PARAMETERS,
        shows_annotations=True,
    ),
)
