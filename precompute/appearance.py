"""What an image looks like, in numbers that no network had a part in: orientations, scales, and colours.

The judge of a picture must not be the network that the picture was made for, and this one needs no weights of any other:
energies of a bank of oriented filters at several scales, and how colourful each scale is. Brightness and contrast are taken
out, since a visualization has more of both than a photograph.

This is the definition, in numpy, so that the web process can describe an image that somebody drops on a page;
`precompute.optvis.embedding` computes the same with torch, many images at a time.

Paper: Portilla and Simoncelli, "A Parametric Texture Model Based on Joint Statistics of Complex Wavelet Coefficients", IJCV
2000, for describing textures by such energies; ours are a small subset.
"""

from __future__ import annotations

import base64
import binascii
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from precompute.errors import UsageError

SIDE_PX = 64
NUM_SCALES, NUM_ORIENTATIONS = 4, 6
HIGHEST = 0.35
"""Middle frequency of the finest scale, in cycles per pixel; each further scale is an octave lower."""
LUMINANCE = (0.299, 0.587, 0.114)
SMALLEST = 1e-4
NUM_FEATURES = NUM_SCALES * NUM_ORIENTATIONS + 2 * NUM_SCALES + 2
VERSION = "1"
"""Changes whenever the numbers change: what was stored under another version is computed again."""
_STEP = 2.0**-10
_LARGEST = 32767 * _STEP


def describe(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a description `[feature]` of an image `[height, width, rgb]`, brought to one size first."""
    small = _resized(image.astype(np.float64) / 255)
    red, green, blue = small[..., 0], small[..., 1], small[..., 2]
    grey = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    planes = np.stack([grey, red - green, blue - (red + green) / 2])
    means = planes.mean((1, 2))
    contrast = max(float(grey.std()), SMALLEST)
    power = np.abs(np.fft.fft2((planes - means[:, None, None]) / contrast, norm="ortho")) ** 2
    bank = filter_bank().reshape(NUM_SCALES * NUM_ORIENTATIONS, -1)
    # Mean energies by Parseval: the image behind each filter need not be made.
    energies = power.reshape(3, -1) @ bank.T
    opponents = energies[1:].reshape(2, NUM_SCALES, NUM_ORIENTATIONS).sum(2).ravel()
    logs = np.log(np.concatenate([energies[0], opponents]) / SIDE_PX**2 + SMALLEST)
    return np.concatenate([logs, means[1:] / contrast])


@lru_cache(maxsize=1)
def filter_bank() -> NDArray[np.float64]:
    """Return squared log-Gabor filters `[scale * orientation, row frequency, column frequency]`."""
    rows = np.fft.fftfreq(SIDE_PX)[:, None]
    columns = np.fft.fftfreq(SIDE_PX)[None, :]
    radius = np.maximum(np.sqrt(rows**2 + columns**2), 1e-6)
    angle = np.arctan2(rows, columns)
    filters: list[NDArray[np.float64]] = []
    for scale in range(NUM_SCALES):
        radial = np.exp(-(np.log2(radius / (HIGHEST / 2**scale)) ** 2) / (2 * 0.5**2))
        for orientation in range(NUM_ORIENTATIONS):
            away = np.cos(2 * (angle - math.pi * orientation / NUM_ORIENTATIONS))
            filters.append((radial * np.exp(3.0 * (away - 1))) ** 2)
    return np.stack(filters)


def _resized(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the image `[SIDE_PX, SIDE_PX, rgb]`: bilinear, antialiased where it shrinks."""
    rows, columns = _weights(image.shape[0]), _weights(image.shape[1])
    return np.stack([rows @ image[..., channel] @ columns.T for channel in range(3)], axis=-1)


@lru_cache(maxsize=32)
def _weights(size: int) -> NDArray[np.float64]:
    """Return how much each pixel of a line counts for each pixel of the smaller (or larger) one, `[SIDE_PX, size]`."""
    scale = size / SIDE_PX
    centres = (np.arange(SIDE_PX)[:, None] + 0.5) * scale
    away = np.abs(np.arange(size)[None, :] + 0.5 - centres) / max(scale, 1.0)
    weights = np.maximum(1 - away, 0)
    return weights / weights.sum(1, keepdims=True)


def to_text(features: NDArray[np.float64]) -> str:
    """Return a description as a short text for an address: 16 bits for each number, in steps of 1/1024, base64url."""
    whole = np.rint(np.clip(features, -_LARGEST, _LARGEST) / _STEP).astype("<i2")
    return base64.urlsafe_b64encode(whole.tobytes()).decode().rstrip("=")


def of_text(text: str) -> NDArray[np.float64]:
    """Return the description that a text stands for.

    Raises:
        UsageError: `to_text` did not make it.
    """
    wrong = UsageError(f"like={text[:80]!r} is not the description of an image. Choose an image on the page of the search.")
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise wrong from error
    if len(data) != 2 * NUM_FEATURES:
        raise wrong
    return np.frombuffer(data, "<i2").astype(np.float64) * _STEP
