"""How the numbers that are optimised become an image.

A parameterization has a state (one tensor, axis 0 is the batch), started from one generator per image, and a function
from the state to pixels. The loop knows nothing else about it.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, https://distill.pub/2017/feature-visualization;
constants as in `lucid.optvis.param` (spectrum scaled by 1/f, colours decorrelated over ImageNet, sigmoid).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

COLOR_CORRELATION_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of ImageNet's colours, by singular values (lucid)."""


class Parameterization(Protocol):
    """Numbers to optimise, and the image they stand for.

    Attributes:
        name: In payloads and tables.
        canvas_px: Side of the image.
    """

    name: str
    canvas_px: int

    def start(self, generators: Sequence[Generator], contrast: float) -> Tensor:
        """Return a state `[batch, ...]`, row `i` drawn from `generators[i]` alone."""
        ...

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, rgb, height, width]` between 0 and 1, differentiable in `state`."""
        ...


class FourierImage:
    """A spectrum with 1/f scaling and a soft low pass, decorrelated colours and a sigmoid.

    Strided networks answer to patterns near the finest frequency of the pixel grid that no photograph holds. Without the
    low pass these cover a picture like a dust; lucid hid them by magnifying its canvas before the network saw it.

    Args:
        canvas_px: Side of the image.
        decay: Power of 1/f: 1 is the slope of natural images; more makes smoother pictures.
        cutoff: Frequency, in cycles per pixel, at which the Gaussian low pass has fallen to 1/e.
    """

    name = "fourier"

    def __init__(self, canvas_px: int, decay: float = 1.2, cutoff: float = 0.2) -> None:
        self.canvas_px = canvas_px
        rows = torch.fft.fftfreq(canvas_px)[:, None]
        columns = torch.fft.rfftfreq(canvas_px)[None, :]
        frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1.0 / canvas_px)
        # The quarter keeps the start well inside the sigmoid (lucid).
        self._scale = (0.25 / frequency**decay * torch.exp(-((frequency / cutoff) ** 2)))[..., None]
        matrix = torch.tensor(COLOR_CORRELATION_SQRT)
        self._color: list[list[float]] = (matrix / matrix.norm(dim=0).max()).tolist()

    def start(self, generators: Sequence[Generator], contrast: float = 0.2) -> Tensor:
        """Return spectra `[batch, rgb, row frequency, column frequency, 2]` of natural noise.

        Args:
            generators: One for each image.
            contrast: Standard deviation of the coefficients before scaling; lucid starts at 0.01, almost grey.
        """
        shape = (3, *self._scale.shape[:2], 2)
        return torch.stack([torch.randn(shape, generator=generator) * contrast for generator in generators])

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, rgb, height, width]` between 0 and 1."""
        size = (self.canvas_px, self.canvas_px)
        planes = torch.fft.irfft2(torch.view_as_complex(state * self._scale), s=size, norm="ortho")
        first, second, third = planes.unbind(1)
        colors = [row[0] * first + row[1] * second + row[2] * third for row in self._color]
        return torch.sigmoid(torch.stack(colors, 1))
