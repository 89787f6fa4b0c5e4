"""What a unit answers to whole images, as parts of its page: similar units, labels, classes, activation maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from app import urls
from app.contexts import (
    ExampleHeat,
    Examples,
    LabelResponse,
    LabelResponses,
    LogitWeight,
    LogitWeights,
    Similar,
    SimilarByImages,
)
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from precompute.domain import stable_hash
from precompute.store.arrays import kernels_of
from precompute.store.records import Catalog, LayerRecord
from precompute.store.responses import SimilarUnit, SimilarUnits, example_maps, label_rows, similar_units

MAX_LABELS = 24
NUM_CLASSES = 8


def similar_of(visit: Visit) -> Similar | None:
    """Return the units most like the one that the address names, or None where that is not built."""
    found = similar_units(visit.reader, visit.catalog, visit.layer, visit.unit)
    if found is None:
        return None
    wanted: dict[str, list[int]] = {}
    for item in (*found.within, *found.others):
        wanted.setdefault(item.layer, []).append(item.unit)
    pictures = thumbnails(visit.reader, visit.catalog, wanted)
    numbers = {name: getattr(found, name) for name in SimilarUnits.__dataclass_fields__ if name not in ("within", "others")}
    return Similar(
        within=_listed(visit.catalog, found.within, pictures),
        others=_listed(visit.catalog, found.others, pictures),
        **numbers,
    )


def _listed(catalog: Catalog, items: Iterable[SimilarUnit], pictures: Mapping[tuple[str, int], str]) -> list[SimilarByImages]:
    model_id = catalog.model.id
    return [
        SimilarByImages(
            layer=item.layer,
            unit=item.unit,
            correlation=item.correlation,
            thumbnail=pictures.get((item.layer, item.unit)),
            links=page_links(urls.unit(model_id, item.layer, item.unit), layer=urls.layer(model_id, item.layer)),
        )
        for item in items
    ]


def labels_of(visit: Visit) -> LabelResponses | None:
    """Return what the unit answers to each label, or None where the images have no labels or nothing is built."""
    found = label_rows(visit.reader, visit.catalog, visit.layer, visit.unit)
    if found is None:
        return None
    return LabelResponses(
        items=[LabelResponse(**vars(row)) for row in found.rows[:MAX_LABELS]],
        total=len(found.rows),
        limit=MAX_LABELS,
        overall=found.overall,
        eta_squared=found.eta_squared,
        eta_squared_chance=found.eta_squared_chance,
        chance_max=found.chance_max,
    )


def classifier_of(catalog: Catalog, layer: LayerRecord) -> LayerRecord | None:
    """Return the layer directly after one whose units are the classes of the model, or None where there is none."""
    num_classes = len(catalog.model.labels or ())
    for name in layer.spec.outputs:
        after = catalog.layers[name]
        if num_classes and after.spec.num_units == num_classes and not after.spec.outputs:
            return after
    return None


def logit_weights_of(visit: Visit) -> LogitWeights | None:
    """Return the weights of the unit on the classes, or None where no classifier comes directly after its layer."""
    after = classifier_of(visit.catalog, visit.layer)
    link = None if after is None else visit.catalog.link(visit.layer.name, after.name)
    if after is None or link is None:
        return None
    units, kernels = kernels_of(visit.reader, link, visit.unit, "outputs")
    if not units:
        return None
    weights = kernels.sum(axis=(1, 2))
    order = np.argsort(-weights, kind="stable")
    strongest = [int(place) for place in order[:NUM_CLASSES] if weights[place] > 0]
    weakest = [int(place) for place in order[::-1][:NUM_CLASSES] if weights[place] < 0]
    labels = visit.reader.labels(after, [units[place] for place in (*strongest, *weakest)])

    def row(place: int) -> LogitWeight:
        unit = units[place]
        page = urls.unit(after.model_id, after.name, unit)
        return LogitWeight(label=labels.get(unit), unit=unit, weight=float(weights[place]), links=page_links(page))

    return LogitWeights(
        layer=after.name,
        positive=[row(place) for place in strongest],
        negative=[row(place) for place in weakest],
        total=len(units),
        mean=float(weights.mean()),
        std=float(weights.std()),
    )


def heat_of(visit: Visit, examples: Examples | None) -> ExampleHeat | None:
    """Return the activation maps of the unit's examples, or None where there are none."""
    if examples is None or examples.strip is None:
        return None
    found = example_maps(visit.reader, visit.catalog, visit.layer, visit.unit)
    if found is None:
        return None
    maps, largest, source = found
    version = heat_version(examples.strip.url, source.blob_name)
    return ExampleHeat(
        image=urls.heat(visit.catalog.model.id, visit.layer.name, visit.unit, version),
        largest=largest,
        map_size=list(source.payload["map_size"]),
        num_maps=len(maps),
        values=urls.blob(source.blob_name),
    )


def heat_version(strip_url: str, blob_name: str) -> str:
    """Return a text that changes when the activation maps or the tiles that they lie on change."""
    return f"{stable_hash(strip_url, blob_name, 1):x}"


def fields_of(visit: Visit, examples: Examples | None) -> dict[str, Any]:
    """Return what the page of a unit tells of its answers to whole images, by field."""
    return {
        "similar": similar_of(visit),
        "label_responses": labels_of(visit),
        "logit_weights": logit_weights_of(visit),
        "heat": heat_of(visit, examples),
    }
