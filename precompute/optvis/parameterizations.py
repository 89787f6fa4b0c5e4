"""How the numbers that are optimised become an image.

A parameterization has a state (one tensor, axis 0 is the batch), started from one generator for each image, and a function
from the state to pixels. The loop knows nothing else about it.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, https://distill.pub/2017/feature-visualization;
constants as in `lucid.optvis.param` (spectrum scaled by 1/f, colours decorrelated over ImageNet, sigmoid).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

COLOR_CORRELATION_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of ImageNet's colours, by singular values (lucid)."""
EDGE = 0.02
"""A photograph's pixels are kept this far from black and white, where the sigmoid has no gradient."""


class Parameterization(Protocol):
    """Numbers to optimise, and the image they stand for.

    Attributes:
        name: In payloads and tables.
        canvas_px: Side of the image.
        learning_rate: Size of a step that suits its numbers; None for that of the recipe, which is chosen for spectra.
        num_channels: 3, or 4 with transparency.
    """

    name: str
    canvas_px: int
    learning_rate: float | None
    num_channels: int

    def start(self, generators: Sequence[Generator], contrast: float) -> Tensor:
        """Return a state `[batch, ...]`, row `i` drawn from `generators[i]` alone."""
        ...

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, channel, height, width]` between 0 and 1, differentiable in `state`."""
        ...

    def fading(self, state: Tensor) -> Tensor | None:
        """Return the part of a fresh state that is to be taken away again during the ascent, or None."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what decides it, as JSON."""
        ...


def _color_matrix() -> list[list[float]]:
    matrix = torch.tensor(COLOR_CORRELATION_SQRT)
    return (matrix / matrix.norm(dim=0).max()).tolist()


def _to_colors(planes: Tensor, matrix: list[list[float]]) -> Tensor:
    """Return correlated colours of decorrelated planes, both `[batch, rgb, height, width]`; before the sigmoid."""
    mixed = torch.tensor(matrix, device=planes.device).expand(len(planes), 3, 3) @ planes.flatten(2)
    return mixed.unflatten(2, planes.shape[2:])


def decorrelate(pixels: Tensor) -> Tensor:
    """Return the decorrelated planes behind pixels `[batch, rgb, height, width]`: what `FourierImage` would hold of them."""
    inverse = torch.linalg.inv(torch.tensor(_color_matrix()))
    return torch.einsum("ij,bjhw->bihw", inverse, torch.logit(pixels.clamp(EDGE, 1 - EDGE)))


class FourierImage:
    """A spectrum with 1/f scaling and a soft low pass, decorrelated colours and a sigmoid.

    Strided networks answer to patterns near the finest frequency of the pixel grid that no photograph holds. Without the
    low pass these cover a picture like a dust; lucid hid them by magnifying its canvas before the network saw it.

    Args:
        canvas_px: Side of the image.
        decay: Power of 1/f: 1 is the slope of natural images; more makes smoother pictures.
        cutoff: Frequency, in cycles per pixel, at which the Gaussian low pass has fallen to 1/e.
        has_alpha: Whether there is a fourth plane of opacity.
    """

    name = "fourier"
    learning_rate: float | None = None

    def __init__(self, canvas_px: int, decay: float = 1.2, cutoff: float = 0.2, *, has_alpha: bool = False) -> None:
        self.canvas_px = canvas_px
        self.num_channels = 4 if has_alpha else 3
        self.decay, self.cutoff = decay, cutoff
        rows = torch.fft.fftfreq(canvas_px)[:, None]
        columns = torch.fft.rfftfreq(canvas_px)[None, :]
        frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1.0 / canvas_px)
        # The quarter keeps the start well inside the sigmoid (lucid).
        scale = 0.25 / frequency**decay * torch.exp(-((frequency / cutoff) ** 2))
        # Written out for the real and the imaginary part: to repeat it within a product is slow.
        self._scale = scale[..., None].repeat(1, 1, 2)
        # Half of the spectrum stands for all of it: on the way back, what it holds once but the image twice counts twice.
        self._scale_back = self._scale.clone()
        self._scale_back[:, 1 : (canvas_px + 1) // 2] *= 2.0
        self._color = _color_matrix()

    def start(self, generators: Sequence[Generator], contrast: float = 0.2) -> Tensor:
        """Return spectra `[batch, channel, row frequency, column frequency, 2]` of natural noise.

        Args:
            generators: One for each image.
            contrast: Standard deviation of the coefficients before scaling; lucid starts at 0.01, almost grey.
        """
        shape = (self.num_channels, *self._scale.shape[:2], 2)
        return torch.stack([torch.randn(shape, generator=generator) * contrast for generator in generators])

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, channel, height, width]` between 0 and 1."""
        result: Tensor = _Spectrum.apply(state, self._scale.to(state.device), self._scale_back.to(state.device), self._color)
        return result

    def fading(self, state: Tensor) -> Tensor | None:
        """Return all of it: the noise of the start wakes units, and is nothing to look at."""
        return state

    def settings(self) -> dict[str, Any]:
        """Return what decides it, as JSON."""
        return {"decay": self.decay, "cutoff": self.cutoff}


class _Spectrum(torch.autograd.Function):
    """From a spectrum to pixels and back: the same as by torch's own gradients, with half as many operations."""

    @staticmethod
    def forward(context: Any, state: Tensor, scale: Tensor, scale_back: Tensor, color: list[list[float]]) -> Tensor:
        side = state.shape[2]
        planes = torch.fft.irfft2(torch.view_as_complex(state.detach() * scale), s=(side, side), norm="ortho")
        mixed = _to_colors(planes[:, :3], color)
        pixels = torch.sigmoid(mixed if planes.shape[1] == 3 else torch.cat([mixed, planes[:, 3:]], 1))
        context.color = color
        context.save_for_backward(pixels, scale_back)
        return pixels

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        pixels, scale_back = context.saved_tensors
        mixed = torch.ops.aten.sigmoid_backward(gradients[0].contiguous(), pixels)
        transposed = [list(column) for column in zip(*context.color, strict=True)]
        planes = _to_colors(mixed[:, :3], transposed)
        planes = planes if mixed.shape[1] == 3 else torch.cat([planes, mixed[:, 3:]], 1)
        return torch.view_as_real(torch.fft.rfft2(planes, norm="ortho")) * scale_back, None, None, None


