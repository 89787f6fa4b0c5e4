"""`unitscope bench weights`: folding, ranking and storing all weights against copying and writing the arrays once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from precompute.bench.machine import BenchOptions, describe_machine, ratio, time_in_turn
from precompute.domain import LayerLink
from precompute.executors.process import tune_process
from precompute.models.base import load_model
from precompute.store.blobs import BlobStore
from precompute.techniques.base import Context
from precompute.techniques.weights import Weights

SPEC = "timm:tf_efficientnet_lite0@pip"
ROUNDS = 3


def measure(_options: BenchOptions) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON."""
    tune_process(num_threads=1)
    adapter = load_model(SPEC)
    context = Context(adapter, [layer for layer in adapter.layers() if layer.is_default])
    technique = Weights()
    items = technique.plan(context)
    links = [result for item in items for result in technique.compute(context, item) if isinstance(result, LayerLink)]
    arrays = [np.frombuffer(link.blob.data, dtype=np.uint8) for link in links]

    def build() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = BlobStore(Path(folder))
            for item in items:
                for result in technique.compute(context, item):
                    if isinstance(result, LayerLink):
                        store.put(result.blob)

    def copy_and_write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number, array in enumerate(arrays):
                (Path(folder) / str(number)).write_bytes(array.copy().tobytes())

    seconds = time_in_turn({"build": build, "copy_and_write": copy_and_write}, ROUNDS)
    return {
        "ratios": {"copy_and_write": ratio(seconds["copy_and_write"], seconds["build"])},
        "details": {
            "model": SPEC,
            "links": len(links),
            "num_bytes": int(sum(array.size for array in arrays)),
            "seconds": {name: min(values) for name, values in seconds.items()},
            **describe_machine("torch", "timm"),
        },
    }
