"""All kernels of a unit together: their kinds, the control, and the one scale that their pictures share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from app.contexts import KernelControl, KernelFacet, KernelLabel
from precompute.circuits.graph import Way
from precompute.circuits.labels import LEAST_R2, NO_SHAPE, SHAPES, fit_kernels, label_shares, shuffled_shares
from precompute.store.arrays import Side
from precompute.store.expanded import any_kernels

OTHER = "other"
KINDS = (*SHAPES, OTHER)
CONTROL = "The weights of the unit are dealt anew to all places of all its kernels, layer by layer, and labelled again."


@dataclass(frozen=True)
class KernelView:
    """The kernels between a unit and all its partners in some layers.

    Attributes:
        kinds: By layer and unit of the partner; kernels without a shape (smaller than 3 x 3) are left out.
        labels: Likewise.
        facets: How many there are of each kind; their links are still empty. None where no kernel has a shape.
        control: How the chance shares were found.
        maximum: The largest size of a single weight.
    """

    kinds: dict[tuple[str, int], str]
    labels: dict[tuple[str, int], KernelLabel]
    facets: list[KernelFacet]
    control: KernelControl | None
    maximum: float


def kernel_view(side: Side, layers: Collection[str], route: Way | None = None) -> KernelView:
    """Return all kernels of a unit together.

    Args:
        side: Of the unit.
        layers: The layers of the partners, any number of layers away.
        route: Only the paths over these layers.
    """
    kinds: dict[tuple[str, int], str] = {}
    labels: dict[tuple[str, int], KernelLabel] = {}
    stacks: list[NDArray[np.float64]] = []
    maximum = 0.0
    for name in layers:
        partners, kernels, _ = any_kernels(side, name, route)
        maximum = max(maximum, float(np.abs(kernels).max(initial=0.0)))
        fits = fit_kernels(kernels)
        found = [(partner, label) for partner, label in zip(partners, fits.labels(), strict=True) if label is not None]
        labels |= {(name, partner): KernelLabel(**asdict(label)) for partner, label in found}
        kinds |= {(name, partner): label.shape if label.is_clear else OTHER for partner, label in found}
        if found:
            stacks.append(kernels[fits.shapes != NO_SHAPE])
    facets, control = _facets(stacks) if stacks else ([], None)
    return KernelView(kinds, labels, facets, control, maximum or 1.0)


def _facets(stacks: list[NDArray[np.float64]]) -> tuple[list[KernelFacet], KernelControl]:
    counts, norms = label_shares(stacks)
    chance = shuffled_shares(stacks)
    number = sum(len(kernels) for kernels in stacks)
    columns = (counts, norms, chance.mean, chance.std, chance.norm_mean)
    rows = zip(SHAPES, *(column.tolist() for column in columns), strict=True)
    facets = [
        KernelFacet(
            kind=kind,
            count=count,
            share=count / number,
            norm_share=norm,
            chance_share=mean,
            chance_std=std,
            chance_norm_share=norm_mean,
            link="",
        )
        for kind, count, norm, mean, std, norm_mean in rows
    ]
    rest = number - int(counts.sum())
    facets.append(
        KernelFacet(
            kind=OTHER,
            count=rest,
            share=rest / number,
            norm_share=max(0.0, 1 - float(norms.sum())),
            chance_share=1 - float(chance.mean.sum()),
            chance_std=chance.other_std,
            chance_norm_share=1 - float(chance.norm_mean.sum()),
            link="",
        )
    )
    control = KernelControl(
        what=CONTROL, num_kernels=number, num_shuffles=chance.num_shuffles, seed=chance.seed, least_r2=LEAST_R2
    )
    return facets, control
