"""Receptive fields by gradient support: which pixels can reach a position at all, whatever the weights are.

On a copy whose weights are all positive and whose nonlinearities let everything through, no two paths can cancel, so a pixel
has a gradient exactly if it is in the field. This needs no knowledge of the operations; where the arithmetic of kernels and
strides applies (`precompute.models.graph`), both must agree.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from precompute.models.modules import TracedModel


def gradient_support(model: TracedModel, layer: str, y: int, x: int) -> tuple[int, int, int, int]:
    """Return `(y0, x0, y1, x1)`, the pixels of the model input that position (y, x) of a layer can see.

    Args:
        model: Any traced model; it is not changed.
        layer: A layer with a map.
        y: Row of a position of its map.
        x: Column of the position.
    """
    twin = copy.copy(model)
    twin.folded = _all_positive(model.folded)
    height, width = model.preprocessing.crop_px
    # Away from zero, so that no rectifier and no ceiling (relu6) stops a gradient.
    batch = torch.full((1, model.input_channels, height, width), 0.5, dtype=torch.float64, requires_grad=True)
    value = twin.pre_activation(batch, layer)
    value[0, :, y, x].sum().backward()
    if batch.grad is None:
        raise RuntimeError(f"{layer} does not depend on the input")
    rows, columns = torch.nonzero(batch.grad[0].abs().sum(0), as_tuple=True)
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


def _all_positive(module: nn.Module) -> nn.Module:
    """Return a float64 copy whose convolutions take means, so that numbers neither grow nor vanish."""
    twin = copy.deepcopy(module).double()
    for path, part in list(twin.named_modules()):
        if isinstance(part, nn.Conv2d | nn.Linear):
            with torch.no_grad():
                part.weight.fill_(1 / part.weight[0].numel())
                if part.bias is not None:
                    part.bias.zero_()
        elif isinstance(part, nn.MaxPool2d):
            # A maximum lets only one pixel through.
            twin.set_submodule(path, nn.AvgPool2d(part.kernel_size, part.stride, part.padding))
    return twin
