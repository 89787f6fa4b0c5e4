"""The page of one unit: everything about it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from app import urls
from app.contexts import Histogram, Links, Partner, Provenance, Scores, Stage, UnitPage, Visualization, Weights
from app.dependencies import Visit
from app.parts.addresses import subject_of
from app.parts.annotations import said_about
from app.parts.examples import examples_of
from app.parts.partners import partners_of
from app.parts.responses import fields_of
from app.parts.summaries import coverage_of, layer_summary, page_links, stages_of
from app.pictures.filters import filter_picture, filters_of
from app.twins import Page
from precompute.store.arrays import Direction
from precompute.store.partners import all_partners
from precompute.store.records import ArtifactRecord, RunRecord
from precompute.store.responses import records_of

NUM_PARTNERS = 10


def build_unit(visit: Visit) -> UnitPage:
    """Return the page of a unit."""
    reader, catalog, layer, unit = visit.reader, visit.catalog, visit.layer, visit.unit
    artifacts = reader.artifacts(layer, unit)
    examples = next((found for found in artifacts if found.kind == "examples"), None)
    histogram = next((found for found in artifacts if found.kind == "histogram"), None)
    visualizations = [
        _visualization(found, catalog.model.spec, layer.name, unit) for found in artifacts if found.kind == "visualization"
    ]
    metrics = reader.metrics(layer, [unit]).get(unit, {})
    weights = _weights(visit)
    shown = None if examples is None else examples_of(reader, catalog, layer, unit, examples.payload)
    stages = stages_of(coverage_of(reader, catalog, [layer]))
    labels, said = said_about(visit, subject_of(model=layer.model_id, layer=layer.name, unit=unit), visit.address)
    return UnitPage(
        model=catalog.model.id,
        layer=layer.name,
        index=unit,
        kind=layer.spec.kind,
        label=reader.labels(layer, [unit]).get(unit),
        receptive_field_px=layer.spec.receptive_field_px,
        metrics=metrics,
        histogram=None if histogram is None else _histogram(histogram),
        examples=shown,
        visualizations=visualizations,
        weights=weights,
        filter=filter_picture(layer, filters_of(reader, layer), unit),
        **fields_of(visit, shown),
        labels=labels,
        said=said,
        provenance=_provenance(visit, [*artifacts, *records_of(reader, catalog, layer).values()]),
        links=build_links(visit),
        layer_summary=layer_summary(layer),
        input_size=list(catalog.model.input_size),
        stages=stages,
        pending=_pending(
            stages, bool(metrics), examples is not None, bool(visualizations), bool(weights.inputs or weights.outputs)
        ),
    )


def _weights(visit: Visit) -> Weights:
    return Weights(inputs=_strongest(visit, "inputs"), outputs=_strongest(visit, "outputs"))


def _strongest(visit: Visit, direction: Direction) -> list[Partner]:
    side = visit.side(direction)
    return partners_of(side, all_partners(side).take(slice(NUM_PARTNERS)).rows())


def _pending(stages: list[Stage], has_metrics: bool, has_examples: bool, has_pictures: bool, has_weights: bool) -> list[str]:
    state = {
        "statistics": has_metrics,
        "dataset_examples": has_examples,
        "feature_visualization": has_pictures,
        "weights": has_weights,
    }
    unfinished = {stage.technique for stage in stages if stage.todo or stage.failed}
    return [technique for technique, is_there in state.items() if not is_there and technique in unfinished]


def _visualization(found: ArtifactRecord, spec: str, layer: str, unit: int) -> Visualization:
    payload = found.payload
    return Visualization(
        objective=payload.get("objective", "channel"),
        parameterization=payload.get("parameterization", ""),
        image=None if found.blob_name is None else urls.blob(found.blob_name),
        activation=payload.get("activation"),
        activation_shown=payload.get("activation_shown"),
        dataset_max=payload.get("dataset_max"),
        reached_ratio=payload.get("reached_ratio"),
        robustness=payload.get("robustness"),
        canvas_px=payload.get("canvas_px"),
        steps=payload.get("steps"),
        seed=payload.get("seed"),
        status=payload.get("status", "ok"),
        transforms=payload.get("transforms"),
        sign=payload.get("sign", "positive"),
        quality=payload.get("quality"),
        variant=payload.get("variant"),
        facet=payload.get("facet"),
        attempt=payload.get("attempt"),
        trace=payload.get("trace") or [],
        reached_note=payload.get("reached_note"),
        scores=_scores(payload.get("scores")),
        flags=payload.get("flags") or [],
        command=_render_command(spec, layer, unit, payload),
    )


def _scores(measured: Mapping[str, Any] | None) -> Scores | None:
    """Return the scores of a picture, or None where nothing was measured; atlases of older versions have none."""
    return None if measured is None else Scores(**{name: measured.get(name) for name in Scores.model_fields})


def _render_command(spec: str, layer: str, unit: int, payload: Mapping[str, Any]) -> str | None:
    """Return the words that make the picture again, or None where it is not said how it was made."""
    named = [payload.get(name) for name in ("objective", "sign", "quality", "seed")]
    if None in named:
        return None
    objective, sign, quality, seed = (str(word) for word in named)
    words = [spec, layer, str(unit), "--objective", objective, "--sign", sign, "--quality", quality, "--seed", seed]
    if payload.get("facet") is not None:
        words += ["--facet", str(payload["facet"])]
    if payload.get("renderer") == "lucent":
        words += ["--renderer", "lucent"]
    if payload.get("parameterization") == "maco":
        words += ["--renderer", "maco", "--images", "IMAGES"]
    return f"unitscope render {shlex.join(words)}"


def _histogram(found: ArtifactRecord) -> Histogram:
    return Histogram(edges=found.payload.get("edges", []), counts=found.payload.get("counts", []))


def _provenance(visit: Visit, artifacts: Sequence[ArtifactRecord]) -> Provenance:
    model = visit.catalog.model
    kept = visit.reader.kept(visit.revision)
    runs: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        key = ("run", artifact.run_id)
        if key not in kept:
            kept[key] = visit.reader.run(artifact.run_id)
        run: RunRecord | None = kept[key]
        if run is not None:
            entry = runs.setdefault(run.id, {**vars(run), "techniques": []})
            if artifact.technique not in entry["techniques"]:
                entry["techniques"].append(artifact.technique)
    titles = kept.get(("dataset title", model.dataset_id))
    if titles is None:
        titles = kept["dataset title", model.dataset_id] = visit.reader.dataset(model.dataset_id).title
    return Provenance(
        weights_origin=model.weights_origin,
        weights_sha256=model.weights_sha256,
        weights_source=model.weights_source,
        spec=model.spec,
        dataset=model.dataset_id,
        dataset_title=titles,
        num_images=model.num_images,
        runs=list(runs.values()),
    )


def build_links(visit: Visit) -> Links:
    """Return the links of a unit."""
    layer, unit = visit.layer, visit.unit
    model_id, name = layer.model_id, layer.name
    return page_links(
        urls.unit(model_id, name, unit),
        layer=urls.layer(model_id, name),
        model=urls.model(model_id),
        previous=urls.unit(model_id, name, unit - 1) if unit else None,
        next=urls.unit(model_id, name, unit + 1) if unit + 1 < layer.spec.num_units else None,
        weights=urls.weights(model_id, name, unit),
        all_inputs=urls.weights(model_id, name, unit, direction="inputs") if layer.spec.inputs else None,
        all_outputs=urls.weights(model_id, name, unit, direction="outputs") if layer.spec.outputs else None,
    )


PAGES = (
    Page(
        "/models/{model}/{layer}/{unit}",
        "unit",
        "Everything about one unit.",
        build_unit,
        (UnitPage,),
        shows_annotations=True,
        embed_template="pages/unit_embed.html",
    ),
)
