"""What units answer to whole images, read from the arrays about their layer by memory map."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.correlation import NONE
from precompute.domain import (
    EXAMPLE_MAPS,
    EXAMPLE_SCALES,
    LABEL_RESPONSES,
    LAYOUT,
    PROFILE,
    PROFILE_IMAGES,
    SIMILAR,
)
from precompute.store.arrays import Kernels, open_array
from precompute.store.reader import AtlasReader
from precompute.store.records import ArtifactRecord, Catalog, Json, LayerRecord

KINDS = (PROFILE, PROFILE_IMAGES, LABEL_RESPONSES, SIMILAR, LAYOUT, EXAMPLE_MAPS, EXAMPLE_SCALES)


@dataclass(frozen=True)
class LayerArray:
    """An array about a layer.

    Attributes:
        array: Memory-mapped.
        payload: What is stored with it.
        blob_name: The file.
    """

    array: Kernels
    payload: Json
    blob_name: str


@dataclass(frozen=True)
class SimilarUnit:
    """A unit that answers to the same images."""

    layer: str
    unit: int
    correlation: float


@dataclass(frozen=True)
class SimilarUnits:
    """The nearest units of a unit.

    Attributes:
        within: Of its layer, the most alike first.
        others: Of the other layers of the model.
        within_chance: The best match of its profile with the images in another order, among the units of its layer.
        others_chance: Likewise among those of the other layers.
        is_constant: Whether it gives the same to all images: then nothing is like it.
        num_images: In the profiles.
        num_layers: That were compared.
    """

    within: list[SimilarUnit]
    others: list[SimilarUnit]
    within_chance: float | None
    others_chance: float | None
    is_constant: bool
    num_images: int
    num_layers: int


@dataclass(frozen=True)
class LabelRow:
    """The answer of a unit to the images of one label."""

    label: str
    mean: float
    num_images: int


@dataclass(frozen=True)
class LabelRows:
    """The answers of a unit by label.

    Attributes:
        rows: The strongest first.
        overall: The mean over all images with a label.
        eta_squared: Share of the variance over images that lies between labels; None without variance.
        eta_squared_chance: What random groups of the same sizes give on average.
        chance_max: The largest group mean in one random split into groups of the same sizes.
    """

    rows: list[LabelRow]
    overall: float
    eta_squared: float | None
    eta_squared_chance: float
    chance_max: float


@dataclass(frozen=True)
class Profile:
    """The mean activations of the units of a layer on each image of the sample.

    Attributes:
        array: float16 `[unit, image]`, in units of `scale`.
        images: int32 `[image]`, indices of the stimuli.
        scale: Of the array.
        name: The name of the file, which changes with its content.
    """

    array: NDArray[np.float16]
    images: NDArray[np.int32]
    scale: float
    name: str


def layer_array(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, kind: str) -> LayerArray | None:
    """Return an array about a layer, or None where it is not built or its file is missing."""
    record = records_of(reader, catalog, layer).get(kind)
    if record is None or record.blob_name is None:
        return None
    array = open_array(reader.blobs, record.blob_name.partition(".")[0])
    return None if array is None else LayerArray(array, record.payload, record.blob_name)


def records_of(reader: AtlasReader, catalog: Catalog, layer: LayerRecord) -> dict[str, ArtifactRecord]:
    """Return the artifacts about a layer; a catalog lives as long as the atlas stays the same, and they with it."""
    key = ("about layer", layer.name)
    if key not in catalog.held:
        catalog.held[key] = {record.kind: record for record in reader.layer_artifacts(layer) if record.kind in KINDS}
    return catalog.held[key]


def similar_units(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int) -> SimilarUnits | None:
    """Return the units that answer to the same images as one, or None where that is not built."""
    found = layer_array(reader, catalog, layer, SIMILAR)
    if found is None or unit >= len(found.array):
        return None
    row = found.array[unit]
    names = {other.spec.position: other.name for other in catalog.layers.values()}
    return SimilarUnits(
        within=[
            SimilarUnit(layer.name, int(index), float(value))
            for index, value in zip(row["within_unit"], row["within_correlation"], strict=True)
            if index != NONE
        ],
        others=[
            SimilarUnit(names[int(place)], int(index), float(value))
            for place, index, value in zip(row["other_layer"], row["other_unit"], row["other_correlation"], strict=True)
            if index != NONE and int(place) in names
        ],
        within_chance=_finite(row["within_chance"]),
        others_chance=_finite(row["other_chance"]),
        is_constant=bool(row["is_constant"]),
        num_images=found.payload["num_images"],
        num_layers=found.payload.get("num_compared", found.payload["num_layers"]),
    )


def label_rows(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int) -> LabelRows | None:
    """Return what a unit answers to each label, or None where there are no labels or nothing is built."""
    found = layer_array(reader, catalog, layer, LABEL_RESPONSES)
    if found is None or unit >= len(found.array):
        return None
    row = found.array[unit]
    means: list[float] = row["mean"].tolist()
    listed = zip(found.payload["labels"], means, found.payload["num_images"], strict=True)
    rows = sorted((LabelRow(*item) for item in listed), key=lambda item: (-item.mean, item.label))
    return LabelRows(
        rows,
        float(row["overall"]),
        _finite(row["eta_squared"]),
        found.payload["eta_squared_chance"],
        float(row["chance_max"]),
    )


def profile_of(reader: AtlasReader, catalog: Catalog, layer: LayerRecord) -> Profile | None:
    """Return the profiles of a layer, or None where they are not built."""
    values = layer_array(reader, catalog, layer, PROFILE)
    images = layer_array(reader, catalog, layer, PROFILE_IMAGES)
    if values is None or images is None:
        return None
    return Profile(values.array, np.asarray(images.array), values.payload["scale"], values.blob_name)


def example_maps(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int
) -> tuple[NDArray[np.uint8], float, LayerArray] | None:
    """Return the maps of a unit's examples `[place, height, width]`, what 255 means, and the array they are from.

    None where they are not built, or where no example of the unit is above zero.
    """
    maps = layer_array(reader, catalog, layer, EXAMPLE_MAPS)
    scales = layer_array(reader, catalog, layer, EXAMPLE_SCALES)
    if maps is None or scales is None or unit >= len(maps.array):
        return None
    largest = float(scales.array[unit])
    return (np.asarray(maps.array[unit]), largest, maps) if largest > 0 else None


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if isfinite(number) else None
