"""The loop: many images at once, one objective each, no image knowing of the others.

Everything that is drawn comes from the generator of the image it is for, and every operation is per image or per
element, so that a picture does not depend on its batch-mates. (The kernels that PyTorch picks do depend on the size of
the batch; callers keep that fixed.)

Paper: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016, for the update.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from precompute.optvis.parameterizations import Parameterization
from precompute.optvis.transforms import AffineRange, Warp, draw_affine

Evaluate = Callable[[Tensor], Tensor]
"""From pixels `[batch, rgb, height, width]` between 0 and 1 to values `[batch]`."""


PATIENCE = 16
"""An image without any gradient in its first steps is given up after so many, whatever its batch-mates do."""

FADE_SHARE = 0.5
"""Share of the steps during which the noise of the start is taken away again: it wakes units, and is nothing to look at."""


@dataclass(frozen=True)
class Ascent:
    """What the loop leaves behind.

    Attributes:
        images: Pixels `[batch, rgb, height, width]` between 0 and 1.
        trace: Values under the transforms `[step, batch]`, in units of the layer.
        start: Value of each untransformed image before the first step `[batch]`.
        activation: Value of each untransformed image after the last `[batch]`.
        num_steps: How many steps each image was optimised for, int64 `[batch]`; `PATIENCE` where it was given up.
        last_live_step: The last step with a finite gradient that was not zero, -1 where there was none, int64 `[batch]`.
    """

    images: Tensor
    trace: Tensor
    start: Tensor
    activation: Tensor
    num_steps: Tensor
    last_live_step: Tensor


class Nadam:
    """The Nesterov-accelerated Adam update, element by element, with a constant rate.

    Args:
        state: What is optimised; changed in place.
        learning_rate: Size of a step.
    """

    beta1, beta2, epsilon, momentum_decay = 0.9, 0.999, 1e-8, 0.004

    def __init__(self, state: Tensor, learning_rate: float) -> None:
        self.state = state
        self.learning_rate = learning_rate
        self._first = torch.zeros_like(state)
        self._second = torch.zeros_like(state)
        self._product = 1.0
        self._step = 0

    def climb(self, gradient: Tensor) -> None:
        """Move the state up the gradient."""
        self._step += 1
        now, following = (
            self.beta1 * (1.0 - 0.5 * 0.96 ** (step * self.momentum_decay)) for step in (self._step, self._step + 1)
        )
        self._product *= now
        self._first.mul_(self.beta1).add_(gradient, alpha=1 - self.beta1)
        self._second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        root = self._second.sqrt().div_(math.sqrt(1 - self.beta2**self._step)).add_(self.epsilon)
        self.state.addcdiv_(gradient, root, value=self.learning_rate * (1 - now) / (1 - self._product))
        self.state.addcdiv_(self._first, root, value=self.learning_rate * following / (1 - self._product * following))


def ascend(
    evaluate: Evaluate,
    parameterization: Parameterization,
    generators: Sequence[Generator],
    directions: Tensor,
    *,
    num_steps: int,
    bounds: AffineRange,
    contrast: float = 0.2,
    learning_rate: float = 0.05,
) -> Ascent:
    """Optimise one image for each generator.

    Args:
        evaluate: The value of each image.
        parameterization: How images are written down.
        generators: One for each image: its start and its transforms come from it.
        directions: `[batch]`, 1 to raise the value and -1 to lower it.
        num_steps: Steps of the update.
        bounds: Of the random views; each image sees its own in every step.
        contrast: Of the start.
        learning_rate: Of the update; constant.
    """
    state = parameterization.start(generators, contrast).requires_grad_(True)
    num_fading = max(1, round(num_steps * FADE_SHARE))
    fading = state.detach() / num_fading
    matrices = draw_affine(bounds, parameterization.canvas_px, generators, num_steps)
    warp = Warp(parameterization.canvas_px)
    update = Nadam(state.detach(), learning_rate)
    trace = []
    last_live_step = torch.full((len(generators),), -1)
    with torch.no_grad():
        start = evaluate(parameterization.image(state))
    for step in range(num_steps):
        values = evaluate(warp(parameterization.image(state), matrices[step]))
        (gradient,) = torch.autograd.grad(values, state, directions)
        is_live = _silence(gradient, last_live_step if step >= PATIENCE else None)
        last_live_step[is_live] = step
        update.climb(gradient)
        if step < num_fading:
            update.state.sub_(fading)
        trace.append(values.detach())
        if step + 1 == PATIENCE and bool((last_live_step < 0).all()):
            break
    with torch.no_grad():
        images = parameterization.image(state)
        activation = evaluate(images)
    steps = torch.where(last_live_step < 0, min(PATIENCE, num_steps), num_steps)
    return Ascent(images, torch.stack(trace), start, activation, steps, last_live_step)


def _silence(gradient: Tensor, last_live_step: Tensor | None) -> Tensor:
    """Set to zero, in place, the gradient of images that cannot use it, and return which images moved: bool `[batch]`.

    Args:
        gradient: `[batch, ...]`.
        last_live_step: `[batch]`; images where it is negative were given up. None while nobody can be.
    """
    # The largest size is NaN or infinite as soon as one element is.
    size = gradient.abs().flatten(1).amax(1)
    is_usable = size.isfinite()
    if last_live_step is not None:
        is_usable &= last_live_step >= 0
    if not bool(is_usable.all()):
        gradient[~is_usable] = 0.0
    return is_usable & (size > 0)
