"""The weight explorer, and the list of every partner of a unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from app import urls
from app.contexts import Context, ExplorerPage, KernelFacet, ListedPartner, PartnersPage, RouteRow, Routes
from app.dependencies import Visit
from app.drawing.shapes import largest
from app.explorer.circuit import circuit_links
from app.explorer.graph import Explorer
from app.explorer.query import MAX_UNFOLDED, query_of
from app.explorer.state import SHARED_PARAMETERS, STATE_PARAMETERS, read_sign, read_state
from app.pages.units import build_links
from app.parts.kernels import KINDS, KernelView, kernel_view
from app.parts.partners import listed_partners_of
from app.parts.routes import MAX_ROUTES, read_route
from app.parts.summaries import coverage_of, stages_of
from app.pictures.thumbs import layer_thumbnails
from app.query import Parameter
from app.twins import Page
from app.words.formats import MAX_OFFERED
from precompute.circuits.graph import MERGES, Way
from precompute.errors import UnknownName, UsageError
from precompute.store.arrays import Direction
from precompute.store.expanded import composed, expanded_partners, expanded_table, layers_in_reach, routes_between
from precompute.store.partners import Partners, PartnerWeight, Ranking, all_partners

DEFAULT_LIMIT = 50
VIEWS = ("table", "kernels")
PARAMETERS = (
    *STATE_PARAMETERS,
    *SHARED_PARAMETERS,
    Parameter("direction", "List every partner in one direction instead", choices=("inputs", "outputs")),
    Parameter("layer", "With direction: the partners in this layer, which may lie any number of layers away"),
    Parameter(
        "route",
        "With direction and layer: paths over these layers, `LAYER,LAYER`; `direct`: none between; `all`: every path",
    ),
    Parameter("view", "With direction: a list with numbers, or all kernels side by side", choices=VIEWS, default="table"),
    Parameter("kind", "With direction: only partners whose kernel is of this kind", choices=KINDS),
    Parameter("scale", "With view=kernels: one scale for all, or each kernel its own", choices=("view", "each"), default="view"),
    Parameter("limit", "With direction: partners on a page, 1 to 500", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "With direction: a place in the list, from `next`"),
)
OPPOSITE: dict[Direction, Direction] = {"inputs": "outputs", "outputs": "inputs"}
_LIST_ONLY = ("layer", "route", "view", "kind", "scale", "limit", "after")


def build_weights(visit: Visit) -> Context:
    """Return the explorer, or the list of partners where a direction is asked for."""
    direction = visit.query.choice("direction")
    if direction is not None:
        if refused := [p.name for p in STATE_PARAMETERS if visit.query.text(p.name)]:
            raise UsageError(f"{refused[0]!r} belongs to the explorer: leave it out, or leave 'direction' out.")
        return build_partners(visit, cast("Direction", direction))
    if refused := [name for name in _LIST_ONLY if visit.query.text(name)]:
        raise UsageError(f"{refused[0]!r} needs 'direction': add direction=inputs or direction=outputs.")
    return build_explorer(visit)


def build_explorer(visit: Visit) -> ExplorerPage:
    """Return the explorer at a unit."""
    layer, unit = visit.layer, visit.unit
    state = read_state(visit.query, visit.catalog, (layer.name, unit))
    explorer = Explorer(visit.reader, visit.catalog, state)
    edges = explorer.edges()
    told = state.told()
    query = query_of(told)
    links = build_links(visit) | {
        "html": visit.full_address,
        "self": urls.twin(visit.full_address),
        "unit": visit.address.removesuffix("/weights"),
        "whole": urls.with_query(visit.address, query_of(told, embed=False)),
        "graphml": urls.graph_file(layer.model_id, layer.name, unit, **query),
    }
    links |= circuit_links(layer.model_id, layer.name, unit, told)
    links["views"] = None if visit.door.settings.write_token is None else urls.views()
    return ExplorerPage(
        model=visit.catalog.model.id,
        layer=layer.name,
        unit=unit,
        label=visit.reader.labels(layer, [unit]).get(unit),
        state=told,
        columns=explorer.columns(),
        edges=edges,
        maximum=largest(edge.kernel for edge in edges),
        max_unfolded=MAX_UNFOLDED,
        bypassed=explorer.bypassed(),
        bypass_words=explorer.bypass_words(),
        notes=explorer.notes(),
        layer_inputs=list(layer.spec.inputs),
        layer_outputs=list(layer.spec.outputs),
        passed_over=[*_repeating(visit, layer.spec.inputs), *_repeating(visit, layer.spec.outputs)],
        stages=stages_of(coverage_of(visit.reader, visit.catalog, [layer])),
        links=links,
    )


def _repeating(visit: Visit, names: Sequence[str]) -> list[str]:
    """Return the streams and concatenations among the layers on one side, where there are others."""
    merges = [name for name in names if name in visit.catalog.layers and visit.catalog.layers[name].spec.operation in MERGES]
    return merges if len(merges) < len(names) else []


def build_partners(visit: Visit, direction: Direction) -> PartnersPage:
    """Return a page of the list of every partner."""
    layer, unit, query = visit.layer, visit.unit, visit.query
    neighbours = list(layer.spec.inputs if direction == "inputs" else layer.spec.outputs)
    partner_layer = query.text("layer") or None
    reach = _reach(visit, direction, neighbours, partner_layer)
    route = _route(visit, direction, partner_layer)
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 500)
    is_expanded = partner_layer is not None and (route is not None or partner_layer not in neighbours)
    everyone = _all(visit, direction, partner_layer if is_expanded else None, route)
    together = _together(visit, direction, [partner_layer] if partner_layer else neighbours, route if is_expanded else None)
    partners, scope = _listed(visit, everyone, together, partner_layer)
    scope |= {"direction": direction, "route": urls.route_text(route)}
    start = visit.first_place(scope)
    items = _items(visit, direction, partners.take(slice(start, start + limit)).rows(), start + 1, together, route)
    is_one_scale = together is not None and query.choice("view", "table") == "kernels"
    return PartnersPage(
        model=visit.catalog.model.id,
        layer=layer.name,
        unit=unit,
        direction=direction,
        items=items,
        total=len(partners),
        next=visit.following(scope, start + limit, len(partners)),
        query=query.values,
        layers=neighbours,
        reach=reach,
        is_expanded=is_expanded,
        is_cut=_is_cut(visit, direction, partner_layer, route) if is_expanded and partner_layer is not None else None,
        routes=_routes(visit, direction, partner_layer),
        repeating_layers=_repeating(visit, neighbours),
        num_for_90_percent=(everyone if is_expanded else everyone.of_layers(neighbours)).num_for_most,
        maximum=together.maximum if together is not None and is_one_scale else largest(item.kernel for item in items),
        view=query.choice("view", "table") or "table",
        thumbnail=layer_thumbnails(visit.reader, visit.catalog, layer, [unit]).get(unit),
        facets=_facets(visit, together),
        control=None if together is None else together.control,
        links=build_links(visit)
        | {
            "html": visit.full_address,
            "self": urls.twin(visit.full_address),
            "unit": visit.address.removesuffix("/weights"),
            "factors": _factors_link(visit, direction, partner_layer, neighbours),
        },
    )


def _reach(visit: Visit, direction: Direction, neighbours: list[str], partner_layer: str | None) -> list[str]:
    """Return the nearest layers that weights lead to, and the one that is asked for.

    Raises:
        UnknownName: No weights lead to the one that is asked for.
    """
    found = layers_in_reach(visit.reader, visit.catalog, visit.layer.name, direction, MAX_OFFERED)
    if partner_layer is None or partner_layer in neighbours or partner_layer in found:
        return found
    everything = layers_in_reach(visit.reader, visit.catalog, visit.layer.name, direction)
    if partner_layer not in everything:
        raise _no_partner_layer(visit, direction, partner_layer, everything or neighbours)
    return [partner_layer, *found] if direction == "inputs" else [*found, partner_layer]


def _no_partner_layer(visit: Visit, direction: Direction, name: str, known: list[str]) -> UnknownName:
    hint = ""
    if name in visit.catalog.layers:
        others = layers_in_reach(visit.reader, visit.catalog, visit.layer.name, OPPOSITE[direction])
        side = f"; it is on the other side: direction={OPPOSITE[direction]}" if name in others else ""
        hint = f"The model has a layer {name!r}, but no weights lead {'from' if direction == 'inputs' else 'to'} there{side}."
    return UnknownName("layer", name, [] if hint else known, where=f"{visit.layer.name} ({direction})", hint=hint)


def _factors_link(visit: Visit, direction: Direction, partner_layer: str | None, neighbours: list[str]) -> str | None:
    if not neighbours and partner_layer is None:
        return None
    layer = visit.layer
    return urls.factors(layer.model_id, layer.name, visit.unit, direction=direction, layer=partner_layer)


def _together(visit: Visit, direction: Direction, layers: list[str], route: Way | None) -> KernelView | None:
    """Return all kernels together where their kinds or their one scale are asked for; those asked for last are kept."""
    kind, view = visit.query.choice("kind"), visit.query.choice("view", "table")
    if visit.query.choice("scale") is not None and view != "kernels":
        raise UsageError("'scale' needs view=kernels: add it, or leave 'scale' out.")
    if kind is None and view != "kernels":
        return None
    kept = visit.reader.kept(visit.revision)
    key = ("kernels", visit.address, direction, tuple(layers), route)
    latest: dict[object, KernelView] = kept.get("latest kernels", {})
    if key not in latest:
        latest = {key: kernel_view(visit.side(direction), layers, route)}
        kept["latest kernels"] = latest
    return latest[key]


def _listed(
    visit: Visit, everyone: Partners, together: KernelView | None, partner_layer: str | None
) -> tuple[Partners, dict[str, str | None]]:
    """Return the partners that pass the filters, in the order asked for, and what a place among them is valid for."""
    sign, kind = read_sign(visit.query), visit.query.choice("kind")
    ranking = cast("Ranking", visit.query.choice("sort", "norm"))
    partners = (everyone if partner_layer is None else everyone.of_layers([partner_layer])).of_sign(sign)
    if kind is not None and together is not None:
        kinds = together.kinds
        partners = partners.take(np.array([kinds.get((one.layer, one.unit)) == kind for one in partners.rows()], bool))
    if ranking != "norm":
        partners = partners.ranked(ranking, is_ascending=ranking == "sum" and sign == "-")
    return partners, {"unit": visit.address, "layer": partner_layer, "sign": sign, "sort": ranking, "kind": kind}


def _items(
    visit: Visit,
    direction: Direction,
    listed: list[PartnerWeight],
    first_rank: int,
    together: KernelView | None,
    route: Way | None,
) -> list[ListedPartner]:
    return listed_partners_of(
        visit.side(direction),
        listed,
        first_rank=first_rank,
        route=route,
        maximum=None if together is None or visit.query.choice("scale") == "each" else together.maximum,
        labels=None if together is None else together.labels,
    )


def _facets(visit: Visit, together: KernelView | None) -> list[KernelFacet]:
    """Return the facets with their links: a kind, or from that kind back to all."""
    if together is None:
        return []
    layer, current = visit.layer, visit.query.choice("kind")
    values = {name: value for name, value in visit.query.values.items() if name not in ("after", "kind")}
    return [
        facet.model_copy(
            update={
                "link": visit.prefer(
                    urls.weights(
                        layer.model_id,
                        layer.name,
                        visit.unit,
                        **(values if facet.kind == current else values | {"kind": facet.kind}),
                    )
                )
            }
        )
        for facet in together.facets
    ]


def _route(visit: Visit, direction: Direction, partner_layer: str | None) -> Way | None:
    text = visit.query.text("route")
    if text and partner_layer is None:
        raise UsageError("'route' needs 'layer': the layer that the paths lead to.")
    if not text or partner_layer is None:
        return None
    ends = (partner_layer, visit.layer.name) if direction == "inputs" else (visit.layer.name, partner_layer)
    return read_route(visit.reader, visit.catalog, text, *ends)


def _all(visit: Visit, direction: Direction, partner_layer: str | None, route: Way | None) -> Partners:
    """Return every partner, by norm; those of the unit that was asked for last are kept."""
    kept = visit.reader.kept(visit.revision)
    key = ("partners", visit.address, direction, partner_layer, route)
    latest: dict[object, Partners] = kept.get("latest partners", {})
    if key not in latest:
        if partner_layer is None:
            found = all_partners(visit.side(direction))
        else:
            found = expanded_partners(visit.side(direction), partner_layer, route)
        latest = {key: found}
        kept["latest partners"] = latest
    return latest[key]


def _is_cut(visit: Visit, direction: Direction, partner_layer: str, route: Way | None) -> bool:
    return composed(visit.side(direction), partner_layer, route).is_cut


def _routes(visit: Visit, direction: Direction, partner_layer: str | None) -> Routes | None:
    """Return the ways that paths between a unit and another layer take, with how much each gives; None where none is longer."""
    if partner_layer is None:
        return None
    side = visit.side(direction)
    is_linked = side.link(partner_layer) is not None
    found, count = routes_between(visit.reader, visit.catalog, *side.layers(partner_layer), MAX_ROUTES)
    if is_linked and count < 2:
        return None
    chosen = visit.query.text("route", "direct" if is_linked else "all")
    rows: list[RouteRow] = []
    for route in found:
        text = urls.route_text(route)
        table, is_exact = expanded_table(side, partner_layer, route)
        query = _without_place(visit) | {"route": text}
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
    together = urls.weights(visit.catalog.model.id, visit.layer.name, visit.unit, **_without_place(visit) | {"route": "all"})
    return Routes(items=rows, total=count, is_all=chosen == "all", links={"html": together})


def _without_place(visit: Visit) -> dict[str, str]:
    return {name: value for name, value in visit.query.values.items() if name != "after"}


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
