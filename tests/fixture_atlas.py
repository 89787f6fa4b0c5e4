"""A small, complete, deterministic atlas, written through the writer with numpy and Pillow only: what the app's tests look at."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from precompute.bench.synthetic_atlas import picture
from precompute.bench.synthetic_responses import MadeUp, made_up_profile, responses_of
from precompute.counted import Counts
from precompute.domain import Artifact, BlobData, Placement, Result, TopStimulus, UnitMetric
from precompute.store import schema
from precompute.store.writer import AtlasWriter
from tests.fixture_annotations import write_annotations
from tests.fixture_circuits import write_circuits

SIDE = 64
NUM_STIMULI = 40
HOSTILE_LABEL = '<script>alert("label")</script>'
STATUSES = ("ok", "dead_start", "rescued", "never_started", "saturated")
FLAGS = (
    "not_reached",
    "fragile",
    "not_selective",
    "unlike_examples",
    "other_path",
    "high_frequency",
    "seeds_disagree",
    "dead_start",
    "never_started",
)
SCORES = (
    "selectivity_rank",
    "selectivity_margin",
    "similarity_auc",
    "path_similarity",
    "path_baseline",
    "path_chance",
    "high_frequency_excess",
    "seed_agreement",
)
RUN = "run-fixture"
TECHNIQUES = ("statistics", "dataset_examples", "feature_visualization", "weights")


@dataclass(frozen=True)
class Plan:
    """One layer of a made-up model."""

    name: str
    num_units: int
    map_side: int
    receptive_field_px: int | None
    operation: str
    inputs: tuple[str, ...] = ()


LAYERS = (
    Plan("stem", 24, 32, 7, "convolution"),
    Plan("blocks.0.dw", 24, 32, 15, "depthwise", ("stem",)),
    Plan("blocks.0.pw", 24, 32, 15, "convolution", ("blocks.0.dw", "stem")),
    Plan("head.fc", 12, 0, None, "linear", ("blocks.0.pw",)),
)
MODELS = ("tiny_a", "tiny_b")


def make_fixture_atlas(folder: Path, layers: tuple[Plan, ...] = LAYERS) -> Path:
    """Write the atlas and return its folder.

    Unit 0..3 of each layer have no visualization, the last unit of each layer has nothing at all, and the statuses go round.
    Pictures of the first model carry scores and flags; those of the second are as older versions wrote them.
    """
    writer = AtlasWriter(folder)
    generator = np.random.default_rng(7)
    _write_images(writer, generator)
    for number, model_id in enumerate(MODELS):
        _Model(writer, number, model_id, generator, layers).write()
    for model_id in MODELS:
        Counts(writer, model_id).begin("data-fixture", "input-fixture", 1)
    writer.set_progress(MODELS[0], "feature_visualization", 60, 84, 2.5)
    writer.close()
    write_circuits(folder)
    write_annotations(folder)
    return folder


def _webp(pixels: NDArray[Any]) -> BlobData:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "WEBP", lossless=True)
    return BlobData(buffer.getvalue(), "webp")


def _npy(array: NDArray[Any]) -> BlobData:
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float32))
    return BlobData(buffer.getvalue(), "npy")


def _write_images(writer: AtlasWriter, generator: np.random.Generator) -> None:
    credit = {"source": "made.png", "title": "Gratings", "author": "The tests", "licence": "CC0", "url": ""}
    writer.upsert(
        schema.dataset,
        [{"id": "data-fixture", "title": "Gratings and blobs", "num_images": NUM_STIMULI, "num_skipped": 2, "credits": [credit]}],
    )
    skipped = [("broken.jpg", "cannot be decoded: truncated"), ("empty.png", "the file is empty")]
    writer.upsert(schema.skipped_image, [{"dataset_id": "data-fixture", "key": key, "reason": reason} for key, reason in skipped])
    rows: list[dict[str, Any]] = []
    for index in range(NUM_STIMULI):
        rows.append(
            {
                "id": index + 1,
                "dataset_id": "data-fixture",
                "stimulus_index": index,
                "key": f"made.png#{index},0,{index + SIDE},{SIDE}",
                "label": _stimulus_label(index),
                "source": "made.png",
                "width": SIDE,
                "height": SIDE,
                "blob_sha256": writer.put_blob(_webp(picture(generator, SIDE))),
                "input_key": "input-fixture",
            }
        )
    writer.upsert(schema.stimulus, rows)


def _stimulus_label(index: int) -> str | None:
    return HOSTILE_LABEL if index == 3 else ("stripes", "blobs", None)[index % 3]


class _Model:
    """Writes one model."""

    def __init__(
        self, writer: AtlasWriter, number: int, model_id: str, generator: np.random.Generator, layers: tuple[Plan, ...]
    ) -> None:
        self.writer = writer
        self.number = number
        self.model_id = model_id
        self.generator = generator
        self.layers = layers
        self.ids = {layer.name: number * 1000 + place + 1 for place, layer in enumerate(layers)}

    def write(self) -> None:
        """Write the model, its layers, links, units, tasks and results."""
        self._write_model()
        self._write_layers()
        self._write_links()
        for layer in self.layers:
            self._write_results(layer)
        self._write_responses()

    def _write_model(self) -> None:
        check = {
            "stimulus": "chelsea",
            "top": [{"label": "tabby cat", "probability": 0.61}, {"label": "tiger cat", "probability": 0.2}],
        }
        self.writer.upsert(
            schema.model,
            [
                {
                    "id": self.model_id,
                    "title": f"Tiny network {self.model_id[-1].upper()}",
                    "spec": f"tiny:{self.model_id}@random:{self.number}",
                    "weights_origin": ("hand-coded", "random")[self.number],
                    "weights_sha256": f"{self.number}" * 64,
                    "weights_source": "made by the tests",
                    "input_size": [3, SIDE, SIDE],
                    "input_key": "input-fixture",
                    "preprocessing": {
                        "resize_px": SIDE,
                        "crop_px": SIDE,
                        "interpolation": "bicubic",
                        "mean": [0.5] * 3,
                        "std": [0.5] * 3,
                    },
                    "dataset_id": "data-fixture",
                    "num_layers": len(self.layers),
                    "num_units": sum(layer.num_units for layer in self.layers),
                    "num_parameters": 12345,
                    "labels": [f"class {place}" for place in range(12)],
                    "checks": [check],
                    "built_at": "2026-01-02T03:04:05+00:00",
                }
            ],
        )
        self.writer.upsert(
            schema.run,
            [
                {
                    "id": f"{RUN}-{self.number}",
                    "model_id": self.model_id,
                    "code_version": "0.1.0",
                    "settings": {"quality": "draft"},
                    "seed": 0,
                    "device": "cpu",
                    "started_at": "2026-01-02T03:04:05+00:00",
                    "finished_at": None,
                }
            ],
        )

    def _write_layers(self) -> None:
        rows: list[dict[str, Any]] = []
        for place, layer in enumerate(self.layers):
            map_size = [layer.map_side, layer.map_side] if layer.map_side else []
            rows.append(
                {
                    "id": self.ids[layer.name],
                    "model_id": self.model_id,
                    "name": layer.name,
                    "position": place,
                    "kind": "channel" if map_size else "neuron",
                    "operation": layer.operation,
                    "nonlinearity": "relu6" if map_size else None,
                    "num_units": layer.num_units,
                    "unit_axis": 1,
                    "map_size": map_size,
                    "receptive_field_px": layer.receptive_field_px,
                    "stride_px": SIDE // layer.map_side if map_size else None,
                    "offset_px": [-(layer.receptive_field_px or 0) // 2] * 2,
                }
            )
        self.writer.upsert(schema.layer, rows)
        self.writer.upsert(
            schema.unit,
            [
                {"layer_id": self.ids[layer.name], "unit_index": index, "label": self._label(layer, index)}
                for layer in self.layers
                for index in range(layer.num_units)
            ],
        )

    def _label(self, layer: Plan, index: int) -> str | None:
        if layer.operation != "linear":
            return None
        return HOSTILE_LABEL if index == 1 else f"class {index}"

    def _write_links(self) -> None:
        sizes = {layer.name: layer.num_units for layer in self.layers}
        rows: list[dict[str, Any]] = []
        for layer in self.layers:
            for place, source in enumerate(layer.inputs):
                is_diagonal = layer.operation == "depthwise"
                side = 3 if layer.operation == "depthwise" else 1
                shape = (sizes[layer.name], side, side) if is_diagonal else (sizes[layer.name], sizes[source], side, side)
                array = self.generator.normal(0, 0.3, shape).astype(np.float32)
                rows.append(
                    {
                        "source_layer_id": self.ids[source],
                        "target_layer_id": self.ids[layer.name],
                        "is_exact": int(place == 0),
                        "kernel_shape": [side, side],
                        "layout": "diagonal" if is_diagonal else "full",
                        "placement": asdict(Placement(start=(-(side // 2), -(side // 2)))),
                        "blob_sha256": self.writer.put_blob(_npy(array)),
                    }
                )
        self.writer.upsert(schema.layer_link, rows)

    def _write_results(self, layer: Plan) -> None:
        last = layer.num_units - 1
        for technique in TECHNIQUES:
            done = self._task(layer, technique, 0, last)
            todo = self._task(layer, technique, last, last + 1)
            self.writer.upsert(schema.task, [done, todo])
            results = [result for index in range(last) for result in self._results(layer, technique, index)]
            self.writer.finish_task(done, results, self.ids, f"{RUN}-{self.number}", 1.0)
            if technique == "feature_visualization":
                self.writer.fail_task(todo, "the picture turned into NaN")

    def _write_responses(self) -> None:
        """Write the answers to whole images: the second model has the profiles of the first, its units in reverse."""
        labels = [_stimulus_label(index) for index in range(NUM_STIMULI)]
        generator = np.random.default_rng(11)
        before: tuple[int, NDArray[np.float32]] | None = None
        for place, layer in enumerate(self.layers):
            profile = made_up_profile(layer.num_units, generator.normal(size=(6, NUM_STIMULI)), generator)
            if self.number:
                profile = np.ascontiguousarray(profile[::-1])
            about = MadeUp(layer.name, layer.num_units, min(layer.map_side, 14), range(NUM_STIMULI), labels)
            found = list(responses_of(about, profile, before, generator))
            before = (place, profile)
            for technique in ("responses", "similar_units", "activation_maps"):
                mine = [result for result in found if result.technique == technique]
                if mine and not (self.number and technique == "activation_maps"):
                    task = self._task(layer, technique, 0, layer.num_units)
                    self.writer.upsert(schema.task, [task])
                    self.writer.finish_task(task, mine, self.ids, f"{RUN}-{self.number}", 1.0)

    def _task(self, layer: Plan, technique: str, start: int, stop: int) -> dict[str, Any]:
        return {
            "model_id": self.model_id,
            "technique": technique,
            "layer_id": self.ids[layer.name],
            "unit_start": start,
            "unit_stop": stop,
            "variant": "channel+" if technique == "feature_visualization" else "",
            "priority": 0.0,
            "status": "todo",
            "error": None,
            "run_id": None,
            "seconds": None,
        }

    def _results(self, layer: Plan, technique: str, index: int) -> Iterator[Result]:
        if technique == "statistics":
            yield from self._statistics(layer, index)
        elif technique == "dataset_examples":
            yield from self._examples(layer, index)
        elif technique == "feature_visualization" and index >= 4:
            yield from self._visualizations(layer, index)
        elif technique == "weights" and index == 0 and not layer.inputs:
            yield _filters(layer)

    def _statistics(self, layer: Plan, index: int) -> Iterator[Result]:
        values = np.sort(self.generator.normal(-0.5, 1.0, 2000))
        counts, edges = np.histogram(values, bins=64)
        active = np.maximum(values, 0)
        numbers = {
            "mean": active.mean(),
            "max": active.max(),
            "std": active.std(),
            "fraction_active": (values > 0).mean(),
            "sparsity": None if index == 2 else float(((active - active.mean()) ** 4).mean() / active.var() ** 2 - 3),
            "min": values.min(),
        }
        for metric, value in numbers.items():
            yield UnitMetric(layer.name, index, metric, None if value is None else float(value))
        payload = {"edges": edges.tolist(), "counts": counts.tolist(), "n": 2000}
        yield Artifact(layer.name, index, "statistics", "histogram", payload=payload)

    def _examples(self, layer: Plan, index: int) -> Iterator[Result]:
        order = self.generator.permutation(NUM_STIMULI)
        side = max(1, layer.map_side)

        def rows(chosen: NDArray[Any], start: float) -> list[list[float]]:
            places = self.generator.integers(0, side, (len(chosen), 2))
            return [
                [int(stimulus), round(start - 0.1 * rank, 3), int(y), int(x), round(start - 0.1 * rank, 3)]
                for rank, (stimulus, (y, x)) in enumerate(zip(chosen, places, strict=True))
            ]

        top = rows(order[:24], 6.0)
        quantiles = [
            {"q": (part + 1) / 8, "q_low": part / 8, "items": rows(self.generator.permutation(NUM_STIMULI)[:3], part / 2)}
            for part in range(8)
        ]
        payload = {
            "num_images": NUM_STIMULI,
            "top": top,
            "bottom": rows(order[-8:], -2.0),
            "quantiles": quantiles,
            "random": rows(self.generator.permutation(NUM_STIMULI)[:8], 1.0),
        }
        yield Artifact(layer.name, index, "dataset_examples", "examples", payload=payload)
        for rank, row in enumerate(top):
            yield TopStimulus(layer.name, index, int(row[0]), rank, row[1])

    def _visualizations(self, layer: Plan, index: int) -> Iterator[Result]:
        for position, (variant, facet) in enumerate(_variants(self.number, index)):
            objective, sign, quality, *more = variant.split()
            status = STATUSES[(index + position) % len(STATUSES)]
            reached = float(self.generator.uniform(0.2, 2.5))
            payload = {
                "objective": objective,
                "parameterization": "fourier",
                "activation": 4.0 * reached,
                "dataset_max": 4.0,
                "reached_ratio": reached,
                "robustness": 0.8,
                "canvas_px": SIDE,
                "steps": 128,
                "seed": int(more[1]) if more else index if self.number else 0,
                "status": status,
                "transforms": ["jitter 4", "scale 0.9-1.1", "rotate 5"],
                "sign": sign,
                "quality": quality,
            }
            if self.number == 0:
                payload |= {"variant": variant, "attempt": int(status == "rescued"), "reached_note": None, "start": 0.1}
                payload |= {"trace": [round(4.0 * reached * (1 - 0.8**step), 4) for step in range(33)]}
                payload |= _judged(index, position, self.generator)
                if facet is not None:
                    payload["facet"] = facet
            blob = _webp(picture(self.generator, SIDE))
            yield Artifact(layer.name, index, "feature_visualization", "visualization", position, payload, blob)
            if self.number == 0 and position == 0:
                yield UnitMetric(layer.name, index, "picture_reached_ratio", reached)
                for name, value in (payload.get("scores") or {}).items():
                    if name not in ("path_baseline", "path_chance"):
                        yield UnitMetric(layer.name, index, f"picture_{name}", value)


def _variants(model_number: int, index: int) -> list[tuple[str, int | None]]:
    """Return the pictures of a unit with their facets: all kinds for every seventh unit of the first model, two for the rest."""
    few: list[tuple[str, int | None]] = [("channel positive draft", None), ("channel negative draft", None)]
    if model_number or index % 7:
        return few
    few = [("channel positive final", None), few[1], ("neuron positive draft", None), ("neuron negative draft", None)]
    seeds: list[tuple[str, int | None]] = [(f"channel positive draft seed {seed}", None) for seed in (1, 2)]
    return few + [("diversity positive draft", facet) for facet in range(4)] + seeds


def _judged(index: int, position: int, generator: np.random.Generator) -> dict[str, Any]:
    """Return scores and flags of a picture: all of both somewhere, nulls, and no scores at all."""
    draws = [round(float(value), 4) for value in generator.uniform(0, 1, 8)]
    if index % 5 == 1:
        return {"flags": []}
    flags = FLAGS[index % len(FLAGS) :][: 1 + position % 2] if (index + position) % 3 != 1 else []
    scores = dict(zip(SCORES, draws, strict=True)) | {"selectivity_rank": 1 + (index * position) % 24}
    if index % 5 == 3:
        scores = dict.fromkeys(SCORES)
    return {"scores": scores, "flags": list(flags)}


def planted_filters(num_units: int) -> NDArray[np.float32]:
    """Return filters `[unit, rgb, 4, 6]` on the image: that of unit 0 wants red on its left and blue on its right."""
    found = np.random.default_rng(3).normal(0, 0.4, (num_units, 3, 4, 6)).astype(np.float32)
    found[0] = 0
    found[0, 0, :, :3] = found[0, 2, :, 3:] = 2.0
    return found


def _filters(layer: Plan) -> Artifact:
    array = planted_filters(layer.num_units)
    payload = {"is_exact": True, "kernel_shape": [4, 6], "input_gain": [2.0] * 3, "maximum": float(np.abs(array).max())}
    return Artifact(layer.name, None, "weights", "filters", payload=payload, blob=_npy(array))


def main() -> None:
    """Write the atlas into a folder given on the command line."""
    parser = argparse.ArgumentParser(description="Write the atlas that the tests look at, to look at it too.")
    parser.add_argument("folder", type=Path)
    started = time.perf_counter()
    folder = make_fixture_atlas(parser.parse_args().folder)
    print(f"{folder} written in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
