"""Where in its example images a unit is active: a second look at the images that are examples of some unit.

Which images these are is known only after the pass. The second look runs the network once more over them and keeps the maps
of the units that want them; it counts and ranks nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from precompute.activations.collect import BATCH_SIZE, Batch, model_input
from precompute.activations.summary import MONOTONE
from precompute.domain import LayerSpec
from precompute.models.base import ModelAdapter, units_first

MAX_SIDE = 14
FULL = 255
MAPS_AT_ONCE = 64


@dataclass
class ExampleMaps:
    """The activation maps of the examples of one layer.

    Attributes:
        spec: The layer.
        function: From pre-activation to activation, or None.
        stimulus: int32 `[pair]`, ascending: the image of each pair of a unit and an example.
        unit, place: int32 `[pair]`: whose example, and which of its examples.
        largest: float32 `[unit]`, the activation that the number 255 means; zero or less: the unit has no maps.
        maps: uint8 `[unit, place, height, width]`, 0 for activations of zero and below.
    """

    spec: LayerSpec
    function: Callable[[Tensor], Tensor] | None
    stimulus: np.ndarray
    unit: np.ndarray
    place: np.ndarray
    largest: np.ndarray
    maps: np.ndarray

    @classmethod
    def begin(
        cls,
        spec: LayerSpec,
        function: Callable[[Tensor], Tensor] | None,
        examples: Mapping[int, Sequence[tuple[int, float] | None]],
    ) -> ExampleMaps:
        """Return maps that are still empty.

        Args:
            spec: A layer with a map of two dimensions.
            function: Its nonlinearity.
            examples: For each unit, stimulus and activation of each of its examples, by place; None for places without.
        """
        pairs = [
            (found[0], unit, place)
            for unit, listed in examples.items()
            for place, found in enumerate(listed)
            if found is not None
        ]
        columns = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 3)
        largest = np.zeros(spec.num_units, dtype=np.float32)
        for unit, listed in examples.items():
            largest[unit] = max((found[1] for found in listed if found is not None), default=0.0)
        num_places = max((len(listed) for listed in examples.values()), default=0)
        maps = np.zeros((spec.num_units, num_places, *map_side(spec)), dtype=np.uint8)
        return cls(spec, function, columns[:, 0], columns[:, 1], columns[:, 2], largest, maps)

    def add(self, activations: Tensor, stimuli: np.ndarray) -> None:
        """Take the maps that are wanted from a batch.

        Args:
            activations: Pre-activations `[image, unit, position]` of the batch; only read.
            stimuli: int32 `[image]`.
        """
        for image, stimulus in enumerate(stimuli.tolist()):
            first, last = np.searchsorted(self.stimulus, [stimulus, stimulus + 1])
            for start in range(first, last, MAPS_AT_ONCE):
                some = slice(start, min(start + MAPS_AT_ONCE, last))
                units = self.unit[some]
                small = self._small(activations[image].T.numpy(), units)
                self.maps[units, self.place[some]] = _as_bytes(small, self.largest[units])

    def _small(self, positions: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return the activations of some units at the size that is kept, from pre-activations `[position, unit]` of an image."""
        is_monotone = self.spec.nonlinearity in MONOTONE
        side = map_side(self.spec) if is_monotone else self.spec.map_size
        cells = np.empty((len(units), *side), dtype=np.float32)
        largest_of_cells(positions, self.spec.map_size[1], units, cells)
        values = torch.from_numpy(cells)
        # Where a larger pre-activation is a larger activation, the largest of each part can be found first.
        return shrink(values, self.function)


@numba.njit(cache=True, nogil=True)
def largest_of_cells(positions, width, units, cells):
    """Write the largest value of some units in each part of the map; each row of positions is read once for all units.

    Args:
        positions: float32 `[position, unit]`, of one image.
        width: Of the map; positions go row by row.
        units: int32 `[place]`.
        cells: float32 `[place, row, column]`, overwritten; parts as of `adaptive_max_pool2d`.
    """
    height = positions.shape[0] // width
    rows, columns = cells.shape[1], cells.shape[2]
    cells[:] = -np.inf
    for row in range(rows):
        for y in range(row * height // rows, -(-(row + 1) * height // rows)):
            for column in range(columns):
                for x in range(column * width // columns, -(-(column + 1) * width // columns)):
                    values = positions[y * width + x]
                    for place in range(len(units)):
                        cells[place, row, column] = max(cells[place, row, column], values[units[place]])


def map_side(spec: LayerSpec) -> tuple[int, int]:
    """Return height and width of a layer's maps as they are kept."""
    height, width = spec.map_size
    return min(height, MAX_SIDE), min(width, MAX_SIDE)


def has_maps(spec: LayerSpec) -> bool:
    """Tell whether the units of a layer have a map of two dimensions that is more than one position."""
    return len(spec.map_size) == 2 and max(spec.map_size) > 1


def shrink(values: Tensor, function: Callable[[Tensor], Tensor] | None) -> np.ndarray:
    """Return activations with at most 14 positions a side, float32 `[map, height, width]`: the largest of each part of the map.

    Args:
        values: Pre-activations `[map, height, width]`; may be overwritten.
        function: The nonlinearity.
    """
    active = values if function is None else function(values.clone())
    height, width = active.shape[1:]
    if max(height, width) > MAX_SIDE:
        active = adaptive_max_pool2d(active[:, None], (min(height, MAX_SIDE), min(width, MAX_SIDE)))[:, 0]
    result: np.ndarray = active.contiguous().numpy()
    return result


def _as_bytes(maps: np.ndarray, largest: np.ndarray) -> np.ndarray:
    scale = np.where(largest > 0, FULL / np.where(largest > 0, largest, 1.0), 0.0)
    return np.rint(np.clip(maps * scale[:, None, None], 0, FULL)).astype(np.uint8)


def look_at(
    adapter: ModelAdapter, wanted: Mapping[str, ExampleMaps], batches: Iterable[Batch], *, num_workers: int = 2
) -> Iterator[int]:
    """Run batches through the model, fill the maps that are wanted, and yield how many images each step added."""
    waiting: deque[Future[int]] = deque()
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_look_at_batch, adapter, wanted, batch))
                while len(waiting) > num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _look_at_batch(adapter: ModelAdapter, wanted: Mapping[str, ExampleMaps], batch: Batch) -> int:
    def consume(name: str, tensor: Tensor) -> None:
        # Threads write to different places: every pair belongs to one image.
        wanted[name].add(units_first(tensor, wanted[name].spec.unit_axis), batch.stimuli)

    adapter.stream(model_input(adapter, batch.pixels, BATCH_SIZE), list(wanted), consume)
    return len(batch.stimuli)
