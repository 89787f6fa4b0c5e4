"""Geometry of the two diagrams: the layers of a model with the links between them, and the weight explorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.contexts import ExplorerEdge, ExplorerPage, ExplorerUnit, LayerOnModel
from app.drawing import Cut, largest, sheet

ROW_PX = 96
HEADING_PX = 48
LANE_PX = 12
MAX_LANES = 12


@dataclass(frozen=True)
class GraphRow:
    """A layer in the diagram of a model, or the heading of a block of layers."""

    heading: str | None
    layer: LayerOnModel | None
    y: float


@dataclass(frozen=True)
class LayerGraph:
    """The diagram of a model: rows from the image at the top to the classes below, and the links on a rail beside them."""

    rows: list[GraphRow]
    paths: list[str]
    skips: list[str]
    rail_px: int
    height: int


def block_of(name: str) -> str:
    """Return the block that a layer belongs to: its name without the last part.

    >>> block_of("blocks.1.0.conv_dw"), block_of("conv_stem")
    ('blocks.1.0', '')
    """
    return name.rpartition(".")[0]


def layer_graph(layers: Sequence[LayerOnModel]) -> LayerGraph:
    """Return the diagram of the layers of a model, in the order of execution."""
    rows: list[GraphRow] = []
    centres: dict[str, float] = {}
    y, block = 0.0, ""
    for layer in layers:
        if block_of(layer.name) != block:
            block = block_of(layer.name)
            rows.append(GraphRow(block, None, y))
            y += HEADING_PX
        centres[layer.name] = y + ROW_PX / 2
        rows.append(GraphRow(None, layer, y))
        y += ROW_PX
    order = {layer.name: place for place, layer in enumerate(layers)}
    links = [(source, layer.name) for layer in layers for source in layer.inputs if source in order]
    straight = [(source, target) for source, target in links if order[target] == order[source] + 1]
    lanes = _lanes([(order[source], order[target]) for source, target in links if order[target] != order[source] + 1])
    rail_px = LANE_PX * (max(lanes.values(), default=-1) + 2) + 8
    main = rail_px - 8
    names = [layer.name for layer in layers]
    return LayerGraph(
        rows=rows,
        paths=[f"M{main} {centres[source]}V{centres[target]}" for source, target in straight],
        skips=[_arc(main, main - LANE_PX * (lane + 1), centres[names[a]], centres[names[b]]) for (a, b), lane in lanes.items()],
        rail_px=rail_px,
        height=round(y),
    )


def _lanes(links: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Give each link that skips layers a lane of its own, near the rail where it is short."""
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[tuple[int, int], int] = {}
    for link in sorted(links, key=lambda link: (abs(link[1] - link[0]), link)):
        low, high = min(link), max(link)
        free = next((n for n, used in enumerate(taken) if all(high <= a or low >= b for a, b in used)), len(taken))
        if free == len(taken) and free < MAX_LANES:
            taken.append([])
        lanes[link] = min(free, MAX_LANES - 1)
        taken[lanes[link]].append((low, high))
    return lanes


def _arc(main: float, lane: float, start: float, stop: float) -> str:
    bend = 14 if stop > start else -14
    return (
        f"M{main} {start}C{main} {start + bend} {lane} {start + bend} {lane} {start + 2 * bend}"
        f"V{stop - 2 * bend}C{lane} {stop - bend} {main} {stop - bend} {main} {stop}"
    )


CARD_WIDTH = 268
CARD_HEIGHT = 76
COLUMN_GAP = 170
NARROW_GAP = 100  # where units are unfolded
ROW_GAP = 14
TOP = 34


@dataclass(frozen=True)
class Card:
    """A unit of the explorer in its place."""

    unit: ExplorerUnit
    depth: int
    x: float
    y: float
    cut: Cut | None
    edge: ExplorerEdge | None
    maximum: float

    @property
    def name(self) -> str:
        """Return a text that tells this card from all others."""
        return f"{self.depth}:{self.unit.layer}/{self.unit.unit}"


@dataclass(frozen=True)
class Line:
    """A weight of the explorer in its place."""

    edge: ExplorerEdge
    path: str
    width: float
    opacity: float
    source: str
    target: str


@dataclass(frozen=True)
class ExplorerDrawing:
    """The explorer as a picture."""

    width: int
    height: int
    cards: list[Card]
    lines: list[Line]
    headings: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])


def explorer(page: ExplorerPage) -> ExplorerDrawing:
    """Return the explorer as a picture: inputs on the left, outputs on the right, strong weights as broad lines."""
    tallest = max(len(column.units) for column in page.columns)
    height = TOP + tallest * (CARD_HEIGHT + ROW_GAP)
    units = [(unit.layer, unit.unit, unit.thumbnail) for column in page.columns for unit in column.units]
    cuts = sheet(page.model, units, 120)
    strongest = _strongest(page)
    gap = COLUMN_GAP if len(page.columns) <= 3 else NARROW_GAP
    cards: dict[tuple[int, str, int], Card] = {}
    headings: list[tuple[float, str]] = []
    for place, column in enumerate(page.columns):
        x = place * (CARD_WIDTH + gap)
        toward = column.depth if column.depth < 0 else column.depth - 1
        maximum = largest(edge.kernel for edge in page.edges if edge.source_depth == toward)
        headings.append((x, _heading(column.depth)))
        y = TOP + (height - TOP - len(column.units) * (CARD_HEIGHT + ROW_GAP)) / 2
        for unit in column.units:
            key = (column.depth, unit.layer, unit.unit)
            cards[key] = Card(unit, column.depth, x, y, cuts.get((unit.layer, unit.unit)), strongest.get(key), maximum)
            y += CARD_HEIGHT + ROW_GAP
    lines = [line for edge in page.edges if (line := _line(edge, cards, page.edges)) is not None]
    width = len(page.columns) * (CARD_WIDTH + gap) - gap
    return ExplorerDrawing(width, height, list(cards.values()), lines, headings)


def _heading(depth: int) -> str:
    if depth == 0:
        return "This unit"
    side = "before" if depth < 0 else "after"
    return {-1: "What feeds it", 1: "What it feeds"}.get(depth, f"{abs(depth)} steps {side}")


def _strongest(page: ExplorerPage) -> dict[tuple[int, str, int], ExplorerEdge]:
    """Return, for each card beside the middle, its strongest weight towards the middle."""
    found: dict[tuple[int, str, int], ExplorerEdge] = {}
    for edge in page.edges:  # weakest first
        if edge.source_depth < 0:
            found[edge.source_depth, edge.source_layer, edge.source_unit] = edge
        else:
            found[edge.source_depth + 1, edge.target_layer, edge.target_unit] = edge
    return found


def _line(edge: ExplorerEdge, cards: dict[tuple[int, str, int], Card], edges: Sequence[ExplorerEdge]) -> Line | None:
    source = cards.get((edge.source_depth, edge.source_layer, edge.source_unit))
    target = cards.get((edge.source_depth + 1, edge.target_layer, edge.target_unit))
    if source is None or target is None:
        return None
    most = max((other.norm or 0.0) for other in edges if other.source_depth == edge.source_depth) or 1.0
    strength = (edge.norm or 0.0) / most
    x0, y0 = source.x + CARD_WIDTH, source.y + CARD_HEIGHT / 2
    x1, y1 = target.x, target.y + CARD_HEIGHT / 2
    middle = (x0 + x1) / 2
    path = f"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}"
    return Line(edge, path, round(1 + 9 * strength**1.5, 2), round(0.25 + 0.65 * strength, 2), source.name, target.name)
