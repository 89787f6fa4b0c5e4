"""Processes on this machine, each with a copy of the model of its own and one thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from precompute.domain import Result
from precompute.errors import AtlasError, PublicError
from precompute.executors.process import end_with_parent, tune_process
from precompute.models.base import load_model
from precompute.optvis.references import Photographs, Place
from precompute.store.pixels import StoredPixels, read_pixels
from precompute.techniques.base import TECHNIQUES, Context, Quality, WorkItem


@dataclass(frozen=True)
class Job:
    """Some units of one work item.

    Attributes:
        technique: Name of the technique.
        item: The work, cut down to these units.
        metrics: Of the item's layer, by name.
        seed, quality: Of the build.
        examples: The places of each unit's top examples, strongest first.
        pictures: The files of the units' stored pictures, by unit and place on the page.
    """

    technique: str
    item: WorkItem
    metrics: Mapping[str, np.ndarray]
    seed: int
    quality: Quality
    examples: Mapping[int, list[Place]] = field(default_factory=dict)
    pictures: Mapping[tuple[int, int], Path] = field(default_factory=dict)


@dataclass(frozen=True)
class JobOutcome:
    """What came of a job.

    Attributes:
        results: What the technique yielded.
        error: Why it failed, or None.
        seconds: How long it took.
    """

    results: list[Result] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0


class LocalExecutor:
    """Runs jobs in worker processes.

    Args:
        spec: The model that each worker loads.
        is_partial: Whether its weight file may lack parameters.
        num_workers: Processes.
        pixels: The stimuli, for techniques that compare with photographs.
    """

    def __init__(self, spec: str, *, is_partial: bool, num_workers: int, pixels: StoredPixels) -> None:
        self.num_workers = num_workers
        self._pool = ProcessPoolExecutor(
            num_workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(spec, is_partial, os.getpid(), pixels),
        )

    def run(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, JobOutcome]]:
        """Yield what comes of each job, as it comes; no more jobs are drawn than are needed to keep the workers busy.

        Raises:
            AtlasError: A worker was ended from outside, as by a machine that ran out of memory.
        """
        waiting: dict[Future[JobOutcome], Job] = {}
        is_more = True
        while is_more or waiting:
            while is_more and len(waiting) < self.num_workers + 1:
                job = next(jobs, None)
                if job is None:
                    is_more = False
                else:
                    waiting[self._pool.submit(_work, job)] = job
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                try:
                    yield waiting.pop(future), future.result()
                except BrokenProcessPool as error:
                    raise AtlasError(
                        "A worker process was ended from outside, perhaps for lack of memory. What was built so far is safe: "
                        "give the same command again to go on, with fewer --workers."
                    ) from error

    def close(self) -> None:
        """End the workers, without waiting for what they were doing."""
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def groups_of(rows: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Cut tasks in order of priority into jobs, units of one layer and variant."""
    group: list[dict[str, Any]] = []
    for row in rows:
        is_same = group and (row["layer_id"], row["variant"]) == (group[0]["layer_id"], group[0]["variant"])
        if group and (not is_same or len(group) == size):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


_adapter: Any = None
_pixels = StoredPixels({})


def _start_worker(spec: str, is_partial: bool, parent: int, pixels: StoredPixels) -> None:
    global _adapter, _pixels
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
    tune_process(num_threads=1)
    _adapter = load_model(spec, is_partial=is_partial)
    _pixels = pixels


def _work(job: Job) -> JobOutcome:
    start = time.monotonic()
    layer = _adapter.layer(job.item.layer)

    def read_picture(_layer: str, unit: int, place: int) -> np.ndarray | None:
        path = job.pictures.get((unit, place))
        return None if path is None else read_pixels(path)

    context = Context(
        _adapter,
        [layer],
        job.seed,
        job.quality,
        metrics={layer.name: job.metrics},
        photographs=Photographs(_pixels.stimulus, sorted(_pixels.files), {layer.name: dict(job.examples)}),
        read_picture=read_picture,
    )
    try:
        results = list(TECHNIQUES.get(job.technique)().compute(context, job.item))
    except PublicError as error:
        return JobOutcome(error=error.detail)
    except Exception as error:  # a defect in one technique must not end a build of hours; the ledger keeps the words
        return JobOutcome(error=f"{type(error).__name__}: {error}")
    return JobOutcome(results, None, time.monotonic() - start)
