"""Small pictures of units: which one stands for a unit, and its address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from app import urls
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, ThumbRecord


def address(model_id: str, layer_name: str, unit: int, dataset_id: str, thumb: ThumbRecord) -> str:
    """Return the address of the small picture of a unit: its visualization, else its strongest examples."""
    if thumb.blob_name is not None:
        return urls.blob(thumb.blob_name)
    return urls.thumb(model_id, layer_name, unit, version_of(dataset_id, thumb))


def version_of(dataset_id: str, thumb: ThumbRecord) -> str:
    """Return a text that changes when the picture changes."""
    return hashlib.sha256(f"{dataset_id}|{thumb.blob_name}|{thumb.examples}".encode()).hexdigest()[:12]


def thumbnails(reader: AtlasReader, catalog: Catalog, units: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], str]:
    """Return the addresses of the small pictures of units, given by layer; units with nothing yet are left out."""
    found: dict[tuple[str, int], str] = {}
    for name, indices in units.items():
        layer = catalog.layers[name]
        for index, thumb in reader.thumbs(layer, indices).items():
            found[name, index] = address(catalog.model.id, name, index, catalog.model.dataset_id, thumb)
    return found


def layer_thumbnails(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, units: Iterable[int]) -> dict[int, str]:
    """Return the addresses of the small pictures of some units of one layer."""
    return {index: url for (_, index), url in thumbnails(reader, catalog, {layer.name: units}).items()}
