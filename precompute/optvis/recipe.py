"""How a picture of a layer is made: canvas, steps, batch and transforms, chosen from the layer's receptive field.

A canvas larger than what a unit can see costs time and shows the same motif more often; a smaller one starves it. The
numbers here were chosen by looking at pictures and by measuring (README, "Decisions").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from precompute.domain import LayerSpec
from precompute.optvis.objectives import Reduction
from precompute.optvis.transforms import AffineRange

Quality = Literal["draft", "final"]

NUM_STEPS: dict[Quality, int] = {"draft": 128, "final": 512}
CANVAS_LIMIT_PX: dict[Quality, int] = {"draft": 128, "final": 224}
SMALLEST_CHANNEL_CANVAS_PX = 48
SMALLEST_NEURON_CANVAS_PX = 16
LARGEST_BATCH = 16
BATCH_BYTES = 1 << 30

SECONDS_PER_PIXEL_STEP = 5e-8
SECONDS_PER_VALUE_STEP = 4e-9


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
        seconds: Estimated time of one picture on one core.
    """

    canvas_px: int
    num_steps: int
    batch_size: int
    bounds: AffineRange
    decay: float = 1.0
    cutoff: float = 0.25
    learning_rate: float = 0.05
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
    num_values = sum(
        other.num_units * math.prod(other.map_size) * (canvas_px / input_px) ** 2
        for other in layers
        if other.position <= layer.position
    )
    num_steps = NUM_STEPS[quality]
    per_step = SECONDS_PER_PIXEL_STEP * canvas_px**2 + SECONDS_PER_VALUE_STEP * num_values
    return Recipe(
        canvas_px=canvas_px,
        num_steps=num_steps,
        batch_size=choose_batch_size(num_values),
        bounds=AffineRange(shift_px=canvas_px / 16),
        seconds=per_step * num_steps,
    )


def choose_canvas(layer: LayerSpec, reduction: Reduction, quality: Quality, input_px: int) -> int:
    """Return the side of the canvas in pixels.

    A fixed-size model (tokens: no map to shrink) gets its own input size.
    """
    has_map = len(layer.map_size) == 2
    if not has_map and layer.receptive_field_px is None and layer.map_size:
        return input_px
    limit = min(input_px, CANVAS_LIMIT_PX[quality])
    if layer.receptive_field_px is None:
        return limit
    step, smallest = (8, SMALLEST_NEURON_CANVAS_PX) if reduction == "neuron" else (16, SMALLEST_CHANNEL_CANVAS_PX)
    wanted = math.ceil(layer.receptive_field_px * 1.2 / step) * step
    return min(limit, max(smallest, wanted))


def choose_batch_size(num_values: float) -> int:
    """Return the largest power of two of images whose layers fit into `BATCH_BYTES`, at most `LARGEST_BATCH`.

    Args:
        num_values: Outputs of all layers that run, for one image. Each is held about three times as float32: before and
            after its nonlinearity, and as a gradient.
    """
    fitting = BATCH_BYTES / max(1.0, num_values * 4 * 3)
    return int(2 ** max(0, min(math.log2(LARGEST_BATCH), math.floor(math.log2(max(1.0, fitting))))))
