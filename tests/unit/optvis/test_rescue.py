"""A net with dead units at the start: how many each rule wakes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional

from precompute.optvis import optimize
from precompute.optvis.engine import START_CONTRASTS, evaluator, render_pictures
from precompute.optvis.objectives import Objective, neuron
from precompute.optvis.optimize import Ascent, Evaluate, Settings, Start
from precompute.optvis.parameterizations import FourierImage
from precompute.optvis.recipe import Recipe
from precompute.optvis.transforms import AffineRange
from tests.unit.optvis.tiny_adapter import TinyAdapter, one_layer_adapter, seeded

NUM_UNITS = 32
RECIPE = Recipe(canvas_px=24, num_steps=64, batch_size=8, bounds=AffineRange(1.5), decay=1.0, cutoff=0.35)


def sleeping_adapter() -> TinyAdapter:
    """Units behind rectifiers that ever stronger patterns open: from at once to half of what an image can hold at most."""
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, NUM_UNITS, 9, padding=4), nn.ReLU(), nn.Conv2d(NUM_UNITS, NUM_UNITS, 1)))
    first, last = module.get_submodule("0"), module.get_submodule("2")
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert first.bias is not None
    assert last.bias is not None
    coarse = torch.randn(NUM_UNITS, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight = functional.interpolate(coarse, size=9, mode="bilinear")  # smooth: a picture can hold it
    weight = weight - weight.mean((1, 2, 3), keepdim=True)  # grey says nothing
    first.weight.data = weight
    most = weight.clamp(min=0).sum((1, 2, 3))  # of an image that is white where the weight is positive, and black elsewhere
    first.bias.data = -most * torch.linspace(0.0, 0.5, NUM_UNITS)
    last.weight.data = torch.eye(NUM_UNITS)[..., None, None]
    last.bias.data.zero_()
    return one_layer_adapter(module, "2", NUM_UNITS, 5)


def awake_after(contrast: float, *, is_rescue: bool) -> set[int]:
    """Return the units that one start of this contrast wakes."""
    adapter = sleeping_adapter()

    def make_evaluate(objectives: Sequence[Objective]) -> Evaluate:
        return evaluator(adapter, objectives)

    image = FourierImage(RECIPE.canvas_px, RECIPE.decay, RECIPE.cutoff)
    settings = Settings(RECIPE.num_steps, RECIPE.bounds, RECIPE.learning_rate)
    starts = [
        Start(neuron("2", unit), [torch.Generator().manual_seed(unit)], contrast, is_rescue, unit) for unit in range(NUM_UNITS)
    ]
    ascent = Ascent(make_evaluate, image, settings, num_places=8)
    return {int(str(finish.start.tag)) for finish in ascent.run(starts) if float(finish.value) > 0}


def test_each_rule_wakes_more_units(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    brighter_starts = START_CONTRASTS[1:]
    almost_grey = awake_after(0.01, is_rescue=False)
    first = awake_after(START_CONTRASTS[0], is_rescue=False)
    brighter = first.union(*(awake_after(contrast, is_rescue=False) for contrast in brighter_starts))
    found = dict(render_pictures(sleeping_adapter(), [neuron("2", unit) for unit in range(NUM_UNITS)], RECIPE, 0))
    awake = {unit for unit in range(NUM_UNITS) if found[unit][0].status in ("ok", "rescued", "saturated")}
    monkeypatch.setattr(optimize, "RESCUE_SHARE", 16 / RECIPE.num_steps)  # lucid's
    for_16_steps = first.union(*(awake_after(contrast, is_rescue=True) for contrast in brighter_starts))
    counts = [len(units) for units in (almost_grey, first, brighter, for_16_steps, awake)]
    # Measured: 0, 1, 5, 23 and 29 of 32.
    assert counts[0] <= counts[1] < counts[2] < counts[3] < counts[4]
    assert counts[2] < 0.25 * NUM_UNITS
    assert counts[4] > 0.8 * NUM_UNITS
    assert {found[unit][0].status for unit in set(range(NUM_UNITS)) - awake} <= {"dead_start"}
