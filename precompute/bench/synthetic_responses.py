"""Made-up answers of units to whole images, of the shapes that a build stores: profiles, labels, similar units, maps."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precompute.correlation import NONE, NUM_SIMILAR, SIMILAR_ROW, correlate, permuted, standardise, strongest
from precompute.domain import (
    EXAMPLE_MAPS,
    EXAMPLE_SCALES,
    LABEL_RESPONSES,
    LAYOUT,
    PROFILE,
    PROFILE_IMAGES,
    SIMILAR,
    Artifact,
    BlobData,
)

NUM_FACTORS = 24
MAPS_PER_UNIT = 48
NUM_BLOBS = 64


@dataclass(frozen=True)
class MadeUp:
    """What answers are made up for.

    Attributes:
        layer: Name of the layer.
        num_units: Of the layer.
        map_side: Of its stored maps; 0 for a layer without.
        images: Indices of the stimuli of the profiles, ascending.
        labels: The label of each of them, or None.
    """

    layer: str
    num_units: int
    map_side: int
    images: Sequence[int]
    labels: Sequence[str | None]


def made_up_profile(num_units: int, factors: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return profiles `[unit, image]` that mix a few factors `[factor, image]`, none below zero; the last is flat."""
    mixed = generator.normal(size=(num_units, len(factors))) @ factors + generator.normal(size=(num_units, factors.shape[1]))
    profile = np.maximum(mixed, 0).astype(np.float32)
    profile[-1] = 0
    return profile


def responses_of(
    about: MadeUp, profile: NDArray[np.float32], other: tuple[int, NDArray[np.float32]] | None, generator: np.random.Generator
) -> Iterator[Artifact]:
    """Yield all artifacts about the answers of a layer.

    Args:
        about: The layer and the images.
        profile: `[unit, image]`.
        other: Position and profile of another layer, with which its units are compared.
        generator: Of what is drawn.
    """
    layer, count = about.layer, len(about.images)
    payload = {"num_images": count, "scale": 1.0, "reduction": "mean over positions"}
    yield Artifact(layer, None, "responses", PROFILE, 0, payload, npy(profile.astype(np.float16)))
    images = np.asarray(about.images, np.int32)
    yield Artifact(layer, None, "responses", PROFILE_IMAGES, 0, {"num_images": count}, npy(images))
    yield from _labels(about, profile)
    yield Artifact(layer, None, "similar_units", SIMILAR, 0, *_similar(profile, other))
    yield _layout(about, profile, generator)
    if about.map_side:
        yield from _maps(about, generator)


def _labels(about: MadeUp, profile: NDArray[np.float32]) -> Iterator[Artifact]:
    names = sorted({name for name in about.labels if name is not None})
    if len(names) < 2:
        return
    groups = [[place for place, name in enumerate(about.labels) if name == wanted] for wanted in names]
    table = np.zeros(
        about.num_units,
        dtype=[("mean", "<f4", (len(names),)), ("overall", "<f4"), ("eta_squared", "<f4"), ("chance_max", "<f4")],
    )
    labelled = profile[:, [place for group in groups for place in group]].astype(np.float64)
    table["mean"] = np.stack([profile[:, group].mean(axis=1) for group in groups], axis=1)
    table["overall"] = labelled.mean(axis=1)
    sizes = np.array([len(group) for group in groups])
    between = (sizes * (table["mean"] - table["overall"][:, None]) ** 2).sum(axis=1)
    whole = labelled.var(axis=1) * labelled.shape[1]
    table["eta_squared"] = np.where(whole > 0, between / np.where(whole > 0, whole, 1), np.nan)
    table["chance_max"] = table["overall"] * 1.1
    chance = (len(names) - 1) / (labelled.shape[1] - 1)
    payload = {"labels": names, "num_images": sizes.tolist(), "eta_squared_chance": chance}
    yield Artifact(about.layer, None, "responses", LABEL_RESPONSES, 0, payload, npy(table))


def _similar(profile: NDArray[np.float32], other: tuple[int, NDArray[np.float32]] | None) -> tuple[dict[str, int], BlobData]:
    own, is_constant = standardise(profile)
    table = np.zeros(len(own), dtype=SIMILAR_ROW)
    table["is_constant"] = is_constant
    _put(table, "within", own, own, is_same_layer=True)
    table["other_layer"] = table["other_unit"] = NONE
    table["other_correlation"] = table["other_chance"] = np.nan
    if other is not None:
        _put(table, "other", own, standardise(other[1])[0])
        table["other_layer"] = np.where(table["other_unit"] == NONE, NONE, other[0])
    payload = {"k": NUM_SIMILAR, "num_images": profile.shape[1], "num_layers": 1 + (other is not None)}
    return payload, npy(table)


def _put(
    table: NDArray[np.void], side: str, own: NDArray[np.float32], others: NDArray[np.float32], *, is_same_layer: bool = False
) -> None:
    units, values = strongest(correlate(own, others, is_same_layer=is_same_layer), NUM_SIMILAR)
    is_there, count = np.isfinite(values), values.shape[1]
    table[f"{side}_unit"], table[f"{side}_correlation"] = NONE, np.nan
    table[f"{side}_unit"][:, :count] = np.where(is_there, units, NONE)
    table[f"{side}_correlation"][:, :count] = np.where(is_there, values, np.nan)
    highest = correlate(permuted(own, 0), others, is_same_layer=is_same_layer).max(axis=1)
    table[f"{side}_chance"] = np.where(np.isfinite(highest), highest, np.nan)


def _layout(about: MadeUp, profile: NDArray[np.float32], generator: np.random.Generator) -> Artifact:
    places = generator.uniform(-1, 1, (about.num_units, 2)).astype(np.float32)
    places[~profile.any(axis=1)] = np.nan
    payload = {"method": "t-sne", "num_images": profile.shape[1], "num_placed": about.num_units - 1, "k": 5}
    payload |= {"neighbours_kept": 0.4, "neighbours_kept_by_chance": 5 / about.num_units}
    return Artifact(about.layer, None, "similar_units", LAYOUT, 0, payload, npy(places))


def _maps(about: MadeUp, generator: np.random.Generator) -> Iterator[Artifact]:
    side = about.map_side
    y, x = np.mgrid[0:side, 0:side]
    centres = generator.uniform(0, side, (NUM_BLOBS, 2))
    spots = np.exp(-((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / (side / 3) ** 2)
    maps = (255 * spots).astype(np.uint8)[generator.integers(0, NUM_BLOBS, (about.num_units, MAPS_PER_UNIT))]
    largest = np.full(about.num_units, 6, np.float32)
    largest[-1] = 0
    payload = {"map_size": [side, side], "reduction": "largest", "order": "top, quantiles"}
    yield Artifact(about.layer, None, "activation_maps", EXAMPLE_MAPS, 0, payload, npy(maps))
    yield Artifact(about.layer, None, "activation_maps", EXAMPLE_SCALES, 0, {}, npy(largest))


def npy(array: NDArray[np.generic]) -> BlobData:
    """Return an array as a file of the store."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return BlobData(buffer.getvalue(), "npy")
