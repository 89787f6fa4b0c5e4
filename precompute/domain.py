"""The values that pass between the rooms: models, layers, units, stimuli, results. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl

from precompute.errors import UsageError

UnitKind = Literal["channel", "neuron", "head", "feature", "stream"]
WeightsOrigin = Literal["pretrained", "trained-here", "hand-coded", "random"]
TaskStatus = Literal["todo", "done", "failed"]
ExampleKind = Literal["top", "bottom", "quantile", "random"]
VisualizationStatus = Literal["ok", "dead_start", "rescued", "never_started", "saturated"]
Objective = Literal["channel", "neuron"]

FILTERS = "filters"
"""Kind of the artifact that holds the weights of a layer on the pixels of the image."""
PROFILE, PROFILE_IMAGES, LABEL_RESPONSES = "profile", "profile_images", "label_responses"
"""Kinds of what a layer's units answer to images, to which images, and to labels."""
SIMILAR, LAYOUT = "similar_units", "layout"
"""Kinds of the nearest units of every unit of a layer, and of their places on its map."""
EXAMPLE_MAPS, EXAMPLE_SCALES = "example_maps", "example_scales"
"""Kinds of the activation maps of the examples of a layer's units, and of the activation that 255 means in each unit's."""

UNIT_KINDS: tuple[str, ...] = get_args(UnitKind)
VISUALIZATION_STATUSES: tuple[str, ...] = get_args(VisualizationStatus)

_SPEC = re.compile(r"(?P<source>[a-z][a-z0-9_]*):(?P<name>[^@?]+)(\?(?P<arguments>[^@]*))?(@(?P<weights>.+))?")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and which weights: `SOURCE:NAME[?ARGUMENTS][@WEIGHTS]`.

    Attributes:
        source: A registered model family (`timm`).
        name: The family's own name of the architecture.
        arguments: Arguments of the architecture or its preprocessing, as written in the query part.
        weights: `pretrained`, `random:SEED`, `pip`, or the path of a weight file.
    """

    source: str
    name: str
    weights: str = "pretrained"
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read a specification.

        >>> ModelSpec.parse("timm:resnet18@random:7").weights
        'random:7'

        Raises:
            UsageError: The text is not of the form `SOURCE:NAME[?ARGUMENTS][@WEIGHTS]`.
        """
        match = _SPEC.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} is not a model. Write SOURCE:NAME or SOURCE:NAME@WEIGHTS, "
                "for example timm:resnet18@random:0; `unitscope models` lists the names."
            )
        arguments = dict(parse_qsl(match["arguments"] or "", keep_blank_values=True))
        return cls(match["source"], match["name"], match["weights"] or "pretrained", arguments)

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.source}:{self.name}{'?' + query if query else ''}@{self.weights}"


def check_model_id(text: str) -> str:
    """Return `text` if it may name a model in a URL.

    Raises:
        UsageError: It holds other characters than letters, digits, dot, underscore, hyphen.
    """
    if not _MODEL_ID.fullmatch(text):
        raise UsageError(
            f"{text!r} cannot be the name of a model: use letters, digits, '.', '_' and '-', at most 100. "
            "Choose another with --name."
        )
    return text


