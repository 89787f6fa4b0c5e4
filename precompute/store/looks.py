"""What the images of a dataset look like: described once by a build, read as one array."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection, select

from precompute.appearance import VERSION, describe
from precompute.store import schema
from precompute.store.writer import AtlasWriter

NUM_EXAMPLES = 9
"""Of a unit, strongest first: those that a unit page shows at once."""
_SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class LooksRecord:
    """What the images of a dataset look like.

    Attributes:
        mean: Of each number over the images.
        std: Standard deviation of each number over the images.
        stimuli: Index of each image, rising.
        values: `[image, number]`, float32, `(number - mean) / std`.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    stimuli: NDArray[np.int64]
    values: NDArray[np.float32]

    def places(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each stimulus index, -1 where there is none."""
        if not self.stimuli.size:
            return np.full(indices.shape, -1)
        found = np.minimum(np.searchsorted(self.stimuli, indices), len(self.stimuli) - 1)
        return np.where(self.stimuli[found] == indices, found, -1)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """Return the values of each image at length 1, `[image, number]`: their products are cosines."""
        return self.values / np.maximum(np.linalg.norm(self.values, axis=1, keepdims=True), _SMALLEST_STD)

    @cached_property
    def mean_direction(self) -> NDArray[np.float32]:
        """Return the mean of the directions of all images: what likeness any direction has on average."""
        return self.directions.mean(0)

    def direction_of(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return a description in standard deviations of the dataset, at length 1."""
        values = self.standardised(features)
        return values / max(float(np.linalg.norm(values)), _SMALLEST_STD)

    def standardised(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return a description in standard deviations of the dataset."""
        return ((features - self.mean) / self.std).astype(np.float32)


def read_looks(connection: Connection, dataset_id: str, input_key: str) -> LooksRecord | None:
    """Return what the images of a dataset look like, or None where no build has described them."""
    table = schema.dataset_look.c
    query = select(schema.dataset_look).where(
        table.dataset_id == dataset_id, table.input_key == input_key, table.version == VERSION
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    mean = np.array(row["mean"])
    values = np.frombuffer(row["data"], "<f4").reshape(-1, len(mean))
    return LooksRecord(mean, np.array(row["std"]), np.frombuffer(row["stimuli"], "<i4").astype(np.int64), values)


def describe_stimuli(writer: AtlasWriter, dataset_id: str, input_key: str, num_workers: int = 2) -> int:
    """Describe all images of a dataset, unless that is done, and return how many were described."""
    table = schema.stimulus.c
    rows = writer.rows(schema.stimulus, table.dataset_id == dataset_id, table.input_key == input_key)
    rows.sort(key=lambda row: row["stimulus_index"])
    stimuli = np.array([row["stimulus_index"] for row in rows], dtype=np.int64)
    with writer.engine.connect() as connection:
        known = read_looks(connection, dataset_id, input_key)
    if not rows or (known is not None and np.array_equal(known.stimuli, stimuli)):
        return 0

    def one(row: Mapping[str, Any]) -> NDArray[np.float64]:
        return describe(_pixels(writer.blobs.path(row["blob_sha256"], "webp")))

    with ThreadPoolExecutor(num_workers) as pool:
        features = np.stack(list(pool.map(one, rows)))
    mean, std = features.mean(0), np.maximum(features.std(0), _SMALLEST_STD)
    key = {"dataset_id": dataset_id, "input_key": input_key, "version": VERSION}
    arrays = {"stimuli": stimuli.astype("<i4").tobytes(), "data": ((features - mean) / std).astype("<f4").tobytes()}
    writer.upsert(schema.dataset_look, [key | {"mean": mean.tolist(), "std": std.tolist()} | arrays])
    return len(rows)


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
