"""From the bytes of any image file to upright RGB, or to a plain reason why not.

What is done to the less common kinds:

- turned photographs (EXIF orientation) are turned upright;
- grey, palette, CMYK and other colour modes are converted as Pillow converts them; colour profiles are not applied, as
  the models' own training did not;
- transparent pixels are laid on white;
- 16-bit grey is scaled to 8 bits (65535 becomes 255), not clipped; so are whole numbers and floats, by their own range;
- of an animation or a file with several pages, the first is taken.

An opaque 8-bit RGB file gives exactly the pixels of `PIL.Image.open(path).convert("RGB")`.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

MAX_PIXELS = 178_956_970
"""Pillow's own limit against decompression bombs: 512 MiB of RGB."""
MAX_FILE_BYTES = 1 << 30
MAX_ASPECT = 200
"""Longer side over shorter: beyond it, a resize by the shorter side would need gigabytes."""
LARGE_PIXELS = 24_000_000
"""Above this, one image at a time is decoded, so that threads do not add up to gigabytes."""

_WHITE = (255, 255, 255, 255)
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_large_at_a_time = threading.Lock()


class DecodeError(Exception):
    """The bytes are no image that can be shown; the text is the reason in plain words."""


def decode(data: bytes) -> Image.Image:
    """Decode the bytes of a file to RGB, upright, at its own size.

    Raises:
        DecodeError: They cannot be decoded.
    """
    with _quiet(), _open(data) as image, _room_for(image):
        try:
            image.load()
            return _to_rgb(_turn_upright(image))
        except Exception as error:
            raise DecodeError(_reason(error)) from error


def check(data: bytes) -> None:
    """Find out whether `decode` would succeed, at less cost.

    A JPEG is decoded at an eighth of its size: all of its bytes are read, but most of the arithmetic is left out.

    Raises:
        DecodeError: The bytes cannot be decoded.
    """
    with _quiet(), _open(data) as image, _room_for(image):
        try:
            if image.format == "JPEG":
                image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()
            else:
                image.load()
                _to_rgb(image)
        except Exception as error:
            raise DecodeError(_reason(error)) from error


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read the header, and refuse what is too large before anything is decoded."""
    if not data:
        raise DecodeError("empty file (0 bytes)")
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        raise DecodeError("not an image, or of a kind that cannot be read") from error
    except Exception as error:  # decoders meet hostile bytes: whatever they raise means the same to us
        raise DecodeError(_reason(error)) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DecodeError(f"too large: {width} x {height} pixels, at most {MAX_PIXELS // 1_000_000} million are read")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise DecodeError(f"too narrow: {width} x {height} pixels, at most {MAX_ASPECT}:1 can be resized")
    return image


def _room_for(image: Image.Image) -> AbstractContextManager[object]:
    return _one_large_at_a_time if image.width * image.height > LARGE_PIXELS else nullcontext()


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit RGB, in any mode that Pillow opens."""
    if image.mode.startswith(("I", "F")):
        return _scale_to_bytes(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image.convert("RGB")


def _scale_to_bytes(image: Image.Image) -> Image.Image:
    """Scale whole numbers of 16 or 32 bits, or floats, to 8-bit grey.

    The range is that of the format where it has one (16 bits; floats between 0 and 1), else that of the image itself.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        low, usual = 0.0, 1.0 if image.mode == "F" else 65535.0
        high = usual if high <= usual else high
    scaled = np.rint((values - low) * (255.0 / max(high - low, 1e-12)))
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _reason(error: Exception) -> str:
    """Say in plain words what a decoder's exception means."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "too large: there is not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: at most {MAX_PIXELS // 1_000_000} million pixels are read"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated: the file ends too early"
    if "conversion from" in text:
        return f"a colour mode that cannot be shown ({text})"
    return f"damaged: {text or type(error).__name__}"[:200]


class _Silence:
    """Silences Pillow's warnings and log lines while at least one thread decodes.

    Python's own `catch_warnings` swaps one list for the whole process, so that threads which overlap would put back each
    other's; the first thread in swaps it and the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._catcher: warnings.catch_warnings[None] | None = None
        self._log_level = logging.NOTSET

    def enter(self) -> None:
        with self._lock:
            self._num_inside += 1
            if self._catcher is None:
                self._catcher = warnings.catch_warnings()
                self._catcher.__enter__()
                warnings.simplefilter("ignore")
                self._log_level = logging.getLogger("PIL").level
                logging.getLogger("PIL").setLevel(logging.CRITICAL)

    def leave(self) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0 and self._catcher is not None:
                self._catcher.__exit__(None, None, None)
                self._catcher = None
                logging.getLogger("PIL").setLevel(self._log_level)


_silence = _Silence()


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing that a decoder finds odd about a file reach stderr."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
