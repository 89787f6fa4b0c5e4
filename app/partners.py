"""Partners of a unit, as parts of pages: the weight with numbers, the kernel, the picture of the other end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from app import urls
from app.contexts import Partner
from app.summaries import page_links
from app.thumbs import thumbnails
from precompute.store.arrays import Direction, PartnerWeight, kernel_between
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, LinkRecord

LARGEST_NESTED = 11  # a kernel of more rows or columns is given as the address of its picture


def partners_of(
    reader: AtlasReader,
    catalog: Catalog,
    layer: LayerRecord,
    unit: int,
    direction: Direction,
    weights: Sequence[PartnerWeight],
    first_rank: int = 1,
) -> list[Partner]:
    """Return partners as parts of a page; the pictures of their kernels share one scale.

    Args:
        reader: The atlas.
        catalog: The model.
        layer: Layer of the unit.
        unit: The unit.
        direction: `inputs` where the partners feed the unit, `outputs` where it feeds them.
        weights: The partners, strongest first.
        first_rank: Rank of the first of them.
    """
    units: dict[str, list[int]] = {}
    for weight in weights:
        units.setdefault(weight.layer, []).append(weight.unit)
    pictures = thumbnails(reader, catalog, units)
    kernels = [_kernel(reader, catalog, layer, unit, direction, weight) for weight in weights]
    maximum = max((float(abs(kernel).max()) for _, kernel in kernels if kernel is not None and kernel.size), default=0.0) or 1.0
    return [
        _partner(
            catalog, (layer.name, unit), direction, weight, link, kernel, maximum, rank, pictures.get((weight.layer, weight.unit))
        )
        for rank, (weight, (link, kernel)) in enumerate(zip(weights, kernels, strict=True), start=first_rank)
    ]


def strongest(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, units: Sequence[int], direction: Direction, limit: int
) -> dict[int, list[PartnerWeight]]:
    """Return the strongest partners of some units over all partner layers."""
    found = reader.edges(layer, units, direction)
    return {
        unit: [
            PartnerWeight(catalog.by_row[edge.partner_layer].name, edge.partner_unit, edge.norm, edge.sum)
            for edge in found.get(unit, [])[:limit]
        ]
        for unit in units
    }


Kernel = NDArray[Any]


def _kernel(
    reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int, direction: Direction, weight: PartnerWeight
) -> tuple[LinkRecord | None, Kernel | None]:
    if direction == "inputs":
        link = catalog.link(weight.layer, layer.name)
        return link, kernel_between(reader, link, weight.unit, unit) if link else None
    link = catalog.link(layer.name, weight.layer)
    return link, kernel_between(reader, link, unit, weight.unit) if link else None


def nested(kernel: Kernel | None) -> list[list[float | None]] | None:
    """Return a kernel as nested lists, rounded to what a 32-bit number holds; None where it is missing or large."""
    if kernel is None:
        return None
    square: Kernel = kernel.reshape(1, -1) if kernel.ndim < 2 else kernel
    if square.ndim != 2 or max(square.shape) > LARGEST_NESTED:
        return None
    return [[float(f"{value:.7g}") for value in row] for row in square.tolist()]


def _partner(
    catalog: Catalog,
    unit: tuple[str, int],
    direction: Direction,
    weight: PartnerWeight,
    link: LinkRecord | None,
    kernel: Kernel | None,
    maximum: float,
    rank: int,
    thumbnail: str | None,
) -> Partner:
    model_id = catalog.model.id
    other = (weight.layer, weight.unit)
    source, target = (other, unit) if direction == "inputs" else (unit, other)
    image = None if kernel is None else urls.kernel(model_id, source, target, maximum)
    shape = None if link is None or link.kernel_shape is None else list(link.kernel_shape)
    return Partner(
        layer=weight.layer,
        unit=weight.unit,
        norm=weight.norm,
        sum=weight.sum,
        exact=None if link is None else link.is_exact,
        kernel_shape=shape,
        kernel=nested(kernel) or image,
        image=image,
        thumbnail=thumbnail,
        rank=rank,
        links=page_links(
            urls.unit(model_id, *other), weights=urls.weights(model_id, *other), layer=urls.layer(model_id, other[0])
        ),
    )
