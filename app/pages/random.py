"""A way to a unit that is worth a look: another one at every visit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Request, Response

from app import urls
from app.contexts import UnitSample
from app.dependencies import AtlasDoor
from app.parts.summaries import samples_of
from app.query import Parameter, Query
from precompute.errors import AtlasError
from precompute.store.best import pictured_layers
from precompute.store.records import Catalog, LayerRecord

PER_LAYER = 8
PARAMETERS = (
    Parameter("seed", "The same number leads to the same unit, as long as the atlas stays the same", kind="integer"),
    Parameter("model", "Only units of this model"),
)


def random_routes(door: AtlasDoor) -> APIRouter:
    """Return the route that leads to a unit with one of the best pictures of its layer."""
    router = APIRouter()

    def random_unit(request: Request) -> Response:
        query = Query(request.query_params.multi_items(), PARAMETERS)
        seed = query.integer("seed", -1, 0, 10**9) if query.text("seed") else None
        # Chance decides what to look at; nothing is protected by it.
        chosen = _choose(door, query.text("model") or None, random.Random(seed))
        headers = {"Location": str(chosen.links["html"]), "Cache-Control": "no-store"}
        return Response(status_code=303, headers=headers)

    router.add_api_route(urls.random_unit(), random_unit, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _choose(door: AtlasDoor, model_id: str | None, chance: random.Random) -> UnitSample:
    """Return one of the first units of a layer drawn by chance; of layers without visualizations only where no other is."""
    reader = door.reader()
    revision = reader.revision()
    names = [model_id] if model_id is not None else [model.id for model in reader.models()]
    catalogs = [reader.catalog(name, revision) for name in names]
    groups = [(catalog, pictured_layers(reader, catalog)) for catalog in catalogs]
    if not any(layers for _, layers in groups):
        groups = [(catalog, list(catalog.layers.values())) for catalog in catalogs]
    for catalog, layer in _from_anywhere(groups, chance):
        samples = samples_of(reader, catalog, revision, [layer], PER_LAYER)[layer.name]
        found = [sample for sample in samples if sample.thumbnail is not None]
        best = [sample for sample in found if sample.is_visualization] or found
        if best:
            return chance.choice(best)
    raise AtlasError("No unit has a picture yet: the build has not come that far. Start at the list of models, /.")


def _from_anywhere(
    groups: Sequence[tuple[Catalog, Sequence[LayerRecord]]], chance: random.Random
) -> Iterator[tuple[Catalog, LayerRecord]]:
    """Yield all layers once, beginning at one drawn by chance."""
    total = sum(len(layers) for _, layers in groups)
    start = chance.randrange(total) if total else 0
    for turn in range(total):
        place = (start + turn) % total
        for catalog, layers in groups:
            if place < len(layers):
                yield catalog, layers[place]
                break
            place -= len(layers)
