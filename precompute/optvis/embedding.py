"""The description of images in `precompute.appearance`, with torch: many images at a time, on any device.

The definition, its constants and its filters are there; a test holds the two to each other.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from precompute.appearance import LUMINANCE, NUM_SCALES, SIDE_PX, SMALLEST, filter_bank


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
    return torch.from_numpy(filter_bank()).float()
