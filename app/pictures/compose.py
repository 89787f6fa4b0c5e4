"""Strips and sheets: many small pictures composed into one file, from the stored images, when somebody first looks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.drawing import strips
from app.drawing.shapes import SheetLayout
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, Json, LayerRecord, StimulusRecord, ThumbRecord

POSITIVE = (214, 48, 58)
NEGATIVE = (38, 106, 214)
_QUALITY = 75
_CELL_PX = 8
_POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="compose")


@lru_cache(maxsize=256)
def _picture(path: Path) -> Image.Image:
    """Return a picture of the store; blobs never change, so a decoded one may be kept."""
    with Image.open(path) as image:
        return image.convert("RGB")


def _cut(path: Path, window: strips.Window, size_px: int) -> Image.Image:
    image = _picture(path)
    box = (window.x, window.y, window.x + window.size, window.y + window.size)
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= image.width and box[3] <= image.height
    if inside:
        return image.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    return image.crop(box).resize((size_px, size_px), Image.Resampling.BICUBIC)


def strip(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, payload: Json, stimuli: dict[int, StimulusRecord]) -> bytes:
    """Return the strip of all examples of a unit as WebP."""
    top, others = strips.example_rows(payload)
    rows = [*top, *others]
    tiles = strips.tiles_of(len(top), len(others))

    def draw(place: int) -> tuple[strips.Tile, Image.Image] | None:
        stimulus = stimuli.get(int(rows[place][0]))
        path = None if stimulus is None else reader.blobs.open_path(stimulus.blob_name)
        if path is None:
            return None
        window = _window(catalog, layer, int(rows[place][2]), int(rows[place][3]))
        return tiles[place], _cut(path, window, tiles[place].size)

    sheet = Image.new("RGB", (strips.WIDTH, max(1, strips.height_of(len(top), len(others)))))
    for drawn in _POOL.map(draw, range(len(rows))):
        if drawn is not None:
            sheet.paste(drawn[1], (drawn[0].x, drawn[0].y))
    return _webp(sheet)


def thumb(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, found: ThumbRecord, size_px: int) -> Image.Image | None:
    """Return the small picture of a unit: its visualization, else its strongest examples, four where there are four."""
    if found.blob_name is not None:
        path = reader.blobs.open_path(found.blob_name)
        return None if path is None else _small(path, size_px)
    per_side = 2 if len(found.examples) >= 4 else 1
    stimuli = reader.stimuli(catalog.model, (index for index, _, _ in found.examples))
    tile_px = size_px // per_side
    image = Image.new("RGB", (size_px, size_px))
    for place, (index, y, x) in enumerate(found.examples[: per_side * per_side]):
        path = reader.blobs.open_path(stimuli[index].blob_name) if index in stimuli else None
        if path is not None:
            cut = _cut(path, _window(catalog, layer, y, x), tile_px)
            image.paste(cut, (place % per_side * tile_px, place // per_side * tile_px))
    return image


def _small(path: Path, size_px: int) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB").resize((size_px, size_px), Image.Resampling.LANCZOS)


def thumb_file(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, found: ThumbRecord, size_px: int) -> bytes | None:
    """Return the small picture of a unit as WebP, or None where its files are missing."""
    image = thumb(reader, catalog, layer, found, size_px)
    return None if image is None else _webp(image)


def pictures(reader: AtlasReader, names: Sequence[str], layout: SheetLayout) -> bytes:
    """Return files of the store side by side as WebP; the place of one that is missing stays dark."""
    image = Image.new("RGB", (layout.width, layout.height))

    def draw(name: str) -> Image.Image | None:
        path = reader.blobs.open_path(name)
        return None if path is None else _small(path, layout.size_px)

    for place, drawn in enumerate(_POOL.map(draw, names)):
        if drawn is not None:
            image.paste(drawn, layout.corner(place))
    return _webp(image)


def sheet(reader: AtlasReader, catalog: Catalog, units: Sequence[tuple[LayerRecord, ThumbRecord | None]], size_px: int) -> bytes:
    """Return the small pictures of many units side by side as WebP; the place of one that is missing stays dark."""
    layout = SheetLayout(len(units), size_px)
    image = Image.new("RGB", (layout.width, layout.height))

    def draw(place: int) -> Image.Image | None:
        layer, found = units[place]
        return None if found is None else thumb(reader, catalog, layer, found, size_px)

    for place, drawn in enumerate(_POOL.map(draw, range(len(units)))):
        if drawn is not None:
            image.paste(drawn, layout.corner(place))
    return _webp(image)


def kernel(values: NDArray[np.float64], maximum: float) -> bytes:
    """Return a kernel as PNG: red positive, blue negative, the stronger the less transparent; nothing where it is zero."""
    square = np.atleast_2d(values)
    strength = np.clip(np.abs(square) / maximum, 0.0, 1.0)
    pixels = np.empty((*square.shape, 4), np.uint8)
    pixels[..., :3] = np.where((square > 0)[..., None], np.array(POSITIVE), np.array(NEGATIVE))
    pixels[..., 3] = np.round(strength * 255)
    image = Image.fromarray(pixels).resize((square.shape[1] * _CELL_PX, square.shape[0] * _CELL_PX), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def rgb_filter(values: NDArray[np.float64], maximum: float) -> bytes:
    """Return a filter `[rgb, height, width]` as PNG: middle grey is zero, a channel at full is `maximum`, at none minus that."""
    levels = np.clip(0.5 + 0.5 * np.moveaxis(values, 0, -1) / maximum, 0.0, 1.0)
    pixels = np.floor(levels * 255 + 0.5).astype(np.uint8)
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).resize((width * _CELL_PX, height * _CELL_PX), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _window(catalog: Catalog, layer: LayerRecord, y: int, x: int) -> strips.Window:
    height, width = catalog.model.input_height, catalog.model.input_width
    return strips.window_of(layer.spec.box_at(y, x, height, width), height, width)


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=0)
    return buffer.getvalue()
