"""What an atlas already holds that work still to be done looks at: metrics, places of top examples, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from precompute.store import schema
from precompute.store.writer import AtlasWriter

Places = dict[int, list[tuple[int, int, int]]]
Pictures = dict[tuple[int, int], Path]


def stored_metrics(writer: AtlasWriter, layer_id: int, num_units: int) -> dict[str, np.ndarray]:
    """Return the metrics of a layer as they are stored `[unit]`: after a resume the pass is not run again."""
    metrics: dict[str, np.ndarray] = {}
    for row in writer.rows(schema.unit_metric, schema.unit_metric.c.layer_id == layer_id):
        values = metrics.setdefault(row["metric"], np.full(num_units, np.nan))
        values[row["unit_index"]] = np.nan if row["value"] is None else row["value"]
    return metrics


def stored_references(writer: AtlasWriter, layer_id: int, units: Sequence[int]) -> tuple[Places, Pictures]:
    """Return stimulus and position of the units' top examples, and the files of their pictures by unit and place on the page."""
    rows = writer.rows(
        schema.artifact,
        schema.artifact.c.layer_id == layer_id,
        schema.artifact.c.unit_index.in_(list(units)),
        schema.artifact.c.kind.in_(["examples", "visualization"]),
    )
    examples: Places = {}
    pictures: Pictures = {}
    for row in rows:
        if row["kind"] == "examples":
            examples[row["unit_index"]] = [(found[0], found[2], found[3]) for found in row["payload"]["top"]]
        elif row["blob_sha256"] is not None:
            pictures[row["unit_index"], row["position"]] = writer.blobs.path(row["blob_sha256"], "webp")
    return examples, pictures
