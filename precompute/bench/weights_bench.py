"""`unitscope bench weights`: building, composing and asking for weights against what that must cost at least.

`copy_and_write`   Folding and storing all weights between adjacent layers, against copying the arrays through memory once and
                   writing them, each forced to the disk as an atlas forces what it stores.
`autograd`         All weights of all units of a layer over two layers, composed, against one call of autograd for each unit.
`path_budget`      200 milliseconds against the strongest path over twelve layers, asked for the first time.
`raw_weights`      The bytes of all arrays as raw float32 numbers against what is stored.
`page_budget`      30 milliseconds against the 95th percentile of any list of partners, first or last page, HTML or JSON, from a
                   server with an atlas of 21,008 units; `served_path_budget` likewise against the slowest of twenty paths.
`million`          With `--million`: the medians of that atlas against those of one of a million units, the worst kind of page.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from precompute.bench.machine import BenchOptions, describe_machine, ratio, time_in_turn
from precompute.bench.partner_pages import measure_pages
from precompute.circuits.expand import expand_inputs
from precompute.circuits.graph import MERGES, Link, Node, WeightGraph
from precompute.circuits.paths import StepWeights, strongest_paths, weigh
from precompute.domain import LayerLink
from precompute.executors.process import tune_process
from precompute.models.base import LinkWeights, ModelAdapter, load_model
from precompute.models.modules import TracedModel
from precompute.store.blobs import BlobStore
from precompute.techniques.base import Context
from precompute.techniques.weights import Weights

ROUNDS = 5
SOURCE, BETWEEN, TARGET = "blocks.3.1.conv_pwl", "blocks.3.2.conv_pw", "blocks.3.2.conv_dw"
PATH_LAYERS = 12
PATH_BUDGET = 0.2
SPEC = "timm:tf_efficientnet_lite0@pip"


def measure(options: BenchOptions) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON."""
    tune_process(num_threads=1)
    adapter = load_model(SPEC)
    if not isinstance(adapter, TracedModel):
        raise TypeError(f"{SPEC} is not a traced model")
    stored, stored_details = _measure_storing(adapter)
    graph = graph_of(adapter)
    composed, composed_details = _measure_composing(adapter, graph)
    asked, asked_details = _measure_path(graph)
    served, served_details = measure_pages(with_million=options.is_million)
    return {
        "ratios": stored | composed | asked | served,
        "details": {"model": SPEC}
        | stored_details
        | composed_details
        | asked_details
        | served_details
        | describe_machine("torch", "timm"),
    }


def graph_of(adapter: ModelAdapter) -> WeightGraph:
    """Return the weights between all adjacent layers of a model, without streams and concatenations."""
    layers = [layer for layer in adapter.layers() if layer.operation not in MERGES]
    nodes = [Node(layer.name, layer.num_units, is_linear=layer.nonlinearity is None) for layer in layers]
    found = [adapter.weights_between(source, layer.name) for layer in layers for source in layer.inputs]
    links = [Link(link.source, link.target, link.placement, link.is_exact, partial(_array, link)) for link in found]
    return WeightGraph(nodes, links)


def _array(link: LinkWeights) -> np.ndarray:
    return link.array


