"""`unitscope bench serve`: how fast the pages of an atlas answer, against a page that reads nothing (`/healthz`).

A server is started on a free port of this machine and asked by one client, one request at a time.
"""

from __future__ import annotations

import http.client
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from precompute.bench.machine import BenchOptions, describe_machine
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
    port = _free_port()
    words = [sys.executable, "-m", "precompute.cli", "serve", "--atlas", str(atlas), "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        client = _connect(port)
        kinds = {"unit_page": pages, "unit_json": [f"/api/v1{page}" for page in pages], "healthz": ["/healthz"] * len(pages)}
        seconds = {name: _ask(client, addresses) for name, addresses in kinds.items()}
    finally:
        server.terminate()
        server.wait()
    base = statistics.median(seconds["healthz"])
    return {
        "ratios": {name: base / statistics.median(values) for name, values in seconds.items() if name != "healthz"},
        "details": {
            "atlas_units": _count(atlas),
            "requests": NUM_UNITS,
            "milliseconds": {name: _summary(values) for name, values in seconds.items()},
            **describe_machine("fastapi", "uvicorn", "sqlalchemy"),
        },
    }


def _count(atlas: Path) -> int:
    with sqlite3.connect(f"file:{database_path(atlas)}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM unit").fetchone()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connect(port: int) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 30
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            client.connect()
            return client
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _ask(client: http.client.HTTPConnection, addresses: list[str]) -> list[float]:
    seconds = []
    for address in addresses:
        start = time.perf_counter()
        client.request("GET", address, headers={"Accept-Encoding": "gzip"})
        answer = client.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - start)
        if answer.status != 200:
            raise AtlasError(f"{address} answered {answer.status}")
    return seconds[NUM_WARM:] if len(seconds) > 2 * NUM_WARM else seconds


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * value for value in seconds)
    return {"median": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))], "max": ordered[-1]}
