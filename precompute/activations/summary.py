"""What one batch says about one layer: everything the pass keeps, from one look at the pre-activations.

The map is read in blocks that stay in the processor's cache: the same reductions over whole tensors would wait for memory
and, worse, for the operating system to hand out fresh pages for every intermediate result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from precompute.activations.histogram import NUM_BINS, Histogram
from precompute.activations.moments import Moments

BLOCK = 1 << 17  # numbers; half a megabyte, which the second-level cache of current processors holds
MONOTONE = {None, "relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "sigmoid", "hardsigmoid", "tanh", "softplus", "softsign"}
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
    """
    images, positions, units = tensor.shape
    flat = tensor if tensor.is_contiguous() else tensor.contiguous()
    pivot = _pivot(flat, reading)
    high = torch.full((images, units), -torch.inf)
    low = torch.full((images, units), torch.inf)
    key = torch.full((images, units), -torch.inf)
    mean = torch.zeros(images, units)
    sums = np.zeros((4, units))
    for image, block in _blocks(flat):
        _observe_block(block, image, reading, pivot, (high, low, key, mean), sums)
    mean /= positions
    histogram = Histogram.empty(low.amin(0).numpy(), high.amax(0).numpy())
    _count(flat, histogram)
    key = high if reading.is_monotone else key
    num_active = _num_active(flat, reading, histogram)
    result = BatchSummary(
        key.numpy(),
        low.numpy(),
        mean.numpy(),
        flat[:, reading.centre].clone().numpy(),
        np.zeros((images, units), dtype=np.int32),
        np.zeros((images, units), dtype=np.int32),
        Moments.around(pivot.numpy(), images * positions, sums),
        histogram,
        num_active,
    )
    _find_positions(flat, reading, wanted, result)
    return result


def _pivot(flat: Tensor, reading: Reading) -> Tensor:
    """Return float32 `[unit]`, a number near the mean activation, so that sums of powers lose nothing."""
    some = flat.reshape(-1, flat.shape[2])[: max(1, BLOCK // flat.shape[2])]
    return (some if reading.function is None else reading.function(some.clone())).mean(0)


def _blocks(flat: Tensor) -> list[tuple[slice, Tensor]]:
    """Cut into blocks `[image, position, unit]` of several whole images, or of one part of one image."""
    images, positions, units = flat.shape
    at_once = max(1, BLOCK // (positions * units))
    if positions * units <= BLOCK:
        return [(slice(start, min(images, start + at_once)), flat[start : start + at_once]) for start in range(0, images, at_once)]
    rows = max(1, BLOCK // units)
    return [
        (slice(image, image + 1), flat[image : image + 1, start : start + rows])
        for image in range(images)
        for start in range(0, positions, rows)
    ]


def _observe_block(
    block: Tensor,
    image: slice,
    reading: Reading,
    pivot: Tensor,
    running: tuple[Tensor, Tensor, Tensor, Tensor],
    sums: np.ndarray,
) -> None:
    high, low, key, mean = running
    torch.maximum(high[image], block.amax(1), out=high[image])
    torch.minimum(low[image], block.amin(1), out=low[image])
    mean[image] += block.sum(1)
    rows = block.reshape(-1, block.shape[2])
    if reading.nonlinearity in {"relu", "relu6"}:
        activation = rows.clamp(0, 6) if reading.nonlinearity == "relu6" else rows.clamp_min(0)
    elif reading.function is None:
        activation = rows - pivot
    else:
        activation = reading.function(rows.clone())
    if not reading.is_monotone:
        torch.maximum(key[image], activation.reshape(block.shape).amax(1), out=key[image])
    if reading.function is not None:
        activation.sub_(pivot)
    square = activation * activation
    sums[0] += activation.sum(0).numpy()
    sums[1] += square.sum(0).numpy()
    sums[2] += activation.mul_(square).sum(0).numpy()
    sums[3] += square.mul_(square).sum(0).numpy()


def _count(flat: Tensor, histogram: Histogram) -> None:
    units = flat.shape[2]
    # Multiplying by a power of two is exact, so no value crosses an edge by rounding.
    scale = torch.from_numpy(np.ldexp(1.0, -histogram.exponent).astype(np.float32))
    offset = torch.from_numpy((np.arange(units) * NUM_BINS - histogram.origin - 1).astype(np.int32))
    rows = flat.reshape(-1, units)
    at_once = max(1, BLOCK // units)
    counts = np.zeros(units * NUM_BINS, dtype=np.int64)
    for start in range(0, rows.shape[0], at_once):
        bins = torch.mul(rows[start : start + at_once], scale).ceil_().to(torch.int32).add_(offset)
        counts += torch.bincount(bins.flatten(), minlength=units * NUM_BINS).numpy()
    histogram.counts += counts.reshape(units, NUM_BINS)


def _num_active(flat: Tensor, reading: Reading, histogram: Histogram) -> np.ndarray:
    if reading.nonlinearity in KEEPS_SIGN or reading.function is None:
        return histogram.num_above_zero()
    return sum((reading.function(image.clone()) > 0).sum(0).numpy() for image in flat)


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
    at_once = max(1, 4 * BLOCK // positions)
    for start in range(0, len(images), at_once):
        image, column = images[start : start + at_once], columns[start : start + at_once]
        maps = flat[torch.from_numpy(image), :, torch.from_numpy(column)]
        found[image, column] = _places(maps.T, reading, is_largest)


def _places(plane: Tensor, reading: Reading, is_largest: bool) -> np.ndarray:
    """Return the first flat position of the largest (smallest) value of each column of `[position, map]`."""
    if is_largest and not reading.is_monotone and reading.function is not None:
        plane = reading.function(plane.clone())
    return (plane.argmax(0) if is_largest else plane.argmin(0)).numpy()
