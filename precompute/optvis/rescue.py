"""Rescue of images for which every way to the unit is shut: their gradient passes nonlinearities that hold it back.

A rectifier passes no gradient where its input is below zero. An image with all inputs there gives its unit no gradient at
all, and stays noise for ever. For such images alone, gradient that would push an input back into the open range is let
through. The decision is made for each image: lucid's rule. Decided over a whole batch it would help nobody, and images would
depend on their batch-mates.

Paper: the rule is that of `lucid.misc.redirected_relu_grad`, there only in its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_RECTIFIERS = {torch.relu, torch.relu_, functional.relu, functional.relu_, Tensor.relu, Tensor.relu_}
_CLAMPS = {functional.relu6, functional.hardtanh, functional.hardtanh_}


class _Opened(torch.autograd.Function):
    """A clamp whose gradient is redirected for the images that need it."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, low: float, high: float, rows: Tensor) -> Tensor:
        context.save_for_backward(tensor, rows)
        context.bounds = (low, high)
        return tensor.clamp(low, high)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = gradients
        tensor, rows = context.saved_tensors
        low, high = context.bounds
        is_below, is_above = tensor <= low, tensor >= high
        passed = gradient.masked_fill(is_below | is_above, 0.0)
        is_shut = (passed.abs().flatten(1).amax(1) == 0) & rows
        # Upwards is where the objective rises: what lies below is let rise, what lies above is let fall.
        pushed = gradient.masked_fill((is_below & (gradient < 0)) | (is_above & (gradient > 0)), 0.0)
        shape = (-1, *[1] * (gradient.ndim - 1))
        return torch.where(is_shut.reshape(shape), pushed, passed), None, None, None


class _OpenMode(TorchFunctionMode):
    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        bounds = _bounds(func, args[1:], kwargs)
        if bounds is None or args[0].shape[0] != len(self.rows):
            return func(*args, **kwargs)
        return _Opened.apply(args[0], *bounds, self.rows)


def _bounds(func: Callable[..., Any], rest: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, float] | None:
    if func in _RECTIFIERS:
        return 0.0, float("inf")
    if func is functional.relu6:
        return 0.0, 6.0
    if func in _CLAMPS:
        values = dict(zip(("min_val", "max_val"), rest, strict=False)) | kwargs
        return float(values.get("min_val", -1.0)), float(values.get("max_val", 1.0))
    return None


@contextmanager
def open_dead_ends(rows: Tensor | None) -> Iterator[None]:
    """Let the gradient of some images pass through rectifiers and clamps that would stop all of it.

    Args:
        rows: bool `[batch]`, which images; None for none, which costs nothing.
    """
    if rows is None:
        yield
        return
    with _OpenMode(rows):
        yield
