"""Where each example lies on the strip of its unit, and which part of the image its tile shows. Plain arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from precompute.store.records import Json

TOP_PX = 144
REST_PX = 96
WIDTH = 1152  # 8 top tiles or 12 of the rest
SMALLEST_PX = 32  # of the image: a tile shows at least this much
FORMAT = "3"  # part of every version: changes when the pictures are made in another way


@dataclass(frozen=True)
class Tile:
    """A place on a strip."""

    x: int
    y: int
    size: int


@dataclass(frozen=True)
class Window:
    """A square part of an image in pixels; it may reach beyond the image."""

    x: int
    y: int
    size: int


def window_of(box: tuple[int, int, int, int], height: int, width: int) -> Window:
    """Return the square that a tile shows for a box `(y0, x0, y1, x1)`: the box, some context where it is tiny, inside the image.

    >>> window_of((0, 0, 7, 4), 224, 224)
    Window(x=0, y=0, size=32)
    """
    y0, x0, y1, x1 = box
    size = min(max(y1 - y0, x1 - x0, SMALLEST_PX), max(height, width))
    left = round((x0 + x1 - size) / 2)
    top = round((y0 + y1 - size) / 2)
    left = max(0, min(left, width - size)) if size <= width else (width - size) // 2
    top = max(0, min(top, height - size)) if size <= height else (height - size) // 2
    return Window(left, top, size)


def example_rows(payload: Json) -> tuple[list[Sequence[float]], list[Sequence[float]]]:
    """Return the rows of an `examples` payload in the order of the strip: the top ones, and all others."""
    others = [*payload.get("bottom", [])]
    for part in payload.get("quantiles", []):
        others += part["items"]
    return list(payload.get("top", [])), others + list(payload.get("random", []))


def tiles_of(num_top: int, num_others: int) -> list[Tile]:
    """Return the places of all examples, the top ones first."""
    per_row, per_row_rest = WIDTH // TOP_PX, WIDTH // REST_PX
    tops = [Tile(place % per_row * TOP_PX, place // per_row * TOP_PX, TOP_PX) for place in range(num_top)]
    below = -(-num_top // per_row) * TOP_PX
    rest = [Tile(p % per_row_rest * REST_PX, below + p // per_row_rest * REST_PX, REST_PX) for p in range(num_others)]
    return tops + rest


def height_of(num_top: int, num_others: int) -> int:
    """Return the height of a strip."""
    return -(-num_top // (WIDTH // TOP_PX)) * TOP_PX + -(-num_others // (WIDTH // REST_PX)) * REST_PX


def version_of(payload: Json, blob_names: Sequence[str]) -> str:
    """Return a text that changes when the strip changes."""
    top, others = example_rows(payload)
    return hashlib.sha256(f"{FORMAT}|{top}|{others}|{sorted(blob_names)}".encode()).hexdigest()[:16]
