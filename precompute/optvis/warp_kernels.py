"""The compiled loops of the random views: an affine map with reflected edges, and the way back for gradients.

torch writes a grid of coordinates for every image and then reads it; here a coordinate is used as soon as it is known, and the
colours of a pixel lie beside each other, as the network wants them. The loops release Python's lock. Compiled at first use.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nnan", "ninf", "nsz"}}
_HALF, _ONE, _TWO = np.float32(0.5), np.float32(1.0), np.float32(2.0)


@numba.njit(inline="always")
def _reflect(place, size):
    """Return a coordinate inside the image: mirrored at the outer edges of the first and the last pixel."""
    if place < np.float32(0.0) or place > size - _ONE:
        place = abs(place + _HALF) % (_TWO * size)
        if place > size:
            place = _TWO * size - place
        place = min(max(place - _HALF, np.float32(0.0)), size - _ONE)
    return place


@numba.njit(inline="always")
def _to_pixels(row, size):
    """Return the factors of x, of y, and the offset of one row of a matrix, for pixel coordinates in and out."""
    offset = ((row[2] - row[0] - row[1] + _ONE) * size + row[0] + row[1] - _ONE) * _HALF
    return row[0], row[1], offset


@numba.njit(inline="always")
def _taps(place_x, place_y, size):
    """Return the columns and rows of the four pixels around a place, and the weight of each."""
    px, py = _reflect(place_x, size), _reflect(place_y, size)
    x0, y0 = np.int32(px), np.int32(py)
    last = np.int32(size) - np.int32(1)
    x1, y1 = min(x0 + np.int32(1), last), min(y0 + np.int32(1), last)
    right, down = px - np.float32(x0), py - np.float32(y0)
    w11 = down * right
    w10, w01 = down - w11, right - w11
    return x0, y0, x1, y1, _ONE - down - w01, w01, w10, w11


def compile_forward(num_channels: int) -> Callable[..., None]:
    """Return the loop that warps images of so many channels: a number known to the compiler halves the time."""

    @numba.njit(**_OPTIONS)
    def forward(images, matrices, out):
        """Set `out` to the warped images.

        Args:
            images: float32 `[batch, height, width, channel]`, square.
            matrices: float32 `[batch, 2, 3]`, from output to input in coordinates between -1 and 1.
            out: float32 like `images`.
        """
        batch, side = images.shape[:2]
        size = np.float32(side)
        for b in range(batch):
            ax, bx, cx = _to_pixels(matrices[b, 0], size)
            ay, by, cy = _to_pixels(matrices[b, 1], size)
            image = images[b]
            for y in range(side):
                at_x, at_y = bx * np.float32(y) + cx, by * np.float32(y) + cy
                for x in range(side):
                    x0, y0, x1, y1, w00, w01, w10, w11 = _taps(ax * np.float32(x) + at_x, ay * np.float32(x) + at_y, size)
                    for c in range(num_channels):
                        out[b, y, x, c] = (
                            w00 * image[y0, x0, c] + w01 * image[y0, x1, c] + w10 * image[y1, x0, c] + w11 * image[y1, x1, c]
                        )

    return forward


def compile_backward(num_channels: int) -> Callable[..., None]:
    """Return the loop that takes gradients back, for images of so many channels."""

    @numba.njit(**_OPTIONS)
    def backward(gradients, matrices, out):
        """Add to `out` what reaches the unwarped images of the gradients of the warped ones.

        Args:
            gradients: float32 `[batch, height, width, channel]`, square.
            matrices: float32 `[batch, 2, 3]`, those of the way forward.
            out: float32 like `gradients`, zeros.
        """
        batch, side = gradients.shape[:2]
        size = np.float32(side)
        for b in range(batch):
            ax, bx, cx = _to_pixels(matrices[b, 0], size)
            ay, by, cy = _to_pixels(matrices[b, 1], size)
            image = out[b]
            for y in range(side):
                at_x, at_y = bx * np.float32(y) + cx, by * np.float32(y) + cy
                for x in range(side):
                    x0, y0, x1, y1, w00, w01, w10, w11 = _taps(ax * np.float32(x) + at_x, ay * np.float32(x) + at_y, size)
                    for c in range(num_channels):
                        g = gradients[b, y, x, c]
                        image[y0, x0, c] += w00 * g
                        image[y0, x1, c] += w01 * g
                        image[y1, x0, c] += w10 * g
                        image[y1, x1, c] += w11 * g

    return backward
