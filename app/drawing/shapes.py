"""Geometry of what the pages draw: sheets of small pictures, tiles, histograms, kernels. No colour is decided here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from app import urls
from app.contexts import Box, Found, Histogram, ModelCard, UnitSample
from app.drawing import strips

SHEET_TILES = 40
WALL = 15
_TILE = re.compile(r"^(?P<url>[^#]+)#xywh=(?P<x>\d+),(?P<y>\d+),(?P<w>\d+),(?P<h>\d+)$")


@dataclass(frozen=True)
class Cut:
    """A part of a larger picture, to be drawn as a picture of its own."""

    url: str
    x: int
    y: int
    width: int
    height: int
    full_width: int
    full_height: int

    @property
    def classes(self) -> str:
        """Return the classes that place the whole picture behind a frame as large as the part: column, row, columns."""
        return f"c{self.x // self.width} r{self.y // self.height} of-{self.full_width // self.width}"


@dataclass(frozen=True)
class Wall:
    """Pictures of some units of one model."""

    id: str
    title: str
    samples: list[UnitSample]


@dataclass(frozen=True)
class SheetLayout:
    """The places of small pictures on a sheet."""

    num_tiles: int
    size_px: int

    @property
    def columns(self) -> int:
        """Return how many tiles a row has."""
        return min(self.num_tiles, 10)

    @property
    def width(self) -> int:
        """Return the width of the sheet."""
        return max(1, self.columns) * self.size_px

    @property
    def height(self) -> int:
        """Return the height of the sheet."""
        return max(1, -(-self.num_tiles // max(1, self.columns))) * self.size_px

    def corner(self, place: int) -> tuple[int, int]:
        """Return the left and upper edge of a tile."""
        return place % self.columns * self.size_px, place // self.columns * self.size_px


def sheet(
    model_id: str, units: Iterable[tuple[str, int, str | None]], size_px: int, tiles: int = SHEET_TILES
) -> dict[tuple[str, int], Cut]:
    """Return where the small picture of each `(layer, unit, thumbnail)` is, over as few sheets as needed."""
    groups: dict[str, dict[int, str]] = {}
    for layer, index, thumbnail in units:
        if thumbnail is not None:
            groups.setdefault(layer, {})[index] = thumbnail
    listed = [(layer, index, url) for layer, group in groups.items() for index, url in group.items()]
    found: dict[tuple[str, int], Cut] = {}
    for start in range(0, len(listed), tiles):
        chunk = listed[start : start + tiles]
        version = hashlib.sha256("|".join([strips.FORMAT, str(size_px), *(url for _, _, url in chunk)]).encode()).hexdigest()[:16]
        url = urls.sheet(model_id, size_px, ((layer, index) for layer, index, _ in chunk), version)
        layout = SheetLayout(len(chunk), size_px)
        for place, (layer, index, _) in enumerate(chunk):
            x, y = layout.corner(place)
            found[layer, index] = Cut(url, x, y, size_px, size_px, layout.width, layout.height)
    return found


def wall(models: Sequence[ModelCard]) -> Wall | None:
    """Return the pictures that the start page shows large: those of the model with the most visualizations, from all depths."""
    best = max(models, key=lambda model: sum(sample.is_visualization for sample in model.samples), default=None)
    if best is None or not best.samples:
        return None
    step = max(1.0, len(best.samples) / WALL)
    places = [int(n * step) for n in range(WALL)]
    return Wall(best.id, best.title, [best.samples[place] for place in places if place < len(best.samples)])


def sheets(found: Iterable[Found]) -> dict[str, Cut]:
    """Return where the small picture of each search result is, by its link."""
    by_model: dict[str, dict[tuple[str, int], tuple[str, str]]] = {}
    for item in found:
        if item.thumbnail is not None and item.model is not None:
            _, _, _, layer, unit = item.link.split("/")
            by_model.setdefault(item.model, {})[unquote(layer), int(unit)] = (item.link, item.thumbnail)
    cuts: dict[str, Cut] = {}
    for model_id, units in by_model.items():
        placed = sheet(model_id, ((layer, unit, thumbnail) for (layer, unit), (_, thumbnail) in units.items()), 96)
        cuts |= {units[key][0]: cut for key, cut in placed.items()}
    return cuts


def tile(crop: str, strip_width: int, strip_height: int) -> Cut:
    """Return the part of a strip that an example's `crop` names."""
    match = _TILE.match(crop)
    if match is None:
        return Cut(crop, 0, 0, strip_width, strip_height, strip_width, strip_height)
    x, y, width, height = (int(match[name]) for name in "xywh")
    return Cut(match["url"], x, y, width, height, strip_width, strip_height)


