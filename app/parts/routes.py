"""Routes in addresses: the layers that paths between two layers go over."""

from __future__ import annotations

from itertools import pairwise

from app import urls
from app.query import Query
from precompute.circuits.graph import ALL_WAYS, Way
from precompute.errors import UsageError
from precompute.store.expanded import routes_between, weight_graph
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

MAX_ROUTES = 24


def read_route(reader: AtlasReader, catalog: Catalog, text: str, source: str, target: str) -> Way | None:
    """Return the route that a query parameter names, or None where it is empty.

    Without a route, layers that are directly linked have the weights of that link, and others those of all paths together.

    Args:
        reader: The atlas.
        catalog: The model.
        text: Names of the layers between, with commas; `direct` for none between, `all` for every path.
        source: The earlier layer.
        target: The later layer.

    Raises:
        UsageError: No path takes these steps.
    """
    if not text:
        return None
    if text == "all":
        return ALL_WAYS
    route = () if text == "direct" else tuple(text.split(","))
    stops = [source, *route, target]
    graph = weight_graph(reader, catalog)
    links = {(link.source, link.target) for link in graph.links_between(source, target)}
    if not set(pairwise(stops)) <= links:
        known = [urls.route_text(found) or "" for found in routes_between(reader, catalog, source, target, MAX_ROUTES)[0]]
        listed = "; ".join(known[:8]) or "none"
        raise UsageError(f"route={text[:200]!r} does not lead from {source} to {target}. Routes that do: {listed}.")
    return route


def read_way(reader: AtlasReader, catalog: Catalog, query: Query, source: str, target: str) -> Way | None:
    """Return which paths the parameters `route` or `over` of a query name, or None for all.

    Args:
        reader: The atlas.
        catalog: The model.
        query: The query.
        source: The earlier layer.
        target: The later layer.

    Raises:
        UsageError: No path takes these steps, or both are given.
        UnknownName: The model has no such layer.
    """
    text = query.text("over")
    if text and query.text("route"):
        raise UsageError("'route' and 'over' say the same in two ways: give one of them.")
    if not text:
        return read_route(reader, catalog, query.text("route"), source, target)
    return frozenset(catalog.layer(name).name for name in text.split(","))
