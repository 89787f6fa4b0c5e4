"""Random views of an image, so that a picture holds under small changes and not only at one pixel grid.

Translation, scale and rotation are one affine map per image and one bilinear resampling with reflected edges (no black
borders), and every image has a draw of its own from its own generator. Transparent images are laid on a background that
changes with every step, and noise and changes of colour are added where the recipe wants them.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017 (transformation robustness).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from precompute.optvis.warp_kernels import compile_backward, compile_forward


@dataclass(frozen=True)
class AffineRange:
    """What an image may undergo.

    Attributes:
        shift_px: Largest translation along each axis.
        scale: Smallest and largest magnification.
        rotation_deg: Largest rotation either way.
        noise: Standard deviation of the noise added to the pixels; none by default.
        color: Standard deviation of the change of contrast, and twice that of brightness, as a share; none by default.
    """

    shift_px: float
    scale: tuple[float, float] = (0.9, 1.1)
    rotation_deg: float = 10.0
    noise: float = 0.0
    color: float = 0.0

    def as_payload(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"kind": "affine", "padding": "reflection", **asdict(self), "scale": list(self.scale)}


def draw_affine(bounds: AffineRange, canvas_px: int, generators: Sequence[Generator], num_draws: int) -> Tensor:
    """Return uniform draws of 2 x 3 matrices, as `grid_sample` coordinates use them.

    Args:
        bounds: What may be drawn.
        canvas_px: Side of the images.
        generators: One for each image.
        num_draws: How many for each.

    Returns:
        float32 `[draw, batch, 2, 3]`.
    """
    uniform = torch.stack([torch.rand((num_draws, 4), generator=generator) for generator in generators], 1)
    signed = uniform * 2 - 1
    shift = signed[..., :2] * (2 * bounds.shift_px / canvas_px)
    scale = bounds.scale[0] + (bounds.scale[1] - bounds.scale[0]) * uniform[..., 2]
    angle = signed[..., 3] * math.radians(bounds.rotation_deg)
    # The map goes from output to input coordinates, hence the division by the magnification.
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    top = torch.stack([cosine, -sine, shift[..., 0]], -1)
    bottom = torch.stack([sine, cosine, shift[..., 1]], -1)
    return torch.stack([top, bottom], -2)


class Warp:
    """Applies affine maps to square images of one size, with bilinear resampling and reflected edges.

    On a processor the loops are our own (`warp_kernels`): two to three times as fast as `grid_sample`, and images come out in
    the order of memory that convolutions want. Elsewhere `grid_sample` does the same.
    """

    def __init__(self, canvas_px: int, device: torch.device | None = None) -> None:
        centres = (torch.arange(canvas_px, device=device) * 2.0 + 1.0) / canvas_px - 1.0
        self._y, self._x = torch.meshgrid(centres, centres, indexing="ij")

    def __call__(self, images: Tensor, matrices: Tensor) -> Tensor:
        """Return warped images.

        Args:
            images: float32 `[batch, channel, height, width]`.
            matrices: `[batch, 2, 3]` of `draw_affine`.
        """
        # The loops trust the size: what is not as large as the views goes the other way.
        if images.device.type == "cpu" and images.shape[2:] == self._x.shape:
            result: Tensor = _Warped.apply(images, matrices)
            return result
        return self.by_grid(images, matrices)

    def by_grid(self, images: Tensor, matrices: Tensor) -> Tensor:
        """Return the same by operations of torch, on any device."""
        m = matrices[:, :, :, None, None]
        grid = torch.stack([m[:, row, 0] * self._x + m[:, row, 1] * self._y + m[:, row, 2] for row in range(2)], -1)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


class _Warped(torch.autograd.Function):
    """The compiled loops of `warp_kernels` as an operation of torch."""

    @staticmethod
    def forward(context: Any, images: Tensor, matrices: Tensor) -> Tensor:
        context.matrices = matrices.numpy()
        seen = images.detach().permute(0, 2, 3, 1).contiguous()
        out = torch.empty_like(seen)
        _forward(seen.shape[3])(seen.numpy(), context.matrices, out.numpy())
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        arriving = gradients[0].permute(0, 2, 3, 1).contiguous()
        out = torch.zeros_like(arriving)
        _backward(arriving.shape[3])(arriving.numpy(), context.matrices, out.numpy())
        return out.permute(0, 3, 1, 2), None


_forward, _backward = functools.cache(compile_forward), functools.cache(compile_backward)


def add_noise(images: Tensor, bounds: AffineRange, generators: Sequence[Generator | None]) -> Tensor:
    """Return images with the noise and the change of colours that `bounds` allows, each drawn from its own generator.

    Args:
        images: `[batch, rgb, height, width]`.
        bounds: What may be drawn.
        generators: One for each image; None for one that stays as it is.
    """
    if bounds.noise:
        shape = images.shape[1:]
        noise = torch.stack([_draw(generator, shape) for generator in generators])
        images = images + bounds.noise * noise.to(images.device)
    if bounds.color:
        draws = torch.stack([_draw(generator, (2,)) for generator in generators]).to(images.device) * bounds.color
        gain, shift = (1 + draws[:, 0]), draws[:, 1] / 2
        images = (images - 0.5) * gain[:, None, None, None] + 0.5 + shift[:, None, None, None]
    return images


def _draw(generator: Generator | None, shape: Sequence[int]) -> Tensor:
    return torch.zeros(shape) if generator is None else torch.randn(shape, generator=generator)


def lay_on(images: Tensor, backgrounds: Tensor) -> Tensor:
    """Return `[batch, rgb, height, width]`: transparent images over backgrounds.

    Args:
        images: `[batch, rgba, height, width]`.
        backgrounds: `[batch, rgb, height, width]`, or what broadcasts to it.
    """
    opacity = images[:, 3:]
    return images[:, :3] * opacity + backgrounds * (1 - opacity)
