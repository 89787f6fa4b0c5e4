"""Photographs that pictures are compared with: crops of the size of the canvas, as the network saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor

from precompute.domain import LayerSpec, stable_hash
from precompute.models.base import ModelAdapter
from precompute.stimuli.sources import open_source

NUM_TOP = 8
NUM_RANDOM = 32
NUM_FOR_SPECTRUM = 256

Place = tuple[int, int, int]
"""Stimulus, and the position `(y, x)` on the layer's map where the unit answered most."""


@dataclass(frozen=True)
class Photographs:
    """Where photographs come from.

    Attributes:
        read: From the index of a stimulus to its pixels, uint8 `[height, width, rgb]`.
        indices: Of all stimuli.
        examples: For each layer and unit, the places of its top examples, strongest first.
    """

    read: Callable[[int], np.ndarray]
    indices: Sequence[int]
    examples: dict[str, dict[int, list[Place]]] = field(default_factory=dict)

    def top_crops(self, layer: LayerSpec, unit: int, canvas_px: int) -> Tensor | None:
        """Return crops around a unit's top examples `[crop, rgb, height, width]`, or None where it has fewer than two."""
        places = self.examples.get(layer.name, {}).get(unit, [])[:NUM_TOP]
        if len(places) < 2:
            return None
        crops = [self._crop(stimulus, _middle(layer, y, x), canvas_px) for stimulus, y, x in places]
        return _as_tensor(crops)

    def random_crops(self, layer: LayerSpec, canvas_px: int) -> Tensor | None:
        """Return crops from anywhere, the same for all units of a layer, or None where there are too few photographs."""
        return self._anywhere(stable_hash("random crops", layer.name, canvas_px), canvas_px, NUM_RANDOM)

    def crops_for_spectrum(self, canvas_px: int) -> Tensor | None:
        """Return crops from anywhere of whose spectra the mean is taken, or None where there are too few photographs."""
        return self._anywhere(stable_hash("spectrum", canvas_px), canvas_px, NUM_FOR_SPECTRUM)

    def _anywhere(self, seed: int, canvas_px: int, count: int) -> Tensor | None:
        if len(self.indices) < 2:
            return None
        generator = Generator().manual_seed(seed)
        order = torch.randperm(len(self.indices), generator=generator)[:count].tolist()
        shares = torch.rand((len(order), 2), generator=generator).tolist()
        crops = []
        for place, (down, right) in zip(order, shares, strict=True):
            image = self.read(self.indices[place])
            crops.append(_cut(image, (down * image.shape[0], right * image.shape[1]), canvas_px))
        return _as_tensor(crops)

    def _crop(self, stimulus: int, middle: tuple[float, float] | None, canvas_px: int) -> np.ndarray:
        image = self.read(stimulus)
        return _cut(image, middle or (image.shape[0] / 2, image.shape[1] / 2), canvas_px)


def photographs_in(adapter: ModelAdapter, images: str) -> Photographs:
    """Return the images that a person names after `--images`, as a build of this model would see them.

    Raises:
        ImagesError: There is no such folder, or no image in it.
    """
    source = open_source(images)
    return Photographs(lambda index: adapter.preprocess(source.open(index)), range(len(source)))


def _middle(layer: LayerSpec, y: int, x: int) -> tuple[float, float] | None:
    """Return the pixel in the middle of the receptive field of a position, None where there is no map."""
    if layer.receptive_field_px is None or layer.stride_px is None or len(layer.map_size) != 2:
        return None
    half = layer.receptive_field_px / 2
    return (layer.offset_px[0] + y * layer.stride_px + half, layer.offset_px[1] + x * layer.stride_px + half)


def _cut(image: np.ndarray, middle: tuple[float, float], canvas_px: int) -> np.ndarray:
    """Return a square of the image around a pixel, moved inside it; edges are repeated where the image is smaller."""
    sides = []
    for centre, size in zip(middle, image.shape[:2], strict=True):
        first = max(0, min(round(centre - canvas_px / 2), size - canvas_px))
        sides.append(np.clip(np.arange(first, first + canvas_px), 0, size - 1))
    return image[np.ix_(*sides)]


def _as_tensor(crops: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(crops)).movedim(3, 1).float() / 255.0
