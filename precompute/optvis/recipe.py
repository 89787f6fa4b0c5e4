"""How a picture of a layer is made: canvas, steps, batch and transforms, chosen from the layer's receptive field.

A canvas larger than what a unit can see costs time and shows the same motif more often; a smaller one starves it. The
numbers here were chosen by looking at pictures and by measuring (README, "Decisions").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from precompute.domain import LayerSpec
from precompute.optvis.objectives import Reduction
from precompute.optvis.transforms import AffineRange

Quality = Literal["draft", "final"]

CANVAS_LIMIT_PX: dict[Quality, int] = {"draft": 128, "final": 160}
SMALLEST_CHANNEL_CANVAS_PX = 48
SMALLEST_NEURON_CANVAS_PX = 16
LARGEST_BATCH = 16
LEAST_GAIN = 0.004
"""A final picture has converged where 16 more steps raise it by less than this share; drafts take all their steps."""
LEAST_PRODUCTS_FOR_BFLOAT16 = 2e7
"""Of one image: below this the conversion costs more than it saves."""
BATCH_BYTES = 1 << 30


class _Way(NamedTuple):
    """How many steps of which size, and how much noise is added to what the network sees."""

    num_steps: int
    learning_rate: float
    noise: float


SMALL_FIELD_PX, LARGE_FIELD_PX = 24, 200
"""Layers that see less than the first are made of edges and colours, from the second on of parts of objects."""
WAYS: dict[tuple[Quality, str], _Way] = {
    ("draft", "small"): _Way(112, 0.2, 0.0),
    ("draft", "middle"): _Way(80, 0.1, 0.01),
    ("draft", "large"): _Way(112, 0.07, 0.025),
    ("final", "small"): _Way(192, 0.1, 0.0),
    ("final", "middle"): _Way(256, 0.05, 0.06),
    ("final", "large"): _Way(256, 0.05, 0.06),
}
"""Noise leaves the motif and takes the dust: what is fine and faint cannot be told from it, so the picture is painted in broad
strokes. It costs activation, so that drafts, which are to be cheap, have less of it."""

SECONDS_PER_PIXEL = 1.4e-7
SECONDS_PER_VALUE = 3e-9
SECONDS_PER_PRODUCT = 7e-11
"""Of one step of one image on one core: pixels of the canvas, outputs of all layers, multiplications in all layers."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a picture is made, except the unit and the seed.

    Attributes:
        canvas_px: Side of the image.
        num_steps: Of the update.
        batch_size: Images that are always run together, padded where there are fewer.
        bounds: Of the random views.
        decay: Of the spectrum, as a power of 1/f.
        cutoff: Of the low pass, in cycles per pixel.
        learning_rate: Of the update.
        least_gain: A picture has converged where 16 more steps raise it by less than this share; 0 takes all steps.
        uses_bfloat16: Whether the network runs in bfloat16.
        seconds: Estimated time of one picture on one core.
    """

    canvas_px: int
    num_steps: int
    batch_size: int
    bounds: AffineRange
    decay: float = 1.2
    cutoff: float = 0.2
    learning_rate: float = 0.05
    least_gain: float = 0.0
    uses_bfloat16: bool = False
    seconds: float = 0.0


def choose_recipe(layer: LayerSpec, layers: Sequence[LayerSpec], reduction: Reduction, quality: Quality, input_px: int) -> Recipe:
    """Return how the pictures of a layer are made.

    Args:
        layer: The layer.
        layers: All layers of the model: those that run before it decide what a picture costs.
        reduction: A `neuron` sees no more than its receptive field; a `channel` needs several positions.
        quality: `draft` or `final`.
        input_px: Side of the model input, the largest canvas.
    """
    canvas_px = choose_canvas(layer, reduction, quality, input_px)
    share = (canvas_px / input_px) ** 2
    before = [other for other in layers if other.position <= layer.position]
    num_values = share * sum(other.num_units * math.prod(other.map_size) for other in before)
    num_products = share * _count_products(before)
    per_step = SECONDS_PER_PIXEL * canvas_px**2 + SECONDS_PER_VALUE * num_values + SECONDS_PER_PRODUCT * num_products
    field = _size_of_field(layer)
    way = WAYS[quality, field]
    return Recipe(
        canvas_px=canvas_px,
        num_steps=way.num_steps,
        batch_size=choose_batch_size(num_values),
        bounds=AffineRange(shift_px=canvas_px / 16, noise=way.noise),
        decay=1.0 if field == "small" else 1.2,
        cutoff=0.35 if field == "small" else 0.2,
        learning_rate=way.learning_rate,
        least_gain=LEAST_GAIN if quality == "final" else 0.0,
        uses_bfloat16=pays_bfloat16(before, num_products),
        seconds=per_step * way.num_steps,
    )


def _size_of_field(layer: LayerSpec) -> str:
    """Return `small`, `middle` or `large`; a layer that sees the whole image is large."""
    field_px = layer.receptive_field_px
    if field_px is not None and field_px < SMALL_FIELD_PX:
        return "small"
    return "middle" if field_px is not None and field_px < LARGE_FIELD_PX else "large"


def pays_bfloat16(layers: Sequence[LayerSpec], num_products: float) -> bool:
    """Return whether the layers run faster in bfloat16 on this machine.

    Measured with AVX-512 BF16: 1.3 times on ResNet-18, dense; nothing on EfficientNet-Lite0, depthwise.
    """
    is_dense = all(layer.operation not in ("depthwise", "grouped") for layer in layers)
    return is_dense and num_products > LEAST_PRODUCTS_FOR_BFLOAT16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _count_products(layers: Sequence[LayerSpec]) -> float:
    """Return about how many multiplications the layers take at the size of the model input.

    The side of a kernel is what it adds to the largest receptive field before it. Branches that are added up count once.
    """
    known = {layer.name: layer for layer in layers}
    total = 0.0
    for layer in layers:
        inputs = [known[name] for name in layer.inputs if name in known]
        if layer.operation in ("add", "concat") or not inputs:
            continue
        widest = max(inputs, key=lambda other: other.receptive_field_px or 0)
        kernel = 1
        if layer.receptive_field_px and widest.receptive_field_px and widest.stride_px:
            kernel += max(0, layer.receptive_field_px - widest.receptive_field_px) // widest.stride_px
        num_inputs = 1 if layer.operation == "depthwise" else max(other.num_units for other in inputs)
        total += layer.num_units * num_inputs * kernel**2 * math.prod(layer.map_size)
    return total


def choose_canvas(layer: LayerSpec, reduction: Reduction, quality: Quality, input_px: int) -> int:
    """Return the side of the canvas in pixels.

    A draft gets the size of the receptive field: what a unit really answers to is well inside it. A token model runs at
    one size only, and gets that.
    """
    if len(layer.map_size) == 1:
        return input_px
    limit = min(input_px, CANVAS_LIMIT_PX[quality])
    if layer.receptive_field_px is None:
        return limit
    step, smallest = (8, SMALLEST_NEURON_CANVAS_PX) if reduction == "neuron" else (16, SMALLEST_CHANNEL_CANVAS_PX)
    if quality == "draft" and reduction == "channel":
        num_tiles = round(layer.receptive_field_px / step)
    else:
        num_tiles = math.ceil(layer.receptive_field_px * 1.2 / step)
    return min(limit, max(smallest, step * num_tiles))


def choose_batch_size(num_values: float) -> int:
    """Return the largest power of two of images whose layers fit into `BATCH_BYTES`, at most `LARGEST_BATCH`.

    Args:
        num_values: Outputs of all layers that run, for one image. Each is held about three times as float32: before and
            after its nonlinearity, and as a gradient.
    """
    fitting = BATCH_BYTES / max(1.0, num_values * 4 * 3)
    return int(2 ** max(0, min(math.log2(LARGEST_BATCH), math.floor(math.log2(max(1.0, fitting))))))
