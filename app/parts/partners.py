"""Partners of a unit, as parts of pages: the weight with numbers, the kernel, the picture of the other end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import urls
from app.contexts import KernelLabel, ListedPartner, Partner
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from precompute.circuits.graph import Way
from precompute.circuits.labels import SMALLEST_SIDE, label_kernels
from precompute.store.arrays import Side
from precompute.store.expanded import FoundKernel, kernel_of
from precompute.store.partners import PartnerWeight

Kernel = NDArray[Any]
Nested = list[list[float | None]]
LARGEST_NESTED = 11  # a kernel of more rows or columns is given as the address of its picture


def partners_of(side: Side, weights: Sequence[PartnerWeight]) -> list[Partner]:
    """Return the first partners of a unit, strongest first, as parts of a page; the pictures of their kernels share one scale."""
    return [Partner(**found) for found in _all_fields(side, weights)]


def listed_partners_of(
    side: Side,
    weights: Sequence[PartnerWeight],
    first_rank: int = 1,
    route: Way | None = None,
    maximum: float | None = None,
    labels: Mapping[tuple[str, int], KernelLabel] | None = None,
) -> list[ListedPartner]:
    """Return some partners of a unit as parts of the page that lists all.

    Args:
        side: Of the unit.
        weights: The partners.
        first_rank: Rank of the first of them.
        route: Only the paths over these layers.
        maximum: The weight with the full colour in the pictures; None for the largest of these.
        labels: What the kernels look like, by layer and unit of the partner, where it is known already.
    """
    found = _all_fields(side, weights, first_rank, route, maximum)
    if labels is None:
        labels = _labels(weights, [fields["kernel"] for fields in found])
    return [
        ListedPartner(
            **fields,
            share=weight.share,
            contribution=weight.contribution,
            gross=weight.gross,
            kernel_label=labels.get((weight.layer, weight.unit)),
        )
        for fields, weight in zip(found, weights, strict=True)
    ]


def _labels(weights: Sequence[PartnerWeight], kernels: Sequence[Nested | str | None]) -> dict[tuple[str, int], KernelLabel]:
    """Return what kernels look like: those that are large enough to look like anything, all of one size at once."""
    by_shape: dict[tuple[int, int], list[int]] = {}
    for place, kernel in enumerate(kernels):
        if isinstance(kernel, list):
            by_shape.setdefault((len(kernel), len(kernel[0])), []).append(place)
    found: dict[tuple[str, int], KernelLabel] = {}
    for shape, places in by_shape.items():
        if min(shape) < SMALLEST_SIDE:
            continue
        for place, label in zip(places, label_kernels(np.array([kernels[place] for place in places])), strict=True):
            if label is not None:
                found[weights[place].layer, weights[place].unit] = KernelLabel(**asdict(label))
    return found


def _all_fields(
    side: Side, weights: Sequence[PartnerWeight], first_rank: int = 1, route: Way | None = None, maximum: float | None = None
) -> list[dict[str, Any]]:
    units: dict[str, list[int]] = {}
    for weight in weights:
        units.setdefault(weight.layer, []).append(weight.unit)
    pictures = thumbnails(side.reader, side.catalog, units)
    kernels = [kernel_of(side.reader, side.catalog, *side.ends((weight.layer, weight.unit)), route) for weight in weights]
    if maximum is None:
        maximum = max((float(abs(found.kernel).max()) for found in kernels if found is not None), default=0.0) or 1.0
    scale = Scale(maximum, route)
    return [
        _fields(side, weight, kernel, scale, rank, pictures.get((weight.layer, weight.unit)))
        for rank, (weight, kernel) in enumerate(zip(weights, kernels, strict=True), start=first_rank)
    ]


@dataclass(frozen=True)
class Scale:
    """What pictures of kernels on one page share.

    Attributes:
        maximum: The weight that the darkest colour stands for.
        route: Only the paths over these layers.
    """

    maximum: float
    route: Way | None = None


def nested(kernel: Kernel | None) -> Nested | None:
    """Return a kernel as nested lists, rounded to what a 32-bit number holds; None where it is missing or large."""
    if kernel is None:
        return None
    square: Kernel = kernel.reshape(1, -1) if kernel.ndim < 2 else kernel
    if square.ndim != 2 or max(square.shape) > LARGEST_NESTED:
        return None
    return [[float(f"{value:.7g}") for value in row] for row in square.tolist()]


def _fields(
    side: Side, weight: PartnerWeight, found: FoundKernel | None, scale: Scale, rank: int, thumbnail: str | None
) -> dict[str, Any]:
    model_id = side.catalog.model.id
    other = (weight.layer, weight.unit)
    source, target = side.ends(other)
    kernel = None if found is None else found.kernel
    image = None if kernel is None else urls.kernel(model_id, source, target, scale.maximum, scale.route)
    shape = None if kernel is None else list(kernel.shape)
    page = urls.unit(model_id, *other)
    return {
        "layer": weight.layer,
        "unit": weight.unit,
        "norm": weight.norm,
        "sum": weight.sum,
        "exact": None if found is None else found.is_exact,
        "kernel_shape": shape,
        "kernel": nested(kernel) or image,
        "image": image,
        "thumbnail": thumbnail,
        "rank": rank,
        "links": page_links(page, weights=f"{page}/weights", layer=urls.layer(model_id, other[0])),
    }
