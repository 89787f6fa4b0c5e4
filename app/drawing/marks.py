"""Geometry of bars by label, of the examples' places on a histogram, and of the map of a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.contexts import Example, Examples, Histogram, Place
from app.drawing.shapes import Cut, tile

MAP_SIDE = 1000.0
LARGEST_TILE = 90.0


@dataclass(frozen=True)
class Span:
    """A bar from zero to a value, in percent of its frame; `zero` is where zero lies, None at the edge."""

    x: float
    width: float
    zero: float | None


def range_of(values: Iterable[float | None]) -> tuple[float, float]:
    """Return the smallest and largest of some values and zero.

    >>> range_of([2.0, -1.0])
    (-1.0, 2.0)
    """
    known = [value for value in values if value is not None]
    return min([0.0, *known]), max([0.0, *known])


def span(value: float | None, low: float, high: float) -> Span:
    """Return the bar of a value on a scale from `low` to `high`, which holds zero.

    >>> span(1.0, -1.0, 3.0)
    Span(x=25.0, width=25.0, zero=25.0)
    """
    whole = (high - low) or 1.0
    zero = -low / whole * 100
    end = ((value or 0.0) - low) / whole * 100
    return Span(round(min(zero, end), 2), round(abs(end - zero), 2), round(zero, 2) if low < 0 else None)


def heat_opacity(share: float) -> float:
    """Return how far the colour of an activation covers the photograph, for a share of the largest from 0 to 1."""
    return round(0.72 * (1 - 2 * share) if share < 0.5 else 0.46 * (2 * share - 1), 3)


@dataclass(frozen=True)
class ExampleMark:
    """The place of an example on a histogram; `tile` names its tile as the tile's own drawing does."""

    x: float
    tile: str


def example_marks(histogram: Histogram, examples: Examples, width: int) -> list[ExampleMark]:
    """Return where the pre-activations of a unit's examples lie on its histogram; those that are not known are left out."""
    edges = [edge for edge in histogram.edges if edge is not None]
    if len(edges) < 2 or edges[-1] <= edges[0] or examples.strip is None:
        return []
    low, whole = edges[0], edges[-1] - edges[0]
    found: list[ExampleMark] = []
    for example in all_examples(examples):
        if example.pre_activation is None:
            continue
        x = min(max((example.pre_activation - low) / whole, 0.0), 1.0) * width
        part = tile(example.crop, examples.strip.width, examples.strip.height)
        found.append(ExampleMark(round(x, 1), f"{part.x} {part.y} {part.width} {part.height}"))
    return found


def all_examples(examples: Examples) -> Iterator[Example]:
    """Yield every example of a unit."""
    yield from examples.top
    yield from examples.bottom
    for part in examples.quantiles:
        yield from part.items
    yield from examples.random


@dataclass(frozen=True)
class PlacedUnit:
    """A unit on the map of its layer: its frame, and the part of a sheet that it shows (None: no picture yet)."""

    unit: Place
    x: float
    y: float
    size: float
    cut: Cut | None
    sheet: int


def map_sheets(cuts: Mapping[tuple[str, int], Cut]) -> list[Cut]:
    """Return one part of each sheet, in the order in which `placed` numbers them."""
    return list({cut.url: cut for cut in cuts.values()}.values())


def placed(units: Sequence[Place], cuts: Mapping[tuple[str, int], Cut], layer: str) -> list[PlacedUnit]:
    """Return the frames of the units that have a place, on a square of 1,000; the more units, the smaller."""
    sheets = {cut.url: number for number, cut in enumerate(map_sheets(cuts))}
    known = [unit for unit in units if unit.x is not None and unit.y is not None]
    size = round(min(LARGEST_TILE, 0.72 * MAP_SIDE / math.sqrt(max(len(known), 1))), 1)
    room = (MAP_SIDE - size) / 2
    found: list[PlacedUnit] = []
    for unit in known:
        cut = cuts.get((layer, unit.index))
        x, y = ((value or 0.0) * room + room for value in (unit.x, unit.y))
        found.append(PlacedUnit(unit, round(x, 1), round(y, 1), size, cut, -1 if cut is None else sheets[cut.url]))
    return found
