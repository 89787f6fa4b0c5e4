"""`unitscope bench featurevis`: rendering against the bound that the network itself sets.

`bound/LAYER`: a bare forward and backward of the cut, folded network at the same canvas and batch, as many times as the
rendering takes steps, against rendering one full batch of draft pictures. 1 would mean that parameterization, transforms,
update, scores and encoding cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from precompute.bench.machine import describe_machine, ratio, time_in_turn
from precompute.executors.process import tune_process
from precompute.models.base import ModelAdapter, load_model
from precompute.optvis.recipe import Recipe, choose_recipe
from precompute.techniques.base import Context, WorkItem
from precompute.techniques.feature_visualization import FeatureVisualization

SPEC = "timm:tf_efficientnet_lite0@pip"
LAYERS = ("blocks.1.0.conv_pwl", "blocks.3.1.conv_pwl", "blocks.5.2.conv_pwl")
ROUNDS = 2
VARIANT = "channel positive draft"


def measure(_atlas: Path) -> dict[str, Any]:
    """Return ratios (larger is better) and details, as JSON."""
    tune_process(num_threads=1)
    adapter = load_model(SPEC)
    ratios: dict[str, float] = {}
    layers: dict[str, Any] = {}
    for name in LAYERS:
        layer = adapter.layer(name)
        recipe = choose_recipe(layer, adapter.layers(), "channel", "draft", min(adapter.preprocessing.crop_px))
        render = _render(adapter, name, recipe.batch_size)
        seconds = time_in_turn({"render": render, "bound": _bare(adapter, name, recipe)}, ROUNDS)
        ratios[f"bound/{name}"] = ratio(seconds["bound"], seconds["render"])
        layers[name] = {
            "canvas_px": recipe.canvas_px,
            "batch_size": recipe.batch_size,
            "steps": recipe.num_steps,
            "seconds_a_picture": min(seconds["render"]) / recipe.batch_size,
        }
    return {"ratios": ratios, "details": {"model": SPEC, "layers": layers, "threads": 1, **describe_machine("torch", "timm")}}


def _render(adapter: ModelAdapter, layer: str, count: int) -> Callable[[], object]:
    context = Context(adapter, [adapter.layer(layer)])
    item = WorkItem(layer, range(count), VARIANT, is_per_unit=True)
    return lambda: list(FeatureVisualization().compute(context, item))


def _bare(adapter: ModelAdapter, layer: str, recipe: Recipe) -> Callable[[], object]:
    batch = torch.rand(recipe.batch_size, 3, recipe.canvas_px, recipe.canvas_px, requires_grad=True)

    def run() -> None:
        for _ in range(recipe.num_steps):
            adapter.pre_activation(batch, layer).sum().backward()
            batch.grad = None

    return run