def _measure_storing(adapter: TracedModel) -> tuple[dict[str, float], dict[str, Any]]:
    context = Context(adapter, [layer for layer in adapter.layers() if layer.is_default])
    technique = Weights()
    items = technique.plan(context)
    links = [result for item in items for result in technique.compute(context, item) if isinstance(result, LayerLink)]
    arrays = [np.frombuffer(link.blob.data, dtype=np.uint8) for link in links]
    num_stored = 0

    def build() -> None:
        nonlocal num_stored
        with tempfile.TemporaryDirectory() as folder:
            store = BlobStore(Path(folder))
            for item in items:
                for result in technique.compute(context, item):
                    if isinstance(result, LayerLink):
                        store.put(result.blob)
            num_stored = sum(path.stat().st_size for path in Path(folder).rglob("*.npy"))

    def copy_and_write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number, array in enumerate(arrays):
                with (Path(folder) / str(number)).open("wb") as file:
                    file.write(array.copy().tobytes())
                    file.flush()
                    os.fsync(file.fileno())

    seconds = time_in_turn({"build": build, "copy_and_write": copy_and_write}, ROUNDS)
    parameters = [tensor for name, tensor in adapter.module.named_parameters() if tensor.ndim >= 2 and "classifier" not in name]
    num_raw = 4 * sum(tensor.numel() for tensor in parameters)
    kernels = sum(int(np.prod(_shape(link))) for link in links)
    details = {
        "links": len(links),
        "kernels": kernels,
        "stored_bytes": num_stored,
        "stored_bytes_per_kernel": num_stored / kernels,
        "raw_bytes": num_raw,
        "storing_seconds": {name: min(values) for name, values in seconds.items()},
    }
    ratios = {
        "copy_and_write": ratio(seconds["copy_and_write"], seconds["build"]),
        "raw_weights": num_raw / num_stored,
    }
    return ratios, details


def _shape(link: LayerLink) -> tuple[int, ...]:
    return np.load(io.BytesIO(link.blob.data), allow_pickle=False).shape[:-2]


def _measure_composing(adapter: ModelAdapter, graph: WeightGraph) -> tuple[dict[str, float], dict[str, Any]]:
    units = range(adapter.layer(TARGET).num_units)
    side = adapter.layer(SOURCE).map_size[0]
    first = torch.from_numpy(adapter.weights_between(SOURCE, BETWEEN).array)
    second = torch.from_numpy(adapter.weights_between(BETWEEN, TARGET).array)[:, None]
    start = torch.zeros(1, first.shape[1], side, side, requires_grad=True)
    found: dict[str, np.ndarray] = {}

    def composed() -> None:
        found["composed"] = expand_inputs(graph, TARGET, units, SOURCE, dtype=np.float32).array

    def autograd() -> None:
        rows = []
        reach = second.shape[-1] // 2
        middle = slice(side // 2 - reach, side // 2 + reach + 1)
        for unit in units:
            between = F.conv2d(start, first)
            end = F.conv2d(between, second, padding=reach, groups=len(second))
            (gradient,) = torch.autograd.grad(end[0, unit, side // 2, side // 2], start)
            rows.append(gradient[0, :, middle, middle].numpy())
        found["autograd"] = np.stack(rows)

    seconds = time_in_turn({"composed": composed, "autograd": autograd}, ROUNDS)
    difference = np.abs(found["composed"] - found["autograd"]).max() / np.abs(found["autograd"]).max()
    details = {
        "composed": f"{SOURCE} to {TARGET}",
        "composed_units": len(units),
        "composed_largest_difference": float(difference),
        "composing_seconds": {name: min(values) for name, values in seconds.items()},
    }
    return {"autograd": ratio(seconds["autograd"], seconds["composed"])}, details


def _measure_path(graph: WeightGraph) -> tuple[dict[str, float], dict[str, Any]]:
    names = list(graph.nodes)
    target = names[len(names) - 4]
    source = names[len(names) - 4 - PATH_LAYERS]
    seconds = []
    kept: dict[Link, StepWeights] = {}

    def keep(link: Link) -> StepWeights:
        if link not in kept:
            kept[link] = weigh(link)
        return kept[link]

    for round_number in range(ROUNDS):
        if round_number < ROUNDS - 1:
            kept.clear()
        began = time.perf_counter()
        paths = strongest_paths(graph, (source, 3), (target, 5), 1, weigh=keep)
        seconds.append(time.perf_counter() - began)
    details = {
        "path": [f"{layer}/{unit}" for layer, unit in paths[0].units],
        "path_seconds": {"first": min(seconds[:-1]), "again": seconds[-1]},
    }
    return {"path_budget": PATH_BUDGET / min(seconds[:-1])}, details
