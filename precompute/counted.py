"""When a build counts what pages show: after each of its stages, and now and then while pictures are made."""

from __future__ import annotations

import time

from precompute.store import schema
from precompute.store.counting import count_model
from precompute.store.indexing import index_names
from precompute.store.looks import describe_stimuli
from precompute.store.task_counts import COUNTED_TASKS
from precompute.store.writer import AtlasWriter

SECONDS_BETWEEN = 60.0
UPGRADE_WORKERS = 2
SHARE_OF_TIME = 0.02
"""Counting may take no more of a build's time than this."""


class Counts:
    """Keeps the counts of one model in step with its build.

    Args:
        writer: Of the atlas.
        model_id: The model that is built.
    """

    def __init__(self, writer: AtlasWriter, model_id: str) -> None:
        self._writer = writer
        self._model_id = model_id
        self._next = 0.0

    def begin(self, dataset_id: str, input_key: str, num_workers: int) -> None:
        """Index all names, describe the images, and count what earlier builds left."""
        index_names(self._writer)
        describe_stimuli(self._writer, dataset_id, input_key, num_workers)
        self.count()

    def count(self) -> None:
        """Count the model again."""
        started = time.monotonic()
        count_model(self._writer, self._model_id)
        ended = time.monotonic()
        self._next = ended + max(SECONDS_BETWEEN, (ended - started) / SHARE_OF_TIME)

    def count_if_due(self) -> None:
        """Count the model again where the last time was long enough ago."""
        if time.monotonic() >= self._next:
            self.count()


def count_uncounted(writer: AtlasWriter) -> list[str]:
    """Count the models of an atlas that no build of this version has counted, and return their names."""
    counted = {row["model_id"] for row in writer.rows(schema.unit_column, schema.unit_column.c.name == COUNTED_TASKS)}
    models = [row for row in writer.rows(schema.model) if row["id"] not in counted]
    for row in models:
        Counts(writer, row["id"]).begin(row["dataset_id"], row["input_key"], UPGRADE_WORKERS)
    return [row["id"] for row in models]
