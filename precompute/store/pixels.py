"""The pixels of stored images, read in any process that is told where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

NUM_KEPT = 256
"""Images that a process keeps in memory: about 40 MB."""


@dataclass(frozen=True)
class StoredPixels:
    """Where the stimuli of a build are stored.

    Attributes:
        files: From the index of a stimulus to its file.
    """

    files: Mapping[int, Path]

    def stimulus(self, index: int) -> np.ndarray:
        """Return what the model saw of a stimulus: uint8 `[height, width, rgb]`."""
        return read_pixels(self.files[index])


@lru_cache(maxsize=NUM_KEPT)
def read_pixels(path: Path) -> np.ndarray:
    """Return the pixels of an image file: uint8 `[height, width, rgb]`; not to be written to."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
