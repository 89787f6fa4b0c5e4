"""What an atlas holds that work still to be done looks at: images, metrics, places of top examples, pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from precompute.domain import BlobData, StimulusRef
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


def stimulus_row(ref: StimulusRef, pixels: np.ndarray, dataset_id: str, input_key: str) -> tuple[dict[str, Any], BlobData]:
    """Return the row of an image, without the name of its file, and the file: what the model sees of it, without loss.

    Args:
        ref: The image.
        pixels: What the model sees, uint8 `[height, width, rgb]`.
        dataset_id: The dataset.
        input_key: How the image became the model input.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=20, method=0)
    row = {
        "dataset_id": dataset_id,
        "stimulus_index": ref.index,
        "key": ref.key,
        "label": ref.label,
        "source": ref.source,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "input_key": input_key,
    }
    return row, BlobData(buffer.getvalue(), "webp")
