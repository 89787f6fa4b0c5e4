"""What a kernel looks like, in a word: even, an edge, a line, a spot, a ring, with how much of it that says.

A kernel is compared with a few ideal ones of its own size. All but the even one sum to zero, so that the shares of the kernel's
energy that they account for can be compared; none depends on how large the kernel is, or on its sign.

Paper: the words are those of Voss et al., "Visualizing Weights", Distill 2021,
https://distill.pub/2020/circuits/visualizing-weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["uniform", "gradient", "line", "centre-surround", "ring"]
Kernel = NDArray[np.float64]
NUM_ANGLES = 24
SMALLEST_RING_PX = 5
"""On fewer pixels a ring is what surrounds a spot."""
LEAST_R2 = 0.5
"""Below this no word says more than half of it."""


@dataclass(frozen=True)
class KernelLabel:
    """The ideal kernel that one is most like.

    Attributes:
        shape: Its name.
        angle_deg: Of a gradient, where it rises to, 0 to 360 counted from the right over the top; of a line, how it lies, 0 to
            180; None for what has no direction.
        sign: Of the whole of a uniform kernel, of the line, of the centre or of the ring; 1 for a gradient.
        r2: Share of the kernel's energy that it accounts for, 0 to 1.
    """

    shape: Shape
    angle_deg: float | None
    sign: int
    r2: float


def label_kernel(kernel: NDArray[Any]) -> KernelLabel | None:
    """Return what a kernel `[height, width]` is most like, or None where it is zero, not square, or smaller than 3 x 3."""
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] < 3:
        return None
    numbers = np.asarray(kernel, np.float64)
    scale = float(np.abs(numbers).max())
    if not math.isfinite(scale) or scale == 0:
        return None
    numbers = numbers / scale
    energy = float((numbers * numbers).sum())
    even = float(numbers.mean()) * len(numbers)
    found = [KernelLabel("uniform", None, _sign(even), even * even / energy)]
    right, up = (float((numbers * ramp).sum()) for ramp in _ramps(len(numbers)))
    angle = math.degrees(math.atan2(up, right)) % 360
    found.append(KernelLabel("gradient", angle, 1, (right * right + up * up) / energy))
    for shape, angles, ideals in _ideals(len(numbers)):
        values = np.tensordot(ideals, numbers, axes=2)
        best = int(np.abs(values).argmax())
        value = float(values[best])
        found.append(KernelLabel(shape, angles[best], _sign(value), value * value / energy))
    best_label = max(found, key=lambda label: label.r2)
    return KernelLabel(best_label.shape, best_label.angle_deg, best_label.sign, min(1.0, best_label.r2))


def _sign(value: float) -> int:
    return -1 if value < 0 else 1


def _unit(ideal: Kernel) -> Kernel:
    """Return it with sum zero and norm one."""
    ideal = ideal - ideal.mean()
    return ideal / np.linalg.norm(ideal)


def _places(side: int) -> tuple[Kernel, Kernel]:
    """Return how far each weight is to the right of the middle, and above it."""
    axis = np.arange(side) - (side - 1) / 2
    right = np.broadcast_to(axis[None, :], (side, side)).astype(np.float64)
    return right, -right.T


@lru_cache(maxsize=16)
def _ramps(side: int) -> tuple[Kernel, Kernel]:
    right, up = _places(side)
    return _unit(right), _unit(up)


@lru_cache(maxsize=16)
def _ideals(side: int) -> list[tuple[Shape, list[float | None], Kernel]]:
    """Return the ideal kernels of each shape `[ideal, height, width]`, with their angles."""
    right, up = _places(side)
    radius = np.hypot(right, up)
    width = side / 5
    angles = [180.0 * place / NUM_ANGLES for place in range(NUM_ANGLES)]
    across = [up * math.cos(math.radians(angle)) - right * math.sin(math.radians(angle)) for angle in angles]
    lines = np.stack([_unit(np.exp(-((distance / width) ** 2) / 2)) for distance in across])
    spots = np.stack([_unit(np.exp(-((radius / size) ** 2) / 2)) for size in (width, 0.75 * width)])
    found: list[tuple[Shape, list[float | None], Kernel]] = [
        ("line", [*angles], lines),
        ("centre-surround", [None, None], spots),
    ]
    if side >= SMALLEST_RING_PX:
        sizes = (side / 3.5, side / 2.6)
        rings = np.stack([_unit(np.exp(-(((radius - size) / (0.7 * width)) ** 2) / 2)) for size in sizes])
        found.append(("ring", [None, None], rings))
    return found
