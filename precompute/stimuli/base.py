"""What a source of images has to offer: images with stable keys, and no file that can stop a build.

A source is one module of this package. One that needs no path registers a function that opens it, with
`@STIMULI.register("word")`, and the word may then stand wherever a folder may.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from precompute.domain import SkippedImage, StimulusRef
from precompute.registry import Registry

Progress = Callable[[int, int], None]
"""Called now and then with `(done, total)`."""


@dataclass(frozen=True)
class Credit:
    """Who made a photograph, and under which licence it may be shown."""

    source: str
    title: str
    author: str
    licence: str
    url: str


class UnusableImage(Exception):
    """One image cannot be decoded. Whoever meets it notes the image as skipped and goes on.

    It is no `PublicError`, since it must never end a build.

    Args:
        key: Of the image.
        reason: In plain words.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason

    @property
    def skipped(self) -> SkippedImage:
        """Return what to note in the report."""
        return SkippedImage(self.key, self.reason)


class StimulusSource(ABC):
    """A list of images that does not change while it is used.

    `check` reads every file once and settles which are usable; the other methods call it where nobody did. From then on
    `refs()[i].index == i` holds, whatever happens to the files.

    Attributes:
        title: What a person calls it.
        credits: Whom to name on its page.
    """

    title: str
    credits: Sequence[Credit]

    @property
    @abstractmethod
    def id(self) -> str:
        """Return a content hash: equal for the same files cut in the same way."""

    @abstractmethod
    def check(self, progress: Progress | None = None) -> None:
        """Read every file and leave out those that cannot be used; a second call does nothing.

        Raises:
            ImagesError: Not one image is usable.
        """

    @abstractmethod
    def refs(self) -> Sequence[StimulusRef]:
        """Return every usable image, in a fixed order; `refs()[i].index == i`."""

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Decode one image to RGB, upright, at its own size; safe to call from several threads.

        Raises:
            UnusableImage: The file went away or was damaged after it was checked.
        """

    @abstractmethod
    def skipped(self) -> Sequence[SkippedImage]:
        """Return the files that were left out, each with the reason."""

    def __len__(self) -> int:
        return len(self.refs())

    def __iter__(self) -> Iterator[tuple[StimulusRef, Image.Image]]:
        for ref in self.refs():
            yield ref, self.open(ref.index)


STIMULI: Registry[Callable[[], StimulusSource]] = Registry("source of images", "precompute.stimuli")
