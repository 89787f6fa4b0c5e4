"""What a kernel looks like, in a word: even, an edge, a line, a spot, a ring, with how much of it that says.

A kernel is compared with a few ideal ones of its own size, each together with a constant, which is fitted too: a line is a line
whether or not its surround takes away. Where the constant alone is half of the kernel or more, the kernel is uniform. No word
depends on how large the kernel is, or on its sign. Small kernels are easily like something: `shuffled_shares` says how often
kernels of the same numbers in another order are.

Angles are in degrees, counted from the right (0) over the top (90); rows are counted downwards, as in a picture.

Paper: the words are those of Voss et al., "Visualizing Weights", Distill 2021,
https://distill.pub/2020/circuits/visualizing-weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Shape = Literal["uniform", "gradient", "line", "spot", "centre-surround", "ring"]
Kernel = NDArray[np.float64]
SHAPES: tuple[Shape, ...] = get_args(Shape)
NUM_ANGLES = 24
SMALLEST_SIDE = 3
SMALLEST_RING_PX = 5
"""On fewer pixels a ring is what surrounds a spot, a line at the side is an edge, and none is shorter than the kernel."""
LEAST_R2 = 0.5
"""Below this no word says more than half of it."""
LEAST_SURROUND = 0.25
"""A spot has a surround where the sum of the weights around it has the other sign, and is at least this share of the spot's."""
NO_SHAPE = -1
_SPOT, _CENTRE_SURROUND = SHAPES.index("spot"), SHAPES.index("centre-surround")


@dataclass(frozen=True)
class KernelLabel:
    """The ideal kernel that one is most like.

    Attributes:
        shape: Its name.
        angle_deg: Of a gradient, where it rises to, 0 to 360; of a line, how it lies, 0 to 180; None for what has no direction.
        sign: Of the whole of a uniform kernel, of the line, of the spot or centre, of the ring; 1 for a gradient, whose negative
            rises to the other side.
        r2: Share of the kernel's energy that it and a constant account for together, 0 to 1.
        is_clear: Whether the word says half of it: `r2` is half or more, and so is the share of what the
            constant leaves that the ideal kernel accounts for.
    """

    shape: Shape
    angle_deg: float | None
    sign: int
    r2: float
    is_clear: bool


@dataclass(frozen=True)
class KernelFits:
    """The labels of many kernels as arrays `[kernel]`.

    Attributes:
        shapes: Place in `SHAPES`, or `NO_SHAPE` for kernels that are zero, not square, smaller than 3 x 3, or not finite.
        angles_deg: As in `KernelLabel`; NaN for what has no direction.
        signs: As in `KernelLabel`.
        r2: As in `KernelLabel`; 0 for what has no shape.
        is_clear: As in `KernelLabel`.
    """

    shapes: NDArray[np.intp]
    angles_deg: NDArray[np.float64]
    signs: NDArray[np.intp]
    r2: NDArray[np.float64]
    is_clear: NDArray[np.bool_]

    def clear(self) -> NDArray[np.intp]:
        """Return the shapes of those of which the word says half or more, `NO_SHAPE` for the others."""
        return np.where(self.is_clear, self.shapes, NO_SHAPE)

    def labels(self) -> list[KernelLabel | None]:
        """Return them one by one."""
        columns = (self.shapes, self.angles_deg, self.signs, self.r2, self.is_clear)
        return [
            None if shape == NO_SHAPE else KernelLabel(SHAPES[shape], None if math.isnan(angle) else angle, sign, r2, is_clear)
            for shape, angle, sign, r2, is_clear in zip(*(column.tolist() for column in columns), strict=True)
        ]


def label_kernels(kernels: NDArray[Any]) -> list[KernelLabel | None]:
    """Return what each kernel of `[kernel, height, width]` is most like; None for those without a shape."""
    return fit_kernels(kernels).labels()


