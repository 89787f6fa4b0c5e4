"""What the template of the weight explorer needs beside its context: addresses of actions, names, scales, fields of a form."""

from __future__ import annotations

from typing import Any

from app import urls
from app.contexts import ExplorerEdge, ExplorerPage, ExplorerUnit
from app.drawing.shapes import Cut, largest
from app.explorer.query import UnitList, query_of, toggled, write_unit


def name_of(card: ExplorerUnit) -> str:
    """Return a card as the query says it."""
    return write_unit((card.layer, card.unit))


def toggle(page: ExplorerPage, name: UnitList, card: str) -> str | None:
    """Return the address of the page with a card put on a list or taken from it, or None where no more can be unfolded."""
    query = toggled(page.state, name, card)
    return None if query is None else urls.weights(page.model, page.layer, page.unit, **query)


def changed(page: ExplorerPage, **changes: Any) -> str:
    """Return the address of the page with some parameters changed."""
    return urls.weights(page.model, page.layer, page.unit, **query_of(page.state, **changes))


def kept_fields(page: ExplorerPage) -> dict[str, str]:
    """Return the query parameters that the form of the page does not show: what is unfolded, hidden and pinned."""
    query = query_of(page.state)
    return {name: query[name] for name in ("inputs", "outputs", "hide", "pin", "camera", "embed") if name in query}


def cut_of(card: ExplorerUnit) -> Cut | None:
    """Return the picture of a card as a part of its sheet."""
    return None if card.sprite is None else Cut(**card.sprite.model_dump())


def scales(page: ExplorerPage) -> dict[tuple[str, str], float]:
    """Return, for each pair of layers, the largest single weight shown: the value with the full colour in their kernels."""
    groups: dict[tuple[str, str], list[ExplorerEdge]] = {}
    for edge in page.edges:
        groups.setdefault((edge.source_layer, edge.target_layer), []).append(edge)
    return {ends: largest(edge.kernel for edge in edges) for ends, edges in groups.items()}


def by_strength(page: ExplorerPage) -> list[ExplorerEdge]:
    """Return the weights for the table, strongest first."""
    return list(reversed(page.edges))
