"""What is done, failed and to do, by model, layer and technique."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from precompute.store import schema
from precompute.store.engine import database_path, open_reader

MAX_ERRORS = 20


def read_status(atlas: Path) -> dict[str, Any]:
    """Return the state of every model of an atlas, as JSON.

    Raises:
        AtlasError: There is none, or its schema is another.
    """
    engine = open_reader(atlas, accepts_older=True)
    try:
        with engine.connect() as connection:
            models = connection.execute(select(schema.model).order_by(schema.model.c.id)).mappings().all()
            task = schema.task
            counted = (
                select(
                    task.c.model_id, schema.layer.c.name, schema.layer.c.position, task.c.technique, task.c.status, func.count()
                )
                .join(schema.layer, schema.layer.c.id == task.c.layer_id)
                .group_by(task.c.model_id, task.c.layer_id, task.c.technique, task.c.status)
                .order_by(schema.layer.c.position, task.c.technique)
            )
            counts = connection.execute(counted).all()
            failures = connection.execute(
                select(task.c.model_id, schema.layer.c.name, task.c.technique, task.c.unit_start, task.c.variant, task.c.error)
                .join(schema.layer, schema.layer.c.id == task.c.layer_id)
                .where(task.c.status == "failed")
                .order_by(task.c.layer_id, task.c.unit_start)
                .limit(MAX_ERRORS)
            ).all()
            progress = {row["model_id"]: dict(row) for row in connection.execute(select(schema.progress)).mappings()}
    finally:
        engine.dispose()
    result: list[dict[str, Any]] = []
    for model in models:
        rows = [row for row in counts if row[0] == model["id"]]
        result.append(
            {
                "id": model["id"],
                "spec": model["spec"],
                "num_layers": model["num_layers"],
                "num_units": model["num_units"],
                **_totals([(row[4], row[5]) for row in rows]),
                "running": progress.get(model["id"]),
                "layers": _by_layer(rows),
                "errors": [
                    {"layer": row[1], "technique": row[2], "unit": row[3], "variant": row[4], "error": row[5]}
                    for row in failures
                    if row[0] == model["id"]
                ],
            }
        )
    return {"atlas": str(atlas), "models": result}


def done_tasks(atlas: Path, model_id: str) -> set[tuple[str, str, str, int]]:
    """Return technique, layer, variant and first unit of each task that is done; nothing where there is no atlas yet.

    Raises:
        AtlasError: Its schema is another.
    """
    if not database_path(atlas).is_file():
        return set()
    engine = open_reader(atlas, accepts_older=True)
    task, layer = schema.task, schema.layer
    query = (
        select(task.c.technique, layer.c.name, task.c.variant, task.c.unit_start)
        .join(layer, layer.c.id == task.c.layer_id)
        .where(task.c.model_id == model_id, task.c.status == "done")
    )
    try:
        with engine.connect() as connection:
            return {(technique, name, variant, unit) for technique, name, variant, unit in connection.execute(query)}
    finally:
        engine.dispose()


def read_model(atlas: Path, model_id: str) -> tuple[dict[str, Any] | None, set[int]]:
    """Return the row of a model and the seeds of its builds; None where there is no atlas or no such model yet.

    Raises:
        AtlasError: The atlas has another schema.
    """
    if not database_path(atlas).is_file():
        return None, set()
    engine = open_reader(atlas, accepts_older=True)
    try:
        with engine.connect() as connection:
            row = connection.execute(select(schema.model).where(schema.model.c.id == model_id)).mappings().first()
            seeds = connection.execute(select(schema.run.c.seed).where(schema.run.c.model_id == model_id)).scalars().all()
            return (None if row is None else dict(row)), set(seeds)
    finally:
        engine.dispose()


def _totals(rows: list[tuple[str, int]]) -> dict[str, int]:
    totals = {"done": 0, "failed": 0, "todo": 0}
    for status, count in rows:
        totals[status] += count
    return totals


def _by_layer(rows: list[Any]) -> list[dict[str, Any]]:
    layers: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for _model, layer, _position, technique, status, count in rows:
        layers.setdefault(layer, {}).setdefault(technique, []).append((status, count))
    return [
        {"name": layer, "techniques": {technique: _totals(counts) for technique, counts in techniques.items()}}
        for layer, techniques in layers.items()
    ]
