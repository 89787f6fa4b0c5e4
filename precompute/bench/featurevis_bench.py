"""`unitscope bench featurevis`: rendering against Lucent, and against the bound that the network itself sets.

`bound/LAYER`: CPU time of a bare forward and backward of the cut, folded network at the same canvas, batch and precision, as
many times as the rendering takes steps, against rendering one full batch of draft pictures. 1 would mean that parameterization,
transforms, update, scores and encoding cost nothing.

`lucent_cpu/LAYER`: CPU time of a channel by `lucent.optvis.render.render_vis` at its defaults (128 pixels seen at 224, 512
steps), against ours for a draft picture with its scores and its file, for the same channels on one thread.

`lucent_activation/LAYER`: mean over these channels of the clean activation that ours reach, each at the size at which it was
made, against Lucent's: at 224 pixels, with the normalisation of the model or with Lucent's own, whichever is higher.

`flat/COUNT` (with `--flat`): CPU time a picture in one job of so many pictures, against that in one of 10,000: 16 steps each, one
early layer. Below a full batch it is above 1, because a batch is always full.
"""

from __future__ import annotations

import copy
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from precompute.bench.machine import BenchOptions, describe_machine, ratio, time_in_turn
from precompute.domain import Artifact, Result
from precompute.errors import UsageError
from precompute.executors.process import tune_process
from precompute.models.base import ModelAdapter, load_model
from precompute.models.modules import TracedModel
from precompute.optvis.engine import render_pictures
from precompute.optvis.objectives import neuron
from precompute.optvis.recipe import Recipe, choose_recipe
from precompute.optvis.variants import reductions_of
from precompute.techniques.base import Context, WorkItem
from precompute.techniques.feature_visualization import FeatureVisualization

LAYERS = ("blocks.1.0.conv_pwl", "blocks.3.1.conv_pwl", "blocks.5.2.conv_pwl")
"""Early, middle and late, in networks of the MobileNet and EfficientNet families."""
ROUNDS = 3
VARIANT = "channel positive draft"
NUM_CHANNELS = 4
LUCENT_INPUT_PX = 224
LUCENT_MEAN, LUCENT_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLAT_COUNTS, FLAT_STEPS = (10, 100, 1000, 10_000), 16


