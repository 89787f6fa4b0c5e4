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
from precompute.correlation import NONE, NUM_SIMILAR, SIMILAR_ROW, correlate, permuted, standardise, strongest
from precompute.domain import LAYOUT, PROFILE, SIMILAR, Artifact, Result, stable_hash
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem
from precompute.techniques.responses import npy

UNITS_AT_ONCE = 512


@TECHNIQUES.register("similar_units")
class SimilarUnits(Technique):
    """Nearest units by correlation of the profiles, and the map of the layer."""

    name = "similar_units"
    title = "Similar units"
    position = 60
    summary = "The units that answer to the same images, in this layer and in others."
    relates_every_layer = SIMILAR
    needs = ("responses",)

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer."""
        everything = sum(layer.num_units for layer in context.layers)
        return [
            WorkItem(
                layer.name,
                range(layer.num_units),
                seconds=6e-8 * layer.num_units * everything + 1e-6 * layer.num_units**2,
                num_bytes=(SIMILAR_ROW.itemsize + 8) * layer.num_units,
            )
            for layer in context.layers
        ]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the nearest units of every unit of a layer, and their places on the map."""
        own = _profiles(context, item.layer)
        if own is None:
            raise LookupError("the responses of this layer are not built")
        others = [layer for layer in context.layers if layer.name != item.layer]
        table, num_layers = _nearest(context, item.layer, own, [(layer.name, layer.position) for layer in others])
        payload = {"k": NUM_SIMILAR, "num_images": own.shape[1], "num_layers": num_layers}
        yield Artifact(item.layer, None, self.name, SIMILAR, 0, payload, npy(table))
        yield _layout(item.layer, own, self.name)


def _profiles(context: Context, layer: str) -> np.ndarray | None:
    if context.read_array is None:
        raise TypeError("nothing to read profiles with")
    stored = context.read_array(layer, PROFILE)
    return None if stored is None else standardise(stored)[0]


def _nearest(context: Context, layer: str, own: np.ndarray, others: list[tuple[str, int]]) -> tuple[np.ndarray, int]:
    """Return `SIMILAR_ROW` `[unit]`, and how many layers have profiles."""
    table = np.zeros(len(own), dtype=SIMILAR_ROW)
    for name in ("within_unit", "other_layer", "other_unit"):
        table[name] = NONE
    for name in ("within_correlation", "other_correlation", "within_chance", "other_chance"):
        table[name] = np.nan
    table["is_constant"] = ~own.any(axis=1)
    shuffled = permuted(own, stable_hash("permuted images", layer))
    units, values = strongest(correlate(own, own, is_same_layer=True), NUM_SIMILAR)
    _put(table, "within", {"unit": units}, values)
    _raise_chance(table["within_chance"], shuffled, own, is_same_layer=True)
    best = _Best(len(own))
    num_layers = 1
    for name, position in others:
        profiles = _profiles(context, name)
        if profiles is None or profiles.shape[1] != own.shape[1]:
            continue
        num_layers += 1
        best.add(own, profiles, position)
        _raise_chance(table["other_chance"], shuffled, profiles)
    _put(table, "other", {"layer": best.layer, "unit": best.unit}, best.correlation)
    return table, num_layers


class _Best:
    """The nearest units of every unit over several layers."""

    def __init__(self, num_units: int) -> None:
        self.correlation = np.full((num_units, NUM_SIMILAR), -np.inf, dtype=np.float32)
        self.layer = np.full((num_units, NUM_SIMILAR), NONE, dtype=np.int64)
        self.unit = np.full((num_units, NUM_SIMILAR), NONE, dtype=np.int64)

    def add(self, own: np.ndarray, profiles: np.ndarray, position: int) -> None:
        """Let the units of another layer compete; of equals, those of the layer that came first stay before."""
        for start in range(0, len(own), UNITS_AT_ONCE):
            rows = slice(start, start + UNITS_AT_ONCE)
            units, values = strongest(correlate(own[rows], profiles), NUM_SIMILAR)
            both = np.concatenate([self.correlation[rows], values], axis=1)
            order = np.argsort(-both, axis=1, kind="stable")[:, :NUM_SIMILAR]
            layers = np.concatenate([self.layer[rows], np.full_like(units, position)], axis=1)
            self.correlation[rows] = np.take_along_axis(both, order, axis=1)
            self.layer[rows] = np.take_along_axis(layers, order, axis=1)
            self.unit[rows] = np.take_along_axis(np.concatenate([self.unit[rows], units], axis=1), order, axis=1)


def _put(table: np.ndarray, side: str, columns: dict[str, np.ndarray], values: np.ndarray) -> None:
    """Write nearest units into the table; those without a correlation are none."""
    count, is_there = values.shape[1], np.isfinite(values)
    for name, column in columns.items():
        table[f"{side}_{name}"][:, :count] = np.where(is_there, column, NONE)
    table[f"{side}_correlation"][:, :count] = np.where(is_there, values, np.nan)


def _raise_chance(chance: np.ndarray, shuffled: np.ndarray, profiles: np.ndarray, *, is_same_layer: bool = False) -> None:
    """Raise the best match by chance of each unit to what one more layer gives."""
    highest = correlate(shuffled, profiles, is_same_layer=is_same_layer).max(axis=1, initial=-np.inf)
    chance[:] = np.fmax(chance, np.where(np.isfinite(highest), highest, np.nan))


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
