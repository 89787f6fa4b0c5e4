"""In which order cards stand in their columns, so that few lines cross: the barycentre method, always with the same result."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from app.explorer.query import UnitKey

SWEEPS = 6


def order_columns(columns: Sequence[Sequence[UnitKey]], edges: Iterable[tuple[UnitKey, UnitKey]]) -> list[list[UnitKey]]:
    """Return the columns with the cards of each in an order that lessens crossings.

    Each sweep sorts every column by where the neighbours of a card stand on average, as a part of the height of their columns;
    cards that tie keep their order. Of all sweeps the one with the fewest crossings is taken.

    Args:
        columns: The cards of each column, from left to right; their order decides where nothing else does.
        edges: Source and target of every weight that is drawn.
    """
    listed = list(edges)
    neighbours: dict[UnitKey, list[UnitKey]] = {}
    for source, target in listed:
        neighbours.setdefault(source, []).append(target)
        neighbours.setdefault(target, []).append(source)
    current = [list(column) for column in columns]
    best, fewest = [list(column) for column in current], count_crossings(current, listed)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        for place in range(len(current)) if sweep % 2 == 0 else reversed(range(len(current))):
            current[place] = _sorted(current[place], neighbours, _heights(current))
        found = count_crossings(current, listed)
        if found < fewest:
            best, fewest = [list(column) for column in current], found
    return best


def count_crossings(columns: Sequence[Sequence[UnitKey]], edges: Iterable[tuple[UnitKey, UnitKey]]) -> int:
    """Return how many pairs of lines between the same two columns cross."""
    place = {key: (number, row) for number, column in enumerate(columns) for row, key in enumerate(column)}
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for source, target in edges:
        (left, row), (right, other) = place[source], place[target]
        groups.setdefault((left, right), []).append((row, other))
    return sum(_inversions([right for _, right in sorted(group)]) for group in groups.values())


def _sorted(
    column: list[UnitKey], neighbours: Mapping[UnitKey, list[UnitKey]], heights: Mapping[UnitKey, float]
) -> list[UnitKey]:
    def key(card: UnitKey) -> float:
        found = [heights[other] for other in neighbours.get(card, [])]
        return sum(found) / len(found) if found else heights[card]

    return sorted(column, key=key)


def _heights(columns: Sequence[Sequence[UnitKey]]) -> dict[UnitKey, float]:
    """Return where cards stand: 0 at the middle of their column, in rows."""
    return {key: row - (len(column) - 1) / 2 for column in columns for row, key in enumerate(column)}


def _inversions(values: list[int]) -> int:
    """Return how many pairs of values stand in the wrong order: for each, the larger ones before it."""
    before: list[int] = []
    total = 0
    for value in values:
        place = bisect_right(before, value)
        total += len(before) - place
        before.insert(place, value)
    return total
