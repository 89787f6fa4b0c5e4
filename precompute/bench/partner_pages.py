"""How long pages about weights take to come from a server, on made-up atlases of 21,008 and of a million units."""

from __future__ import annotations

import random
import re
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from precompute.bench.server import Client, percentiles, serving
from precompute.bench.synthetic_atlas import grow_atlas, make_synthetic_atlas

NUM_UNITS = 200
NUM_WARM = 20
PAGE_BUDGET = 0.03
PATH_BUDGET = 0.2
NUM_PATHS = 20
PATH_LAYERS = 12
SHOWN = 50
LARGEST_PAGE = 500
MILLION = 48  # networks of 21,008 units
MODEL = "synthetic"


def measure_pages(*, with_million: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Return ratios and details: the time that pages may take against what they take, and both atlases side by side.

    Args:
        with_million: Whether the larger atlas is made, too: 7 GB in the folder for temporary files, and some minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        atlases = {"21,008 units": Path(folder) / "usual"}
        make_synthetic_atlas(atlases["21,008 units"])
        if with_million:
            atlases["1,008,384 units"] = Path(folder) / "million"
            grow_atlas(atlases["21,008 units"], atlases["1,008,384 units"], MILLION)
        return compare(atlases)


def compare(atlases: dict[str, Path]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the ratios and details of made-up atlases, by name; where there are two, the second is held against the first."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in atlases}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(serving(atlas)) for name, atlas in atlases.items()}
        plans = {name: _plan(client) for name, client in clients.items()}
        # In turn, address by address: what else the machine does then falls on both alike.
        for kind, place in [(kind, place) for kind, pages in next(iter(plans.values())).items() for place in range(len(pages))]:
            for name, client in clients.items():
                found[name].setdefault(kind, []).extend(client.time([plans[name][kind][place]]))
    first = next(iter(found.values()))
    ratios = {
        "page_budget": PAGE_BUDGET / max(_p95(first[kind]) for kind in ("first", "first_html", "last", "last_html")),
        "served_path_budget": PATH_BUDGET / max(first["path"]),
    }
    if len(found) > 1:
        second = list(found.values())[1]
        ratios["million"] = min(statistics.median(first[kind]) / statistics.median(second[kind]) for kind in first)
    details = {
        "milliseconds": {name: {kind: percentiles(times) for kind, times in kinds.items()} for name, kinds in found.items()}
    }
    return ratios, details


def _p95(seconds: Sequence[float]) -> float:
    return percentiles(seconds)["p95"] / 1000


def _plan(client: Client) -> dict[str, list[str]]:
    """Return the addresses of each kind of page; each is asked about its unit for the first time."""
    random_number = random.Random(0)
    layers = client.read(f"/api/v1/models/{MODEL}")["layers"]
    asked: list[str] = []
    for _ in range(NUM_UNITS + NUM_WARM):
        layer = random_number.choice(layers)
        direction = random_number.choice(["inputs", "outputs"])
        unit = random_number.randrange(layer["num_units"])
        asked.append(f"/models/{MODEL}/{layer['name']}/{unit}/weights?direction={direction}")
    warm, pages = asked[:NUM_WARM], asked[NUM_WARM:]
    client.time([f"/api/v1{page}" for page in warm] + warm)
    ends = [_last_page(client, page) for page in pages]
    return {
        "first": [f"/api/v1{page}" for page in pages],
        "first_html": pages,
        "last": ends,
        "last_html": [end.removeprefix("/api/v1") for end in ends],
        "unit_html": [page.partition("/weights")[0] for page in pages],
        "path": _paths([layer["name"] for layer in layers], random_number),
    }


def _last_page(client: Client, page: str) -> str:
    """Return the address of the last page of a list as JSON."""
    address = f"/api/v1{page}"
    found = client.read(address)
    num_shown = len(found["items"])
    while found["next"] is not None:
        is_far = found["total"] - num_shown > LARGEST_PAGE + SHOWN
        address = re.sub(r"&limit=\d+", "", found["next"]) + (f"&limit={LARGEST_PAGE}" if is_far else "")
        found = client.read(address)
        num_shown += len(found["items"])
    return address


def _paths(names: Sequence[str], random_number: random.Random) -> list[str]:
    found: list[str] = []
    for _ in range(NUM_PATHS):
        place = random_number.randrange(len(names) - PATH_LAYERS)
        source, target = names[place], names[place + PATH_LAYERS]
        units = random_number.randrange(16), random_number.randrange(16)
        found.append(f"/api/v1/models/{MODEL}/{source}/{units[0]}/paths?to={target}/{units[1]}&count=1")
    return found
