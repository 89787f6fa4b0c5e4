"""Models, layers and how far they are, as parts of pages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from app import urls
from app.contexts import LayerSummary, Links, ModelSummary, Progress, Stage, UnitSample
from app.pictures.thumbs import address
from precompute.store.best import first_units
from precompute.store.many import thumbs_of
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, CoverageRecord, LayerRecord, ModelRecord, ThumbRecord
from precompute.store.written import STALE_SECONDS

TECHNIQUES = (
    "statistics",
    "dataset_examples",
    "feature_visualization",
    "weights",
    "responses",
    "similar_units",
    "activation_maps",
)


def page_links(page: str, **others: str | None) -> Links:
    """Return the links of something that has a page and a twin."""
    return {"html": page, "self": urls.twin(page), **others}


def model_summary(model: ModelRecord) -> ModelSummary:
    """Return a model as it is listed."""
    return ModelSummary(
        id=model.id,
        title=model.title,
        spec=model.spec,
        weights_origin=model.weights_origin,
        weights_sha256=model.weights_sha256,
        num_layers=model.num_layers,
        num_units=model.num_units,
        input_size=list(model.input_size),
        num_images=model.num_images,
        built_at=model.built_at,
        links=page_links(urls.model(model.id), home=urls.home()),
    )


def layer_summary(layer: LayerRecord) -> LayerSummary:
    """Return a layer as it is listed."""
    spec = layer.spec
    return LayerSummary(
        name=spec.name,
        kind=spec.kind,
        num_units=spec.num_units,
        map_size=list(spec.map_size),
        receptive_field_px=spec.receptive_field_px,
        stride_px=spec.stride_px,
        inputs=list(spec.inputs),
        outputs=list(spec.outputs),
        links=page_links(urls.layer(layer.model_id, spec.name), model=urls.model(layer.model_id)),
        operation=spec.operation,
        nonlinearity=spec.nonlinearity,
        position=spec.position,
    )


def coverage_of(reader: AtlasReader, catalog: Catalog, layers: Iterable[LayerRecord] | None) -> list[CoverageRecord]:
    """Return how far each technique is on each of some layers; None: on all of the model together."""
    return reader.coverage(catalog, None if layers is None else [layer.row for layer in layers])


def stages_of(rows: Iterable[CoverageRecord]) -> list[Stage]:
    """Return how far each technique is, summed over what the rows are about, in the usual order."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        numbers = counts.setdefault(row.technique, {"done": 0, "failed": 0, "todo": 0})
        numbers[row.status] = numbers.get(row.status, 0) + row.num_units
    order = sorted(counts, key=lambda name: (TECHNIQUES.index(name) if name in TECHNIQUES else len(TECHNIQUES), name))
    return [Stage(technique=name, **{key: counts[name][key] for key in ("done", "failed", "todo")}) for name in order]


def progress_of(reader: AtlasReader, model_id: str) -> Progress | None:
    """Return what a build is doing, or None where none is under way."""
    said = reader.progress(model_id)
    if said is None:
        return None
    return Progress(
        stage=said.stage,
        num_done=said.num_done,
        num_total=said.num_total,
        per_second=said.per_second,
        seconds_left=said.seconds_left,
        is_running=time.time() - said.updated_at <= STALE_SECONDS,
    )


def samples_of(
    reader: AtlasReader, catalog: Catalog, revision: str, layers: Sequence[LayerRecord], per_layer: int
) -> dict[str, list[UnitSample]]:
    """Return a few units of each of some layers as pictures, those with the best ones leading."""

    def choose() -> dict[str, list[UnitSample]]:
        chosen = first_units(reader, layers, per_layer)
        thumbs = thumbs_of(reader, [(row, unit) for row, units in chosen.items() for unit in units])
        return {
            layer.name: [_sample(catalog, layer, unit, thumbs.get((layer.row, unit))) for unit in chosen[layer.row]]
            for layer in layers
        }

    return reader.recent(("samples", per_layer, *(layer.row for layer in layers)), revision, 5.0, choose)


def _sample(catalog: Catalog, layer: LayerRecord, unit: int, thumb: ThumbRecord | None) -> UnitSample:
    model = catalog.model
    picture = None if thumb is None else address(model.id, layer.name, unit, model.dataset_id, thumb)
    is_visualization = thumb is not None and thumb.blob_name is not None
    return unit_sample(model.id, layer.name, unit, picture, is_visualization=is_visualization)


def unit_sample(
    model_id: str, layer_name: str, index: int, thumbnail: str | None, *, is_visualization: bool = False
) -> UnitSample:
    """Return a unit as a picture."""
    return UnitSample(
        layer=layer_name,
        index=index,
        thumbnail=thumbnail,
        is_visualization=is_visualization,
        links=page_links(urls.unit(model_id, layer_name, index)),
    )
