"""Writing a plan down as rows of an atlas: model, layers, units, links and tasks; what is there already stays."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from precompute.activations.collect import BATCH_SIZE
from precompute.domain import PROFILE, LayerSpec
from precompute.errors import UsageError
from precompute.models.base import ModelAdapter
from precompute.planning import Plan, code_version
from precompute.stimuli.base import StimulusSource, UnusableImage
from precompute.store import schema
from precompute.store.writer import AtlasWriter, utc_now
from precompute.techniques.weights import sources_of

TASK_KEY = ("model_id", "technique", "layer_id", "unit_start", "unit_stop", "variant")


def write_plan(plan: Plan, writer: AtlasWriter) -> None:
    """Write the rows that say what is to be done; those that are there already stay as they are.

    Raises:
        UsageError: The atlas holds another model under this name.
    """
    adapter, source = plan.adapter, plan.source
    models = writer.rows(schema.model, schema.model.c.id == plan.model_id)
    runs = writer.rows(schema.run, schema.run.c.model_id == plan.model_id)
    refuse_other(plan, models[0] if models else None, {row["seed"] for row in runs})
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
    _relate_layers(plan, writer)
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


def refuse_other(plan: Plan, model: Mapping[str, Any] | None, seeds: Set[int]) -> None:
    """Refuse a build into an atlas whose results it could not be told apart from.

    Args:
        plan: Of the build.
        model: The row that the atlas has under this name, or None.
        seeds: Of its builds.

    Raises:
        UsageError: The atlas holds another model under this name, or was built with another seed.
    """
    if model is None:
        return
    same = (
        model["weights_sha256"] == plan.adapter.weights.sha256
        and model["spec"].partition("@")[0] == str(plan.adapter.spec).partition("@")[0]
    )
    if not same or model["dataset_id"] != plan.source.id:
        what = "other images" if same else "other weights or another architecture"
        raise UsageError(
            f"The atlas in {plan.options.atlas} already holds a model {plan.model_id!r} with {what} ({model['spec']}). "
            f"Give this one another name: --name {plan.model_id}-2. Nothing was changed."
        )
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
        adapter: A classifier with labels and all its weights; of others there is nothing to show.
        source: The images; those named in `KNOWN` come first.
        count: How many photographs.
    """
    import torch

    if adapter.labels is None or adapter.weights.missing:
        return []
    refs = sorted(source.refs(), key=lambda ref: (_known_rank(ref.source), ref.index))
    checks: list[dict[str, Any]] = []
    seen: set[str] = set()
    for ref in refs:
        if ref.source in seen or len(checks) == count:
            continue
        seen.add(ref.source)
        try:
            image = source.open(ref.index)
        except UnusableImage:  # it went away after it was checked; the build counts and names it
            continue
        pixels = torch.from_numpy(adapter.preprocess(image).copy()).permute(2, 0, 1)[None]
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
    for layer in plan.layers:  # of all: a build may have been killed between the layers and their units
        names = plan.adapter.unit_labels(layer.name)
        units = [
            {"layer_id": plan.layer_ids[layer.name], "unit_index": unit, "label": names[unit] if names else None}
            for unit in range(layer.num_units)
        ]
        writer.insert_missing(schema.unit, units)
    if have:
        _count_layers(plan, writer)


def _relate_layers(plan: Plan, writer: AtlasWriter) -> None:
    """Let what is between layers reach those of earlier builds too, in both directions."""
    plan.known_layers = [layer for layer in plan.adapter.layers() if layer.name in plan.layer_ids]
    names = {layer.name for layer in plan.layers}
    context = plan.context(layers=plan.known_layers)
    links = {layer.name: sources_of(context, layer.name) for layer in plan.known_layers}
    rows = [
        {"source_layer_id": plan.layer_ids[source], "target_layer_id": plan.layer_ids[target]}
        for target, sources in links.items()
        for source in sources
        if source in plan.layer_ids
    ]
    writer.insert_missing(schema.layer_link, rows)
    for name, technique in plan.techniques.items():
        if technique.relates_every_layer:
            profiled = {row["layer_id"] for row in writer.rows(schema.artifact, schema.artifact.c.kind == PROFILE)}
            known = names | {layer for layer, row in plan.layer_ids.items() if row in profiled}
            plan.items[name] = [item for item in technique.plan(context) if item.layer in known]
        elif technique.relates_layers:
            items = technique.plan(context)
            plan.items[name] = [item for item in items if item.layer in names or names.intersection(links[item.layer])]
            _do_again(plan, writer, name)


def _do_again(plan: Plan, writer: AtlasWriter, technique: str) -> None:
    """Open the tasks again whose layer has got a source since they were done."""
    ids = set(plan.layer_ids.values())
    empty = writer.rows(schema.layer_link, schema.layer_link.c.blob_sha256.is_(None))
    targets = ids & {row["target_layer_id"] for row in empty}
    done = writer.rows(schema.task, schema.task.c.technique == technique, schema.task.c.status == "done")
    for row in done:
        if row["layer_id"] in targets:
            writer.update(schema.task, {name: row[name] for name in TASK_KEY}, {"status": "todo"})


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
