"""What a build is to do: the model, the images, the layers, and for each technique the work, as rows of the ledger."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from precompute.activations.collect import BATCH_SIZE
from precompute.domain import LayerSpec, check_model_id
from precompute.errors import UnknownName, UsageError
from precompute.models.base import ModelAdapter, load_model
from precompute.stimuli.base import StimulusSource
from precompute.stimuli.sources import open_source
from precompute.store import schema
from precompute.store.writer import AtlasWriter, utc_now
from precompute.techniques.base import TECHNIQUES, Context, Quality, Technique, WorkItem


@dataclass(frozen=True)
class BuildOptions:
    """What a person asks of a build.

    Attributes:
        spec: The model, `SOURCE:NAME[@WEIGHTS]`.
        images: A folder, or `embedded`.
        atlas: Folder of the atlas.
        name: Id of the model in URLs; None for the architecture's name.
        layers: Patterns of layer names; none for every convolution and linear layer but the classifier.
        units: First and last unit of every layer that per-unit techniques do; None for all.
        techniques: Names; none for all.
        seed: Of every random draw.
        quality: Of feature visualizations.
        is_partial: Whether the weight file may lack parameters.
        num_workers: Processes, and threads of the pass.
        is_quiet: Plain lines in place of bars.
    """

    spec: str
    images: str
    atlas: Path
    name: str | None = None
    layers: Sequence[str] = ()
    units: tuple[int, int] | None = None
    techniques: Sequence[str] = ()
    seed: int = 0
    quality: Quality = "draft"
    is_partial: bool = False
    num_workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    is_quiet: bool = False


@dataclass
class Plan:
    """A build that has been thought through.

    Attributes:
        options: What was asked.
        adapter: The loaded model.
        source: The checked images.
        layers: The chosen layers.
        techniques: By name, in order of their place on the page.
        items: What each technique has to do.
        model_id: In URLs.
        layer_ids: Row number of each layer; empty until the plan is written.
        run_id: Of this build; the same for the same code, settings, weights and images.
    """

    options: BuildOptions
    adapter: ModelAdapter
    source: StimulusSource
    layers: list[LayerSpec]
    techniques: dict[str, Technique]
    items: dict[str, list[WorkItem]]
    model_id: str
    run_id: str
    layer_ids: dict[str, int] = field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """Return how many images the pass shows."""
        return len(self.source)

    def context(self, **extra: Any) -> Context:
        """Return what a technique may look at."""
        return replace(Context(self.adapter, self.layers, self.options.seed, self.options.quality), **extra)

    def task_keys(self) -> Iterator[dict[str, Any]]:
        """Yield the key of every task of the ledger, in order of technique and item."""
        for technique, items in self.items.items():
            for item in items:
                key = {
                    "model_id": self.model_id,
                    "technique": technique,
                    "layer_id": self.layer_ids[item.layer],
                    "variant": item.variant,
                }
                if not item.is_per_unit:
                    yield key | {"unit_start": 0, "unit_stop": self.adapter.layer(item.layer).num_units}
                    continue
                for unit in item.units:
                    yield key | {"unit_start": unit, "unit_stop": unit + 1}


def make_plan(options: BuildOptions) -> Plan:
    """Load the model, check the images, and find out what there is to do. Writes nothing.

    Raises:
        PublicError: The model, its weights, the images, a layer or a technique are not there.
    """
    TECHNIQUES.load_all()
    for name in options.techniques:
        TECHNIQUES.get(name)
    source = open_source(options.images)
    adapter = load_model(options.spec, is_partial=options.is_partial)
    source.check()
    model_id = check_model_id(options.name if options.name is not None else adapter.spec.name)
    layers = choose_layers(adapter, options.layers)
    _refuse_empty_units(options, layers)
    techniques = choose_techniques(options.techniques)
    plan = Plan(options, adapter, source, layers, techniques, {}, model_id, run_id=_run_id(options, adapter, source))
    plan.items = {
        name: [_limited(item, options) for item in technique.plan(plan.context())] for name, technique in techniques.items()
    }
    return plan


def _refuse_empty_units(options: BuildOptions, layers: Sequence[LayerSpec]) -> None:
    """Raise UsageError where `--units` names no unit of any layer."""
    if options.units is not None and all(options.units[0] >= layer.num_units for layer in layers):
        largest = max(layers, key=lambda layer: layer.num_units)
        raise UsageError(
            f"No chosen layer has unit {options.units[0]}: the largest, {largest.name!r}, has 0 to {largest.num_units - 1}. "
            "Choose others with --units A-B."
        )


def _limited(item: WorkItem, options: BuildOptions) -> WorkItem:
    if not item.is_per_unit or options.units is None:
        return item
    first, last = options.units
    return replace(item, units=[unit for unit in item.units if first <= unit <= last])


def choose_layers(adapter: ModelAdapter, patterns: Iterable[str]) -> list[LayerSpec]:
    """Return the layers that the patterns name, in order of execution; the default ones where there is no pattern.

    Raises:
        UnknownName: A pattern names no layer.
    """
    everything = adapter.layers()
    wanted = list(patterns)
    if not wanted:
        return [layer for layer in everything if layer.is_default]
    for pattern in wanted:
        if not any(fnmatchcase(layer.name, pattern) for layer in everything):
            hint = f"`unitscope layers {adapter.spec}` lists them; quote patterns with '*'."
            raise UnknownName("layer", pattern, [layer.name for layer in everything], where=adapter.title, hint=hint)
    return [layer for layer in everything if any(fnmatchcase(layer.name, pattern) for pattern in wanted)]


def choose_techniques(names: Iterable[str]) -> dict[str, Technique]:
    """Return some techniques and those that they need, in order of their place on the page; all where none is named."""
    wanted = list(names) or [name for name, _ in TECHNIQUES.items()]
    for name in wanted:  # grows while it is read
        wanted += [needed for needed in TECHNIQUES.get(name).needs if needed not in wanted]
    chosen = [TECHNIQUES.get(name)() for name in dict.fromkeys(wanted)]
    return {technique.name: technique for technique in sorted(chosen, key=lambda technique: technique.position)}


def code_version() -> str:
    """Return the version of this program."""
    return importlib.metadata.version("unitscope")


def _run_id(options: BuildOptions, adapter: ModelAdapter, source: StimulusSource) -> str:
    parts = [code_version(), adapter.weights.sha256, str(adapter.spec), source.id, len(source), options.seed, options.quality]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def parse_units(text: str | None) -> tuple[int, int] | None:
    """Read `A-B`, or `A` alone.

    Raises:
        UsageError: It is neither.
    """
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not _is_number(first) or (last and not _is_number(last)):
        raise UsageError(f"--units {text!r} is not a range of units. Write --units 0-15.")
    bounds = (int(first), int(last or first))
    if bounds[0] > bounds[1]:
        raise UsageError(f"--units {text!r} ends before it begins. Write --units {bounds[1]}-{bounds[0]}.")
    return bounds


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def write_plan(plan: Plan, writer: AtlasWriter) -> None:
    """Write the rows that say what is to be done; those that are there already stay as they are.

    Raises:
        UsageError: The atlas holds another model under this name.
    """
    adapter, source = plan.adapter, plan.source
    _refuse_other_model(plan, writer)
    _refuse_other_seed(plan, writer)
    dataset = {
        "id": source.id,
        "title": source.title,
        "num_images": plan.num_images,
        "num_skipped": len(source.skipped()),
        "credits": [vars(credit) for credit in source.credits],
    }
    writer.insert_missing(schema.dataset, [dataset])
    skipped = [{"dataset_id": source.id, "key": image.key, "reason": image.reason} for image in source.skipped()]
    writer.insert_missing(schema.skipped_image, skipped)
    writer.insert_missing(schema.model, [_model_row(plan)])
    _write_layers(plan, writer)
    run = {
        "id": plan.run_id,
        "model_id": plan.model_id,
        "code_version": code_version(),
        "settings": {"quality": plan.options.quality, "spec": str(adapter.spec), "batch_size": BATCH_SIZE},
        "seed": plan.options.seed,
        "device": "cpu",
        "started_at": utc_now(),
    }
    writer.insert_missing(schema.run, [run])
    tasks = [key | {"status": "todo", "priority": float(number)} for number, key in enumerate(plan.task_keys())]
    writer.insert_missing(schema.task, tasks)


def _refuse_other_model(plan: Plan, writer: AtlasWriter) -> None:
    for row in writer.rows(schema.model, schema.model.c.id == plan.model_id):
        same = (
            row["weights_sha256"] == plan.adapter.weights.sha256
            and row["spec"].partition("@")[0] == str(plan.adapter.spec).partition("@")[0]
        )
        if not same or row["dataset_id"] != plan.source.id:
            what = "other images" if same else "other weights or another architecture"
            raise UsageError(
                f"The atlas in {plan.options.atlas} already holds a model {plan.model_id!r} with {what} ({row['spec']}). "
                f"Give this one another name: --name {plan.model_id}-2. Nothing was changed."
            )


def _refuse_other_seed(plan: Plan, writer: AtlasWriter) -> None:
    seeds = {row["seed"] for row in writer.rows(schema.run, schema.run.c.model_id == plan.model_id)}
    if seeds and seeds != {plan.options.seed}:
        raise UsageError(
            f"The model {plan.model_id!r} in {plan.options.atlas} was built with seed {min(seeds)}; seeds cannot be mixed. "
            f"Give --seed {min(seeds)}, or build it beside under another name: --name {plan.model_id}-seed{plan.options.seed}."
        )


def _model_row(plan: Plan) -> dict[str, Any]:
    adapter = plan.adapter
    processing = adapter.preprocessing
    return {
        "id": plan.model_id,
        "title": adapter.title,
        "spec": str(adapter.spec),
        "weights_origin": adapter.weights.origin,
        "weights_sha256": adapter.weights.sha256,
        "weights_source": adapter.weights.source,
        "input_size": [adapter.input_channels, *processing.crop_px],
        "input_key": processing.input_key,
        "preprocessing": {
            "resize_px": processing.resize_px,
            "crop_px": list(processing.crop_px),
            "interpolation": processing.interpolation,
            "mean": list(processing.mean),
            "std": list(processing.std),
        },
        "dataset_id": plan.source.id,
        "num_layers": len(plan.layers),
        "num_units": sum(layer.num_units for layer in plan.layers),
        "num_parameters": adapter.num_parameters,
        "labels": adapter.labels,
        "checks": known_photographs(adapter, plan.source),
        "built_at": utc_now(),
    }


def known_photographs(adapter: ModelAdapter, source: StimulusSource, count: int = 3) -> list[dict[str, Any]]:
    """Return the model's five best classes on a few whole photographs of the dataset, so that a person sees that it is right.

    Args:
        adapter: A classifier with labels; without labels there is nothing to show.
        source: The images; those named in `KNOWN` come first.
        count: How many photographs.
    """
    import torch

    if adapter.labels is None:
        return []
    refs = sorted(source.refs(), key=lambda ref: (_known_rank(ref.source), ref.index))
    checks: list[dict[str, Any]] = []
    seen: set[str] = set()
    for ref in refs:
        if ref.source in seen or len(checks) == count:
            continue
        seen.add(ref.source)
        pixels = torch.from_numpy(adapter.preprocess(source.open(ref.index)).copy()).permute(2, 0, 1)[None]
        share, classes = adapter.logits(adapter.normalise(pixels.float().div(255))).softmax(1)[0].topk(5)
        top = [
            {"label": adapter.labels[int(index)], "probability": float(value)}
            for value, index in zip(share, classes, strict=True)
        ]
        checks.append({"stimulus": ref.source, "top": top})
    return checks


KNOWN = ("chelsea", "coffee", "camera")


def _known_rank(source: str) -> int:
    stem = Path(source).stem
    return KNOWN.index(stem) if stem in KNOWN else len(KNOWN)


def _write_layers(plan: Plan, writer: AtlasWriter) -> None:
    have = {row["name"]: row["id"] for row in writer.rows(schema.layer, schema.layer.c.model_id == plan.model_id)}
    missing = [layer for layer in plan.layers if layer.name not in have]
    first = writer.next_layer_id()
    rows = [_layer_row(plan.model_id, first + number, layer) for number, layer in enumerate(missing)]
    writer.insert_missing(schema.layer, rows)
    plan.layer_ids = have | {row["name"]: row["id"] for row in rows}
    labels = plan.adapter.labels
    last = plan.adapter.layers()[-1].name
    for layer in missing:
        names = labels if labels is not None and layer.name == last and len(labels) == layer.num_units else None
        units = [
            {"layer_id": plan.layer_ids[layer.name], "unit_index": unit, "label": names[unit] if names else None}
            for unit in range(layer.num_units)
        ]
        writer.insert_missing(schema.unit, units)
    if have and missing:
        _count_layers(plan, writer)
    writer.insert_missing(schema.layer_link, list(_links(plan)))


def _count_layers(plan: Plan, writer: AtlasWriter) -> None:
    """A later build may add layers to a model."""
    rows = writer.rows(schema.layer, schema.layer.c.model_id == plan.model_id)
    model = writer.rows(schema.model, schema.model.c.id == plan.model_id)[0]
    counts = {"num_layers": len(rows), "num_units": sum(row["num_units"] for row in rows)}
    writer.update(schema.model, {"id": plan.model_id}, {**counts, "built_at": model["built_at"]})


def _layer_row(model_id: str, layer_id: int, layer: LayerSpec) -> dict[str, Any]:
    return {
        "id": layer_id,
        "model_id": model_id,
        "name": layer.name,
        "position": layer.position,
        "kind": layer.kind,
        "operation": layer.operation,
        "nonlinearity": layer.nonlinearity,
        "num_units": layer.num_units,
        "unit_axis": layer.unit_axis,
        "map_size": list(layer.map_size),
        "receptive_field_px": layer.receptive_field_px,
        "stride_px": layer.stride_px,
        "offset_px": list(layer.offset_px),
    }


def _links(plan: Plan) -> Iterator[dict[str, Any]]:
    from precompute.techniques.weights import sources_of

    for layer in plan.layers:
        for source in sources_of(plan.context(), layer.name):
            if source in plan.layer_ids:
                yield {"source_layer_id": plan.layer_ids[source], "target_layer_id": plan.layer_ids[layer.name]}
