"""The queries that many pages are made of, put together once: building them costs as much as running them."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from precompute.store import schema
from precompute.store.prepared import Prepared, one_of

STIMULI = select(schema.stimulus, schema.blob.c.extension).join(
    schema.blob, schema.blob.c.sha256 == schema.stimulus.c.blob_sha256
)
ARTIFACTS = select(schema.artifact, schema.blob.c.extension).outerjoin(
    schema.blob, schema.blob.c.sha256 == schema.artifact.c.blob_sha256
)
THUMB_EXAMPLES = 4

UNITS = one_of(bindparam("units"))
PICTURES = Prepared(
    select(schema.artifact.c.unit_index, schema.artifact.c.blob_sha256, schema.blob.c.extension)
    .join(schema.blob, schema.blob.c.sha256 == schema.artifact.c.blob_sha256)
    .where(
        schema.artifact.c.layer_id == bindparam("layer"),
        schema.artifact.c.unit_index.in_(UNITS),
        schema.artifact.c.kind == "visualization",
        func.coalesce(func.json_extract(schema.artifact.c.payload, "$.sign"), "positive") == "positive",
    )
    .order_by(schema.artifact.c.unit_index, schema.artifact.c.position.desc())
)
LABELS = Prepared(
    select(schema.unit.c.unit_index, schema.unit.c.label).where(
        schema.unit.c.layer_id == bindparam("layer"), schema.unit.c.unit_index.in_(UNITS)
    )
)
METRICS = Prepared(
    select(schema.unit_metric).where(
        schema.unit_metric.c.layer_id == bindparam("layer"), schema.unit_metric.c.unit_index.in_(UNITS)
    )
)
UNIT_ARTIFACTS = Prepared(
    ARTIFACTS.where(schema.artifact.c.layer_id == bindparam("layer"), schema.artifact.c.unit_index == bindparam("unit")).order_by(
        schema.artifact.c.kind, schema.artifact.c.position
    ),
    payloads=["payload"],
)
CHOSEN_STIMULI = Prepared(
    STIMULI.where(
        schema.stimulus.c.dataset_id == bindparam("dataset"),
        schema.stimulus.c.input_key == bindparam("input"),
        schema.stimulus.c.stimulus_index.in_(one_of(bindparam("indices"))),
    )
)
STRONGEST_EXAMPLES = Prepared(
    select(
        schema.artifact.c.unit_index,
        func.json_extract(schema.artifact.c.payload, *(f"$.top[{place}]" for place in range(THUMB_EXAMPLES))).label("top"),
    ).where(
        schema.artifact.c.layer_id == bindparam("layer"),
        schema.artifact.c.unit_index.in_(UNITS),
        schema.artifact.c.kind == "examples",
    )
)
COVERAGE = Prepared(
    select(
        schema.task_count.c.layer_id.label("layer"),
        *(schema.task_count.c[name] for name in ("technique", "variant", "status", "num_units")),
    ).where(schema.task_count.c.model_id == bindparam("model"), schema.task_count.c.layer_id.in_(one_of(bindparam("layers"))))
)
_KIND = (schema.task.c.layer_id.label("layer"), schema.task.c.technique, schema.task.c.variant, schema.task.c.status)
TASKS_COUNTED = Prepared(
    select(*_KIND, func.sum(schema.task.c.unit_stop - schema.task.c.unit_start).label("num_units"))
    .where(schema.task.c.model_id == bindparam("model"))
    .group_by(*_KIND)
)
