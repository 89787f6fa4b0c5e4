"""What to look at first, where looking at everything takes hours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HARDLY_ACTIVE = 0.002
MOSTLY_ACTIVE = 0.5
"""Shares of positions between which a unit is taken to be about something."""


def order_of_turns(count: int) -> list[int]:
    """Return for each of `count` layers when its turn is, so that whoever stops early has seen some of every depth.

    >>> order_of_turns(8)
    [0, 4, 2, 6, 1, 5, 3, 7]
    """
    bits = max(1, (count - 1).bit_length())
    mirrored = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(count)]
    return [sorted(mirrored).index(number) for number in mirrored]


def order_of_interest(metrics: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the units of a layer, most interesting first: selective ones (high sparsity) that still answer now and then.

    Units that are almost always on come next, then those that hardly any image wakes: their sparsity is huge by accident.

    Args:
        metrics: `sparsity` and `fraction_active` of each unit.
    """
    sparsity = np.nan_to_num(metrics["sparsity"], nan=-np.inf)
    active = metrics["fraction_active"]
    kind = np.where(active < HARDLY_ACTIVE, 2, np.where(active > MOSTLY_ACTIVE, 1, 0))
    return np.lexsort((np.arange(len(sparsity)), -sparsity, kind))
