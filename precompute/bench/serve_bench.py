"""`unitscope bench serve`: requests a second for pages, twins and files, beside Datasette and nginx over the same atlas.

All servers run at once and are asked in turn, round after round, so that what else the machine does falls on all alike. Ours
runs on a view of the atlas with an empty cache: `cold` is the first time ever that a unit is asked for.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from precompute.bench.machine import BenchOptions, describe_machine
from precompute.bench.million_pages import measure_million
from precompute.bench.rivals import ask, bare_route, datasette, nginx
from precompute.bench.server import serving_on
from precompute.errors import AtlasError
from precompute.store.engine import database_path

NUM_UNITS = 300
NUM_COLD = 200
ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 8
MANY_CONNECTIONS = 32
BUDGET_MS = 50.0
Found = dict[str, Any]


def measure(options: BenchOptions) -> Found:
    """Return ratios (larger is better) and details, as JSON.

    Raises:
        AtlasError: There is no atlas with units.
    """
    atlas = options.atlas
    if not database_path(atlas).is_file():
        raise AtlasError(f"There is no atlas in {atlas} to measure. Build one (`unitscope demo`) and give --atlas DIR.")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        plan = _Plan(atlas)
        view = view_of(atlas, Path(folder) / "atlas")
        ours = stack.enter_context(serving_on(view))
        rivals = {"datasette": stack.enter_context(datasette(atlas)), "nginx": stack.enter_context(nginx(atlas))}
        bare = stack.enter_context(bare_route())
        cold = _measure_cold(ours, rivals["datasette"], plan)
        hot = _measure_hot(ours, rivals, bare, plan)
        many = {name: ask(ours, plan.ours[name], MANY_CONNECTIONS, SECONDS) for name in ("unit_page", "unit_json")}
    with tempfile.TemporaryDirectory() as folder:
        view = view_of(atlas, Path(folder) / "atlas")
        restarted = _measure_restarted(view, plan)
    ratios = _ratios(cold, hot) | {
        "p95_budget": BUDGET_MS / max(found["milliseconds"]["p95"] for found in many.values()),
    }
    details: Found = {
        "atlas_units": plan.num_units,
        "connections": CONNECTIONS,
        "many_connections": MANY_CONNECTIONS,
        "hot": {name: _shown(found) for name, found in hot.items()},
        "first_time_ever": {name: _shown([found]) for name, found in cold.items()},
        "first_time_after_a_restart": {name: _shown([found]) for name, found in restarted.items()},
        "many": {name: _shown([found]) for name, found in many.items()},
        "left_out": [f"{name} is not installed: nothing is compared with it" for name, port in rivals.items() if port is None],
        **describe_machine("fastapi", "uvicorn", "sqlalchemy", *(["datasette"] if rivals["datasette"] else [])),
    }
    if options.is_million:
        more, details["million"] = measure_million()
        ratios |= more
    return {"ratios": ratios, "details": details}


def view_of(atlas: Path, folder: Path) -> Path:
    """Make a folder that shows an atlas and has a cache of its own, and return it."""
    folder.mkdir(parents=True)
    for name in ("atlas.db", "blobs"):
        (folder / name).symlink_to((atlas / name).resolve())
    return folder


class _Plan:
    """What is asked of whom.

    Args:
        atlas: Folder of the atlas.

    Attributes:
        ours: Addresses of ours, by kind.
        cold: The same of units that nobody asked for yet.
        theirs: Addresses of the others.
        num_units: Of the atlas.
    """

    def __init__(self, atlas: Path) -> None:
        with sqlite3.connect(f"file:{database_path(atlas)}?mode=ro", uri=True) as connection:
            rows = connection.execute(
                "SELECT l.model_id, l.name, u.unit_index, l.id FROM unit u JOIN layer l ON l.id = u.layer_id "
                "ORDER BY (u.layer_id * 7919 + u.unit_index * 104729) % 100003 LIMIT ?",
                (NUM_UNITS + 2 * NUM_COLD,),
            ).fetchall()
            blobs = connection.execute(
                "SELECT sha256 || '.' || extension FROM blob WHERE extension IN ('webp', 'png') ORDER BY sha256 LIMIT ?",
                (NUM_UNITS,),
            ).fetchall()
            self.num_units = int(connection.execute("SELECT COUNT(*) FROM unit").fetchone()[0])
        if not rows:
            raise AtlasError(f"The atlas in {atlas} holds no unit yet.")
        pages = [f"/models/{model}/{layer}/{unit}" for model, layer, unit, _ in rows]
        hot = pages[:NUM_UNITS]
        fresh = pages[NUM_UNITS:] or hot
        half = max(1, len(fresh) // 2)
        media = [f"/media/{name}" for (name,) in blobs]
        self.ours = {"unit_page": hot, "unit_json": [f"/api/v1{page}" for page in hot], "blob": media, "healthz": ["/healthz"]}
        self.cold = {"unit_page": fresh[:half], "unit_json": [f"/api/v1{page}" for page in fresh[half:] or fresh]}
        row_pages = [f"/atlas/unit/{layer_id},{unit}" for _, _, unit, layer_id in rows[:NUM_UNITS]]
        self.theirs = {"unit_page": row_pages, "unit_json": [f"{page}.json" for page in row_pages], "blob": media}


def _measure_cold(ours: int, rival: int | None, plan: _Plan) -> dict[str, Found]:
    ask(ours, ["/healthz", "/models/" + plan.cold["unit_page"][0].split("/")[2]], 1, 0)
    found: dict[str, Found] = {}
    for name, addresses in plan.cold.items():
        found[name] = ask(ours, addresses, CONNECTIONS, 0)
        if rival is not None:
            found[f"datasette_{name}"] = ask(rival, plan.theirs[name], CONNECTIONS, 0)
    return found


def _measure_hot(ours: int, rivals: Mapping[str, int | None], bare: int, plan: _Plan) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {}
    for addresses in (plan.ours["unit_page"], plan.ours["unit_json"]):
        ask(ours, addresses, CONNECTIONS, 0)
    for _ in range(ROUNDS):
        for name, addresses in plan.ours.items():
            if not addresses:
                continue
            rival = None if name == "healthz" else "nginx" if name == "blob" else "datasette"
            port = None if rival is None else rivals[rival]
            if port is not None:
                found.setdefault(f"{rival}_{name}", []).append(ask(port, plan.theirs[name], CONNECTIONS, SECONDS))
            found.setdefault(name, []).append(ask(ours, addresses, CONNECTIONS, SECONDS))
        found.setdefault("bare_route", []).append(ask(bare, ["/bare"], CONNECTIONS, SECONDS))
    return found


def _measure_restarted(view: Path, plan: _Plan) -> dict[str, Found]:
    with serving_on(view) as port:
        for name in ("unit_page", "unit_json"):
            ask(port, plan.ours[name], CONNECTIONS, 0)
    with serving_on(view) as port:
        ask(port, ["/healthz", "/"], 1, 0)
        return {name: ask(port, plan.ours[name], CONNECTIONS, 0) for name in ("unit_page", "unit_json")}


def _ratios(cold: Mapping[str, Found], hot: Mapping[str, Sequence[Found]]) -> dict[str, float]:
    """Return how many times as many requests a second ours answers, the median over the rounds."""
    ratios: dict[str, float] = {}
    for name, rival in (("unit_page", "datasette"), ("unit_json", "datasette"), ("blob", "nginx")):
        theirs = hot.get(f"{rival}_{name}")
        if theirs is not None:
            pairs = zip(hot[name], theirs, strict=True)
            ratios[name] = statistics.median(mine["per_second"] / other["per_second"] for mine, other in pairs)
        if f"datasette_{name}" in cold:
            ratios[f"{name}_cold"] = cold[name]["per_second"] / cold[f"datasette_{name}"]["per_second"]
    return ratios


def _shown(rounds: Sequence[Found]) -> Found:
    """Return the median of what some rounds found."""
    middle = sorted(rounds, key=lambda found: found["per_second"])[len(rounds) // 2]
    return {
        "per_second": round(middle["per_second"], 1),
        "milliseconds": {name: round(value, 2) for name, value in middle["milliseconds"].items()},
        "bytes_each": round(middle["bytes"] / middle["requests"]),
    }
