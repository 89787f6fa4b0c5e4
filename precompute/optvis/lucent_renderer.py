"""Pictures made by Lucent itself, with its parameterization, transforms and optimiser, of the very units that we look at.

Lucent sees a small module that runs our folded, normalising copy up to one layer: so the picture is made for the same
pre-activation, with the preprocessing of the model and not Lucent's, on any unit axis, and the hooks that Lucent leaves behind
go with that module.

Needs the package `torch-lucent` (`lucent` on PyPI is another one): the extra `lucent`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from precompute.errors import UsageError
from precompute.models.base import ModelAdapter
from precompute.optvis.engine import Picture, evaluator
from precompute.optvis.objectives import Held, Objective, Sum, UnitValue
from precompute.optvis.recipe import Recipe
from precompute.optvis.scores import classify_status, has_succeeded, measure_robustness

NUM_STEPS = 512
"""Lucent's own default."""


class Target(nn.Module):
    """The model up to one layer, as Lucent wants it: units on axis 1, and a child whose output they are.

    Args:
        adapter: The model.
        layer: Where it ends.
    """

    def __init__(self, adapter: ModelAdapter, layer: str) -> None:
        super().__init__()
        self.units = nn.Identity()
        self._adapter, self._layer = adapter, layer

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the pre-activation `[batch, unit, height, width]` for pixels between 0 and 1."""
        held = Held(self._adapter, self._adapter.pre_activations(self._adapter.normalise(pixels), [self._layer]))
        sizes = [*held.sizes(self._layer), 1, 1][:2]
        result: Tensor = self.units(held.pre_activation(self._layer).unflatten(2, sizes))
        return result


def check_lucent() -> None:
    """Raise UsageError where Lucent is not installed."""
    if find_spec("lucent") is None or find_spec("lucent.optvis") is None:
        raise UsageError("Lucent is not installed. `pip install 'unitscope[lucent]'` brings it (the package is torch-lucent).")


def render_with_lucent(
    adapter: ModelAdapter, objectives: Sequence[Objective], recipe: Recipe, seed: int, num_steps: int = NUM_STEPS
) -> Iterator[tuple[int, list[Picture]]]:
    """Yield the place of each objective and its picture, as `render_pictures` does.

    Args:
        adapter: The model.
        objectives: Single units, either side.
        recipe: Of it, the canvas and the transforms of the robustness are taken.
        seed: Of torch and numpy while Lucent runs; both generators are as before afterwards.
        num_steps: Of Lucent's optimiser.

    Raises:
        UsageError: Lucent is not installed, or an objective is not a single unit.
    """
    check_lucent()
    for place, objective in enumerate(objectives):
        value, sign = _unit_of(objective)
        numpy_state = np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # Lucent's transforms draw from it
            try:
                start, images = _optimise(adapter, value, sign, recipe.canvas_px, num_steps)
            finally:
                np.random.set_state(numpy_state)
        yield place, [_picture(adapter, objective, recipe, start, images, num_steps)]


def _unit_of(objective: Objective) -> tuple[UnitValue, float]:
    if isinstance(objective, UnitValue):
        return objective, 1.0
    if isinstance(objective, Sum) and len(objective.terms) == 1 and isinstance(objective.terms[0][1], UnitValue):
        return objective.terms[0][1], objective.terms[0][0]
    raise UsageError(f"Lucent can be asked for single units only, not for {objective}. Leave out --renderer lucent.")


def _optimise(adapter: ModelAdapter, value: UnitValue, sign: float, canvas_px: int, num_steps: int) -> tuple[Tensor, Tensor]:
    """Return Lucent's first and last image `[1, rgb, height, width]`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the kornia that Lucent pins scripts its functions
        objectives, param, render = (import_module(f"lucent.optvis.{name}") for name in ("objectives", "param", "render"))
    wanted: Any = getattr(objectives, value.reduction)("units", value.unit)
    state, image_of = param.image(canvas_px, batch=1)
    with torch.no_grad():
        start = image_of().clone()
    last: list[np.ndarray] = render.render_vis(
        Target(adapter, value.layer),
        wanted * sign,
        lambda: (state, image_of),
        thresholds=(num_steps,),
        preprocess=False,
        show_image=False,
        progress=False,
    )
    return start, torch.from_numpy(last[-1]).movedim(3, 1).float()


def _picture(
    adapter: ModelAdapter, objective: Objective, recipe: Recipe, start: Tensor, images: Tensor, num_steps: int
) -> Picture:
    evaluate = evaluator(adapter, [objective])
    with torch.no_grad():
        first, last = float(evaluate(start)), evaluate(images)
    is_success = has_succeeded(first, float(last), objective.floor)
    return Picture(
        objective=objective,
        pixels=images[0].movedim(0, 2).contiguous().numpy(),
        value=float(last),
        start=first,
        robustness=float(measure_robustness(evaluate, images, last, recipe.bounds)),
        status=classify_status(0, is_success, num_steps, num_steps),
        num_steps=num_steps,
        attempt=0,
        trace=(first, float(last)),
    )
