"""A faster copy of a model with equal values: batch norms folded into the convolutions before them, parameters frozen."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from precompute.models.graph import LayerPoint
from precompute.models.trace import Trace


class FoldedNorm(nn.Module):
    """What stays of a timm norm-and-activation module once its norm is folded: the same children, without the norm.

    Args:
        drop: Its dropout; the identity in evaluation mode, kept because its output is where the pre-activation is read.
        act: Its nonlinearity.
    """

    def __init__(self, drop: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.drop = drop
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Apply the nonlinearity."""
        result: Tensor = self.act(self.drop(x))
        return result


class Clamp(nn.Module):
    """A rectifier or clamp that writes over its input where no gradient is asked for.

    Nothing else reads what the convolution made, and hooks see it before. Where a gradient is asked for, torch would copy the
    input before it writes over it, and a fresh output is cheaper.

    Args:
        act: A `ReLU` or `Hardtanh` (or `ReLU6`).
    """

    def __init__(self, act: nn.ReLU | nn.Hardtanh) -> None:
        super().__init__()
        self.low, self.high = (act.min_val, act.max_val) if isinstance(act, nn.Hardtanh) else (0.0, None)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        is_written_over = not (torch.is_grad_enabled() and x.requires_grad)
        if self.high is None:
            return functional.relu(x, inplace=is_written_over)
        return functional.hardtanh(x, self.low, self.high, inplace=is_written_over)


def fold_and_freeze(model: nn.Module, trace: Trace, points: Iterable[LayerPoint]) -> nn.Module:
    """Return a frozen copy of `model` in channels-last layout whose batch norms are folded where that is possible.

    A norm stays where its convolution's weights are computed at run time (weight standardisation) or the norm is of a kind
    that we do not know: slower, but right.

    Args:
        model: In evaluation mode.
        trace: What it executed.
        points: Its layers.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for point in points:
        if point.norm is None or point.norm.name != "native_batch_norm":
            continue
        convolution = folded.get_submodule(point.maker.module)
        norm = folded.get_submodule(point.norm.module)
        weight = trace.constant(point.maker.arguments[1])
        original = model.get_submodule(point.maker.module)
        if not isinstance(convolution, nn.Conv2d) or weight is not getattr(original, "weight", None):
            continue
        replacement = _without_norm(norm)
        if replacement is None:
            continue
        _fold(convolution, norm)
        folded.set_submodule(point.norm.module, replacement)
    return folded.to(memory_format=torch.channels_last)


def _without_norm(norm: nn.Module) -> nn.Module | None:
    children = dict(norm.named_children())
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    if isinstance(norm, nn.BatchNorm2d) and set(children) == {"drop", "act"}:
        act = children["act"]
        # Of exactly these kinds: what a subclass does is its own.
        if isinstance(act, nn.ReLU | nn.Hardtanh) and type(act) in (nn.ReLU, nn.ReLU6, nn.Hardtanh):
            act = Clamp(act)
        return FoldedNorm(children["drop"], act)
    return None


def _fold(convolution: nn.Conv2d, norm: nn.Module) -> None:
    """Fold in float64, so that the only rounding is the last one."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise TypeError("only batch norms with running statistics can be folded")
    spread = torch.sqrt(norm.running_var.double() + norm.eps)
    gain = (norm.weight.double() if norm.weight is not None else torch.ones_like(spread)) / spread
    shift = norm.bias.double() if norm.bias is not None else torch.zeros_like(spread)
    bias = convolution.bias.double() if convolution.bias is not None else torch.zeros_like(spread)
    weight = convolution.weight.double() * gain.reshape(-1, 1, 1, 1)
    convolution.weight = nn.Parameter(weight.float(), requires_grad=False)
    convolution.bias = nn.Parameter((shift + (bias - norm.running_mean.double()) * gain).float(), requires_grad=False)
