"""Kernels between units, read from the whole arrays of weights by memory map: only the pages that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

Direction = Literal["inputs", "outputs"]
Kernels = NDArray[Any]


@dataclass(frozen=True)
class PartnerWeight:
    """The weight between a unit and a partner, computed from the whole array.

    Attributes:
        layer: Name of the partner's layer.
        unit: Index of the partner.
        norm: L2 norm of the kernel.
        sum: Signed sum of the kernel.
    """

    layer: str
    unit: int
    norm: float
    sum: float


@lru_cache(maxsize=128)
def _open(path: Path) -> Kernels | None:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None


def weights_of(reader: AtlasReader, link: LinkRecord) -> Kernels | None:
    """Return the whole array of a link, memory-mapped, or None where it is not there yet."""
    if link.blob_sha256 is None:
        return None
    return _open(reader.blobs.path(link.blob_sha256, "npy"))


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


def links_of(catalog: Catalog, layer: LayerRecord, direction: Direction, partner: str | None = None) -> list[LinkRecord]:
    """Return the links of a layer in one direction, to all partner layers or to one."""
    if direction == "inputs":
        return [link for link in catalog.links if link.target == layer.name and partner in (None, link.source)]
    return [link for link in catalog.links if link.source == layer.name and partner in (None, link.target)]


def all_partners(reader: AtlasReader, links: Iterable[LinkRecord], unit: int, direction: Direction) -> list[PartnerWeight]:
    """Return every partner of a unit over the given links, strongest norm first, ties by layer and unit."""
    found = [partner for link in links for partner in _partners(reader, link, unit, direction)]
    return sorted(found, key=lambda partner: (-partner.norm, partner.layer, partner.unit))


def _partners(reader: AtlasReader, link: LinkRecord, unit: int, direction: Direction) -> Iterator[PartnerWeight]:
    array = weights_of(reader, link)
    if array is None:
        return
    layer = link.source if direction == "inputs" else link.target
    units: Sequence[int]
    if link.layout == "diagonal":
        units, kernels = [unit], np.array(array[unit : unit + 1], np.float64)
    else:
        kernels = np.array(array[unit] if direction == "inputs" else array[:, unit], np.float64)
        units = range(len(kernels))
    flat = kernels.reshape(len(kernels), -1)
    norms = np.sqrt((flat * flat).sum(axis=1)).tolist()
    sums = flat.sum(axis=1).tolist()
    for index, norm, total in zip(units, norms, sums, strict=False):
        yield PartnerWeight(layer, index, norm, total)
