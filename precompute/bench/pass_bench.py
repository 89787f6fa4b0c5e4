"""`unitscope bench pass`: the pass over the stimuli against a bare forward of the same model at the same batch size.

`bare_forward` is timed in this process, with the same tuned allocator and as many threads as there are cores, in turn with
the pass. `bare_forward_as_torch_comes` is timed in a process of its own that nothing was tuned in: what a script of one's own
would do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import torch

from precompute.activations.collect import BATCH_SIZE, Batch, begin_observations, model_input, observe
from precompute.bench.machine import BenchOptions, describe_machine, ratio, time_in_turn
from precompute.executors.process import tune_process
from precompute.models.base import ModelAdapter, load_model
from precompute.stimuli.sources import open_source

SPEC = "timm:tf_efficientnet_lite0@pip"
ROUNDS = 7
NUM_BATCHES = 8
NUM_WARM = 24
"""Batches beforehand: at the start of a pass every image enters every list, later few do; a build is mostly later."""

_PLAIN = """
import json, sys, time
import torch
from precompute.models.base import load_model
model = load_model(sys.argv[1]).module
batch = torch.zeros(int(sys.argv[2]), 3, 224, 224)
seconds = []
with torch.inference_mode():
    model(batch)
    for _ in range(int(sys.argv[3])):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
print(json.dumps(min(seconds)))
"""


def measure(_options: BenchOptions) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON."""
    is_tuned = tune_process(num_threads=1)
    adapter = load_model(SPEC)
    layers = [layer for layer in adapter.layers() if layer.is_default]
    source = open_source("embedded")
    places = np.linspace(0, len(source) - 1, BATCH_SIZE * (NUM_WARM + NUM_BATCHES)).astype(int)
    pixels = [adapter.preprocess(source.open(int(place))) for place in places]
    sources = [source.refs()[int(place)].source for place in places]
    batches = [
        Batch(
            places[at : at + BATCH_SIZE].astype(np.int32), sources[at : at + BATCH_SIZE], np.stack(pixels[at : at + BATCH_SIZE])
        )
        for at in range(0, len(places), BATCH_SIZE)
    ]
    observations = begin_observations(adapter, layers, range(len(source)), 0, has_repeated_sources=True)
    cores = os.cpu_count() or 1
    sum(observe(adapter, observations, batches[:NUM_WARM], num_workers=cores))
    measured = batches[NUM_WARM:]

    def run_pass() -> None:
        torch.set_num_threads(1)
        sum(observe(adapter, observations, measured, num_workers=cores))

    def run_bare() -> None:
        torch.set_num_threads(cores)
        _run_bare(adapter, measured)

    seconds = time_in_turn({"pass": run_pass, "bare_forward": run_bare}, ROUNDS)
    plain = _plain_seconds(BATCH_SIZE)
    count = BATCH_SIZE * NUM_BATCHES
    best = {name: min(values) / count for name, values in seconds.items()}
    return {
        "ratios": {
            "bare_forward": ratio(seconds["bare_forward"], seconds["pass"]),
            "bare_forward_as_torch_comes": plain / BATCH_SIZE / best["pass"],
        },
        "details": {
            "model": SPEC,
            "layers": len(layers),
            "units": sum(layer.num_units for layer in layers),
            "batch_size": BATCH_SIZE,
            "images_each_round": count,
            "rounds": ROUNDS,
            "allocator_tuned": is_tuned,
            "milliseconds_an_image": {
                **{name: 1000 * value for name, value in best.items()},
                "bare_forward_as_torch_comes": 1000 * plain / BATCH_SIZE,
            },
            **describe_machine("torch", "timm"),
        },
    }


def _run_bare(adapter: ModelAdapter, batches: list[Batch]) -> None:
    with torch.inference_mode():
        for batch in batches:
            adapter.logits(model_input(adapter, batch.pixels, BATCH_SIZE))


def _plain_seconds(batch_size: int) -> float:
    words = [sys.executable, "-c", _PLAIN, SPEC, str(batch_size), str(ROUNDS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return float(json.loads(done.stdout))
