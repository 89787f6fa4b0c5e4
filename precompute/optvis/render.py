"""Pictures of many units of one layer: batches, restarts, scores.

A picture depends on the model, the layer, the unit, the objective, the recipe and the seed, and on nothing else: not on
which units are rendered beside it, in what order, or how many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from precompute.domain import VisualizationStatus, stable_hash
from precompute.models.base import ModelAdapter
from precompute.optvis.objectives import Objective, read_units
from precompute.optvis.optimize import Ascent, Evaluate, ascend
from precompute.optvis.parameterizations import FourierImage
from precompute.optvis.recipe import Recipe
from precompute.optvis.scores import classify_status, has_succeeded, measure_robustness

T = TypeVar("T")

START_CONTRASTS = (0.2, 0.6, 1.5)
"""Of the first start and of each restart. The almost grey start of lucid (0.01) leaves many units of deep layers off."""
RESTART_BATCH = 4
"""Restarts are few: a small batch of their own, also padded, so that one of them does not cost a whole batch."""
NUM_TRACE_POINTS = 17


@dataclass(frozen=True)
class Picture:
    """One finished image and how it came about.

    Attributes:
        objective: What it was made for.
        pixels: Float32 `[height, width, rgb]` between 0 and 1.
        activation: Its value, untransformed.
        start: Value of the image that it began as.
        robustness: Value under held-out transforms divided by `activation`; NaN where that is zero.
        status: What became of it.
        num_steps: Steps of the update.
        attempt: Which start it comes from, from 0.
        trace: Values during the ascent, from first to last step.
    """

    objective: Objective
    pixels: np.ndarray
    activation: float
    start: float
    robustness: float
    status: VisualizationStatus
    num_steps: int
    attempt: int
    trace: tuple[float, ...]


def evaluator(adapter: ModelAdapter, objectives: Sequence[Objective]) -> Evaluate:
    """Return the function from pixels `[batch, rgb, height, width]` to the values of one objective per image `[batch]`.

    All objectives must be about one layer and have one reduction.
    """
    layer = adapter.layer(objectives[0].layer)
    reduction = objectives[0].reduction
    units = torch.tensor([objective.unit for objective in objectives])

    def evaluate(pixels: Tensor) -> Tensor:
        batch = adapter.normalise(pixels).contiguous(memory_format=torch.channels_last)
        return read_units(adapter.pre_activation(batch, layer.name), layer.unit_axis, units, reduction)

    return evaluate


def render(adapter: ModelAdapter, objectives: Sequence[Objective], recipe: Recipe, seed: int) -> Iterator[list[Picture]]:
    """Yield the pictures of objectives of one layer and reduction, in order, one list for each batch."""
    for first in range(0, len(objectives), recipe.batch_size):
        yield _render_batch(adapter, objectives[first : first + recipe.batch_size], recipe, seed)


def evaluate_padded(
    adapter: ModelAdapter, objectives: Sequence[Objective], pixels: Sequence[np.ndarray], batch_size: int
) -> list[float]:
    """Return the value of each image for its objective, with the kernels of a whole batch.

    Args:
        adapter: The model.
        objectives: One for each image, of one layer and reduction.
        pixels: `[height, width, rgb]`, float between 0 and 1 or uint8.
        batch_size: The batch is filled up to it; at least as many as there are images.
    """
    arrays = [array.astype(np.float32) / 255.0 if array.dtype == np.uint8 else array for array in pixels]
    batch = torch.from_numpy(np.stack(_pad(arrays, batch_size))).movedim(3, 1)
    with torch.no_grad():
        values = evaluator(adapter, _pad(objectives, batch_size))(batch)
    return values[: len(objectives)].tolist()


def _render_batch(adapter: ModelAdapter, objectives: Sequence[Objective], recipe: Recipe, seed: int) -> list[Picture]:
    """Return one picture for each objective, restarting those that failed."""
    best = _attempt(adapter, objectives, recipe, seed, 0, recipe.batch_size)
    for attempt in range(1, len(START_CONTRASTS)):
        failed = [index for index, picture in enumerate(best) if picture.status in ("dead_start", "never_started")]
        for first in range(0, len(failed), RESTART_BATCH):
            slots = failed[first : first + RESTART_BATCH]
            again = _attempt(adapter, [objectives[slot] for slot in slots], recipe, seed, attempt, RESTART_BATCH)
            for slot, picture in zip(slots, again, strict=True):
                best[slot] = _better(best[slot], picture)
    return best


def _better(old: Picture, new: Picture) -> Picture:
    """Return the restarted picture where it succeeded or at least had a gradient for the first time, else the old one."""
    failed = ("dead_start", "never_started")
    is_first_gradient = old.status == "never_started" and new.status == "dead_start"
    return new if is_first_gradient or new.status not in failed else old


def _attempt(
    adapter: ModelAdapter, objectives: Sequence[Objective], recipe: Recipe, seed: int, attempt: int, batch_size: int
) -> list[Picture]:
    """Return what one start of each objective leads to."""
    padded = _pad(objectives, batch_size)
    evaluate = evaluator(adapter, padded)
    result = ascend(
        evaluate,
        FourierImage(recipe.canvas_px, recipe.decay, recipe.cutoff),
        [_generator(objective, seed, attempt) for objective in padded],
        torch.tensor([objective.direction for objective in padded]),
        num_steps=recipe.num_steps,
        bounds=recipe.bounds,
        contrast=START_CONTRASTS[attempt],
        learning_rate=recipe.learning_rate,
    )
    robustness = measure_robustness(evaluate, result.images, result.activation, recipe.bounds)
    return [_picture(objective, result, row, float(robustness[row]), attempt) for row, objective in enumerate(objectives)]


def _picture(objective: Objective, result: Ascent, row: int, robustness: float, attempt: int) -> Picture:
    """Return one row of a batch."""
    start, activation = float(result.start[row]), float(result.activation[row])
    num_steps, last_live_step = int(result.num_steps[row]), int(result.last_live_step[row])
    is_success = has_succeeded(start, activation, objective.sign)
    trace = result.trace[:num_steps, row]
    points = torch.linspace(0, len(trace) - 1, NUM_TRACE_POINTS).round().long()
    return Picture(
        objective=objective,
        pixels=result.images[row].movedim(0, 2).contiguous().numpy(),
        activation=activation,
        start=start,
        robustness=robustness,
        status=classify_status(attempt, is_success, last_live_step, num_steps),
        num_steps=num_steps,
        attempt=attempt,
        trace=tuple(trace[points].tolist()),
    )


def _generator(objective: Objective, seed: int, attempt: int) -> Generator:
    """Return the source of everything random about one start of one picture."""
    words = (objective.layer, objective.unit, objective.reduction, objective.sign, seed, attempt)
    return Generator().manual_seed(stable_hash(*words))


def _pad(items: Sequence[T], size: int) -> list[T]:
    """Return the items, with the first repeated at the end up to `size`."""
    return [*items, *[items[0]] * (size - len(items))]
