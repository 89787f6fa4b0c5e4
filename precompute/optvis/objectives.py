"""What an image is optimised for, as values: an objective declares the layer, unit, reduction and side it looks at.

Because it is declared and not hidden in a closure, a planner can group objectives by layer, stop the forward pass there
and read all of them with one gather. Values stay one per image; only their gradient is that of the sum.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, https://distill.pub/2017/feature-visualization;
the objectives follow `lucid.optvis.objectives`, except that they read the pre-activation: a unit that is off at the start
still has a gradient there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from precompute.models.base import units_first

Reduction = Literal["channel", "neuron"]
Sign = Literal["positive", "negative"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
SIGNS: tuple[Sign, ...] = get_args(Sign)


@dataclass(frozen=True)
class Objective:
    """One number that an image is optimised for.

    Attributes:
        layer: Where it is read, before the nonlinearity.
        unit: Index on the layer's unit axis.
        reduction: `channel` is the mean over all positions, `neuron` the value at the centre position.
        sign: `positive` looks for images that raise it, `negative` for images that lower it.
    """

    layer: str
    unit: int
    reduction: Reduction = "channel"
    sign: Sign = "positive"

    @property
    def direction(self) -> float:
        """Return 1.0 where the value is to rise and -1.0 where it is to fall."""
        return 1.0 if self.sign == "positive" else -1.0


def centre_index(sizes: Sequence[int]) -> int:
    """Return the flat index of the centre position of a map.

    Args:
        sizes: Of the axes that are neither batch nor unit; none for a layer without positions.

    >>> centre_index([4, 6]), centre_index([7]), centre_index([])
    (15, 3, 0)
    """
    index = 0
    for size in sizes:
        index = index * size + size // 2
    return index


def read_units(pre_activation: Tensor, unit_axis: int, units: Tensor, reduction: Reduction) -> Tensor:
    """Return the value of unit `units[i]` on image `i`, for every image, with one gather.

    Args:
        pre_activation: What the layer held, on its own axes; axis 0 is the batch.
        unit_axis: The axis that counts units.
        units: int64 `[batch]`.
        reduction: How the positions of a unit become one number.

    Returns:
        float32 `[batch]`, in the units of the layer.
    """
    sizes = [size for axis, size in enumerate(pre_activation.shape) if axis not in (0, unit_axis % pre_activation.ndim)]
    rows = torch.arange(len(units), device=pre_activation.device)
    maps = units_first(pre_activation, unit_axis)[rows, units].float()
    return maps.mean(1) if reduction == "channel" else maps[:, centre_index(sizes)]
