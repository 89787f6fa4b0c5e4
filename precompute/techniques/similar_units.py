"""Which units answer to the same images, in this layer and in others, and how do the units of a layer lie to each other?

Two units are alike as far as their profiles (mean activation on each image of the sample, see `responses`) correlate. Beside
the best matches stands what the best match would be by chance: the unit's profile with its images in another order, against
the same units. The map of a layer puts units that answer alike near each other; how many of the nearest it keeps is said.

Failure modes: units correlate because the images do: with crops of a few photographs everything that differs between
photographs is shared, so correlations are higher than on varied images. The best of many candidates is high by chance, the
more so for units that answer to few images: read it beside the control. A map in the plane tears neighbourhoods apart.

Paper: Li et al., "Convergent Learning", ICLR 2016, https://arxiv.org/abs/1511.07543, for correlation of units over images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from precompute.activations.layout import neighbours_kept, num_neighbours, place_units
from precompute.activations.nearest import MAX_CANDIDATES, Candidates, nearest_units
from precompute.correlation import NUM_SIMILAR, SIMILAR_ROW, standardise
from precompute.domain import LAYOUT, PROFILE, SIMILAR, Artifact, LayerSpec, Result, stable_hash
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem
from precompute.techniques.responses import npy


@TECHNIQUES.register("similar_units")
class SimilarUnits(Technique):
    """Nearest units by correlation of the profiles, and the map of the layer."""

    name = "similar_units"
    title = "Similar units"
    position = 60
    summary = "The units that answer to the same images, in this layer and in others."
    relates_every_layer = SIMILAR
    needs = ("responses",)

    def __init__(self) -> None:
        # Of one build: it does layer after layer, and each is compared with all.
        self._names: tuple[str, ...] = ()
        self._profiles: list[tuple[LayerSpec, np.ndarray]] = []
        self._candidates: dict[int, Candidates] = {}

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer."""
        everything = sum(layer.num_units for layer in context.layers)
        return [
            WorkItem(
                layer.name,
                range(layer.num_units),
                seconds=5e-8 * layer.num_units * min(everything, MAX_CANDIDATES) + 1e-6 * layer.num_units**2,
                num_bytes=(SIMILAR_ROW.itemsize + 8) * layer.num_units,
            )
            for layer in context.layers
        ]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the nearest units of every unit of a layer, and their places on the map."""
        self._read(context)
        num_images = next((values.shape[1] for layer, values in self._profiles if layer.name == item.layer), None)
        if num_images is None:
            raise LookupError("the responses of this layer are not built")
        alike = [(layer, values) for layer, values in self._profiles if values.shape[1] == num_images]
        if num_images not in self._candidates:
            self._candidates[num_images] = Candidates.of([(layer.position, values) for layer, values in alike])
        place = [layer.name for layer, _ in alike].index(item.layer)
        table, num_compared = nearest_units(self._candidates[num_images], place, stable_hash("permuted images", item.layer))
        payload = {
            "k": NUM_SIMILAR,
            "num_images": num_images,
            "num_layers": len(self._profiles),
            "num_compared": num_compared,
        }
        yield Artifact(item.layer, None, self.name, SIMILAR, 0, payload, npy(table))
        own = self._candidates[num_images].units_of(place)
        yield _layout(item.layer, self._candidates[num_images].profiles[own], self.name)

    def _read(self, context: Context) -> None:
        """Read and standardise the profiles of all layers, once for a build."""
        names = tuple(layer.name for layer in context.layers)
        if names != self._names:
            read = [(layer, _profiles(context, layer.name)) for layer in context.layers]
            self._profiles = [(layer, values) for layer, values in read if values is not None]
            self._names, self._candidates = names, {}


def _profiles(context: Context, layer: str) -> np.ndarray | None:
    if context.read_array is None:
        raise TypeError("nothing to read profiles with")
    stored = context.read_array(layer, PROFILE)
    return None if stored is None else standardise(stored)[0]


def _layout(layer: str, own: np.ndarray, technique: str) -> Artifact:
    """Return the places of the units; units that do not vary have none (not a number)."""
    varies = own.any(axis=1)
    places = np.full((len(own), 2), np.nan, dtype=np.float32)
    placed, method = place_units(own[varies])
    places[varies] = placed
    count = int(varies.sum())
    payload = {
        "method": method,
        "num_images": own.shape[1],
        "num_placed": count,
        "k": num_neighbours(count),
        "neighbours_kept": neighbours_kept(own[varies], placed),
        "neighbours_kept_by_chance": num_neighbours(count) / (count - 1) if count > 4 else None,
    }
    return Artifact(layer, None, technique, LAYOUT, 0, payload, npy(places))