class PixelImage:
    """Plain pixels before a sigmoid: every frequency costs the same, so pictures are full of the finest ones.

    Kept as the control of the others.
    """

    name = "pixel"
    learning_rate: float | None = 0.05
    num_channels = 3

    def __init__(self, canvas_px: int) -> None:
        self.canvas_px = canvas_px

    def start(self, generators: Sequence[Generator], contrast: float = 0.2) -> Tensor:
        """Return white noise `[batch, rgb, height, width]`."""
        shape = (3, self.canvas_px, self.canvas_px)
        return torch.stack([torch.randn(shape, generator=generator) * contrast for generator in generators])

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, rgb, height, width]` between 0 and 1."""
        return torch.sigmoid(state)

    def fading(self, state: Tensor) -> Tensor | None:
        """Return all of it."""
        return state

    def settings(self) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}


class MacoImage:
    """MACO: the magnitudes of the spectrum are those of photographs and stay so; the phases alone are optimised.

    Paper: Fel et al., "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization", NeurIPS
    2023, https://arxiv.org/abs/2306.06805.

    Args:
        magnitude: Mean magnitude of photographs in decorrelated colours `[rgb, row frequency, column frequency]`, of
            `natural_magnitude`.
    """

    name = "maco"
    learning_rate: float | None = 0.4
    """Phases are angles: a step turns one by 23 degrees."""
    num_channels = 3

    def __init__(self, magnitude: Tensor) -> None:
        self.canvas_px = magnitude.shape[1]
        self._magnitude = magnitude
        self._color = _color_matrix()

    def start(self, generators: Sequence[Generator], contrast: float = 0.2) -> Tensor:
        """Return random phases `[batch, rgb, row frequency, column frequency]`; the contrast is that of photographs already."""
        shape = self._magnitude.shape
        return torch.stack([torch.rand(shape, generator=generator) * (2 * torch.pi) for generator in generators])

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, rgb, height, width]` between 0 and 1."""
        size = (self.canvas_px, self.canvas_px)
        spectrum = torch.polar(self._magnitude.to(state.device).expand_as(state), state)
        return torch.sigmoid(_to_colors(torch.fft.irfft2(spectrum, s=size, norm="ortho"), self._color))

    def fading(self, state: Tensor) -> Tensor | None:
        """Return nothing: phases have no size that could fade."""
        return None

    def settings(self) -> dict[str, Any]:
        """Return the energy of the magnitudes, which tells one set of photographs from another."""
        return {"magnitude_energy": float(self._magnitude.square().sum())}


class Accentuation:
    """A given photograph, and what is added to it: why does the unit fire here?

    Paper: Hamblin et al., "Feature Accentuation: Revealing 'What' Features Respond to in Natural Images", 2024,
    https://arxiv.org/abs/2402.10039. Keep it near the photograph with `- weight * Distance(EARLY_LAYER, ...)`.

    Args:
        photograph: `[rgb, height, width]` between 0 and 1, square.
        decay, cutoff: Of what is added; see `FourierImage`.
    """

    name = "accentuation"
    learning_rate: float | None = 0.025
    num_channels = 3

    def __init__(self, photograph: Tensor, decay: float = 1.2, cutoff: float = 0.2) -> None:
        self.canvas_px = photograph.shape[-1]
        self._added = FourierImage(self.canvas_px, decay, cutoff)
        self._base = torch.logit(photograph.float().clamp(EDGE, 1 - EDGE))

    def start(self, generators: Sequence[Generator], contrast: float = 0.2) -> Tensor:
        """Return spectra of nothing added: the photograph itself."""
        return torch.zeros_like(self._added.start(generators, contrast))

    def image(self, state: Tensor) -> Tensor:
        """Return pixels `[batch, rgb, height, width]` between 0 and 1."""
        return torch.sigmoid(self._base.to(state.device) + torch.logit(self._added.image(state), eps=1e-6))

    def fading(self, state: Tensor) -> Tensor | None:
        """Return nothing: there is no noise in it."""
        return None

    def settings(self) -> dict[str, Any]:
        """Return those of what is added."""
        return self._added.settings()


def natural_magnitude(photographs: Tensor) -> Tensor:
    """Return the mean magnitude of the spectra of photographs, for `MacoImage`: `[rgb, row frequency, column frequency]`.

    Args:
        photographs: `[batch, rgb, height, width]` between 0 and 1, of the size of the canvas.
    """
    return torch.fft.rfft2(decorrelate(photographs), norm="ortho").abs().mean(0)


def draw_backgrounds(canvas_px: int, generators: Sequence[Generator | None]) -> Tensor:
    """Return natural noise `[batch, rgb, height, width]` to lay transparent images on, grey where there is no generator."""
    noise = FourierImage(canvas_px)
    found = [
        torch.full((1, 3, canvas_px, canvas_px), 0.5) if one is None else noise.image(noise.start([one], 1.0))
        for one in generators
    ]
    return torch.cat(found)
