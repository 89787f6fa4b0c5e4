"""From what a person writes after `--images` to a source of images."""

from __future__ import annotations

from pathlib import Path

from precompute.stimuli.base import STIMULI, StimulusSource
from precompute.stimuli.image_folder import ImageFolder


def open_source(text: str | Path) -> StimulusSource:
    """Return the source that a registered word (`embedded`) or the path of a folder names.

    A folder that is called like a registered word is written `./embedded`.

    Raises:
        ImagesError: There is no such folder, or it cannot be read, or it is empty.
    """
    if isinstance(text, str) and text in STIMULI.names():
        return STIMULI.get(text)()
    return ImageFolder(Path(text))