def field_on_tile(box: Box, input_size: Sequence[int], cut: Cut) -> tuple[float, float, float, float] | None:
    """Return `x, y, width, height` of the receptive field on a tile, or None where the tile shows nothing else."""
    _, height, width = input_size
    window = strips.window_of((box.y0, box.x0, box.y1, box.x1), height, width)
    if box.y1 - box.y0 >= 0.9 * window.size and box.x1 - box.x0 >= 0.9 * window.size:
        return None
    scale = cut.width / window.size
    left, right = (cut.x + (x - window.x) * scale for x in (box.x0, box.x1))
    top, bottom = (cut.y + (y - window.y) * scale for y in (box.y0, box.y1))
    # A frame on the very edge of the tile would be cut off: keep it just inside.
    left, right = max(left, cut.x + 1.5), min(right, cut.x + cut.width - 1.5)
    top, bottom = max(top, cut.y + 1.5), min(bottom, cut.y + cut.height - 1.5)
    return (round(left, 1), round(top, 1), round(right - left, 1), round(bottom - top, 1))


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram in its drawing."""

    x: float
    y: float
    width: float
    height: float
    low: float
    high: float
    count: int


def histogram_bars(histogram: Histogram, width: int, height: int) -> tuple[list[Bar], float | None]:
    """Return the bars of a histogram, heights by the square root of the count, and where zero is (None: outside)."""
    edges = [edge for edge in histogram.edges if edge is not None]
    if len(edges) != len(histogram.counts) + 1 or edges[-1] <= edges[0]:
        return [], None
    low, span = edges[0], edges[-1] - edges[0]
    most = max(1, *histogram.counts) ** 0.5
    bars: list[Bar] = []
    for left, right, number in zip(edges, edges[1:], histogram.counts, strict=False):
        tall = round(height * number**0.5 / most, 1)
        x = round((left - low) / span * width, 1)
        bars.append(Bar(x, height - tall, round((right - left) / span * width, 2), tall, left, right, number))
    zero = round(-low / span * width, 1)
    return bars, zero if 0 <= zero <= width else None


@dataclass(frozen=True)
class Sparkline:
    """A small curve: its points as SVG writes them, and where its value is zero (None: outside)."""

    points: str
    zero: float | None
    first: float
    last: float


def sparkline(values: Sequence[float | None], width: int, height: int) -> Sparkline | None:
    """Return a series of values as a curve that fills its frame, or None where there is no series.

    >>> sparkline([0.0, 2.0, None, 4.0], 100, 20)
    Sparkline(points='0,20 33.33,10 100,0', zero=20.0, first=0.0, last=4.0)
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    numbers = [value for _, value in known]
    low, span = min(numbers), (max(numbers) - min(numbers)) or 1.0
    points = [f"{width * place / (len(values) - 1):.4g},{height * (1 - (value - low) / span):.4g}" for place, value in known]
    zero = round(height * (1 + low / span), 1)
    return Sparkline(" ".join(points), zero if 0 <= zero <= height else None, numbers[0], numbers[-1])


@dataclass(frozen=True)
class KernelCell:
    """One weight of a kernel in its drawing."""

    x: int
    y: int
    value: float
    opacity: float


def kernel_cells(kernel: Sequence[Sequence[float | None]] | str | None, maximum: float | None) -> list[KernelCell]:
    """Return the cells of a kernel; `maximum` is the value with the full colour."""
    if kernel is None or isinstance(kernel, str):
        return []
    full = maximum or 1.0
    return [
        KernelCell(x, y, value or 0.0, round(min(1.0, abs(value or 0.0) / full), 3))
        for y, row in enumerate(kernel)
        for x, value in enumerate(row)
    ]


def largest(kernels: Iterable[Sequence[Sequence[float | None]] | str | None]) -> float:
    """Return the largest size of any weight in some kernels: the scale that a row of them shares."""
    found = [abs(value or 0.0) for kernel in kernels if kernel and not isinstance(kernel, str) for row in kernel for value in row]
    return max(found, default=0.0) or 1.0
