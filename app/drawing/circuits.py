"""Geometry of the diagram of a circuit: units as cards, in columns by layer or where the author put them, edges between them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.contexts import CircuitEdgePart, CircuitPage, CircuitUnitPart
from app.drawing.shapes import Cut, sheet

CARD_WIDTH = 128
CARD_HEIGHT = 164
PICTURE_PX = 96
COLUMN_GAP = 110
ROW_GAP = 22
TOP = 34
EDGE = 8
SWEEPS = 3
LETTERS = 21
"""So many stand in a row of a card."""
ONE_WAY = 0.25
"""Of the largest sum that a kernel of its norm can have: below it, the kernel adds about as much as it takes away."""
Tone = Literal["positive", "negative", "mixed", "unknown"]

Key = tuple[str, int]


@dataclass(frozen=True)
class Card:
    """A unit in its place; `words` are the rows of text below its number."""

    unit: CircuitUnitPart
    x: float
    y: float
    cut: Cut | None
    words: list[str]


@dataclass(frozen=True)
class Line:
    """An edge in its place; `strength` is its norm as a share of the largest into the same layer."""

    edge: CircuitEdgePart
    path: str
    width: float
    opacity: float
    tone: Tone


@dataclass(frozen=True)
class CircuitDrawing:
    """A circuit as a picture."""

    width: int
    height: int
    cards: list[Card]
    lines: list[Line]
    headings: list[tuple[int, str]]
    card_width: int = CARD_WIDTH
    card_height: int = CARD_HEIGHT
    picture_px: int = PICTURE_PX


def draw_circuit(page: CircuitPage) -> CircuitDrawing:
    """Return the diagram of a circuit: where every unit has a position, those count; else layers are columns."""
    cuts = sheet(page.model, ((unit.layer, unit.unit, unit.thumbnail) for unit in page.units), PICTURE_PX)
    placed = [unit for unit in page.units if unit.position is not None]
    is_free = len(placed) == len(page.units)
    places = _as_placed(page.units) if is_free else _in_columns(page)
    cards = {
        (unit.layer, unit.unit): Card(unit, *places[unit.layer, unit.unit], cuts.get((unit.layer, unit.unit)), _words(unit))
        for unit in page.units
    }
    headings = [] if is_free else [(EDGE + column * (CARD_WIDTH + COLUMN_GAP), name) for column, name in enumerate(page.layers)]
    right = max(card.x for card in cards.values()) + CARD_WIDTH + EDGE
    bottom = max(card.y for card in cards.values()) + CARD_HEIGHT + EDGE
    return CircuitDrawing(round(right), round(bottom), list(cards.values()), _lines(page.edges, cards), headings)


def _as_placed(units: Sequence[CircuitUnitPart]) -> dict[Key, tuple[float, float]]:
    positions = {(unit.layer, unit.unit): unit.position for unit in units if unit.position is not None}
    left, top = min(place.x for place in positions.values()), min(place.y for place in positions.values())
    return {key: (place.x - left + EDGE, place.y - top + EDGE) for key, place in positions.items()}


def _in_columns(page: CircuitPage) -> dict[Key, tuple[float, float]]:
    columns = {name: [(unit.layer, unit.unit) for unit in page.units if unit.layer == name] for name in page.layers}
    links = [((edge.source.layer, edge.source.unit), (edge.target.layer, edge.target.unit)) for edge in page.edges]
    height = max(len(column) for column in columns.values()) * (CARD_HEIGHT + ROW_GAP)
    places: dict[Key, tuple[float, float]] = {}

    def lay(name: str) -> None:
        column = columns[name]
        x = EDGE + page.layers.index(name) * (CARD_WIDTH + COLUMN_GAP)
        y = TOP + (height - len(column) * (CARD_HEIGHT + ROW_GAP)) / 2
        places.update({key: (x, y + place * (CARD_HEIGHT + ROW_GAP)) for place, key in enumerate(column)})

    for name in page.layers:
        lay(name)
    for sweep in range(SWEEPS):  # each unit beside the middle of those that it is linked to: fewer lines cross
        for name in page.layers if sweep % 2 == 0 else reversed(page.layers):
            middles = {key: _middle(key, links, places) for key in columns[name]}
            columns[name].sort(key=lambda key: middles[key])
            lay(name)
    return places


def _middle(key: Key, links: Sequence[tuple[Key, Key]], places: dict[Key, tuple[float, float]]) -> float:
    others = [places[a if b == key else b][1] for a, b in links if key in (a, b)]
    return sum(others) / len(others) if others else places[key][1]


def _lines(edges: Sequence[CircuitEdgePart], cards: dict[Key, Card]) -> list[Line]:
    largest: dict[str, float] = {}
    for edge in edges:
        largest[edge.target.layer] = max(largest.get(edge.target.layer, 0.0), edge.norm or 0.0)
    lines: list[Line] = []
    for edge in sorted(edges, key=lambda edge: edge.norm or 0.0):  # strong ones on top
        strength = (edge.norm or 0.0) / (largest[edge.target.layer] or 1.0)
        source, target = (cards[end.layer, end.unit] for end in (edge.source, edge.target))
        is_known = edge.norm is not None
        width, opacity = (round(1.5 + 6.5 * strength, 2), round(0.4 + 0.55 * strength, 2)) if is_known else (1.5, 0.9)
        lines.append(Line(edge, _path(source, target), width, opacity, tone_of(edge)))
    return lines


def tone_of(edge: CircuitEdgePart) -> Tone:
    """Return whether an edge adds, takes away, or does both in different places, so that its sum says next to nothing."""
    if edge.norm is None or edge.sum is None:
        return "unknown"
    largest = edge.norm * math.sqrt(math.prod(edge.kernel_shape or (1,)))
    if abs(edge.sum) <= ONE_WAY * largest:
        return "mixed"
    return "positive" if edge.sum > 0 else "negative"


def _words(unit: CircuitUnitPart) -> list[str]:
    rows = textwrap.wrap(unit.role or unit.label or unit.layer, LETTERS, max_lines=2, placeholder="…")
    return rows or [unit.layer[:LETTERS]]


def _path(source: Card, target: Card) -> str:
    y0, y1 = source.y + CARD_HEIGHT / 2, target.y + CARD_HEIGHT / 2
    if target.x >= source.x + CARD_WIDTH:
        x0, x1 = source.x + CARD_WIDTH, target.x
        bend = max(30.0, (x1 - x0) / 2)
        return f"M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    x0, x1 = source.x + CARD_WIDTH / 2, target.x + CARD_WIDTH / 2
    return f"M{x0:g} {y0:g}L{x1:g} {y1:g}"
