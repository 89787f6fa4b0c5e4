"""Histograms under sliders: the bars as one path, and between which edges a range lies. Plain arithmetic."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

HEIGHT = 28


def bars(counts: Sequence[int]) -> str:
    """Return the bars as an SVG path, one unit wide each; heights grow with the root, so that single units can be seen.

    >>> bars([1, 4, 0])
    'M0 28V14h1V28ZM1 28V0h1V28Z'
    """
    top = max(counts, default=0) ** 0.5
    return "".join(
        f"M{place} {HEIGHT}V{_short(HEIGHT - max(1.0, HEIGHT * count**0.5 / top))}h1V{HEIGHT}Z"
        for place, count in enumerate(counts)
        if count
    )


def range_of(edges: Sequence[float], low: str, high: str) -> tuple[int, int]:
    """Return the edges next outside a range, as places; what is not given, or is no number, is the end.

    >>> range_of([0, 1, 2, 3], "1.5", ""), range_of([0, 1, 2, 3], "", "2"), range_of([0, 1], "x", "9")
    ((1, 3), (0, 2), (0, 1))
    """
    last = len(edges) - 1
    first, final = _number(low), _number(high)
    start = 0 if first is None else max(0, min(last, bisect_right(edges, first) - 1))
    end = last if final is None else max(0, min(last, bisect_left(edges, final)))
    return start, max(start, end)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