def fit_kernels(kernels: NDArray[Any]) -> KernelFits:
    """Compare kernels with ideal ones.

    Args:
        kernels: `[kernel, height, width]`, of any scale.
    """
    count = len(kernels)
    fits = KernelFits(
        np.full(count, NO_SHAPE), np.full(count, np.nan), np.ones(count, np.intp), np.zeros(count), np.zeros(count, np.bool_)
    )
    height, width = kernels.shape[1:]
    if not count or height != width or height < SMALLEST_SIDE:
        return fits
    flat = np.asarray(kernels, np.float64).reshape(count, -1)
    scale = np.abs(flat).max(axis=1)
    usable = np.flatnonzero(np.isfinite(scale) & (scale > 0))
    numbers = flat[usable] / scale[usable, None]
    shapes, angles, ideals = _ideals(height)
    # Last come the two ramps: an edge of any direction is a sum of them.
    values = numbers @ ideals.T
    right, up = values[:, -2], values[:, -1]
    shares = np.square(values[:, :-1])
    shares[:, -1] += np.square(up)
    shares /= np.square(numbers).sum(axis=1)[:, None]
    # First comes the constant. The others sum to zero, so that its share and theirs add up.
    constant = shares[:, 0].copy()
    best = np.where(constant >= LEAST_R2, 0, 1 + shares[:, 1:].argmax(axis=1))
    rows = np.arange(len(usable))
    own = shares[rows, best]
    found = shapes[best]
    found[(found == _SPOT) & _is_surrounded(numbers, ideals[best])] = _CENTRE_SURROUND
    is_edge, is_even = found == SHAPES.index("gradient"), best == 0
    fits.shapes[usable] = found
    # Twice: what is a little less than nothing is 360 after the first.
    fits.angles_deg[usable] = np.where(is_edge, np.degrees(np.arctan2(up, right)) % 360 % 360, angles[best])
    fits.signs[usable] = np.where(is_edge | (values[rows, best] >= 0), 1, -1)
    fits.r2[usable] = np.minimum(1.0, np.where(is_even, own, constant + own))
    # Half of what the constant leaves is never less than half of the whole with it.
    fits.is_clear[usable] = is_even | (own >= LEAST_R2 * (1 - constant))
    return fits


