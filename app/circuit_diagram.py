"""Geometry of the diagram of a circuit: units as cards, in columns by layer or where the author put them, edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.contexts import CircuitEdgePart, CircuitPage, CircuitUnitPart
from app.drawing import Cut, sheet

CARD_WIDTH = 128
CARD_HEIGHT = 150
PICTURE_PX = 96
COLUMN_GAP = 110
ROW_GAP = 22
TOP = 34
EDGE = 8
SWEEPS = 3

Key = tuple[str, int]


@dataclass(frozen=True)
class Card:
    """A unit in its place."""

    unit: CircuitUnitPart
    x: float
    y: float
    cut: Cut | None


@dataclass(frozen=True)
class Line:
    """An edge in its place; `strength` is its norm as a share of the largest into the same layer."""

    edge: CircuitEdgePart
    path: str
    width: float
    opacity: float


@dataclass(frozen=True)
class CircuitDrawing:
    """A circuit as a picture."""

    width: int
    height: int
    cards: list[Card]
    lines: list[Line]
    headings: list[tuple[int, str]]


def draw_circuit(page: CircuitPage) -> CircuitDrawing:
    """Return the diagram of a circuit: where every unit has a position, those count; else layers are columns."""
    cuts = sheet(page.model, ((unit.layer, unit.unit, unit.thumbnail) for unit in page.units), PICTURE_PX)
    placed = [unit for unit in page.units if unit.position is not None]
    is_free = len(placed) == len(page.units)
    places = _as_placed(page.units) if is_free else _in_columns(page)
    cards = {
        (unit.layer, unit.unit): Card(unit, *places[unit.layer, unit.unit], cuts.get((unit.layer, unit.unit)))
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
        lines.append(Line(edge, _path(source, target), width, opacity))
    return lines


def _path(source: Card, target: Card) -> str:
    y0, y1 = source.y + CARD_HEIGHT / 2, target.y + CARD_HEIGHT / 2
    if target.x >= source.x + CARD_WIDTH:
        x0, x1 = source.x + CARD_WIDTH, target.x
        bend = max(30.0, (x1 - x0) / 2)
        return f"M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    x0, x1 = source.x + CARD_WIDTH / 2, target.x + CARD_WIDTH / 2
    return f"M{x0:g} {y0:g}L{x1:g} {y1:g}"
