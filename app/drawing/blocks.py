"""Geometry of one block of layers: branches side by side, one rank below the other, arcs for what skips layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.contexts import LayerOnModel

RANK_PX = 104
GAP_PX = 24
ANCHOR_PX = 28
LANE_PX = 10
MAX_LANES = 6
MAX_COLUMNS = 8


@dataclass(frozen=True)
class Link:
    """A path that data takes: from a layer, or from what enters it, to another layer.

    Attributes:
        source: The earlier layer.
        target: The later one.
        is_around: Whether it leads from what enters `source`, around it, to what enters `target`.
    """

    source: str
    target: str
    is_around: bool = False


@dataclass(frozen=True)
class Node:
    """A layer in a block: its place, and its name without what the names of the block have in common."""

    layer: LayerOnModel
    short_name: str
    column: int


@dataclass(frozen=True)
class Line:
    """A straight line; the horizontal places are in percent of the width, the vertical ones in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class BlockDrawing:
    """A block: ranks of layers from top to bottom, the lines between them, and arcs on a rail beside them.

    Attributes:
        ranks: Layers that stand side by side.
        columns: How many stand side by side at most.
        lines: Paths from rank to rank.
        arcs: Paths that skip ranks, as SVG path data in pixels, and the lines that lead from them to their columns.
        rail_px: Width of the rail.
        height: Height of all, in pixels.
    """

    ranks: list[list[Node]]
    columns: int
    lines: list[Line]
    arcs: list[str]
    rail_px: int
    height: int


def links_of(layers: Sequence[LayerOnModel]) -> list[Link]:
    """Return the links between layers, with what an addition skips as one path around it.

    The layers after an addition name everything that was added as their inputs. Where all that enters an earlier layer also
    enters a later one, a path leads around what lies between; that is drawn, and not a line from each of the layers added.
    """
    order = {layer.name: place for place, layer in enumerate(layers)}
    entering = {layer.name: frozenset(name for name in layer.inputs if name in order) for layer in layers}
    found: list[Link] = []
    for place, layer in enumerate(layers):
        inputs = entering[layer.name]
        around = _skipped(layers[:place], entering, inputs)
        rest = inputs
        if around is not None:
            found.append(Link(around, layer.name, is_around=True))
            rest = inputs - entering[around]
        found += [Link(name, layer.name) for name in sorted(rest, key=order.__getitem__)]
    return found


def _skipped(earlier: Sequence[LayerOnModel], entering: Mapping[str, frozenset[str]], inputs: frozenset[str]) -> str | None:
    """Return the latest earlier layer that a part of these inputs enters, too; all that enters it has to be among them."""
    if len(inputs) < 2:
        return None
    for layer in reversed(earlier):
        if entering[layer.name] and entering[layer.name] < inputs and layer.name not in inputs:
            return layer.name
    return None


