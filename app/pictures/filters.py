"""What the units of a first layer do with the pixels of the image: their filters, as numbers and as pictures in true colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import urls
from app.contexts import FilterPicture
from precompute.domain import FILTERS
from precompute.store.arrays import open_array
from precompute.store.reader import AtlasReader
from precompute.store.records import Json, LayerRecord

LARGEST_NESTED = 16  # a filter of more rows or columns is given as a picture only


@dataclass(frozen=True)
class Filters:
    """The filters of a layer.

    Attributes:
        array: `[unit, rgb, height, width]`, per unit of pixel value from 0 to 1.
        payload: What is stored with them.
        blob_name: The file.
    """

    array: NDArray[Any]
    payload: Json
    blob_name: str

    @property
    def maximum(self) -> float:
        """Return the largest size of a weight in the layer."""
        return float(self.payload["maximum"]) or 1.0


def filters_of(reader: AtlasReader, layer: LayerRecord) -> Filters | None:
    """Return the filters of a layer that reads the image, or None where it does not, or where they are not there yet."""
    if layer.spec.inputs:
        return None
    found = reader.layer_artifact(layer, FILTERS)
    if found is None or found.blob_name is None:
        return None
    array = open_array(reader.blobs, found.blob_name.partition(".")[0])
    return None if array is None else Filters(array, found.payload, found.blob_name)


def filter_picture(layer: LayerRecord, filters: Filters | None, unit: int, maximum: float | None = None) -> FilterPicture | None:
    """Return the filter of a unit as a part of a page.

    Args:
        layer: Layer of the unit.
        filters: Of the layer.
        unit: The unit.
        maximum: The size with the full colour; None for the largest of this filter.
    """
    if filters is None:
        return None
    values = np.array(filters.array[unit], np.float64)
    maximum = maximum or float(np.abs(values).max()) or 1.0
    rows = np.moveaxis(values, 0, -1)
    nested: list[list[list[float | None]]] = [
        [[float(f"{value:.7g}") for value in pixel] for pixel in row] for row in rows.tolist()
    ]
    return FilterPicture(
        image=urls.filter_picture(layer.model_id, layer.name, unit, maximum),
        values=nested if max(values.shape[1:]) <= LARGEST_NESTED else None,
        maximum=maximum,
        layer_maximum=filters.maximum,
        kernel_shape=list(filters.payload["kernel_shape"]),
        input_gain=list(filters.payload["input_gain"]),
        exact=bool(filters.payload["is_exact"]),
    )
