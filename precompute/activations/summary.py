"""What one batch says about one layer: everything the pass keeps, from one look at the pre-activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from precompute.activations.histogram import Histogram
from precompute.activations.kernels import count, scan
from precompute.activations.moments import Moments

NUM_FOR_PIVOT = 1024
SEARCHED_AT_ONCE = 1 << 19  # numbers; positions are searched in stacks of maps of about this size
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
        key: float32, what top examples are ranked by: the largest activation, told apart by the pre-activation where a
            nonlinearity saturates (for nonlinearities that only ever rise, the largest pre-activation).
        low: float32, the smallest pre-activation.
        mean: float32, the mean pre-activation over positions.
        centre: float32, the pre-activation at the centre position.
        high_position, low_position: int32, where `key` and `low` were found; only where they were asked for.
        moments: Of the activation over all images and positions.
        histogram: Of the pre-activation over all images and positions.
        num_active: int64 `[unit]`, positions where the activation is above zero.
    """

    key: np.ndarray
    low: np.ndarray
    mean: np.ndarray
    centre: np.ndarray
    high_position: np.ndarray
    low_position: np.ndarray
    moments: Moments
    histogram: Histogram
    num_active: np.ndarray


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


@dataclass(frozen=True)
class Wanted:
    """For which images the positions are needed: where a list may take them, and for the sample.

    Attributes:
        high, low: float32 `[unit]`: keys above `high`, smallest pre-activations below `low`.
        sample: bool `[image]`.
        runs: Consecutive images of one source, as slices; of each, only the best `max_per_run` can enter a list.
        max_per_run: The limit, or None.
    """

    high: np.ndarray
    low: np.ndarray
    sample: np.ndarray
    runs: tuple[slice, ...] = ()
    max_per_run: int | None = None

    def is_high(self, key: np.ndarray) -> np.ndarray:
        """Return bool `[image, unit]`: whether the position of `key`, float32 `[image, unit]`, is needed."""
        return (key > self.high) & self._is_best_of_run(key) | self.sample[:, None]

    def is_low(self, low: np.ndarray) -> np.ndarray:
        """Return bool `[image, unit]`: whether the position of the smallest pre-activation is needed."""
        return (low < self.low) & self._is_best_of_run(-low)

    def _is_best_of_run(self, key: np.ndarray) -> np.ndarray:
        is_best = np.ones(key.shape, dtype=bool)
        for run in self.runs:
            count = run.stop - run.start
            if self.max_per_run is not None and count > self.max_per_run:
                is_best[run] = key[run] >= np.partition(key[run], count - self.max_per_run, axis=0)[count - self.max_per_run]
        return is_best


def summarise(tensor: Tensor, reading: Reading, wanted: Wanted) -> BatchSummary:
    """Summarise the pre-activations of one batch.

    Args:
        tensor: `[image, position, unit]`, float32; only read.
        reading: How the layer is read.
        wanted: For which images the positions are needed.

    Raises:
        FloatingPointError: A value is infinite or not a number.
    """
    flat = tensor if tensor.is_contiguous() else tensor.contiguous()
    images, positions, units = flat.shape
    pivot = _pivot(flat, reading)
    high = np.full((images, units), -np.inf, dtype=np.float32)
    low = np.full((images, units), np.inf, dtype=np.float32)
    total = np.zeros((images, units))
    sums = np.zeros((4, units))
    key = high if reading.is_monotone else np.empty((images, units), dtype=np.float32)
    values, bounds = flat.numpy(), np.array(CLAMPS.get(reading.nonlinearity, (-np.inf, np.inf)), dtype=np.float32)
    function = None if reading.nonlinearity in CLAMPS else reading.function
    for image in range(images):
        activation = values[image]
        if function is not None:
            activation = function(flat[image].clone()).numpy()
            key[image] = activation.max(axis=0) if not reading.is_monotone else key[image]
        scan(values[image], activation, bounds, pivot, high[image], low[image], total[image], sums)
    if not np.isfinite(total).all():  # before anything is counted: what is not a number has no bin
        raise FloatingPointError
    histogram = Histogram.empty(low.min(axis=0), high.max(axis=0))
    _count(values, histogram)
    result = BatchSummary(
        key,
        low,
        (total / positions).astype(np.float32),
        values[:, reading.centre].copy(),
        np.zeros((images, units), dtype=np.int32),
        np.zeros((images, units), dtype=np.int32),
        Moments.around(pivot, images * positions, sums),
        histogram,
        _num_active(flat, reading, histogram),
    )
    _find_positions(flat, reading, wanted, result)
    return result


def _pivot(flat: Tensor, reading: Reading) -> np.ndarray:
    """Return float32 `[unit]`, a number near the mean activation, so that sums of powers lose nothing."""
    some = flat.reshape(-1, flat.shape[2])[:NUM_FOR_PIVOT]
    mean: np.ndarray = (some if reading.function is None else reading.function(some.clone())).mean(0).numpy()
    return mean


def _count(values: np.ndarray, histogram: Histogram) -> None:
    scale = np.ldexp(1.0, -histogram.exponent).astype(np.float32)
    # Half the width of what is kept, so that the counts of more units stay in the cache; one batch cannot overflow it.
    counts = np.zeros(histogram.counts.size, dtype=np.uint32)
    for image in values:
        count(image, scale, histogram.origin.astype(np.int32), counts)
    histogram.counts += counts.reshape(histogram.counts.shape)


def _num_active(flat: Tensor, reading: Reading, histogram: Histogram) -> np.ndarray:
    if reading.nonlinearity in KEEPS_SIGN or reading.function is None:
        return histogram.num_above_zero()
    return np.sum([(reading.function(image.clone()) > 0).sum(0).numpy() for image in flat], axis=0)


def _find_positions(flat: Tensor, reading: Reading, wanted: Wanted, summary: BatchSummary) -> None:
    """Search only the maps whose image may enter a list; most never do."""
    _search(flat, wanted.is_high(summary.key), reading, summary.high_position, is_largest=True)
    _search(flat, wanted.is_low(summary.low), reading, summary.low_position, is_largest=False)


def _search(flat: Tensor, is_wanted: np.ndarray, reading: Reading, found: np.ndarray, *, is_largest: bool) -> None:
    """Write the flat position of the largest (smallest) value of the wanted maps `[image, unit]`."""
    positions, units = flat.shape[1:]
    num_wanted = is_wanted.sum(axis=1)
    for image in np.flatnonzero(4 * num_wanted > units):
        found[image] = _places(flat[image], reading, is_largest)
        is_wanted[image] = False
    images, columns = np.nonzero(is_wanted)
    at_once = max(1, SEARCHED_AT_ONCE // positions)
    for start in range(0, len(images), at_once):
        image, column = images[start : start + at_once], columns[start : start + at_once]
        maps = flat[torch.from_numpy(image), :, torch.from_numpy(column)]
        found[image, column] = _places(maps.T, reading, is_largest)


def _places(plane: Tensor, reading: Reading, is_largest: bool) -> np.ndarray:
    """Return the first flat position of the largest (smallest) value of each column of `[position, map]`."""
    if is_largest and not reading.is_monotone and reading.function is not None:
        plane = reading.function(plane.clone())
    return (plane.argmax(0) if is_largest else plane.argmin(0)).numpy()
