"""Pages of an atlas of a million units beside those of one of 21,008: nothing may count or scan when it is asked."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from precompute.bench.server import Client, percentiles, serving
from precompute.bench.synthetic_atlas import make_synthetic_atlas

NUM_EACH = 40
MODEL = "synthetic"
MILLION = 48  # networks of 21,008 units


def measure_million() -> tuple[dict[str, float], dict[str, Any]]:
    """Return ratios and details of both atlases: 7 GB in the folder for temporary files, and some minutes."""
    with tempfile.TemporaryDirectory() as folder:
        atlases = {"21,008 units": Path(folder) / "usual", "1,008,384 units": Path(folder) / "million"}
        make_synthetic_atlas(atlases["21,008 units"])
        make_synthetic_atlas(atlases["1,008,384 units"], num_copies=MILLION)
        return compare_pages(atlases)


def compare_pages(atlases: Mapping[str, Path]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return, for each kind of page, how the median time of the first atlas stands to that of the second, and all times.

    Each address is asked for the first time, so that no answer is ready.
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in atlases}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(serving(atlas)) for name, atlas in atlases.items()}
        for client in clients.values():
            _warm(client)
        pages = _pages(next(iter(clients.values())))
        # In turn, address by address: what else the machine does then falls on both alike.
        for kind, addresses in pages.items():
            for address in addresses:
                for name, client in clients.items():
                    found[name].setdefault(kind, []).extend(client.time([address]))
    first, second = found.values()
    ratios = {f"million_{kind}": statistics.median(first[kind]) / statistics.median(second[kind]) for kind in first}
    times = {name: {kind: percentiles(values) for kind, values in kinds.items()} for name, kinds in found.items()}
    return ratios, {"milliseconds": times}


def _warm(client: Client) -> None:
    for address in ("/", f"/models/{MODEL}", "/search?q=conv", "/stimuli/1"):
        client.ask(address)


def _pages(client: Client) -> dict[str, list[str]]:
    """Return the addresses of each kind of page; a query that changes nothing makes each one of its own."""
    draw = random.Random(0)
    layers = client.read(f"/api/v1/models/{MODEL}")["layers"]
    chosen = [draw.choice(layers) for _ in range(NUM_EACH)]
    layer_pages = [f"/models/{MODEL}/{layer['name']}" for layer in chosen]
    metrics = [metric["name"] for metric in client.read(f"/api/v1{layer_pages[0]}")["metrics"]]
    numbers = range(1, NUM_EACH + 1)
    return {
        "home": ["/"] * NUM_EACH,
        "model": [f"/models/{MODEL}"] * NUM_EACH,
        "layer": [f"{page}?limit={number}" for page, number in zip(layer_pages, numbers, strict=True)],
        "layer_sorted": [f"{page}?sort=-{draw.choice(metrics)}&limit={n}" for page, n in zip(layer_pages, numbers, strict=True)],
        "layer_filtered": [f"{page}?min.mean=0.0{n}" for page, n in zip(layer_pages, numbers, strict=True)],
        "unit": [f"{page}/{draw.randrange(layer['num_units'])}" for page, layer in zip(layer_pages, chosen, strict=True)],
        "search": [f"/search?q=unit+{number}" for number in numbers],
        "stimulus": [f"/stimuli/{number}" for number in numbers],
    }
