"""What a technique is: one way of looking at units. Pure: it yields results and never sees the store.

A technique is one module of this package that registers a subclass of `Technique` with `@TECHNIQUES.register("name")`.
Its module docstring says, in order: the question it answers, how to read the picture, its known failure modes, and
`Paper:` with authors, year and link.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from precompute.domain import LayerSpec, Result
from precompute.models.base import ModelAdapter
from precompute.optvis.references import Photographs
from precompute.optvis.variants import Renderer
from precompute.registry import Registry

Quality = Literal["draft", "final"]


@dataclass(frozen=True)
class WorkItem:
    """Units of one layer that a technique can do at one go.

    Attributes:
        layer: The layer.
        units: Indices; the pipeline may do any subset of them, in any order and grouping, with equal results.
        variant: What tells several results about the same units apart, for example `channel positive draft`.
        is_per_unit: Whether each unit is a task of its own (finished and stored one by one), or the layer is one task.
        seconds: Estimated time of one unit (or of the whole layer where not `is_per_unit`) on one core.
        num_bytes: Estimated size of what is stored, likewise.
    """

    layer: str
    units: Sequence[int]
    variant: str = ""
    is_per_unit: bool = False
    seconds: float = 0.0
    num_bytes: int = 0


@dataclass(frozen=True)
class Context:
    """What a technique may look at.

    Attributes:
        adapter: The model.
        layers: The layers of this build.
        seed: Of every random draw.
        quality: `draft` or `final`.
        renderer: Who makes the pictures.
        metrics: For each layer, the statistics of the pass over the stimuli: name of the metric -> float array `[unit]`.
            Empty where the technique does not need the pass.
        observations: For each layer, what the pass kept (a `LayerObservation`).
        photographs: The stimuli and the units' top examples, where they are built.
        read_array: From layer and kind of an artifact about it to its array as it is stored, or None where there is none.
        read_picture: From layer, unit and place on the page to the pixels of a picture that is stored, or None.
    """

    adapter: ModelAdapter
    layers: Sequence[LayerSpec]
    seed: int = 0
    quality: Quality = "draft"
    renderer: Renderer = "unitscope"
    metrics: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    observations: Mapping[str, object] = field(default_factory=dict)
    photographs: Photographs | None = None
    read_array: Callable[[str, str], np.ndarray | None] | None = None
    read_picture: Callable[[str, int, int], np.ndarray | None] | None = None


class Technique(ABC):
    """One way of looking at units.

    Attributes:
        name: In commands, tables and URLs.
        title: On the page.
        position: Its place on the page.
        summary: One sentence for a newcomer.
        needs_pass: Whether it reads what the pass over the stimuli kept.
        relates_layers: Whether its results are about pairs of layers; it is then shown all that the atlas has of the model.
        relates_every_layer: Kind of its artifact that counts the layers it compared (`num_layers` of its payload), where its
            results are about all layers of the model: they are made again when there are more. Empty for other techniques.
        needs_examples: Whether it reads the activation maps of the units' examples, which a second look at the images makes.
        needs: Names of techniques whose results it reads; they are built too.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    position: ClassVar[int]
    summary: ClassVar[str]
    needs_pass: ClassVar[bool] = False
    relates_layers: ClassVar[bool] = False
    relates_every_layer: ClassVar[str] = ""
    needs_examples: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()

    def better_variant(self, variant: str) -> str | None:
        """Return the variant that makes this one needless where it is done, or None where there is none."""
        return None

    @abstractmethod
    def plan(self, context: Context) -> list[WorkItem]:
        """Return what there is to do for the layers of the context."""

    @abstractmethod
    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Do it, and yield the results in order of unit."""


TECHNIQUES: Registry[type[Technique]] = Registry("technique", "precompute.techniques")
