"""Activation maps laid over the strip of a unit's examples: dark where the unit is silent, clear where it is active."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.drawing import strips
from precompute.store.records import Catalog, Json, LayerRecord

SHRINK = 4
DARK, BRIGHT = (0, 0, 0), (255, 140, 0)
DARK_ALPHA, BRIGHT_ALPHA = 0.72, 0.46


def heat_strip(catalog: Catalog, layer: LayerRecord, payload: Json, maps: NDArray[np.uint8]) -> bytes:
    """Return the maps as PNG with transparency, a quarter as wide and high as the strip of the examples.

    Args:
        catalog: The model.
        layer: Layer of the unit.
        payload: Its examples.
        maps: `[place, height, width]`: of the strongest examples, then of those over the range.
    """
    top, others = strips.example_rows(payload)
    rows, tiles = [*top, *others], strips.tiles_of(len(top), len(others))
    size = (strips.WIDTH // SHRINK, max(1, strips.height_of(len(top), len(others))) // SHRINK)
    strength = np.zeros((size[1], size[0]), np.float32)
    covered = np.zeros(strength.shape, bool)
    height, width = catalog.model.input_height, catalog.model.input_width
    for place, values in zip(places_of(payload), maps, strict=False):
        if place is None:
            continue
        y, x = int(rows[place][2]), int(rows[place][3])
        window = strips.window_of(layer.spec.box_at(y, x, height, width), height, width)
        tile, side = tiles[place], tiles[place].size // SHRINK
        part = (slice(tile.y // SHRINK, tile.y // SHRINK + side), slice(tile.x // SHRINK, tile.x // SHRINK + side))
        strength[part], covered[part] = window_of_map(values, window, (height, width), side), True
    return _png(strength, covered)


def places_of(payload: Json) -> list[int | None]:
    """Return the place on the strip of each example that has a map, in the order of the maps; None where there is no example."""
    num_top = len(payload.get("top", []))
    first = num_top + len(payload.get("bottom", []))
    over = sum(len(part["items"]) for part in payload.get("quantiles", []))
    return [*range(num_top), *range(first, first + over)]


def window_of_map(values: NDArray[np.uint8], window: strips.Window, size: tuple[int, int], side: int) -> NDArray[np.float32]:
    """Return the part of a map that a tile shows, float32 `[side, side]` from 0 to 1; nothing beyond the image.

    Args:
        values: uint8 `[height, width]`, over the whole image.
        window: What the tile shows, in pixels of the image.
        size: Height and width of the image.
        side: Of the tile.
    """
    rows, columns = values.shape
    image = Image.fromarray(values.astype(np.float32) / 255)
    pixels = (np.arange(side) + 0.5) / side * window.size
    inside_y = (window.y + pixels >= 0) & (window.y + pixels < size[0])
    inside_x = (window.x + pixels >= 0) & (window.x + pixels < size[1])
    scale_y, scale_x = rows / size[0], columns / size[1]
    left, top = window.x * scale_x, window.y * scale_y
    box = (left, top, left + window.size * scale_x, top + window.size * scale_y)
    if left >= 0 and top >= 0 and box[2] <= columns + 1e-6 and box[3] <= rows + 1e-6:
        drawn = image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, min(box[2], columns), min(box[3], rows)))
    else:
        drawn = image.transform((side, side), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.clip(np.asarray(drawn, np.float32), 0, 1) * (inside_y[:, None] & inside_x[None, :])


def colours(strength: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return the colour of activations from 0 to 1 as red, green, blue, alpha."""
    share = np.clip(strength, 0, 1)[..., None]
    ends = (np.array(DARK, np.float32), np.array(BRIGHT, np.float32))
    pixels = np.empty((*strength.shape, 4), np.uint8)
    pixels[..., :3] = np.rint(ends[0] * (1 - share) + ends[1] * share)
    # Between the two the photograph is clearest, so that neither colour hides what the unit looks at.
    alpha = np.where(share < 0.5, DARK_ALPHA * (1 - 2 * share), BRIGHT_ALPHA * (2 * share - 1))[..., 0]
    pixels[..., 3] = np.rint(255 * alpha)
    return pixels


def _png(strength: NDArray[np.float32], covered: Sequence[bool] | NDArray[np.bool_]) -> bytes:
    # So few levels cannot be told apart, and make the file a third as large.
    pixels = colours(np.rint(strength * 32) / 32)
    pixels[~np.asarray(covered)] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
