"""The start page, and the page of one model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

from app import urls
from app.contexts import (
    CoverageRow,
    Dataset,
    Failure,
    HomePage,
    LayerOnModel,
    ModelCard,
    ModelPage,
    ModelProvenance,
    ProgressFragment,
)
from app.dependencies import Visit, open_or_none
from app.parts.addresses import subject_of
from app.parts.annotations import said_about
from app.parts.summaries import (
    coverage_of,
    layer_summary,
    model_summary,
    page_links,
    progress_of,
    samples_of,
    stages_of,
)
from app.query import Parameter
from app.twins import Page
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, CoverageRecord, LayerRecord, ModelRecord

_Item = TypeVar("_Item")

HOME_SAMPLES = 4
MOSAIC = 30
LAYER_SAMPLES = 6
MAX_WHOLE = 1000
"""A model of no more layers shows all of them at once."""
LAYERS_AT_ONCE = 50
MAX_LAYERS = 4096
PARAMETERS = (
    Parameter(
        "limit",
        f"Layers on a page, 1 to {MAX_LAYERS}",
        kind="integer",
        default=f"all where there are at most {MAX_WHOLE}, else {LAYERS_AT_ONCE}",
    ),
    Parameter("after", "A place in the order of execution, from `next`"),
)
_COMMANDS = ["unitscope demo", "unitscope build timm:tf_efficientnet_lite0@pip --images DIR --atlas DIR"]


def build_home(visit: Visit) -> HomePage:
    """Return the start page; where there is no atlas yet, it tells how to make one."""
    reader, problem = open_or_none(visit.door)
    # A network that was calculated to teach comes after those that learned.
    models = [] if reader is None else sorted(reader.models(), key=lambda model: model.weights_origin == "hand-coded")
    cards = [] if reader is None else [_card(visit, reader, model) for model in models]
    return HomePage(
        items=cards,
        total=len(cards),
        next=None,
        problem=problem,
        build_commands=_COMMANDS,
        links=page_links(urls.home(), docs=urls.docs(), openapi=urls.openapi(), search=urls.search()),
    )


def _card(visit: Visit, reader: AtlasReader, model: ModelRecord) -> ModelCard:
    catalog = reader.catalog(model.id, visit.revision)
    layers = _spread(list(catalog.layers.values()), MOSAIC)
    samples = [sample for group in samples_of(reader, catalog, visit.revision, layers, HOME_SAMPLES).values() for sample in group]
    pictured = [sample for sample in samples if sample.thumbnail is not None]
    visualized = [sample for sample in pictured if sample.is_visualization]
    if len(visualized) >= MOSAIC // 2:
        pictured = visualized
    return ModelCard(
        **model_summary(model).model_dump(),
        stages=stages_of(coverage_of(reader, catalog, None)),
        progress=progress_of(reader, model.id),
        samples=_spread(pictured, MOSAIC),
    )


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return so many of some items, from all over them, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def build_model(visit: Visit) -> ModelPage:
    """Return the page of a model."""
    reader, catalog = visit.reader, visit.catalog
    model = catalog.model
    layers, start, following = _shown_layers(visit)
    coverage = coverage_of(reader, catalog, layers)
    labels, said = said_about(visit, subject_of(model=model.id), visit.address)
    return ModelPage(
        **model_summary(model).model_dump(exclude={"links"}),
        links=page_links(urls.model(model.id), home=urls.home(), progress=urls.progress(model.id), events=urls.events(model.id)),
        layers=_layers(visit, layers, coverage),
        start=start,
        next=following,
        coverage=_coverage_rows(catalog, coverage),
        stages=stages_of(coverage_of(reader, catalog, None)),
        progress=progress_of(reader, model.id),
        failures=_failures(reader, catalog),
        provenance=ModelProvenance(
            weights_source=model.weights_source,
            num_parameters=model.num_parameters,
            preprocessing=model.preprocessing,
            checks=model.checks,
            num_classes=None if model.labels is None else len(model.labels),
        ),
        dataset=_dataset(reader, model),
        labels=labels,
        said=said,
    )


def _shown_layers(visit: Visit) -> tuple[list[LayerRecord], int, str | None]:
    """Return the layers to show, how many come before them, and the address of those after them."""
    model_id, everything = visit.catalog.model.id, visit.catalog.layers.values()
    usual = MAX_WHOLE if len(everything) <= MAX_WHOLE else LAYERS_AT_ONCE
    limit = visit.query.integer("limit", usual, 1, MAX_LAYERS)
    scope = {"layers of": model_id}
    start = visit.first_place(scope)
    return list(islice(everything, start, start + limit)), start, visit.following(scope, start + limit, len(everything))


def _layers(visit: Visit, layers: Sequence[LayerRecord], coverage: Sequence[CoverageRecord]) -> list[LayerOnModel]:
    samples = samples_of(visit.reader, visit.catalog, visit.revision, layers, LAYER_SAMPLES)
    by_layer: dict[int, list[CoverageRecord]] = {}
    for row in coverage:
        by_layer.setdefault(row.layer, []).append(row)
    return [
        LayerOnModel(
            **layer_summary(layer).model_dump(),
            coverage=stages_of(by_layer.get(layer.row, [])),
            samples=samples[layer.name],
        )
        for layer in layers
    ]


def _coverage_rows(catalog: Catalog, coverage: list[CoverageRecord]) -> list[CoverageRow]:
    counts: dict[tuple[int, str, str], dict[str, int]] = {}
    for row in coverage:
        numbers = counts.setdefault((row.layer, row.technique, row.variant), {"done": 0, "failed": 0, "todo": 0})
        numbers[row.status] = row.num_units
    place = catalog.by_row
    ordered = sorted(counts, key=lambda key: (place[key[0]].spec.position, key[1], key[2]))
    return [
        CoverageRow(
            layer=place[key[0]].name,
            technique=key[1],
            variant=key[2],
            done=counts[key]["done"],
            failed=counts[key]["failed"],
            todo=counts[key]["todo"],
        )
        for key in ordered
    ]


def _failures(reader: AtlasReader, catalog: Catalog) -> list[Failure]:
    return [
        Failure(layer=catalog.by_row[row].name, technique=technique, units=f"{start}-{stop - 1}", error=error)
        for row, technique, start, stop, error in reader.failures(catalog.model.id)
    ]


def _dataset(reader: AtlasReader, model: ModelRecord) -> Dataset:
    found = reader.dataset(model.dataset_id)
    return Dataset(
        id=found.id,
        title=found.title,
        num_images=found.num_images,
        num_skipped=found.num_skipped,
        credits=found.credits,
        skipped=[{"key": key, "reason": reason} for key, reason in found.skipped],
    )


def build_progress(visit: Visit) -> ProgressFragment:
    """Return how far a model is."""
    model_id = visit.catalog.model.id
    return ProgressFragment(
        id=model_id,
        stages=stages_of(coverage_of(visit.reader, visit.catalog, None)),
        progress=progress_of(visit.reader, model_id),
        links=page_links(urls.model(model_id), progress=urls.progress(model_id)),
    )


PAGES = (
    Page("/", "home", "The models of the atlas.", build_home, (HomePage,), is_live=True, needs_atlas=False),
    Page(
        "/models/{model}",
        "model",
        "One model: layers, coverage, provenance.",
        build_model,
        (ModelPage,),
        PARAMETERS,
        is_live=True,
        shows_annotations=True,
    ),
    Page(
        "/fragments/models/{model}/progress",
        "model_progress",
        "How far a model is.",
        build_progress,
        (ProgressFragment,),
        is_live=True,
        is_fragment=True,
    ),
)
