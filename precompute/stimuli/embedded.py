"""The default images: photographs that two PyPI packages carry, cut into crops at several scales. Needs no network.

Each photograph gives itself whole and square crops, from its shorter side down to 96 pixels, on a grid in which neighbours
overlap. Crops in which there is next to nothing to see, and crops that look like one taken before, are left out. The cut
depends on nothing but the photographs.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageStat

from precompute.domain import SkippedImage, StimulusRef, stable_hash
from precompute.errors import ImagesError
from precompute.stimuli import decode
from precompute.stimuli.base import STIMULI, Credit, Progress, StimulusSource, UnusableImage
from precompute.stimuli.photographs import PHOTOGRAPHS, Photograph, folder_of

Box = tuple[int, int, int, int]
"""`(y0, x0, y1, x1)` in pixels of the photograph."""

SMALLEST_SIDE_PX = 96
_SCALE_STEP = 0.77
_STRIDE = 0.4
"""Between neighbours, in sides: two neighbours share less than half of what they cover together."""
_MIN_CONTRAST = 6.0
"""Standard deviation of the brightness (0 to 255) below which a crop shows next to nothing."""
_SKETCH_PX = 12
_MIN_DIFFERENCE = 5.0
"""Mean difference of brightness between two crops, both shrunk to a sketch, below which they look the same."""


class EmbeddedPhotographs(StimulusSource):
    """Crops of the photographs in the scikit-image and scikit-learn wheels.

    Args:
        max_crops_per_photograph: Take no more than this of each, the larger crops first; None for the usual number.

    Raises:
        ImagesError: A package is missing.
    """

    title = "Embedded photographs"

    def __init__(self, max_crops_per_photograph: int | None = None) -> None:
        self._max_crops = max_crops_per_photograph
        self._folders = {package: folder_of(package) for package in sorted({photo.package for photo in PHOTOGRAPHS})}
        self.credits: Sequence[Credit] = tuple(photo.credit for photo in PHOTOGRAPHS)
        self._images: dict[str, Image.Image] = {}
        self._refs: tuple[StimulusRef, ...] | None = None
        self._boxes: list[Box] = []
        self._skipped: list[SkippedImage] = []
        self._id = ""
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """Return a hash over the photographs and the boxes of all crops."""
        self.check()
        return self._id

    def refs(self) -> Sequence[StimulusRef]:
        """Return every crop: photograph by photograph, from large to small, row by row."""
        self.check()
        return self._refs or ()

    def skipped(self) -> Sequence[SkippedImage]:
        """Return the photographs that the installed packages do not carry."""
        self.check()
        return self._skipped

    def open(self, index: int) -> Image.Image:
        """Cut one crop out of its photograph, which stays in memory."""
        ref = self.refs()[index]
        y0, x0, y1, x1 = self._boxes[index]
        return self._images[ref.source].crop((x0, y0, x1, y1))

    def check(self, progress: Progress | None = None) -> None:
        """Decode the photographs and settle the crops."""
        with self._lock:
            if self._refs is not None:
                return
            refs: list[StimulusRef] = []
            digest = hashlib.sha256()
            for done, photo in enumerate(PHOTOGRAPHS, start=1):
                try:
                    image = self._load(photo, digest)
                except UnusableImage as error:
                    self._skipped.append(error.skipped)
                else:
                    for box in choose_boxes(image, min(photo.max_crops, self._max_crops or photo.max_crops), photo.file):
                        key = f"{photo.file}#{','.join(map(str, box))}"
                        refs.append(StimulusRef(len(refs), key, photo.label, photo.file))
                        self._boxes.append(box)
                if progress is not None:
                    progress(done, len(PHOTOGRAPHS))
            if not refs:
                raise ImagesError("The installed scikit-image and scikit-learn carry no photographs. Give --images a folder.")
            digest.update("\n".join(ref.key for ref in refs).encode())
            self._id = digest.hexdigest()
            self._refs = tuple(refs)

    def _load(self, photo: Photograph, digest: hashlib._Hash) -> Image.Image:
        try:
            data = (self._folders[photo.package] / photo.file).read_bytes()
            image = decode.decode(data)
        except OSError as error:
            raise UnusableImage(photo.file, f"not in the installed {photo.package}") from error
        except decode.DecodeError as error:
            raise UnusableImage(photo.file, str(error)) from error
        digest.update(f"{photo.file}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        self._images[photo.file] = image
        return image


@STIMULI.register("embedded")
def open_embedded() -> StimulusSource:
    """Return the embedded photographs, cut as usual."""
    return EmbeddedPhotographs()


@STIMULI.register("embedded-small")
def open_embedded_small() -> StimulusSource:
    """Return the embedded photographs with a few crops of each, for a first look and for tests."""
    return EmbeddedPhotographs(max_crops_per_photograph=10)


def choose_boxes(image: Image.Image, max_boxes: int, name: str) -> list[Box]:
    """Return the boxes of the crops worth having, from large to small, row by row.

    Args:
        image: The photograph.
        max_boxes: At most so many. Larger crops come first; of one size, which are taken depends on `name` alone.
        name: Of the photograph.
    """
    grey = image.convert("L")
    sketches = np.empty((0, _SKETCH_PX * _SKETCH_PX), dtype=np.int16)
    chosen: list[Box] = []
    for boxes in _boxes_by_scale(image.height, image.width):
        for y0, x0, y1, x1 in sorted(boxes, key=lambda box: stable_hash(name, *box)):
            crop = grey.crop((x0, y0, x1, y1))
            if len(chosen) == max_boxes or ImageStat.Stat(crop).stddev[0] < _MIN_CONTRAST:
                continue
            sketch = np.asarray(crop.resize((_SKETCH_PX, _SKETCH_PX), Image.Resampling.BOX), dtype=np.int16).reshape(1, -1)
            if len(sketches) and np.abs(sketches - sketch).mean(axis=1).min() < _MIN_DIFFERENCE:
                continue
            sketches = np.concatenate([sketches, sketch])
            chosen.append((y0, x0, y1, x1))
    return sorted(chosen, key=lambda box: (box[1] - box[3], box[0] - box[2], box[0], box[1]))


def _boxes_by_scale(height: int, width: int) -> Iterator[list[Box]]:
    """Yield the whole, then the squares of each size."""
    yield [(0, 0, height, width)]
    side = float(min(height, width))
    while side >= SMALLEST_SIDE_PX:
        size = round(side)
        yield [(y, x, y + size, x + size) for y in _starts(height, size) for x in _starts(width, size)]
        side *= _SCALE_STEP


def _starts(length: int, size: int) -> list[int]:
    """Return where crops of one size begin along one side: evenly, from the first pixel to the last."""
    room = length - size
    count = -(-room // max(1, round(_STRIDE * size)))
    return [round(room * place / count) for place in range(count + 1)] if count else [0]
