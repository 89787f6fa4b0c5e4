"""Plan, compute, render, store: the only place where computing and storing meet.

A build is a ledger of tasks. Stimuli are stored first, then the pass over them serves every technique that needs it, then the
others go task by task, in order of priority. Each task's results and its "done" are one transaction, so a build may be killed
at any moment and started again: it does what is missing, and ends equal to an undisturbed one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from precompute.activations.checkpoint import keep_state, restore_state
from precompute.activations.collect import BATCH_SIZE, Batch, begin_observations, observe
from precompute.activations.example_maps import look_at
from precompute.activations.observation import LayerObservation, sources_repeat
from precompute.counted import Counts
from precompute.domain import BlobData, LayerSpec, StimulusRef
from precompute.executors.local import Job, LocalExecutor, groups_of
from precompute.executors.process import tune_process
from precompute.interest import order_of_interest, order_of_turns
from precompute.ledger import write_plan
from precompute.planning import BuildOptions, Plan, make_plan
from precompute.progress import BuildReport, Stage
from precompute.second_look import begin_maps, in_groups, open_again, response_plan, stored_array, wanted_of
from precompute.stimuli.base import UnusableImage
from precompute.store import schema
from precompute.store.blobs import disk_error
from precompute.store.pixels import StoredPixels
from precompute.store.writer import AtlasWriter, utc_now
from precompute.stored import stimulus_row, stored_metrics, stored_references
from precompute.techniques.base import Quality, Technique, WorkItem

SECONDS_BETWEEN_CHECKPOINTS = 20.0
STIMULI_PER_TRANSACTION = 64
UNITS_PER_JOB: dict[Quality, int] = {"draft": 16, "final": 64}
"""Drafts all take the same number of steps, and are to show some of every layer soon; of final pictures, those that converge
leave the batch and others enter, which needs more of them."""


def build(options: BuildOptions) -> BuildReport:
    """Do everything that is missing of what the options ask for.

    Raises:
        PublicError: The model, images or atlas cannot be used, or the disk is full; what was done stays.
    """
    tune_process(num_threads=1)
    plan = make_plan(options)
    writer = AtlasWriter(options.atlas)
    try:
        write_plan(plan, writer)
        writer.blobs.remove_temporaries()
        run = _Run(plan, writer)
        run.store_stimuli()
        run.counts.begin(plan.source.id, plan.adapter.preprocessing.input_key, options.num_workers)
        run.look_at_stimuli()
        run.look_at_examples()
        run.do_layers()
        run.counts.count()
        run.do_units()
        run.counts.count()
        writer.update(schema.run, {"id": plan.run_id}, {"finished_at": utc_now()})
        return run.report()
    finally:
        writer.clear_progress(plan.model_id)
        writer.close()


class _Run:
    """One build under way."""

    def __init__(self, plan: Plan, writer: AtlasWriter) -> None:
        self.plan = plan
        self.writer = writer
        self.layer_names = {number: name for name, number in plan.layer_ids.items()}
        self.num_done, self.failed = 0, list[str]()
        self.counts = Counts(writer, plan.model_id)

    def report(self) -> BuildReport:
        """Return how it ended."""
        num_skipped = len(self.plan.source.skipped())
        return BuildReport(self.num_done, self.failed, self.plan.num_images, num_skipped, tuple(self.plan.adapter.left_out))

    def stage(self, title: str, total: int, unit: str, num_done: int = 0) -> Stage:
        """Begin a long step, shown here and on the page of the model."""

        def report(title: str, done: int, total: int, rate: float | None) -> None:
            self.writer.set_progress(self.plan.model_id, title, done, total, rate)

        return Stage(title, total, unit, num_done=num_done, is_quiet=self.plan.options.is_quiet, report=report)

    def todo(self, technique: str) -> list[dict[str, Any]]:
        """Return the tasks of a technique that are not done, most wanted first; failed ones are tried again."""
        rows = self.writer.rows(
            schema.task,
            schema.task.c.model_id == self.plan.model_id,
            schema.task.c.technique == technique,
            schema.task.c.status != "done",
        )
        planned = {(item.layer, item.variant): set(item.units) for item in self.plan.items.get(technique, [])}
        better = self._better_done(technique)
        mine = [
            row
            for row in rows
            if row["unit_start"] in planned.get((self.layer_names.get(row["layer_id"], ""), row["variant"]), ())
            and (row["layer_id"], row["unit_start"], row["variant"]) not in better
        ]
        return sorted(mine, key=lambda row: (row["priority"], row["layer_id"], row["unit_start"]))

    def _better_done(self, technique: str) -> set[tuple[int, int, str]]:
        """Return layer, unit and variant of what need not be done: a better variant of it is, and must not be replaced."""
        variants = {item.variant for item in self.plan.items.get(technique, [])}
        better = {self.plan.techniques[technique].better_variant(variant): variant for variant in variants}
        rows = self.writer.rows(
            schema.task,
            schema.task.c.model_id == self.plan.model_id,
            schema.task.c.technique == technique,
            schema.task.c.status == "done",
            schema.task.c.variant.in_([name for name in better if name is not None]),
        )
        return {(row["layer_id"], row["unit_start"], better[row["variant"]]) for row in rows}

    # -- stimuli ---------------------------------------------------------------------------------------------------

    def store_stimuli(self) -> None:
        """Store what the model sees of every image, without loss."""
        blobs = self.writer.blobs
        have = {row["stimulus_index"] for row in self._stimulus_rows() if blobs.path(row["blob_sha256"], "webp").is_file()}
        missing = [ref for ref in self.plan.source.refs() if ref.index not in have]
        if not missing:
            return
        stage = self.stage("Storing images", self.plan.num_images, "image", num_done=len(have))
        with ThreadPoolExecutor(self.plan.options.num_workers) as pool:
            for start in range(0, len(missing), STIMULI_PER_TRANSACTION):
                refs = missing[start : start + STIMULI_PER_TRANSACTION]
                stored = [stimulus for stimulus in pool.map(self._stimulus, refs) if stimulus is not None]
                self.writer.insert_stimuli(stored)
                stage.advance(len(refs))
        stage.close()

    def _stimulus(self, ref: StimulusRef) -> tuple[dict[str, Any], BlobData] | None:
        try:
            pixels = self.plan.adapter.preprocess(self.plan.source.open(ref.index))
        except UnusableImage as error:  # it went away after it was checked
            row = {"dataset_id": self.plan.source.id, "key": error.key, "reason": error.reason}
            self.writer.insert_missing(schema.skipped_image, [row])
            return None
        row, blob = stimulus_row(ref, pixels, self.plan.source.id, self.plan.adapter.preprocessing.input_key)
        self.writer.blobs.put(blob)
        return row, blob

    def _stimulus_rows(self) -> list[dict[str, Any]]:
        return self.writer.rows(
            schema.stimulus,
            schema.stimulus.c.dataset_id == self.plan.source.id,
            schema.stimulus.c.input_key == self.plan.adapter.preprocessing.input_key,
        )

    # -- the pass --------------------------------------------------------------------------------------------------

    def look_at_stimuli(self) -> None:
        """Run the pass for the layers that need it, and finish the tasks that were waiting for it."""
        tasks, layers = self._waiting(lambda technique: technique.needs_pass)
        if not layers:
            return
        refs = self._in_order_of_source()
        repeats, about = sources_repeat([ref.source for ref in refs]), response_plan(self.plan)
        given = (self.plan.adapter, layers, [ref.index for ref in refs], self.plan.options.seed)
        observations = begin_observations(*given, has_repeated_sources=repeats, responses=about)
        self._stream(observations, refs)
        stage = self.stage("Storing statistics and examples", len(tasks), "layer")
        for row in sorted(tasks, key=lambda row: (row["layer_id"], row["technique"])):
            self._do_layer_task(row, observations)
            stage.advance()
        stage.close()
        self._checkpoint.unlink(missing_ok=True)

    def look_at_examples(self) -> None:
        """Run the network once more over the images that are examples, for what needs their activation maps."""
        tasks, layers = self._waiting(lambda technique: technique.needs_examples)
        if not layers:
            return
        for some in in_groups(layers):
            maps = begin_maps(self.plan, self.writer, some)
            refs = wanted_of(maps, self._in_order_of_source())
            stage = self.stage("Looking at examples again", len(refs), "image")
            for count in look_at(self.plan.adapter, maps, self._batches(refs), num_workers=self.plan.options.num_workers):
                stage.advance(count)
            stage.close()
            rows = {self.plan.layer_ids[name] for name in maps}
            for row in sorted(tasks, key=lambda row: row["layer_id"]):
                if row["layer_id"] in rows:
                    self._do_layer_task(row, maps)

    def _waiting(self, does: Callable[[Technique], bool]) -> tuple[list[dict[str, Any]], list[LayerSpec]]:
        """Return the tasks to do of some techniques, and their layers."""
        tasks = [row for name, technique in self.plan.techniques.items() if does(technique) for row in self.todo(name)]
        rows = {row["layer_id"] for row in tasks}
        return tasks, [layer for layer in self.plan.layers if self.plan.layer_ids[layer.name] in rows]

    @property
    def _checkpoint(self) -> Path:
        return self.plan.options.atlas / "work" / f"pass-{self.plan.model_id}.npz"

    def _in_order_of_source(self) -> list[StimulusRef]:
        """Crops of one photograph must come together: the limit for each photograph relies on it."""
        stored = {row["stimulus_index"] for row in self._stimulus_rows()}
        refs = [ref for ref in self.plan.source.refs() if ref.index in stored]
        first: dict[str, int] = {}
        for ref in refs:
            first.setdefault(ref.source, ref.index)
        return sorted(refs, key=lambda ref: (first[ref.source], ref.index))

    def _stream(self, observations: Mapping[str, LayerObservation], refs: Sequence[StimulusRef]) -> None:
        build_key = f"{self.plan.run_id}:{len(refs)}"
        done = 0
        if self._checkpoint.is_file():
            done = restore_state(self._checkpoint.read_bytes(), observations, build_key)
        stage = self.stage("Looking at images", len(refs), "image", num_done=done)
        last = time.monotonic()
        batches = self._batches(refs[done:])
        for count in observe(self.plan.adapter, observations, batches, num_workers=self.plan.options.num_workers):
            done += count
            stage.advance(count)
            if time.monotonic() - last > SECONDS_BETWEEN_CHECKPOINTS or done == len(refs):
                self._keep(keep_state(observations, build_key, done))
                last = time.monotonic()
        stage.close()

    def _keep(self, state: bytes) -> None:
        temporary = self._checkpoint.with_suffix(".new")
        try:
            self._checkpoint.parent.mkdir(exist_ok=True)
            temporary.write_bytes(state)
            os.replace(temporary, self._checkpoint)
        except OSError as error:
            raise disk_error(error, self._checkpoint) from error

    def _batches(self, refs: Sequence[StimulusRef]) -> Iterator[Batch]:
        names = {row["stimulus_index"]: row["blob_sha256"] for row in self._stimulus_rows()}
        for start in range(0, len(refs), BATCH_SIZE):
            part = refs[start : start + BATCH_SIZE]
            pixels = [np.asarray(Image.open(self.writer.blobs.path(names[ref.index], "webp")).convert("RGB")) for ref in part]
            stimuli = np.array([ref.index for ref in part], dtype=np.int32)
            yield Batch(stimuli, [ref.source for ref in part], np.stack(pixels))

    def _set_interest(self, technique: str) -> None:
        """Let every layer's most selective units come first, and all layers in turn; from what is stored, so after a kill too."""
        items = [item for item in self.plan.items[technique] if item.is_per_unit]
        orders = {item.layer: order_of_interest(self._metrics(item.layer)) for item in items if self._metrics(item.layer)}
        rows: list[dict[str, Any]] = []
        for item in items:
            if item.layer in orders:
                mine = [other.variant for other in items if other.layer == item.layer]
                rank = mine.index(item.variant) * 1e9
                rows += self._priority_rows(technique, item, orders[item.layer], rank)
        self.writer.set_priorities(rows)

    def _priority_rows(self, technique: str, item: WorkItem, order: np.ndarray, rank: float) -> Iterator[dict[str, Any]]:
        """Yield the new priority of each unit of an item: a job's worth of units of one layer, then of the next."""
        names = [layer.name for layer in self.plan.layers]
        number = order_of_turns(len(names))[names.index(item.layer)]
        size = UNITS_PER_JOB[self.plan.options.quality]
        planned = set(item.units)
        ordered = [int(unit) for unit in order if int(unit) in planned]
        for place, unit in enumerate(ordered):
            group, within = divmod(place, size)
            yield {
                "task_model": self.plan.model_id,
                "task_technique": technique,
                "task_layer": self.plan.layer_ids[item.layer],
                "task_start": unit,
                "task_stop": unit + 1,
                "task_variant": item.variant,
                "new_priority": rank + group * len(names) + number + within / size,
            }

    # -- tasks -----------------------------------------------------------------------------------------------------

    def do_layers(self) -> None:
        """Do what techniques without the pass have to do for whole layers."""
        names = [
            name
            for name, technique in self.plan.techniques.items()
            if not (technique.needs_pass or technique.needs_examples)
            and any(not item.is_per_unit for item in self.plan.items[name])
        ]
        for name in names:
            if self.plan.techniques[name].relates_every_layer:
                open_again(self.plan, self.writer, name)
            rows = self.todo(name)
            if rows:
                stage = self.stage(self.plan.techniques[name].title, len(rows), "layer")
                for row in rows:
                    self._do_layer_task(row, {})
                    stage.advance()
                stage.close()

    def _do_layer_task(self, row: dict[str, Any], observations: Mapping[str, object]) -> None:
        technique = self.plan.techniques[row["technique"]]
        layer = self.layer_names[row["layer_id"]]
        item = next(item for item in self.plan.items[row["technique"]] if item.layer == layer and item.variant == row["variant"])
        start = time.monotonic()
        try:
            relates = technique.relates_layers or technique.relates_every_layer
            layers = self.plan.known_layers if relates else self.plan.layers
            context = self.plan.context(
                observations=observations, layers=layers, read_array=partial(stored_array, self.plan, self.writer)
            )
            results = list(technique.compute(context, item))
        except Exception as error:  # one layer must not end a build of hours; the ledger keeps the words
            self.writer.fail_task(row, f"{type(error).__name__}: {error}")
            self.failed.append(f"{technique.name} of {layer}: {error}")
            return
        self.writer.finish_task(row, results, self.plan.layer_ids, self.plan.run_id, time.monotonic() - start)
        self.num_done += 1

    def do_units(self) -> None:
        """Do the tasks of single units in worker processes, most wanted first."""
        for name, technique in self.plan.techniques.items():
            if not any(item.is_per_unit for item in self.plan.items[name]):
                continue
            self._set_interest(name)
            rows = self.todo(name)
            if not rows:
                continue
            total = sum(len(item.units) for item in self.plan.items[name])
            stage = self.stage(technique.title, total, "picture", num_done=total - len(rows))
            self._do_unit_tasks(name, rows, stage)
            stage.close()

    def _do_unit_tasks(self, technique: str, rows: list[dict[str, Any]], stage: Stage) -> None:
        options = self.plan.options
        items = {(item.layer, item.variant): item for item in self.plan.items[technique]}
        groups = list(groups_of(rows, UNITS_PER_JOB[options.quality]))
        waiting: dict[int, list[dict[str, Any]]] = {}

        def jobs() -> Iterator[Job]:
            for group in groups:
                layer, variant = self.layer_names[group[0]["layer_id"]], group[0]["variant"]
                item = replace(items[layer, variant], units=[row["unit_start"] for row in group])
                references = stored_references(self.writer, self.plan.layer_ids[layer], item.units)
                job = Job(technique, item, self._metrics(layer), options.seed, options.quality, *references)
                waiting[id(job)] = group
                yield job

        files = {row["stimulus_index"]: self.writer.blobs.path(row["blob_sha256"], "webp") for row in self._stimulus_rows()}
        spec, pixels = str(self.plan.adapter.spec), StoredPixels(files)
        executor = LocalExecutor(spec, is_partial=options.is_partial, num_workers=options.num_workers, pixels=pixels)
        try:
            for job, outcome in executor.run(jobs()):
                group = waiting.pop(id(job))
                for row in group:
                    self._store_unit(row, job, outcome.results, outcome.error, outcome.seconds / len(group))
                stage.advance(len(group))
                self.counts.count_if_due()
        finally:
            executor.close()

    def _store_unit(self, row: dict[str, Any], job: Job, results: list[Any], error: str | None, seconds: float) -> None:
        if error is not None:
            self.writer.fail_task(row, error)
            self.failed.append(f"{job.technique} of {job.item.layer}/{row['unit_start']}: {error}")
            return
        mine = [result for result in results if result.unit == row["unit_start"]]
        self.writer.finish_task(row, mine, self.plan.layer_ids, self.plan.run_id, seconds)
        self.num_done += 1

    def _metrics(self, layer: str) -> dict[str, np.ndarray]:
        return stored_metrics(self.writer, self.plan.layer_ids[layer], self.plan.adapter.layer(layer).num_units)
