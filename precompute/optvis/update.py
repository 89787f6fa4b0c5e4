"""The step that images take: Nesterov-accelerated Adam with a constant rate, each image at its own step.

Paper: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numba
import numpy as np
import torch
from torch import Tensor

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


class Nadam:
    """The Nesterov-accelerated Adam update.

    On a processor the loop is our own, which reads each number once; elsewhere operations of torch do the same.

    Args:
        state: What is optimised, float32 `[batch, ...]`; changed in place.
        learning_rate: Size of a step.
        num_steps: Most steps an image takes.
        num_fading: During so many of them `fading` is taken from the state.
    """

    beta1, beta2, epsilon, momentum_decay = 0.9, 0.999, 1e-8, 0.004

    def __init__(self, state: Tensor, learning_rate: float, num_steps: int, num_fading: int = 0) -> None:
        self.state = state.contiguous()
        self.fading = torch.zeros_like(self.state)
        self._first = torch.zeros_like(self.state)
        self._second = torch.zeros_like(self.state)
        factors: list[tuple[float, float, float, float]] = []
        product = 1.0
        for step in range(1, num_steps + 1):
            now, following = (self.beta1 * (1.0 - 0.5 * 0.96 ** (at * self.momentum_decay)) for at in (step, step + 1))
            product *= now
            # Both moments are corrected for having begun at zero; the root's correction is brought to the front.
            root = (1 - self.beta2**step) ** 0.5
            size = learning_rate * root
            sizes = (size * (1 - now) / (1 - product), size * following / (1 - product * following))
            factors.append((*sizes, self.epsilon * root, float(step <= num_fading)))
        self._factors = torch.tensor(factors, device=state.device)

    def enter(self, rows: slice, state: Tensor, fading: Tensor | None) -> None:
        """Begin anew for some images.

        Args:
            rows: Which.
            state: What they begin with.
            fading: What is taken from the state in each of the first steps, None for nothing.
        """
        self.state[rows] = state
        self.fading[rows] = 0.0 if fading is None else fading
        self._first[rows] = 0.0
        self._second[rows] = 0.0

    def climb(self, gradient: Tensor, step: Tensor, is_live: Tensor) -> None:
        """Move the state up the gradient.

        Args:
            gradient: As the state.
            step: int64 `[batch]`: how many steps each image has taken before.
            is_live: bool `[batch]`: whose gradient counts; it is taken as zero for the others.
        """
        if self.state.device.type != "cpu":
            self.climb_by_torch(gradient, step, is_live)
            return
        tensors = (self.state, self.fading, self._first, self._second, gradient.contiguous())
        arrays = [tensor.detach().flatten(1).numpy() for tensor in tensors]
        _compiled()(*arrays, self._factors[step].numpy(), is_live.numpy())

    def climb_by_torch(self, gradient: Tensor, step: Tensor, is_live: Tensor) -> None:
        """Do the same by operations of torch, on any device."""
        shape = (-1, *[1] * (self.state.ndim - 1))
        now, following, epsilon, fade = (factor.reshape(shape) for factor in self._factors[step].unbind(1))
        gradient = torch.where(is_live.reshape(shape), gradient, 0.0)
        self._first.mul_(self.beta1).add_(gradient, alpha=1 - self.beta1)
        self._second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        spread = self._second.sqrt().add_(epsilon)
        self.state.add_((gradient * now).addcmul_(self._first, following).div_(spread)).sub_(self.fading * fade)


@functools.cache
def _compiled() -> Callable[..., None]:
    beta1, beta2 = np.float32(Nadam.beta1), np.float32(Nadam.beta2)
    rest1, rest2 = np.float32(1 - Nadam.beta1), np.float32(1 - Nadam.beta2)

    @numba.njit(**_OPTIONS)
    def climb(state, fading, first, second, gradient, factors, is_live):
        for row in range(state.shape[0]):
            now, following, epsilon, fade = factors[row]
            for at in range(state.shape[1]):
                g = gradient[row, at] if is_live[row] else np.float32(0.0)
                m = beta1 * first[row, at] + rest1 * g
                v = beta2 * second[row, at] + rest2 * g * g
                first[row, at], second[row, at] = m, v
                state[row, at] += (now * g + following * m) / (np.sqrt(v) + epsilon) - fade * fading[row, at]

    return climb
