"""Pictures of any number of objectives: grouped, batched, restarted where they failed.

A picture depends on the model, the objective, the recipe and the seed, and on nothing else: not on what is rendered beside
it, in what order, or how many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from precompute.domain import VisualizationStatus, stable_hash
from precompute.models.base import ModelAdapter
from precompute.optvis.objectives import Held, Objective, group_by_signature
from precompute.optvis.optimize import Ascent, Evaluate, Finish, Settings, Start
from precompute.optvis.parameterizations import FourierImage, Parameterization
from precompute.optvis.recipe import Recipe
from precompute.optvis.scores import classify_status, has_succeeded, measure_robustness

START_CONTRASTS = (0.2, 0.6, 1.5)
"""Of the first start and of each restart. The almost grey start of lucid (0.01) leaves many units of deep layers off."""
RESTART_BATCH = 4
"""Restarts are few: a small batch of their own, so that one of them does not cost a whole batch."""
NUM_TRACE_POINTS = 17
FAILED = ("dead_start", "never_started")


@dataclass(frozen=True)
class Picture:
    """One finished image and how it came about.

    Attributes:
        objective: What it was made for.
        pixels: Float32 `[height, width, channel]` between 0 and 1; a fourth channel is opacity.
        value: Of the objective, untransformed.
        start: Value of the image that it began as.
        robustness: Value under held-out transforms divided by `value`; NaN where that is zero.
        status: What became of it.
        num_steps: Steps of the update.
        attempt: Which start it comes from, from 0.
        trace: Values during the ascent, from first to last step.
        facet: Its number among the images of one objective.
    """

    objective: Objective
    pixels: np.ndarray
    value: float
    start: float
    robustness: float
    status: VisualizationStatus
    num_steps: int
    attempt: int
    trace: tuple[float, ...]
    facet: int = 0


def evaluator(adapter: ModelAdapter, objectives: Sequence[Objective]) -> Evaluate:
    """Return the function from pixels `[batch, rgb, height, width]` to values `[batch]`.

    The network is stopped after the last layer that the objectives name. All must have one signature; each takes as many
    images of the batch as it is about.
    """
    layers = sorted(objectives[0].layers, key=lambda name: adapter.layer(name).position)
    read = objectives[0].compile(objectives)

    def evaluate(pixels: Tensor) -> Tensor:
        batch = adapter.normalise(pixels).contiguous(memory_format=torch.channels_last)
        return read(Held(adapter, adapter.pre_activations(batch, layers)))

    return evaluate


def render_pictures(
    adapter: ModelAdapter,
    objectives: Sequence[Objective],
    recipe: Recipe,
    seed: int,
    parameterization: Parameterization | None = None,
) -> Iterator[tuple[int, list[Picture]]]:
    """Yield the place of each objective and its pictures, as they are finished: one, or one for each facet.

    Where the memory does not suffice, the batch is halved and what is not finished begins anew.

    Args:
        adapter: The model.
        objectives: Any.
        recipe: How pictures are made.
        seed: Of every random draw.
        parameterization: How images are written down; None for Fourier with what the recipe says.
    """
    for places in group_by_signature(objectives):
        waiting = dict.fromkeys(places)
        batch_size = recipe.batch_size
        while waiting:
            group = _Group(adapter, {place: objectives[place] for place in waiting}, recipe, seed, parameterization, batch_size)
            try:
                for place, pictures in group.run():
                    del waiting[place]
                    yield place, pictures
            except RuntimeError as error:  # torch has no type of its own for the CPU
                if not _is_out_of_memory(error) or batch_size == 1:
                    raise
                batch_size //= 2


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class _Group:
    """Objectives of one signature under way: first starts in one batch, restarts in a smaller one."""

    def __init__(
        self,
        adapter: ModelAdapter,
        objectives: dict[int, Objective],
        recipe: Recipe,
        seed: int,
        parameterization: Parameterization | None,
        batch_size: int,
    ) -> None:
        self.adapter, self.objectives, self.recipe, self.seed = adapter, objectives, recipe, seed
        self.batch_size = batch_size
        self.parameterization = parameterization or FourierImage(recipe.canvas_px, recipe.decay, recipe.cutoff)
        self.num_images = next(iter(objectives.values())).num_images

    def run(self) -> Iterator[tuple[int, list[Picture]]]:
        """Yield place and pictures of each objective as it is finished."""
        best: dict[int, list[Picture]] = {}
        places: Iterable[int] = self.objectives
        for attempt in range(len(START_CONTRASTS)):
            batch_size = self.batch_size if attempt == 0 else min(RESTART_BATCH, self.batch_size)
            # Made when there is room for them: the generators of ten thousand would fill 50 MB.
            starts = (self._start(place, attempt) for place in places)
            failed: list[int] = []
            for finish, pictures in self._attempt(starts, attempt, batch_size):
                place = int(str(finish.start.tag))
                best[place] = _better(best.get(place), pictures)
                is_last = attempt + 1 == len(START_CONTRASTS)
                if is_last or not all(picture.status in FAILED for picture in best[place]):
                    yield place, best.pop(place)
                else:
                    failed.append(place)
            if not failed:
                return
            places = failed

    def _start(self, place: int, attempt: int) -> Start:
        """Return one try; everything random about it comes from its words."""
        objective = self.objectives[place]
        words = [(objective.key, self.seed, attempt, image) for image in range(objective.num_images)]
        generators = [Generator().manual_seed(stable_hash(*parts)) for parts in words]
        return Start(objective, generators, START_CONTRASTS[attempt], is_rescue=attempt > 0, tag=place)

    def _attempt(self, starts: Iterable[Start], attempt: int, batch_size: int) -> Iterator[tuple[Finish, list[Picture]]]:
        """Yield what each try leads to; what is measured of it afterwards is measured in batches of the same size."""
        num_places = max(1, batch_size // self.num_images)
        settings = Settings(
            self.recipe.num_steps,
            self.recipe.bounds,
            self.recipe.learning_rate,
            self.recipe.least_gain,
            self.recipe.uses_bfloat16,
        )
        ascent = Ascent(self._evaluator, self.parameterization, settings, num_places, self.num_images, self.adapter.device)
        ended: list[Finish] = []
        for finish in ascent.run(starts):
            ended.append(finish)
            if len(ended) == num_places:
                yield from self._pictures(ended, attempt, num_places)
                ended = []
        if ended:
            yield from self._pictures(ended, attempt, num_places)

    def _evaluator(self, objectives: Sequence[Objective]) -> Evaluate:
        return evaluator(self.adapter, objectives)

    def _pictures(self, ended: Sequence[Finish], attempt: int, num_places: int) -> Iterator[tuple[Finish, list[Picture]]]:
        padded = [*ended, *[ended[0]] * (num_places - len(ended))]
        images = torch.cat([finish.images for finish in padded]).to(self.adapter.device)
        values = torch.cat([finish.value for finish in padded]).to(self.adapter.device)
        evaluate = self._evaluator([finish.start.objective for finish in padded])
        robustness = measure_robustness(evaluate, images, values, self.recipe.bounds).cpu()
        for place, finish in enumerate(ended):
            first = place * self.num_images
            yield finish, [_picture(finish, row, float(robustness[first + row]), attempt) for row in range(self.num_images)]


def _better(old: list[Picture] | None, new: list[Picture]) -> list[Picture]:
    """Return the restarted pictures where one succeeded or at least had a gradient for the first time, else the old ones."""
    if old is None or any(picture.status not in FAILED for picture in new):
        return new
    is_first_gradient = all(picture.status == "never_started" for picture in old)
    return new if is_first_gradient and any(picture.status == "dead_start" for picture in new) else old


def _picture(finish: Finish, row: int, robustness: float, attempt: int) -> Picture:
    """Return one image of a try."""
    objective = finish.start.objective
    start, value = float(finish.initial[row]), float(finish.value[row])
    last_live_step = int(finish.last_live_step[row])
    is_success = math.isfinite(value) and has_succeeded(start, value, objective.floor)
    trace = finish.trace[:, row]
    points = torch.linspace(0, len(trace) - 1, NUM_TRACE_POINTS).round().long()
    return Picture(
        objective=objective,
        pixels=finish.images[row].movedim(0, 2).contiguous().numpy(),
        value=value,
        start=start,
        robustness=robustness,
        status=classify_status(attempt, is_success, last_live_step, finish.num_steps),
        num_steps=finish.num_steps,
        attempt=attempt,
        trace=tuple(trace[points].tolist()),
        facet=row,
    )


def evaluate_padded(
    adapter: ModelAdapter, objectives: Sequence[Objective], pixels: Sequence[np.ndarray], batch_size: int
) -> list[float]:
    """Return the value of each image for its objective, with the kernels of a whole batch.

    Args:
        adapter: The model.
        objectives: One for each image, of one signature, each about one image.
        pixels: `[height, width, rgb]`, float between 0 and 1 or uint8.
        batch_size: The batch is filled up to it; at least as many as there are images.
    """
    arrays = [array.astype(np.float32) / 255.0 if array.dtype == np.uint8 else array for array in pixels]
    missing = batch_size - len(arrays)
    batch = torch.from_numpy(np.stack([*arrays, *[arrays[0]] * missing])).movedim(3, 1).to(adapter.device)
    with torch.no_grad():
        values = evaluator(adapter, [*objectives, *[objectives[0]] * missing])(batch)
    return values[: len(objectives)].tolist()


def with_canvas(recipe: Recipe, canvas_px: int) -> Recipe:
    """Return a recipe on another canvas, its shifts in proportion."""
    bounds = replace(recipe.bounds, shift_px=recipe.bounds.shift_px * canvas_px / recipe.canvas_px)
    return replace(recipe, canvas_px=canvas_px, bounds=bounds)