def draw_block(layers: Sequence[LayerOnModel], links: Sequence[Link], prefix: str) -> BlockDrawing:
    """Return the drawing of some layers that belong together.

    Args:
        layers: Them, in the order of execution.
        links: All links of the model.
        prefix: What their names begin with, left out of the short names.
    """
    inside = {layer.name: place for place, layer in enumerate(layers)}
    within = [link for link in links if link.source in inside and link.target in inside]
    ranks = _ranks(layers, within)
    columns = _columns(layers, ranks, within)
    count = max(columns.values(), default=0) + 1
    ending = _common_ending([layer.name for layer in layers])
    rows: list[list[Node]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for layer in layers:
        name = short_name(layer.name.removesuffix(ending), prefix)
        rows[ranks[layer.name]].append(Node(layer, name, columns[layer.name]))
    for row in rows:
        row.sort(key=lambda node: node.column)
    lines, skips = _lines(links, ranks, columns, count, len(rows))
    lanes = lanes_of([(start, stop) for start, stop, _, _ in skips])
    rail_px = LANE_PX * (max(lanes, default=-1) + 1)
    arcs = [
        _arc(rail_px - LANE_PX * (lane + 1) + 5, rail_px + ANCHOR_PX, a, b)
        for lane, (a, b, _, _) in zip(lanes, skips, strict=True)
    ]
    for start, stop, from_x, to_x in skips:
        lines += [Line(0, y, x, y) for y, x in ((start, from_x), (stop, to_x)) if x > 0]
    return BlockDrawing(rows, count, lines, arcs, rail_px, len(rows) * RANK_PX + GAP_PX)


def short_name(name: str, prefix: str) -> str:
    """Return the name of a layer without that of its block.

    >>> short_name("blocks.3.1.conv_pw", "blocks.3"), short_name("mixed4a", "mixed4a")
    ('1.conv_pw', 'mixed4a')
    """
    return name.removeprefix(prefix).lstrip("._") or name


def _common_ending(names: Sequence[str]) -> str:
    """Return the last part of the names where all have it and something is left of each, such as `.conv`."""
    endings = {name[name.rfind(".") :] if name.count(".") > 1 else "" for name in names}
    ending = endings.pop()
    return ending if not endings and len(names) > 1 and not ending[1:].isdigit() else ""


def _ranks(layers: Sequence[LayerOnModel], links: Sequence[Link]) -> dict[str, int]:
    """Return how far below the top each layer stands: one below the lowest layer that leads to it."""
    ranks: dict[str, int] = {}
    leading = _by_target(links)
    for layer in layers:
        before = [ranks[link.source] for link in leading.get(layer.name, ()) if link.source in ranks]
        ranks[layer.name] = max(before, default=-1) + 1
    return ranks


def _by_target(links: Sequence[Link]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links:
        if not link.is_around:
            found.setdefault(link.target, []).append(link)
    return found


def _columns(layers: Sequence[LayerOnModel], ranks: dict[str, int], links: Sequence[Link]) -> dict[str, int]:
    """Give each layer a column: that of a layer that leads to it where it is free, else the next free one.

    Where more layers than columns stand side by side, those after the last move down by a rank; `ranks` is changed.
    """
    taken: set[tuple[int, int]] = set()
    columns: dict[str, int] = {}
    leading = _by_target(links)
    for layer in layers:
        rank = ranks[layer.name]
        wanted = [columns[link.source] for link in leading.get(layer.name, ()) if link.source in columns]
        while True:
            free = [column for column in [*wanted, *range(MAX_COLUMNS)] if (rank, column) not in taken]
            if free:
                break
            rank += 1
        ranks[layer.name], columns[layer.name] = rank, free[0]
        taken.add((rank, free[0]))
    return columns


def _top(rank: int) -> int:
    return rank * RANK_PX + GAP_PX


def _bottom(rank: int) -> int:
    return (rank + 1) * RANK_PX


def _lines(
    links: Sequence[Link], ranks: Mapping[str, int], columns: Mapping[str, int], count: int, num_ranks: int
) -> tuple[list[Line], list[tuple[int, int, float, float]]]:
    """Return the straight lines, and for each path that skips ranks where it starts and ends: two heights, two places."""
    places = {(ranks[name], columns[name]) for name in ranks}
    lines: list[Line] = []
    skips: list[tuple[int, int, float, float]] = []
    for link in links:
        from_rank = ranks.get(link.source)
        to_rank = ranks.get(link.target, num_ranks)
        to_x = 100 * columns.get(link.target, 0) / count
        if from_rank is None:
            if link.target in ranks and not link.is_around:
                # It comes from another block, from above; beside others on the way down it takes the rail.
                if any((rank, columns[link.target]) in places for rank in range(to_rank)):
                    skips.append((0, _top(to_rank) - GAP_PX // 2, 0.0, to_x))
                else:
                    lines += _straight(0.0, 0, to_x, _top(to_rank))
            continue
        from_x = 100 * columns[link.source] / count
        end_x = to_x if link.target in ranks else 0.0
        if link.is_around:
            skips.append((_top(from_rank) - GAP_PX // 2, _top(to_rank) - GAP_PX // 2, from_x, end_x))
        elif any((rank, columns[link.source]) in places for rank in range(from_rank + 1, to_rank)):
            skips.append((_bottom(from_rank) + GAP_PX // 2, _top(to_rank) - GAP_PX // 2, from_x, end_x))
        else:
            lines += _straight(from_x, _bottom(from_rank), end_x, _top(to_rank))
    unique = dict.fromkeys(skips)
    return list(dict.fromkeys(lines)), list(unique)


def _straight(x1: float, y1: int, x2: float, y2: int) -> list[Line]:
    """Return a line straight down and then, in the gap above its end, to the side."""
    bend = max(y1, y2 - GAP_PX)
    down = [Line(x1, y1, x1, bend)] if bend > y1 else []
    if y1 == 0 and x1 != x2:  # from above it spreads at once, so that nothing is crossed on the way down
        bend = min(GAP_PX, y2)
        return [Line(x1, 0, x2, bend), *([Line(x2, bend, x2, y2)] if y2 > bend else [])]
    return [*down, Line(x1, bend, x2, y2)]


def lanes_of(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Give each path that skips something a lane of its own, near the rail where it is short; the last lane is shared."""
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[int, int] = {}
    for place in sorted(range(len(spans)), key=lambda n: (spans[n][1] - spans[n][0], spans[n])):
        low, high = spans[place]
        free = next((n for n, used in enumerate(taken) if all(high <= a or low >= b for a, b in used)), len(taken))
        lane = min(free, MAX_LANES - 1)
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[place] = lane
    return [lanes[place] for place in range(len(spans))]


def _arc(lane: float, main: float, start: float, stop: float) -> str:
    return f"M{main} {start}H{lane + 8}Q{lane} {start} {lane} {start + 8}V{stop - 8}Q{lane} {stop} {lane + 8} {stop}H{main}"