def _is_surrounded(numbers: NDArray[np.float64], spots: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell of each kernel `[kernel, weight]` whether what lies around the ideal spot `[kernel, weight]` is against it."""
    is_inside = spots > 0
    inside, outside = (np.where(chosen, numbers, 0).sum(axis=1) for chosen in (is_inside, ~is_inside))
    return (inside * outside < 0) & (np.abs(outside) >= LEAST_SURROUND * np.abs(inside))


@dataclass(frozen=True)
class ShuffledShares:
    """How often kernels get each label when their numbers are put in another order: what labels come by chance.

    Attributes:
        mean, std: For each of `SHAPES`, of the share of kernels that are given that label, over the shuffles.
        norm_mean: For each of `SHAPES`, mean share of the squared norm that such kernels hold.
        other_std: Standard deviation of the share of kernels that are given none.
        num_shuffles: How many shuffles.
        seed: Of the shuffles.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    norm_mean: NDArray[np.float64]
    other_std: float
    num_shuffles: int
    seed: int


def label_shares(stacks: Sequence[NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return, for each of `SHAPES`, how many kernels are clearly of it, and their share of the squared norm.

    Args:
        stacks: Kernels `[kernel, height, width]`; those of one stack have one size.
    """
    counts, squares, total = np.zeros(len(SHAPES), np.intp), np.zeros(len(SHAPES)), 0.0
    for kernels in stacks:
        clear = fit_kernels(kernels).clear()
        energy = np.square(kernels, dtype=np.float64).sum(axis=(1, 2))
        total += float(energy.sum())
        counts += np.bincount(clear[clear != NO_SHAPE], minlength=len(SHAPES))
        squares += np.bincount(clear[clear != NO_SHAPE], energy[clear != NO_SHAPE], minlength=len(SHAPES))
    return counts, squares / total if total > 0 else squares


def shuffled_shares(stacks: Sequence[NDArray[Any]], num_shuffles: int = 20, seed: int = 0) -> ShuffledShares:
    """Return the control of `label_shares`: all numbers of a stack are dealt anew to all places of all its kernels.

    Args:
        stacks: Kernels `[kernel, height, width]`; the numbers stay in their stack.
        num_shuffles: How often.
        seed: Of the shuffles.
    """
    generator = np.random.default_rng(seed)
    number = max(1, sum(len(kernels) for kernels in stacks))
    shares, norms = np.zeros((num_shuffles, len(SHAPES))), np.zeros((num_shuffles, len(SHAPES)))
    for place in range(num_shuffles):
        dealt = [generator.permutation(np.asarray(kernels).reshape(-1)).reshape(kernels.shape) for kernels in stacks]
        counts, norms[place] = label_shares(dealt)
        shares[place] = counts / number
    other_std = float(shares.sum(axis=1).std())
    return ShuffledShares(shares.mean(axis=0), shares.std(axis=0), norms.mean(axis=0), other_std, num_shuffles, seed)


def _unit(ideal: Kernel) -> Kernel:
    """Return it with sum zero and norm one."""
    ideal = ideal - ideal.mean()
    return ideal / np.linalg.norm(ideal)


def _places(side: int) -> tuple[Kernel, Kernel]:
    """Return how far each weight is to the right of the middle, and above it."""
    axis = np.arange(side) - (side - 1) / 2
    right = np.broadcast_to(axis[None, :], (side, side)).astype(np.float64)
    return right, -right.T


def _bars(side: int) -> list[tuple[float, float, float]]:
    """Return the sigmas of ideal lines across and along their direction, and how far each lies to the side."""
    width = side / 5
    through = [(width, math.inf, 0.0)]
    if side < SMALLEST_RING_PX:
        return through
    thin = 0.625 * width
    return [*through, (thin, math.inf, 0.0), *((thin, side / 3, aside) for aside in (0.0, -width, width))]


def _bar(right: Kernel, up: Kernel, angle: float, width: float, length: float, aside: float) -> Kernel:
    along, across = right * math.cos(angle) + up * math.sin(angle), up * math.cos(angle) - right * math.sin(angle)
    return np.exp(-(((across - aside) / width) ** 2) / 2 - ((along / length) ** 2) / 2)


@lru_cache(maxsize=32)
def _ideals(side: int) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return the ideal kernels `[ideal, weight]` with the shapes and angles of all but the last, the second ramp."""
    right, up = _places(side)
    radius = np.hypot(right, up)
    width = side / 5
    even: list[tuple[Shape, float, Kernel]] = [("uniform", math.nan, np.full((side, side), 1 / side))]
    lines: list[tuple[Shape, float, Kernel]] = [
        ("line", 180.0 * place / NUM_ANGLES, _unit(_bar(right, up, math.pi * place / NUM_ANGLES, *bar)))
        for bar in _bars(side)
        for place in range(NUM_ANGLES)
    ]
    sizes = (width, 0.75 * width, 0.5 * width) if side >= SMALLEST_RING_PX else (width, 0.75 * width)
    spots: list[tuple[Shape, float, Kernel]] = [("spot", math.nan, _unit(np.exp(-((radius / size) ** 2) / 2))) for size in sizes]
    rings: list[tuple[Shape, float, Kernel]] = [
        ("ring", math.nan, _unit(np.exp(-(((radius - size) / (0.7 * width)) ** 2) / 2)))
        for size in (side / 3.5, side / 2.6)
        if side >= SMALLEST_RING_PX
    ]
    found = [*even, *lines, *spots, *rings, ("gradient", math.nan, _unit(right))]
    shapes = np.array([SHAPES.index(shape) for shape, _, _ in found])
    ideals = np.stack([*(ideal for _, _, ideal in found), _unit(up)])
    return shapes, np.array([angle for _, angle, _ in found]), ideals.reshape(len(ideals), -1)


def direction_deg(kernel: Kernel) -> float | None:
    """Return where a kernel rises to, 0 to 360 degrees: the direction of its first moment; None where it has none.

    Of an edge it is the direction across it, towards its excitatory side. Any part that is the same at opposite places, a line or
    a spot, leaves it as it is.

    >>> direction_deg(np.array([[0.0, 2.0, 0.0], [-1.0, 5.0, 1.0], [0.0, 0.0, 0.0]]))
    45.0

    Args:
        kernel: `[height, width]`.
    """
    height, width = kernel.shape
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    right, up = float((kernel @ columns).sum()), float(-(rows @ kernel).sum())
    if math.hypot(right, up) <= 1e-9 * float(np.abs(kernel).sum()):
        return None
    return math.degrees(math.atan2(up, right)) % 360 % 360
