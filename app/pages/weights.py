"""The weight explorer, and the list of every partner of a unit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, cast

import numpy as np

from app import urls
from app.contexts import Context, ExplorerPage, KernelLabel, ListedPartner, PartnersPage, RouteRow, Routes
from app.dependencies import Visit
from app.drawing import largest
from app.explorer import MAX_OPEN, Explorer
from app.pages.units import build_links
from app.partners import partners_of
from app.query import Parameter, decode_cursor, encode_cursor
from app.routes import MAX_ROUTES, read_route
from app.summaries import coverage_of, stages_of
from app.twins import Page
from precompute.circuits.labels import label_kernels
from precompute.errors import UnknownName, UsageError
from precompute.store.arrays import RANKINGS, Direction, PartnerWeight, Ranking, all_partners, count_for_most, ranked
from precompute.store.expanded import Route, expanded_partners, expanded_table, layers_in_reach, routes_between

DEFAULT_TOP = 6
DEFAULT_LIMIT = 50
PARAMETERS = (
    Parameter("top", "How many partners of each unit the explorer shows, 1 to 20", kind="integer", default=str(DEFAULT_TOP)),
    Parameter("open", f"Units to unfold further, `LAYER/UNIT,LAYER/UNIT`, at most {MAX_OPEN}"),
    Parameter("direction", "List every partner in one direction instead", choices=("inputs", "outputs")),
    Parameter("layer", "With direction: the partners in this layer, which may lie any number of layers away"),
    Parameter("route", "With direction and layer: only paths over these layers, `LAYER,LAYER`; `direct` for none between"),
    Parameter("sign", "With direction: only partners whose sum is positive (+) or negative (-)", choices=("+", "-")),
    Parameter(
        "sort", "With direction: by what, the largest first; of negative ones, the strongest", choices=RANKINGS, default="norm"
    ),
    Parameter("limit", "With direction: partners on a page, 1 to 500", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "With direction: a place in the list, from `next`"),
)
_LIST_ONLY = ("layer", "route", "sign", "sort", "limit", "after")


def build_weights(visit: Visit) -> Context:
    """Return the explorer, or the list of partners where a direction is asked for."""
    direction = visit.query.choice("direction")
    if direction is not None:
        if refused := [name for name in ("top", "open") if visit.query.text(name)]:
            raise UsageError(f"{refused[0]!r} belongs to the explorer: leave it out, or leave 'direction' out.")
        return build_partners(visit, cast("Direction", direction))
    if refused := [name for name in _LIST_ONLY if visit.query.text(name)]:
        raise UsageError(f"{refused[0]!r} needs 'direction': add direction=inputs or direction=outputs.")
    return build_explorer(visit)


def build_explorer(visit: Visit) -> ExplorerPage:
    """Return the explorer at a unit."""
    layer, unit = visit.layer, visit.unit
    top = visit.query.integer("top", DEFAULT_TOP, 1, 20)
    explorer = Explorer(visit.reader, visit.catalog, (layer.name, unit), top, visit.query.text("open"))
    columns, edges = explorer.columns(), explorer.edges()
    links = build_links(visit) | {
        "html": visit.full_address,
        "self": urls.twin(visit.full_address),
        "unit": visit.address.removesuffix("/weights"),
    }
    return ExplorerPage(
        model=visit.catalog.model.id,
        layer=layer.name,
        unit=unit,
        label=visit.reader.labels(layer, [unit]).get(unit),
        top=top,
        open=explorer.open_texts(),
        columns=columns,
        edges=edges,
        maximum=largest(edge.kernel for edge in edges),
        layer_inputs=list(layer.spec.inputs),
        layer_outputs=list(layer.spec.outputs),
        stages=stages_of(row for row in coverage_of(visit.reader, visit.catalog, visit.revision) if row.layer == layer.row),
        links=links,
    )


def build_partners(visit: Visit, direction: Direction) -> PartnersPage:
    """Return a page of the list of every partner."""
    layer, unit, query = visit.layer, visit.unit, visit.query
    neighbours = list(layer.spec.inputs if direction == "inputs" else layer.spec.outputs)
    partner_layer = query.text("layer") or None
    reach = layers_in_reach(visit.reader, visit.catalog, layer.name, direction)
    if partner_layer is not None and partner_layer not in neighbours and partner_layer not in reach:
        raise UnknownName("layer", partner_layer, reach or neighbours, where=f"{layer.name} ({direction})")
    route = _route(visit, direction, partner_layer)
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 500)
    is_expanded = partner_layer is not None and (route is not None or partner_layer not in neighbours)
    everyone = _all(visit, direction, partner_layer if is_expanded else None, route)
    sign = _sign(visit)
    ranking = cast("Ranking", query.choice("sort", "norm"))
    partners = _signed([one for one in everyone if partner_layer in (None, one.layer)], sign)
    if ranking != "norm":
        partners = ranked(partners, ranking, is_ascending=ranking == "sum" and sign == "-")
    scope = {"unit": visit.address, "direction": direction, "layer": partner_layer, "sign": sign, "sort": ranking}
    scope |= {"route": urls.route_text(route)}
    place = decode_cursor(scope, query.text("after"), (int,))
    start = 0 if place is None else max(0, int(place[0]))
    listed = partners[start : start + limit]
    items = [
        ListedPartner(
            **found.model_dump(),
            share=weight.share,
            contribution=weight.contribution,
            gross=weight.gross,
            kernel_label=_label(found.kernel),
        )
        for found, weight in zip(
            partners_of(visit.reader, visit.catalog, layer, unit, direction, listed, start + 1, route), listed, strict=True
        )
    ]
    following = None
    if start + limit < len(partners):
        values = query.values | {"after": encode_cursor(scope, [start + limit])}
        following = visit.prefer(urls.weights(layer.model_id, layer.name, unit, **values))
    return PartnersPage(
        model=visit.catalog.model.id,
        layer=layer.name,
        unit=unit,
        direction=direction,
        items=items,
        total=len(partners),
        next=following,
        query=query.values,
        layers=neighbours,
        reach=reach,
        is_expanded=is_expanded,
        routes=routes_of(visit, direction, partner_layer) if is_expanded and partner_layer is not None else None,
        num_for_90_percent=count_for_most(one for one in everyone if is_expanded or one.layer in neighbours),
        maximum=largest(item.kernel for item in items),
        links=build_links(visit)
        | {"html": visit.full_address, "self": urls.twin(visit.full_address), "unit": visit.address.removesuffix("/weights")},
    )


def _label(kernel: list[list[float | None]] | str | None) -> KernelLabel | None:
    label = label_kernels(np.array([kernel], np.float64))[0] if isinstance(kernel, list) else None
    return None if label is None else KernelLabel(**asdict(label))


def _sign(visit: Visit) -> Literal["+", "-"] | None:
    # A plus sign in a query means a space, so "sign=+" arrives as " ".
    value = visit.query.values.get("sign", "")
    if value in ("", "+", " ", "-"):
        return "-" if value == "-" else ("+" if value else None)
    raise UsageError(f"sign={value[:80]!r} is not possible. Possible values of 'sign': +, -.")


def _route(visit: Visit, direction: Direction, partner_layer: str | None) -> Route | None:
    text = visit.query.text("route")
    if text and partner_layer is None:
        raise UsageError("'route' needs 'layer': the layer that the paths lead to.")
    if not text or partner_layer is None:
        return None
    ends = (partner_layer, visit.layer.name) if direction == "inputs" else (visit.layer.name, partner_layer)
    return read_route(visit.reader, visit.catalog, text, *ends)


def _all(visit: Visit, direction: Direction, partner_layer: str | None, route: Route | None) -> list[PartnerWeight]:
    """Return every partner, by norm; those of the unit that was asked for last are kept."""
    kept = visit.reader.kept(visit.revision)
    key = ("partners", visit.address, direction, partner_layer, route)
    latest: dict[object, list[PartnerWeight]] = kept.get("latest partners", {})
    if key not in latest:
        if partner_layer is None:
            found = all_partners(visit.reader, visit.catalog, visit.layer, visit.unit, direction)
        else:
            found = expanded_partners(visit.reader, visit.catalog, visit.layer, visit.unit, direction, partner_layer, route)
        latest = {key: found}
        kept["latest partners"] = latest
    return latest[key]


def routes_of(visit: Visit, direction: Direction, partner_layer: str) -> Routes:
    """Return the ways that paths between a unit and another layer take, with how much each gives."""
    ends = (partner_layer, visit.layer.name) if direction == "inputs" else (visit.layer.name, partner_layer)
    found, count = routes_between(visit.reader, visit.catalog, *ends, MAX_ROUTES)
    chosen = visit.query.text("route")
    rows: list[RouteRow] = []
    for route in found:
        text = urls.route_text(route)
        table, is_exact = expanded_table(visit.reader, visit.catalog, visit.layer, visit.unit, direction, partner_layer, route)
        query = {**visit.query.values, "route": text}
        query.pop("after", None)
        rows.append(
            RouteRow(
                layers=list(route),
                norm=float(np.sqrt(table.squares.sum())),
                exact=is_exact,
                is_chosen=text == chosen,
                links={"html": urls.weights(visit.catalog.model.id, visit.layer.name, visit.unit, **query)},
            )
        )
    rows.sort(key=lambda row: -(row.norm or 0.0))
    return Routes(items=rows, total=count)


def _signed(partners: list[PartnerWeight], sign: str | None) -> list[PartnerWeight]:
    if sign is None:
        return partners
    return [partner for partner in partners if (partner.sum > 0 if sign == "+" else partner.sum < 0)]


PAGES = (
    Page(
        "/models/{model}/{layer}/{unit}/weights",
        "weights",
        "The weight explorer at a unit; with `direction`, every partner of the unit.",
        build_weights,
        (ExplorerPage, PartnersPage),
        PARAMETERS,
    ),
)
