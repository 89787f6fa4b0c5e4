"""Cards: one picture that tells another site what a unit or a layer is, composed when somebody first asks."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from unicodedata import normalize

from PIL import Image, ImageDraw, ImageFont

from app.drawing import strips
from app.pictures import compose
from app.pictures.thumbs import version_of
from app.words.formats import number, one_way
from precompute.store.reader import AtlasReader
from precompute.store.records import ArtifactRecord, Catalog, LayerRecord

WIDTH, HEIGHT = 1200, 630
MARGIN = 40
_FORMAT = "2"
_PAPER, _INK, _QUIET = (17, 20, 26), (240, 243, 247), (150, 160, 172)
_TILE_PX, _GAP_PX = 176, 10
_NUM_TILES = 6
_MOSAIC = 8


def unit_card_version(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int) -> str:
    """Return a text that changes when the card of a unit changes."""
    found = reader.thumbs(layer, [unit]).get(unit)
    picture = "" if found is None else version_of(catalog.model.dataset_id, found)
    label = reader.labels(layer, [unit]).get(unit)
    return _hash(catalog.model.id, catalog.model.title, layer.name, str(unit), str(label), picture)


def layer_card_version(catalog: Catalog, layer: LayerRecord) -> str:
    """Return a text that changes when the card of a layer changes: its pictures are those of a moment of a build."""
    return _hash(catalog.model.id, catalog.model.title, layer.name, catalog.model.dataset_id, str(layer.spec.num_units))


def unit_card(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int) -> bytes:
    """Return the card of a unit as PNG, 1200 by 630: its picture, its strongest images, its name, what was reached."""
    card = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    found = reader.thumbs(layer, [unit]).get(unit)
    side = HEIGHT - 2 * MARGIN
    if found is not None:
        picture = compose.thumb(reader, catalog, layer, found, side)
        if picture is not None:
            card.paste(picture, (MARGIN, MARGIN))
    artifacts = reader.artifacts(layer, unit)
    left = 2 * MARGIN + side
    draw = ImageDraw.Draw(card)
    label = reader.labels(layer, [unit]).get(unit)
    _write(draw, (left, MARGIN), f"{layer.name} / {unit}", 46, _INK)
    _write(draw, (left, MARGIN + 60), label or catalog.model.title, 28, _QUIET)
    _write(draw, (left, MARGIN + 98), _ratio_words(artifacts), 22, _QUIET)
    _paste_examples(card, reader, catalog, layer, artifacts, (left, HEIGHT - MARGIN - 2 * _TILE_PX - _GAP_PX))
    return _png(card)


def layer_card(reader: AtlasReader, catalog: Catalog, layer: LayerRecord) -> bytes:
    """Return the card of a layer as PNG, 1200 by 630: its first units, and its name."""
    card = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(card)
    _write(draw, (MARGIN, MARGIN), layer.name, 46, _INK)
    _write(draw, (MARGIN, MARGIN + 60), f"{layer.spec.num_units} units of {catalog.model.title}", 28, _QUIET)
    side = (WIDTH - 2 * MARGIN - (_MOSAIC - 1) * _GAP_PX) // _MOSAIC
    for place, found in enumerate(reader.thumbs(layer, range(3 * _MOSAIC)).values()):
        picture = compose.thumb(reader, catalog, layer, found, side)
        if picture is not None:
            x, y = place % _MOSAIC * (side + _GAP_PX), place // _MOSAIC * (side + _GAP_PX)
            card.paste(picture, (MARGIN + x, HEIGHT - MARGIN - 3 * side - 2 * _GAP_PX + y))
    return _png(card)


def _ratio_words(artifacts: list[ArtifactRecord]) -> str:
    ratios = [found.payload.get("reached_ratio") for found in artifacts if found.kind == "visualization"]
    reached = next((ratio for ratio in ratios if ratio is not None), None)
    return "The images that excite it most" if reached is None else f"{number(reached, 2)} times the strongest image"


def _paste_examples(
    card: Image.Image,
    reader: AtlasReader,
    catalog: Catalog,
    layer: LayerRecord,
    artifacts: list[ArtifactRecord],
    corner: tuple[int, int],
) -> None:
    payload = next((found.payload for found in artifacts if found.kind == "examples"), None)
    if payload is None:
        return
    top, others = strips.example_rows(payload)
    stimuli = reader.stimuli(catalog.model, (int(row[0]) for row in [*top, *others]))
    with Image.open(io.BytesIO(compose.strip(reader, catalog, layer, payload, stimuli))) as strip:
        for place, tile in enumerate(strips.tiles_of(len(top), len(others))[: min(_NUM_TILES, len(top))]):
            cut = strip.crop((tile.x, tile.y, tile.x + tile.size, tile.y + tile.size))
            x, y = place % 3 * (_TILE_PX + _GAP_PX), place // 3 * (_TILE_PX + _GAP_PX)
            card.paste(cut.resize((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS), (corner[0] + x, corner[1] + y))


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def _has(letter: str) -> bool:
    """Return whether the font has a letter: what it does not have all looks alike."""
    return letter.isprintable() and _drawn(letter) != _drawn("\uffff")


def _drawn(letter: str) -> bytes:
    canvas = Image.new("L", (64, 64))
    ImageDraw.Draw(canvas).text((16, 16), letter, fill=255, font=_font(22))
    return canvas.tobytes()


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
    """Write one line, cut where the card ends; letters that the font of Pillow lacks lose their accents, or are "?"."""
    plain = "".join(letter if _has(letter) else normalize("NFKD", letter)[0] for letter in one_way(text))
    known = "".join(letter if _has(letter) else "?" for letter in plain)
    room = WIDTH - MARGIN - place[0]
    line = known
    while len(line) > 1 and draw.textlength(line, font=_font(size)) > room:
        known = known[:-1]
        line = known.rstrip() + "..."
    draw.text(place, line, font=_font(size), fill=colour)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join((_FORMAT, *parts)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
