"""Geometry of the diagram of a model: its layers, with the links between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.contexts import LayerOnModel

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
