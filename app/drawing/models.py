"""Geometry of the diagram of a model: blocks of layers from the image to the classes, and what leads past blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from app.contexts import LayerOnModel, UnitSample
from app.drawing.blocks import BlockDrawing, Link, draw_block, lanes_of, links_of

MAX_LAYERS = 24
SAMPLES = 8
LANE_PX = 10
MAX_OPEN_LAYERS = 16
"""A model with no more layers than these is shown unfolded."""


_Span = tuple[int, int, bool]
"""A path past blocks: the block where it starts, the one where it ends, and whether it starts above the first."""


@dataclass(frozen=True)
class Rail:
    """What leads past a block, as SVG path data in a box as high as the block, 100 units, and as wide as the rail.

    Attributes:
        lines: Lines that go on, begin or end here.
        width: Width of the rail in pixels; the same for all blocks.
    """

    lines: list[str]
    width: int


@dataclass(frozen=True)
class Block:
    """Layers that belong together, or a layer that stands alone.

    Attributes:
        name: What their names begin with.
        layers: Them, in the order of execution.
        samples: A few units of them, from all of them.
        drawing: Their diagram, or None where there is only one.
        rail: What leads past it.
        is_open: Whether it is shown unfolded at first.
    """

    name: str
    layers: list[LayerOnModel]
    samples: list[UnitSample]
    drawing: BlockDrawing | None
    rail: Rail
    is_open: bool

    @property
    def anchor(self) -> str:
        """Return the name that an address can point to."""
        return "block-" + re.sub(r"[^A-Za-z0-9]+", "-", self.layers[0].name)

    @property
    def num_units(self) -> int:
        """Return how many units its layers have together."""
        return sum(layer.num_units for layer in self.layers)

    @property
    def maps(self) -> list[str]:
        """Return the sizes of its maps, each once, in order."""
        return list(dict.fromkeys(" × ".join(map(str, layer.map_size)) for layer in self.layers if layer.map_size))

    @property
    def receptive_field_px(self) -> int | None:
        """Return the largest part of the image that a unit of it sees; None: all of it."""
        sides = [layer.receptive_field_px for layer in self.layers]
        return None if None in sides else max(side for side in sides if side is not None)


def model_graph(layers: Sequence[LayerOnModel]) -> list[Block]:
    """Return the blocks of a model in the order of execution."""
    groups = _groups(layers)
    links = links_of(layers)
    past = _past([group for _, group in groups], links)
    inside = [link for link in links if not (link in past and past[link][2])]
    rails = _rails(len(groups), sorted(set(past.values())))
    is_open = len(layers) <= MAX_OPEN_LAYERS
    return [
        Block(
            name=name,
            layers=group,
            samples=_some(group),
            drawing=draw_block(group, inside, name) if len(group) > 1 else None,
            rail=rail,
            is_open=is_open,
        )
        for (name, group), rail in zip(groups, rails, strict=True)
    ]


def block_of(name: str, depth: int = 1) -> str:
    """Return the beginning of the name of a layer that it shares with those of its block.

    >>> block_of("blocks.1.0.conv_dw", 2), block_of("conv_stem"), block_of("mixed4a_3x3_bottleneck"), block_of("mixed4a")
    ('blocks.1', 'conv_stem', 'mixed4a', 'mixed4a')
    """
    parts = name.split(".")
    if len(parts) > 1:
        return ".".join(parts[: max(1, min(depth, len(parts) - 1))])
    numbered = re.match(r"[A-Za-z]+\d+[a-z]*(?=_)", name)
    return numbered[0] if numbered else name


def _groups(layers: Sequence[LayerOnModel], depth: int = 1) -> list[tuple[str, list[LayerOnModel]]]:
    """Return runs of layers with the same block; those that are too long are divided further."""

    def key(layer: LayerOnModel) -> str:
        return block_of(layer.name, depth)

    found: list[tuple[str, list[LayerOnModel]]] = []
    for name, run in groupby(layers, key):
        group = list(run)
        deeper = any(block_of(layer.name, depth + 1) != name for layer in group)
        if len(group) > MAX_LAYERS and deeper:
            found += _groups(group, depth + 1)
        else:
            found.append((name, group))
    return found


def _some(layers: Sequence[LayerOnModel]) -> list[UnitSample]:
    """Return a few units of some layers: the first of each, then the second; visualizations first, last layers first."""
    rounds = max((len(layer.samples) for layer in layers), default=0)
    listed = [layer.samples[n] for n in range(rounds) for layer in reversed(layers) if n < len(layer.samples)]
    return sorted(listed, key=lambda sample: not sample.is_visualization)[:SAMPLES]


def _past(groups: Sequence[Sequence[LayerOnModel]], links: Sequence[Link]) -> dict[Link, _Span]:
    """Return the links that lead past whole blocks, with the blocks between which they do."""
    place = {layer.name: number for number, group in enumerate(groups) for layer in group}
    found: dict[Link, _Span] = {}
    for link in links:
        start, stop = place[link.source], place[link.target]
        from_top = link.is_around and groups[start][0].name == link.source
        if stop > start + 1 or (stop == start + 1 and from_top and len(groups[start]) == 1):
            found[link] = (start, stop, from_top)
    return found


def _rails(num_blocks: int, spans: Sequence[_Span]) -> list[Rail]:
    """Return, for each block, the lines that lead past it."""
    lanes = lanes_of([(start, stop) for start, stop, _ in spans])
    width = LANE_PX * (max(lanes, default=-1) + 1) + 12
    main = width - 6
    rails: list[Rail] = []
    for number in range(num_blocks):
        lines: list[str] = []
        for lane, (start, stop, from_top) in zip(lanes, spans, strict=True):
            x = main - LANE_PX * (lane + 1)
            if number == start:
                lines.append(f"M{main} 8C{x} 8 {x} 20 {x} 40V100" if from_top else f"M{main} 70C{x} 70 {x} 80 {x} 100")
            elif start < number < stop:
                lines.append(f"M{x} 0V100")
            elif number == stop:
                lines.append(f"M{x} 0C{x} 12 {x} 20 {main} 20")
        rails.append(Rail(lines, width))
    return rails