@dataclass(frozen=True)
class LayerSpec:
    """A named point of a model where units are read.

    Attributes:
        name: The exact `named_modules()` path of the module that makes the units, or of the block for a stream.
        kind: What one unit of it is.
        num_units: How many units it has.
        position: Its place in the order of execution, from 0.
        unit_axis: The axis of the recorded tensor (axis 0 is the batch) that counts units.
        map_size: The sizes of the other axes: `(height, width)`, `(tokens,)`, or `()` for one value per image.
        operation: `convolution`, `depthwise`, `grouped`, `linear`, `add`, `concat`.
        nonlinearity: The operation between pre-activation and activation (`relu6`), or None.
        receptive_field_px: Side of the theoretical receptive field in pixels of the model input; None if it is everything.
        stride_px: Distance between neighbouring positions in pixels of the model input; None where there is no map.
        offset_px: Pixel `(y, x)` where the receptive field of position (0, 0) begins; negative inside the padding.
        inputs: Names of the layers directly before.
        outputs: Names of the layers directly after.
        is_default: Whether a build takes it when no layers are named.
    """

    name: str
    kind: UnitKind
    num_units: int
    position: int
    unit_axis: int
    map_size: tuple[int, ...]
    operation: str
    nonlinearity: str | None = None
    receptive_field_px: int | None = None
    stride_px: int | None = None
    offset_px: tuple[int, int] = (0, 0)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    is_default: bool = True

    def box_at(self, y: int, x: int, input_height: int, input_width: int) -> tuple[int, int, int, int]:
        """Return `(y0, x0, y1, x1)`, the receptive field of position (y, x), clipped to the model input.

        >>> LayerSpec("c", "channel", 1, 0, 1, (8, 8), "convolution", None, 7, 2, (-3, -3)).box_at(0, 1, 16, 16)
        (0, 0, 4, 6)
        """
        if self.receptive_field_px is None or self.stride_px is None or len(self.map_size) != 2:
            return (0, 0, input_height, input_width)
        top = self.offset_px[0] + y * self.stride_px
        left = self.offset_px[1] + x * self.stride_px
        bottom = min(input_height, top + self.receptive_field_px)
        right = min(input_width, left + self.receptive_field_px)
        return (max(0, top), max(0, left), bottom, right)


@dataclass(frozen=True, order=True)
class UnitRef:
    """One unit of one layer."""

    layer: str
    index: int


@dataclass(frozen=True)
class StimulusRef:
    """One image that was shown to a model.

    Attributes:
        index: Its place in the dataset, from 0; the same for every model built on the dataset.
        key: Path relative to the image folder; for a crop of a photograph, `photograph.png#y0,x0,y1,x1`.
        label: Name of its sub-folder or its photograph, or None.
        source: The file or photograph it comes from: crops of one photograph share it.
    """

    index: int
    key: str
    label: str | None
    source: str


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be used, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class BlobData:
    """Bytes for the file store, with the extension that says what they are (`webp`, `png`, `npy`, `json`)."""

    data: bytes
    extension: str


@dataclass(frozen=True)
class Artifact:
    """One stored result of one technique about one unit, or about a whole layer.

    Attributes:
        layer: The layer it is about.
        unit: Index of the unit, or None where it is about the layer.
        technique: Name of the technique.
        kind: What it is (`histogram`, `examples`, `visualization`, `filters`).
        position: Its place among those of the same kind.
        payload: Numbers and words, JSON.
        blob: A file that belongs to it.
    """

    layer: str
    unit: int | None
    technique: str
    kind: str
    position: int = 0
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    blob: BlobData | None = None


@dataclass(frozen=True)
class UnitMetric:
    """One number about one unit that pages sort and filter by."""

    layer: str
    unit: int
    metric: str
    value: float | None


@dataclass(frozen=True)
class TopStimulus:
    """One row of the index from stimuli to the units that they are top examples of."""

    layer: str
    unit: int
    stimulus: int
    rank: int
    activation: float


@dataclass(frozen=True)
class Placement:
    """Where the kernels of a link lie on the source's map.

    Attributes:
        stride: How far the kernel moves on the source's map when the target's position moves by one.
        start: `(y, x)` on the source's map of the kernel's first element for the target's position (0, 0): minus the padding.
        is_mean: Whether the target reads the mean over the source's whole map: the kernel is one number.
    """

    stride: int = 1
    start: tuple[int, int] = (0, 0)
    is_mean: bool = False


@dataclass(frozen=True)
class LayerLink:
    """The whole array of weights between two layers.

    Attributes:
        source, target: Names of the layers, the source directly before the target.
        is_exact: Whether nothing but linear operations lies between.
        kernel_shape: `(height, width)`.
        layout: `full`, array `[target, source, height, width]`, or `diagonal`, `[unit, height, width]`, each unit to itself.
        placement: Where the kernels lie on the source's map.
        blob: The array as `.npy`, float32.
    """

    source: str
    target: str
    is_exact: bool
    kernel_shape: tuple[int, int]
    layout: Literal["full", "diagonal"]
    placement: Placement
    blob: BlobData


Result = Artifact | UnitMetric | TopStimulus | LayerLink


def stable_hash(*parts: object) -> int:
    """Return a 63-bit number that depends on nothing but the parts, on any machine and in any process.

    >>> stable_hash("blocks.0", 3, 0) == stable_hash("blocks.0", 3, 0)
    True
    """
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
