"""What an image looks like, in numbers that no network had a part in: orientations, scales, and colours.

The judge of a picture must not be the network that the picture was made for, and this one needs no weights of any other:
energies of a bank of oriented filters at several scales, and how colourful each scale is. Brightness and contrast are taken
out, since a visualization has more of both than a photograph.

Paper: Portilla and Simoncelli, "A Parametric Texture Model Based on Joint Statistics of Complex Wavelet Coefficients", IJCV
2000, for describing textures by such energies; ours are a small subset.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

SIDE_PX = 64
NUM_SCALES, NUM_ORIENTATIONS = 4, 6
HIGHEST = 0.35
"""Middle frequency of the finest scale, in cycles per pixel; each further scale is an octave lower."""
LUMINANCE = (0.299, 0.587, 0.114)
SMALLEST = 1e-4


def embed(images: Tensor) -> Tensor:
    """Return a description `[batch, feature]` of images `[batch, rgb, height, width]` between 0 and 1.

    Images are brought to one size first, so canvases of different sizes can be compared.
    """
    size = (SIDE_PX, SIDE_PX)
    small = functional.interpolate(images.float(), size=size, mode="bilinear", align_corners=False, antialias=True)
    red, green, blue = small.unbind(1)
    grey = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    planes = torch.stack([grey, red - green, blue - (red + green) / 2], 1)
    means = planes.mean((2, 3))
    contrast = grey.std((1, 2), correction=0).clamp(min=SMALLEST)
    spectrum = torch.fft.fft2((planes - means[:, :, None, None]) / contrast[:, None, None, None], norm="ortho")
    power = spectrum.abs().square()
    bank = _bank()
    # Mean energies by Parseval: the image behind each filter need not be made.
    oriented = torch.einsum("bhw,fhw->bf", power[:, 0], bank)
    opponents = torch.einsum("bchw,shw->bcs", power[:, 1:], bank.unflatten(0, (NUM_SCALES, -1)).sum(1)).flatten(1)
    energies = torch.log(torch.cat([oriented, opponents], 1) / SIDE_PX**2 + SMALLEST)
    return torch.cat([energies, means[:, 1:] / contrast[:, None]], 1)


@lru_cache(maxsize=1)
def _bank() -> Tensor:
    """Return squared log-Gabor filters `[scale * orientation, row frequency, column frequency]`."""
    rows = torch.fft.fftfreq(SIDE_PX)[:, None]
    columns = torch.fft.fftfreq(SIDE_PX)[None, :]
    radius = torch.sqrt(rows**2 + columns**2).clamp(min=1e-6)
    angle = torch.atan2(rows.expand(SIDE_PX, SIDE_PX), columns.expand(SIDE_PX, SIDE_PX))
    filters = []
    for scale in range(NUM_SCALES):
        radial = torch.exp(-(torch.log2(radius / (HIGHEST / 2**scale)) ** 2) / (2 * 0.5**2))
        for orientation in range(NUM_ORIENTATIONS):
            away = torch.cos(2 * (angle - math.pi * orientation / NUM_ORIENTATIONS))
            filters.append((radial * torch.exp(3.0 * (away - 1))) ** 2)
    return torch.stack(filters)
