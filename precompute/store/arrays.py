"""Kernels between units, read from the whole arrays of weights by memory map: only the pages that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.graph import UnitKey
from precompute.store.blobs import BlobStore
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

Direction = Literal["inputs", "outputs"]
Kernels = NDArray[Any]


@dataclass(frozen=True)
class Side:
    """One side of a unit: the units that feed it, or those that it feeds.

    Attributes:
        reader: The atlas.
        catalog: The model.
        layer: Layer of the unit.
        unit: The unit.
        direction: `inputs` for what feeds it, `outputs` for what it feeds.
    """

    reader: AtlasReader
    catalog: Catalog
    layer: LayerRecord
    unit: int
    direction: Direction

    @property
    def key(self) -> UnitKey:
        """Return layer and index of the unit."""
        return self.layer.name, self.unit

    @property
    def links(self) -> Sequence[LinkRecord]:
        """Return the links on this side, to all partner layers."""
        return links_of(self.catalog, self.layer, self.direction)

    def ends(self, other: UnitKey) -> tuple[UnitKey, UnitKey]:
        """Return source and target of the weight between the unit and another on this side."""
        return (other, self.key) if self.direction == "inputs" else (self.key, other)

    def layers(self, other: str) -> tuple[str, str]:
        """Return source and target layer of the weights between the unit and those of another layer on this side."""
        return (other, self.layer.name) if self.direction == "inputs" else (self.layer.name, other)

    def link(self, other: str) -> LinkRecord | None:
        """Return the link between the unit's layer and another on this side, or None where they are not directly linked."""
        return self.catalog.link(*self.layers(other))


@lru_cache(maxsize=2048)
def _open(folder: str, sha256: str) -> Kernels:
    # Kept by two texts and not by a path: it is asked for each kernel of a page, and putting a path together takes longer.
    return np.load(BlobStore(Path(folder)).path(sha256, "npy"), mmap_mode="r", allow_pickle=False)


def open_array(blobs: BlobStore, sha256: str) -> Kernels | None:
    """Return an array of the store, memory-mapped, or None where it is missing or no array."""
    try:
        return _open(str(blobs.folder), sha256)
    except (OSError, ValueError):
        return None


def weights_of(reader: AtlasReader, link: LinkRecord) -> Kernels | None:
    """Return the whole array of a link, memory-mapped, or None where it is not there yet."""
    return None if link.blob_sha256 is None else open_array(reader.blobs, link.blob_sha256)


def kernel_between(reader: AtlasReader, link: LinkRecord, source_unit: int, target_unit: int) -> NDArray[np.float64] | None:
    """Return the kernel `[height, width]` from one unit to another, or None where there is none."""
    array = weights_of(reader, link)
    if array is None:
        return None
    if link.layout == "diagonal":
        return np.array(array[target_unit], np.float64) if source_unit == target_unit < len(array) else None
    if target_unit >= array.shape[0] or source_unit >= array.shape[1]:
        return None
    return np.array(array[target_unit, source_unit], np.float64)


def kernels_of(reader: AtlasReader, link: LinkRecord, unit: int, direction: Direction) -> tuple[list[int], NDArray[np.float64]]:
    """Return all partners of a unit over one link, and the kernels `[partner, height, width]`; none where it is not there yet."""
    array = weights_of(reader, link)
    if array is None:
        return [], np.zeros((0, 1, 1))
    if link.layout == "diagonal":
        kernels = np.array(array[unit : unit + 1], np.float64)
        return ([unit] if len(kernels) else []), kernels
    kernels = np.array(array[unit] if direction == "inputs" else array[:, unit], np.float64)
    return list(range(len(kernels))), kernels


def links_of(catalog: Catalog, layer: LayerRecord, direction: Direction) -> Sequence[LinkRecord]:
    """Return the links of a layer in one direction, to all partner layers."""
    ends = catalog.links_by_target if direction == "inputs" else catalog.links_by_source
    return ends.get(layer.name, ())