def measure(options: BenchOptions) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON.

    Raises:
        UnknownName: The model has no such layer.
    """
    tune_process(num_threads=1)
    adapter = load_model(options.model)
    names = _layers(adapter, options)
    ratios: dict[str, float] = {}
    layers: dict[str, Any] = {}
    has_lucent = find_spec("lucent") is not None
    for name in names:
        layer = adapter.layer(name)
        recipe = choose_recipe(layer, adapter.layers(), "channel", "draft", min(adapter.preprocessing.crop_px))
        render = _render(adapter, name, recipe.batch_size)
        seconds = time_in_turn({"render": render, "bound": _bare(adapter, name, recipe)}, ROUNDS, time.process_time)
        ratios[f"bound/{name}"] = ratio(seconds["bound"], seconds["render"])
        layers[name] = {
            "canvas_px": recipe.canvas_px,
            "batch_size": recipe.batch_size,
            "steps": recipe.num_steps,
            "cpu_seconds_a_picture": min(seconds["render"]) / recipe.batch_size,
        }
        if has_lucent:
            found = _against_lucent(adapter, name, recipe.batch_size)
            ratios[f"lucent_cpu/{name}"] = found["cpu_seconds_lucent"] / found["cpu_seconds_ours"]
            ratios[f"lucent_activation/{name}"] = found["activation_ours"] / found["activation_lucent"]
            layers[name]["lucent"] = found
    details: dict[str, Any] = {"model": options.model, "layers": layers, "threads": 1}
    if options.is_flat:
        details["flat"] = _measure_flatness(adapter, names[0])
        costs = details["flat"]["cpu_seconds_a_picture"]
        ratios |= {f"flat/{count}": costs[count] / costs[FLAT_COUNTS[-1]] for count in FLAT_COUNTS[:-1]}
    if not has_lucent:
        details["missing"] = (
            "Lucent is not installed, so there is no lucent_cpu and lucent_activation: pip install 'unitscope[lucent]'"
        )
    packages = ("torch", "timm", "torch-lucent") if has_lucent else ("torch", "timm")
    return {"ratios": ratios, "details": details | describe_machine(*packages)}


def _layers(adapter: ModelAdapter, options: BenchOptions) -> list[str]:
    """Return the layers to measure.

    Raises:
        UnknownName: There is no such layer.
        UsageError: A layer has no channel picture on a map, or the bench's own choice is not there.
    """
    known = {layer.name: layer for layer in adapter.layers()}
    if not options.layers and not set(LAYERS) <= known.keys():
        raise UsageError(
            f"{adapter.title} has not all of the layers {', '.join(LAYERS)}. Give its own with --layer, any number of times; "
            f"`unitscope layers {adapter.spec}` lists them."
        )
    names = [adapter.layer(name).name for name in options.layers or LAYERS]
    for name in names:
        if len(known[name].map_size) != 2 or "channel" not in reductions_of(known[name]):
            raise UsageError(f"{name} has no channel picture on a map, which this bench measures. Choose another layer.")
    return names


def _measure_flatness(adapter: ModelAdapter, layer: str) -> dict[str, Any]:
    """Return CPU seconds a picture and the peak of the memory after jobs of growing size, each picture of another objective."""
    spec = adapter.layer(layer)
    chosen = choose_recipe(spec, adapter.layers(), "channel", "draft", min(adapter.preprocessing.crop_px))
    recipe = replace(chosen, num_steps=FLAT_STEPS)
    held = adapter.pre_activation(adapter.normalise(torch.zeros(1, 3, recipe.canvas_px, recipe.canvas_px)), layer)
    height, width = held.shape[2:]
    seconds: dict[int, float] = {}
    memory: dict[int, float] = {}
    for count in FLAT_COUNTS:
        objectives = [
            neuron(layer, at % spec.num_units, at // spec.num_units % height, at // spec.num_units // height % width)
            for at in range(count)
        ]
        start = time.process_time()
        for _place, _pictures in render_pictures(adapter, objectives, recipe, 0):
            pass  # finished pictures are the caller's, and none is kept here
        seconds[count] = (time.process_time() - start) / count
        memory[count] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_seconds_a_picture": seconds, "peak_memory_mib": memory, "steps": FLAT_STEPS, "layer": layer}


def _against_lucent(adapter: ModelAdapter, layer: str, batch_size: int) -> dict[str, float]:
    """Return CPU seconds a channel and mean clean activation, of ours and of Lucent's pictures of the same channels.

    Ours are made before and after, a full batch each time, so that a change of the machine's speed falls on both.
    """
    ours: list[float] = []
    values: list[float] = []
    lucent_seconds, lucent_values = 0.0, []
    for turn in range(3):
        start = time.process_time()
        if turn == 1:
            images = _lucent_images(adapter, layer)
            lucent_seconds = (time.process_time() - start) / NUM_CHANNELS
            lucent_values = _clean_activations(adapter, layer, images)
            continue
        results = list(_render(adapter, layer, batch_size)())
        ours.append((time.process_time() - start) / batch_size)
        pictures = [result for result in results if isinstance(result, Artifact) and result.kind == "visualization"]
        values = [picture.payload["activation"] for picture in pictures[:NUM_CHANNELS]]
    return {
        "cpu_seconds_ours": fmean(ours),
        "cpu_seconds_lucent": lucent_seconds,
        "activation_ours": fmean(values),
        "activation_lucent": max(lucent_values),
        "activation_lucent_normalised_as_the_model": lucent_values[0],
        "activation_lucent_normalised_as_lucent": lucent_values[1],
        "channels": NUM_CHANNELS,
    }


def _lucent_images(adapter: ModelAdapter, layer: str) -> np.ndarray:
    """Return `[channel, height, width, rgb]` of Lucent's pictures of the first channels, at its defaults."""
    if not isinstance(adapter, TracedModel):
        raise UsageError(f"{adapter.title} has no module that Lucent could run. Measure another model.")
    objectives, param, lucent = (import_module(f"lucent.optvis.{name}") for name in ("objectives", "param", "render"))
    torch.manual_seed(0)
    np.random.seed(0)  # Lucent's transforms draw from it
    # A copy: Lucent leaves its hooks behind, and fills the gradients of the weights.
    module = copy.deepcopy(adapter.module).to(_lucent_device()).requires_grad_(True)
    # Lucent names a module by its path with underscores.
    name = adapter.boundary(layer).replace(".", "_")
    objective = objectives.Objective.sum([objectives.channel(name, unit, batch=unit) for unit in range(NUM_CHANNELS)])
    images: list[np.ndarray] = lucent.render_vis(
        module, objective, lambda: param.image(128, batch=NUM_CHANNELS), show_image=False, progress=False
    )
    return images[-1]


def _lucent_device() -> torch.device:
    """Return where Lucent puts its images, whatever it is told."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def _clean_activations(adapter: ModelAdapter, layer: str, images: np.ndarray) -> list[float]:
    """Return the mean activation of the images as Lucent showed them, normalised as the model wants it and as Lucent does."""
    pixels = torch.from_numpy(images.astype(np.float32)).movedim(3, 1)
    seen = functional.interpolate(pixels, size=LUCENT_INPUT_PX, mode="bilinear", align_corners=True)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (LUCENT_MEAN, LUCENT_STD))
    rows = torch.arange(len(images))
    with torch.no_grad():
        maps = [adapter.pre_activation(batch, layer) for batch in (adapter.normalise(seen), (seen - mean) / std)]
    return [float(held[rows, rows].mean()) for held in maps]


def _render(adapter: ModelAdapter, layer: str, count: int) -> Callable[[], list[Result]]:
    context = Context(adapter, [adapter.layer(layer)])
    num_units = adapter.layer(layer).num_units
    item = WorkItem(layer, [at % num_units for at in range(count)], VARIANT, is_per_unit=True)
    return lambda: list(FeatureVisualization().compute(context, item))


def _bare(adapter: ModelAdapter, layer: str, recipe: Recipe) -> Callable[[], object]:
    batch = torch.rand(recipe.batch_size, 3, recipe.canvas_px, recipe.canvas_px, requires_grad=True)

    def run() -> None:
        for _ in range(recipe.num_steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.uses_bfloat16):
                value = adapter.pre_activation(batch, layer).sum()
            value.backward()
            batch.grad = None

    return run
