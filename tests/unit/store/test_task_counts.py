"""Numbers of tasks stay those of the tasks, whoever writes them and however."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.writer import AtlasWriter

KEY = ("model_id", "technique", "layer_id", "unit_start", "unit_stop", "variant")
BY_HAND = (
    "SELECT model_id, {layer} AS layer_id, technique, variant, status, COUNT(*), SUM(unit_stop - unit_start) FROM task "
    "GROUP BY 1, 2, 3, 4, 5"
)


def counts(atlas: Path) -> list[tuple[Any, ...]]:
    """Return the numbers that are kept, which must be those of a count by hand."""
    with closing(sqlite3.connect(atlas / "atlas.db")) as connection:
        kept = connection.execute("SELECT * FROM task_count").fetchall()
        expected = [row for layer in ("layer_id", schema.WHOLE_MODEL) for row in connection.execute(BY_HAND.format(layer=layer))]
    assert sorted(kept) == sorted(expected)
    return kept


def key_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in KEY}


def test_counts_follow_every_way_of_writing(atlas: Path) -> None:
    before = counts(atlas)
    writer = AtlasWriter(atlas)
    tasks = writer.rows(schema.task, schema.task.c.status == "done")[:4]
    writer.fail_task(key_of(tasks[0]), "no reason")
    after_failing = counts(atlas)
    assert after_failing != before
    writer.update(schema.task, key_of(tasks[0]), {"status": "done", "error": None})
    assert counts(atlas) == before
    writer.update(schema.task, key_of(tasks[0]), {"seconds": 3.0})
    writer.insert_missing(schema.task, [tasks[1] | {"status": "failed"}])
    assert counts(atlas) == before, "a task that is there already counts once"
    writer.upsert(schema.task, [tasks[2] | {"status": "failed"}])
    assert counts(atlas) != before, "a task that replaces another counts for it"
    writer.insert_missing(schema.task, [tasks[3] | {"unit_start": 0, "unit_stop": 77, "variant": "new"}])
    assert {row[3] for row in counts(atlas)} - {row[3] for row in before} == {"new"}
    with writer.changing() as connection:
        connection.execute(schema.task.delete().where(schema.task.c.model_id == "tiny_a"))
    assert {row[0] for row in counts(atlas)} == {"tiny_b"}
    writer.close()


def test_tasks_of_an_older_atlas_are_counted_once(atlas: Path) -> None:
    before = counts(atlas)
    with closing(sqlite3.connect(atlas / "atlas.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DROP TABLE task_count")
        connection.commit()
    reader = AtlasReader(atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    layers = [layer.row for layer in catalog.layers.values()]
    told = [reader.coverage(catalog, rows) for rows in (None, layers, layers[:1])]
    reader.close()
    AtlasWriter(atlas).close()
    assert counts(atlas) == before
    AtlasWriter(atlas).close()
    assert counts(atlas) == before
    reader = AtlasReader(atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    for rows, earlier in zip((None, layers, layers[:1]), told, strict=True):
        assert sorted(map(repr, reader.coverage(catalog, rows))) == sorted(map(repr, earlier)) != []


@pytest.mark.parametrize("layer", ["stem", None])
def test_coverage_is_that_of_the_tasks(fixture_atlas: Path, layer: str | None) -> None:
    reader = AtlasReader(fixture_atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    found = reader.coverage(catalog, None if layer is None else [catalog.layers[layer].row])
    with closing(sqlite3.connect(fixture_atlas / "atlas.db")) as connection:
        total = connection.execute(
            "SELECT SUM(unit_stop - unit_start) FROM task WHERE model_id = 'tiny_a' AND (? IS NULL OR layer_id = ?)",
            (layer, None if layer is None else catalog.layers[layer].row),
        ).fetchone()[0]
    assert sum(record.num_units for record in found) == total > 0
