"""One streaming pass over the stimuli for all units of all chosen layers, in memory that does not grow with their number.

Each worker thread runs one batch at a time with single-threaded operations and summarises it (`summary`); the summaries are
merged in the order of the batches, so the result does not depend on which thread was faster. The last batch is filled up to
the common size: the kernels chosen, and so the rounding, are the same for every image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from precompute.activations.observation import MAX_PER_SOURCE, LayerObservation, Sample
from precompute.activations.responses import ResponsePlan
from precompute.activations.summary import BatchSummary, Known, summarise
from precompute.domain import LayerSpec
from precompute.errors import UsageError
from precompute.models.base import ModelAdapter, units_first

BATCH_SIZE = 32
NOT_FINITE = (
    "Layer {layer!r} gives numbers that are not finite on these images. The weights do not fit the preprocessing, "
    "or are damaged: try another weight file."
)


@dataclass(frozen=True)
class Batch:
    """Images on their way through the pass.

    Attributes:
        stimuli: int32 `[image]`, their indices.
        sources: `[image]`, the photograph or file of each.
        pixels: uint8 `[image, height, width, rgb]`, as the model sees them before normalisation.
    """

    stimuli: np.ndarray
    sources: list[str]
    pixels: np.ndarray


def begin_observations(
    adapter: ModelAdapter,
    layers: Sequence[LayerSpec],
    stimuli: Sequence[int],
    seed: int,
    *,
    has_repeated_sources: bool,
    responses: ResponsePlan | None = None,
) -> dict[str, LayerObservation]:
    """Return an empty observation for each layer.

    Args:
        adapter: The model.
        layers: To observe.
        stimuli: Which will come: the sample is drawn beforehand.
        seed: Of the sample.
        has_repeated_sources: Whether several stimuli come from one photograph.
        responses: Which images enter the profiles, and their labels; None for neither.
    """
    sample = Sample.draw(stimuli, seed)
    limit = MAX_PER_SOURCE if has_repeated_sources else None
    return {
        layer.name: LayerObservation.begin(layer, adapter.nonlinearity(layer.name), sample, limit, responses) for layer in layers
    }


def observe(
    adapter: ModelAdapter,
    observations: Mapping[str, LayerObservation],
    batches: Iterable[Batch],
    *,
    batch_size: int = BATCH_SIZE,
    num_workers: int = 2,
) -> Iterator[int]:
    """Stream batches through the model into the observations, and yield how many images each step added.

    After each step the observations stand exactly as if the images so far were all: a good moment to keep them.

    Args:
        adapter: The model.
        observations: By layer; changed in place.
        batches: In order of stimulus; all of `batch_size` images but the last.
        batch_size: Images that go through the model together.
        num_workers: Threads.

    Raises:
        UsageError: A layer gives numbers that are not finite.
    """
    is_under_way = all(observation.num_images for observation in observations.values())
    waiting: deque[tuple[Batch, Future[dict[str, BatchSummary]]]] = deque()
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            for batch in batches:
                known = {name: observation.known(batch.stimuli, batch.sources) for name, observation in observations.items()}
                waiting.append((batch, pool.submit(summarise_batch, adapter, observations, batch, known, batch_size)))
                # All others need what the first one finds.
                while len(waiting) > (num_workers if is_under_way else 0):
                    yield _merge(observations, *waiting.popleft())
                    is_under_way = True
            while waiting:
                yield _merge(observations, *waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def _merge(observations: Mapping[str, LayerObservation], batch: Batch, future: Future[dict[str, BatchSummary]]) -> int:
    for name, summary in future.result().items():
        observations[name].add(summary, batch.stimuli, batch.sources)
    return len(batch.stimuli)


def summarise_batch(
    adapter: ModelAdapter,
    observations: Mapping[str, LayerObservation],
    batch: Batch,
    known: Mapping[str, Known],
    batch_size: int,
) -> dict[str, BatchSummary]:
    """Run one batch and summarise every layer as soon as it has run.

    Args:
        adapter: The model.
        observations: Say which layers to read, and how; not changed.
        batch: The images.
        known: What the images before tell, by layer.
        batch_size: The batch is filled up to this many images.
    """
    num_images = len(batch.stimuli)
    summaries: dict[str, BatchSummary] = {}

    def consume(name: str, tensor: Tensor) -> None:
        observation = observations[name]
        view = units_first(tensor, observation.spec.unit_axis)[:num_images].transpose(1, 2)
        try:
            summaries[name] = summarise(view, observation.reading, known[name])
        except FloatingPointError as error:
            raise UsageError(NOT_FINITE.format(layer=name)) from error

    adapter.stream(model_input(adapter, batch.pixels, batch_size), list(observations), consume)
    return summaries


def model_input(adapter: ModelAdapter, pixels: np.ndarray, batch_size: int) -> Tensor:
    """Return the model input of uint8 pixels `[image, height, width, rgb]`, filled up to `batch_size` with the first image."""
    num_missing = batch_size - len(pixels)
    if num_missing > 0:
        pixels = np.concatenate([pixels, np.repeat(pixels[:1], num_missing, axis=0)])
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    # To contiguous floats first: torchvision's own ToTensor rounds in this order, and so must we.
    return adapter.normalise(tensor.to(torch.float32).div(255))
