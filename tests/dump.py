"""An atlas as plain values, without what may differ between two equal builds: times and process numbers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

LEFT_OUT = {
    "model": {"built_at"},
    "run": {"started_at", "finished_at"},
    "task": {"seconds"},
    "meta": {"value"},
    "model_count": {"stamp", "counted_at"},
}


def dump(atlas: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table, sorted, and the names of the blobs."""
    connection = sqlite3.connect(atlas / "atlas.db")
    result: dict[str, list[tuple[Any, ...]]] = {}
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        kept = [column for column in columns if column not in LEFT_OUT.get(table, set())]
        quoted = ", ".join(f'"{column}"' for column in kept)
        result[table] = sorted(connection.execute(f"SELECT {quoted} FROM {table}"), key=repr)  # noqa: S608 - names from the schema itself
    connection.close()
    result["files"] = [(path.name,) for path in sorted((atlas / "blobs").glob("??/*"))]
    return result
