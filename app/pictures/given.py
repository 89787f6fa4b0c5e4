"""An image that somebody gives: described, and forgotten. Nothing of it is stored."""

from __future__ import annotations

import io
import threading
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from precompute.appearance import describe
from precompute.errors import UsageError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_ASPECT = 50
WORKING_PX = 512
_one_at_a_time = threading.Lock()  # a large image takes a hundred megabytes while it is decoded


def describe_given(data: bytes) -> NDArray[np.float64]:
    """Return what an image file looks like: its middle square, as a build cuts the images of a dataset.

    Raises:
        UsageError: It is no image that can be taken; the text says why.
    """
    if not data:
        raise UsageError("No image was given. Choose a file, or drop one on the page.")
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return describe(_pixels(data))
        except UsageError:
            raise
        except Exception as error:  # decoders meet hostile bytes: whatever they raise means the same to us
            raise UsageError("The image cannot be read: it is damaged, or of another kind than it says.") from error


def _pixels(data: bytes) -> NDArray[np.uint8]:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombWarning as error:
        raise _too_large() from error
    except Exception as error:  # as above
        raise UsageError(f"This is no image that can be taken. Give one of these: {', '.join(FORMATS)}.") from error
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _too_large()
        if not 0 < max(width, height) <= MAX_ASPECT * min(width, height):
            raise UsageError(f"The image is {width} x {height} pixels: too narrow to be looked at.")
        image.draft("RGB", (WORKING_PX, WORKING_PX))
        image.load()
        return _middle(image)


def _middle(image: Image.Image) -> NDArray[np.uint8]:
    """Return the middle square, upright, on white where it is transparent, and no larger than needed."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("RGBA", "LA", "PA", "P"):
        layered = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    box = (left, top, left + side, top + side)
    size = min(side, WORKING_PX)
    return np.asarray(upright.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box))


def _too_large() -> UsageError:
    return UsageError(f"The image has too many pixels. At most {MAX_PIXELS // 1_000_000} million are taken; give a smaller one.")
