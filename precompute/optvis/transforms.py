"""Random views of an image, so that a picture holds under small changes and not only at one pixel grid.

Translation, scale and rotation are one affine map per image and one bilinear resampling with reflected edges (no black
borders), and every image has a draw of its own from its own generator.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017 (transformation robustness).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AffineRange:
    """What an image may undergo.

    Attributes:
        shift_px: Largest translation along each axis.
        scale: Smallest and largest magnification.
        rotation_deg: Largest rotation either way.
    """

    shift_px: float
    scale: tuple[float, float] = (0.9, 1.1)
    rotation_deg: float = 10.0

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
    """Applies affine maps to square images, with the coordinate grid kept between calls."""

    def __init__(self, canvas_px: int) -> None:
        centres = (torch.arange(canvas_px) * 2.0 + 1.0) / canvas_px - 1.0
        self._y, self._x = torch.meshgrid(centres, centres, indexing="ij")

    def __call__(self, images: Tensor, matrices: Tensor) -> Tensor:
        """Return warped images.

        Args:
            images: `[batch, rgb, height, width]`.
            matrices: `[batch, 2, 3]` of `draw_affine`.
        """
        m = matrices[:, :, :, None, None]
        grid = torch.stack([m[:, row, 0] * self._x + m[:, row, 1] * self._y + m[:, row, 2] for row in range(2)], -1)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
