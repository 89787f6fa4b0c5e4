"""What a source of images has to offer: images with stable keys, and no file that can stop a build."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from precompute.domain import SkippedImage, StimulusRef


@dataclass(frozen=True)
class Credit:
    """Who made a photograph, and under which licence it may be shown."""

    source: str
    title: str
    author: str
    licence: str
    url: str


class StimulusSource(ABC):
    """A list of images.

    Attributes:
        title: What a person calls it.
        credits: Whom to name on its page.
        skipped: The files that cannot be used, known after `open_all` or `check`.
    """

    title: str
    credits: Sequence[Credit]

    @property
    @abstractmethod
    def id(self) -> str:
        """Return a content hash: equal for the same files cut in the same way."""

    @abstractmethod
    def refs(self) -> Sequence[StimulusRef]:
        """Return every usable image, in a fixed order; `refs()[i].index == i`."""

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Decode one image to RGB, upright, at its own size."""

    @abstractmethod
    def skipped(self) -> Sequence[SkippedImage]:
        """Return the files that were left out, each with the reason."""

    def __len__(self) -> int:
        return len(self.refs())

    def __iter__(self) -> Iterator[tuple[StimulusRef, Image.Image]]:
        for ref in self.refs():
            yield ref, self.open(ref.index)
