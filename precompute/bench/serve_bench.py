"""`unitscope bench serve`: how fast the pages of an atlas answer, against a page that reads nothing (`/healthz`).

A server is started on a free port of this machine and asked by one client, one request at a time.
"""

from __future__ import annotations

import sqlite3
import statistics
from pathlib import Path
from typing import Any

from precompute.bench.machine import BenchOptions, describe_machine
from precompute.bench.server import percentiles, serving
from precompute.errors import AtlasError
from precompute.store.engine import database_path

NUM_UNITS = 300
NUM_WARM = 50


def measure(options: BenchOptions) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON.

    Raises:
        AtlasError: There is no atlas with units.
    """
    atlas = options.atlas
    if not database_path(atlas).is_file():
        raise AtlasError(f"There is no atlas in {atlas} to measure. Build one (`unitscope demo`) and give --atlas DIR.")
    with sqlite3.connect(f"file:{database_path(atlas)}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT l.model_id, l.name, u.unit_index FROM unit u JOIN layer l ON l.id = u.layer_id "
            "ORDER BY (u.layer_id * 7919 + u.unit_index * 104729) % 100003 LIMIT ?",
            (NUM_UNITS + NUM_WARM,),
        ).fetchall()
    if not rows:
        raise AtlasError(f"The atlas in {atlas} holds no unit yet.")
    pages = [f"/models/{model}/{layer}/{unit}" for model, layer, unit in rows]
    with serving(atlas) as client:
        kinds = {"unit_page": pages, "unit_json": [f"/api/v1{page}" for page in pages], "healthz": ["/healthz"] * len(pages)}
        seconds = {name: _after_warming(client.time(addresses)) for name, addresses in kinds.items()}
    base = statistics.median(seconds["healthz"])
    return {
        "ratios": {name: base / statistics.median(values) for name, values in seconds.items() if name != "healthz"},
        "details": {
            "atlas_units": _count(atlas),
            "requests": NUM_UNITS,
            "milliseconds": {name: percentiles(values) for name, values in seconds.items()},
            **describe_machine("fastapi", "uvicorn", "sqlalchemy"),
        },
    }


def _after_warming(seconds: list[float]) -> list[float]:
    return seconds[NUM_WARM:] if len(seconds) > 2 * NUM_WARM else seconds


def _count(atlas: Path) -> int:
    with sqlite3.connect(f"file:{database_path(atlas)}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM unit").fetchone()[0])
