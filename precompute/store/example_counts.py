"""What a build counts about the examples of units: what they look like, and of which units each image is one."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from precompute.store import schema
from precompute.store.bounds import Bounds
from precompute.store.likeness import chance_scores, drawn, shuffled
from precompute.store.looks import NUM_EXAMPLES, LooksRecord

LOOKS = "looks"
LOOKS_CONTROL = "looks_control"
LOOKS_BOUNDS = "looks_bounds"
SHUFFLED_BOUNDS = "looks_shuffled_bounds"
MAX_LAYERS = 60
"""Layers that are named for an image: those with most units."""
Row = Mapping[str, Any]
Numbers = NDArray[np.int64]


def read_examples(connection: Connection, layer: int) -> Numbers:
    """Return the top examples of the units of a layer, `[example, (unit, stimulus index, rank)]`."""
    table = schema.top_stimulus.c
    found = connection.execute(select(table.unit_index, table.stimulus_index, table.rank).where(table.layer_id == layer))
    # Rows of SQLAlchemy are slow to make an array of; those of SQLite are not.
    rows: Any = found.cursor
    return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 3)


class LooksOfUnits:
    """What the strongest examples of the units of a model look like.

    Args:
        looks: Of the dataset.
        num_units: Of the model.
    """

    def __init__(self, looks: LooksRecord, num_units: int) -> None:
        self._looks = looks
        self._means = np.zeros((num_units, looks.values.shape[1]), dtype=np.float32)
        self._numbers = np.zeros(num_units, dtype=np.int64)
        self._is_drawn = np.zeros(len(looks.stimuli), dtype=bool)
        self._is_drawn[drawn(looks)] = True
        self._owners: dict[int, list[int]] = defaultdict(list)

    def add(self, part: slice, examples: Numbers) -> None:
        """Add the examples of a layer, whose units have a part of the arrays."""
        strongest = examples[examples[:, 2] < NUM_EXAMPLES]
        places = self._looks.places(strongest[:, 1])
        units, places = strongest[places >= 0, 0], places[places >= 0]
        size = part.stop - part.start
        sums = np.stack([np.bincount(units, column, size) for column in self._looks.directions[places].T], 1)
        self._numbers[part] = np.bincount(units, minlength=size)
        self._means[part] = sums / np.maximum(self._numbers[part, None], 1)
        is_drawn = self._is_drawn[places]
        for unit, place in zip(units[is_drawn].tolist(), places[is_drawn].tolist(), strict=True):
            self._owners[place].append(part.start + unit)

    def columns(self) -> dict[str, bytes]:
        """Return the mean direction of the examples of every unit, what chance finds, and what a search begins with."""
        looks, means = self._looks, self._means
        owners = {place: np.array(units) for place, units in self._owners.items()}
        chance = chance_scores(looks, means, owners, self._numbers)
        found = {LOOKS: means.tobytes(), LOOKS_CONTROL: json.dumps(asdict(chance)).encode()}
        if len(means) and len(looks.stimuli):
            asked = looks.directions - looks.mean_direction
            found[LOOKS_BOUNDS] = Bounds.of(means, asked).to_bytes()
            found[SHUFFLED_BOUNDS] = Bounds.of(means, shuffled(looks.directions) - looks.mean_direction).to_bytes()
        return found


class ExampleOwners:
    """Of which units of a model each image is an example.

    Args:
        layers: Rows of the layers, in the order of the arrays.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = np.array(layers, dtype=np.int64)
        self._counted: list[NDArray[np.int32]] = []
        self._strongest: list[NDArray[np.int32]] = []

    def add(self, layer: int, start: int, examples: Numbers) -> None:
        """Add the examples of a layer.

        Args:
            layer: Its place among the layers.
            start: The place of its first unit in the arrays.
            examples: See `read_examples`.
        """
        stimuli, numbers = np.unique(examples[:, 1], return_counts=True)
        self._counted.append(np.column_stack([stimuli, np.full(len(stimuli), layer), numbers]).astype(np.int32))
        strongest = examples[examples[:, 2] < NUM_EXAMPLES]
        self._strongest.append(np.column_stack([strongest[:, 1], start + strongest[:, 0]]).astype(np.int32))

    def rows(self) -> Iterator[Row]:
        """Yield a row for each image that is an example of any unit."""
        nothing = np.zeros((0, 3), np.int32)
        counted = np.concatenate([nothing, *self._counted])
        counted = counted[np.lexsort((counted[:, 1], -counted[:, 2], counted[:, 0]))]
        strongest = np.concatenate([nothing[:, :2], *self._strongest])
        strongest = strongest[np.lexsort((strongest[:, 1], strongest[:, 0]))]
        stimuli, starts = np.unique(counted[:, 0], return_index=True)
        stops = np.append(starts[1:], len(counted))[: len(starts)]
        first, last = (np.searchsorted(strongest[:, 0], stimuli, side=side) for side in ("left", "right"))
        for stimulus, start, stop, low, high in np.column_stack([stimuli, starts, stops, first, last]).tolist():
            part = counted[start:stop]
            most = part[:MAX_LAYERS]
            yield {
                "stimulus_index": stimulus,
                "num_units": int(part[:, 2].sum()),
                "num_layers": len(part),
                "layers": np.column_stack([self._layers[most[:, 1]], most[:, 2]]).tolist(),
                "strongest": strongest[low:high, 1].astype("<i4").tobytes(),
            }
