"""What one batch says about one layer: everything the pass keeps, from one look at the pre-activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from precompute.activations.histogram import NUM_BINS, Histogram
from precompute.activations.kernels import find_positions, read_maps
from precompute.activations.moments import Moments

NUM_FOR_PIVOT = 1024
CLAMPS = {None: (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
MONOTONE = {
    None,
    "relu",
    "relu6",
    "hardtanh",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "sigmoid",
    "hardsigmoid",
    "tanh",
    "softplus",
    "softsign",
}
KEEPS_SIGN = {None, "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "gelu", "hardswish", "tanh", "softsign"}


@dataclass
class BatchSummary:
    """One batch of one layer, arrays `[image, unit]`.

    Attributes:
        key: float32, what top examples are ranked by: the largest activation (for nonlinearities that only ever rise, the
            largest pre-activation). At a ceiling it is the ceiling and the mean activation: see `Reading.ceiling`.
        low: float32, the smallest pre-activation.
        mean: float32, the mean pre-activation over positions.
        centre: float32, the pre-activation at the centre position.
        high_position, low_position: int32, where `key` and `low` were found; only where they were asked for.
        moments: Of the activation over all images and positions.
        histogram: Of the pre-activation over all images and positions.
        num_active: int64 `[unit]`, positions where the activation is above zero; None where the histogram tells.
        activation_mean: float32, the mean activation over positions.
    """

    key: np.ndarray
    low: np.ndarray
    mean: np.ndarray
    centre: np.ndarray
    high_position: np.ndarray
    low_position: np.ndarray
    moments: Moments
    histogram: Histogram
    num_active: np.ndarray | None
    activation_mean: np.ndarray


@dataclass(frozen=True)
class Reading:
    """How a layer is read.

    Attributes:
        nonlinearity: Its name, or None.
        function: From pre-activation to activation, or None.
        centre: Flat index of the centre position.
    """

    nonlinearity: str | None
    function: Callable[[Tensor], Tensor] | None
    centre: int

    @property
    def is_monotone(self) -> bool:
        """Whether the largest pre-activation gives the largest activation."""
        return self.nonlinearity in MONOTONE

    @property
    def ceiling(self) -> float | None:
        """What no activation exceeds, or None.

        How far a pre-activation lies beyond it is something that nothing in the network ever sees. Images that reach it are
        told apart by how much of the map is active, which the layers that follow do see.
        """
        bound = CLAMPS.get(self.nonlinearity, (-np.inf, np.inf))[1]
        return bound if np.isfinite(bound) else None

    @property
    def sign_is_kept(self) -> bool:
        """Whether the activation is above zero exactly where the pre-activation is."""
        return self.function is None or self.nonlinearity in KEEPS_SIGN


@dataclass(frozen=True)
class Known:
    """What the images before tell of a batch, so that no work is done for nothing.

    Attributes:
        high, low: float32 `[unit]`: positions are needed only of keys above `high` and smallest pre-activations below `low`.
        sample: bool `[image]`: and of the images in the sample.
        pivot: float32 `[unit]`, a number near the mean activation; None for the first batch, which finds it.
        exponent, origin: int64 `[unit]`, the grids that the histograms so far have; changed by the one batch.
    """

    high: np.ndarray
    low: np.ndarray
    sample: np.ndarray
    pivot: np.ndarray | None
    exponent: np.ndarray
    origin: np.ndarray


def summarise(tensor: Tensor, reading: Reading, known: Known) -> BatchSummary:
    """Summarise the pre-activations of one batch.

    Args:
        tensor: `[image, position, unit]`, float32; only read.
        reading: How the layer is read.
        known: What the images before tell.

    Raises:
        FloatingPointError: A value is infinite or not a number.
    """
    flat = tensor if tensor.is_contiguous() else tensor.contiguous()
    images, positions, units = flat.shape
    values, bounds = flat.numpy(), np.array(CLAMPS.get(reading.nonlinearity, (-np.inf, np.inf)), dtype=np.float32)
    moments = Moments.empty(_pivot(flat, reading) if known.pivot is None else known.pivot)
    moments.count = images * positions
    high, low = np.empty((images, units), dtype=np.float32), np.empty((images, units), dtype=np.float32)
    high_start, low_start = np.zeros((images, units), dtype=np.int32), np.zeros((images, units), dtype=np.int32)
    total, activity = np.empty((images, units)), np.empty((images, units))
    histogram = Histogram(known.exponent, known.origin, np.zeros((units, NUM_BINS), dtype=np.uint32))
    grid = (histogram.exponent, histogram.origin, histogram.counts)
    largest = np.empty((images, units), dtype=np.float32)
    position = np.zeros((images, units), dtype=np.int32)
    num_active = None if reading.sign_is_kept else np.zeros(units, dtype=np.int64)
    function = None if reading.nonlinearity in CLAMPS else reading.function
    # A map of activations, where one must be made, is made of one image at a time.
    for some in [slice(0, images)] if function is None else [slice(image, image + 1) for image in range(images)]:
        activation = None if function is None else function(flat[some].clone())
        found = (high[some], low[some], high_start[some], low_start[some], total[some], activity[some])
        plain = None if activation is None else activation.numpy()
        if not read_maps(values[some], plain, bounds, moments.pivot, *grid, *found, moments.sums):
            raise FloatingPointError
        if activation is not None and not reading.is_monotone:
            best = activation.max(1)
            largest[some], position[some] = best.values.numpy(), best.indices.numpy()
        if activation is not None and num_active is not None:
            num_active += (activation > 0).sum((0, 1)).numpy()
    mean = moments.pivot + activity / positions
    key = _key(high, mean, reading) if reading.is_monotone else largest
    result = BatchSummary(
        key,
        low,
        (total / positions).astype(np.float32),
        values[:, reading.centre].copy(),
        position,
        np.zeros((images, units), dtype=np.int32),
        moments,
        histogram,
        num_active,
        mean.astype(np.float32),
    )
    if reading.is_monotone:
        find_positions(values, (key > known.high) | known.sample[:, None], high, high_start, position)
    find_positions(values, low < known.low, low, low_start, result.low_position)
    return result


def _key(high: np.ndarray, mean: np.ndarray, reading: Reading) -> np.ndarray:
    """Return what images are ranked by, float32 `[image, unit]`, from largest pre-activation and mean activation."""
    if reading.ceiling is None:
        return high
    return np.where(high >= reading.ceiling, reading.ceiling + mean, high).astype(np.float32)


def _pivot(flat: Tensor, reading: Reading) -> np.ndarray:
    """Return float32 `[unit]`, a number near the mean activation, so that sums of powers lose nothing."""
    rows = flat.reshape(-1, flat.shape[2])
    some = rows[:: max(1, len(rows) // NUM_FOR_PIVOT)]
    mean: np.ndarray = (some if reading.function is None else reading.function(some.clone())).mean(0).numpy()
    return mean
