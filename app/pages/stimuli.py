"""The page of one image."""

from __future__ import annotations

from app import urls
from app.contexts import LayerCount, Position, StimulusPage, StimulusUnit
from app.dependencies import Visit, read_number
from app.parts.addresses import subject_of
from app.parts.annotations import said_about
from app.parts.examples import box_at
from app.parts.summaries import page_links
from app.pictures.thumbs import address
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.errors import UnknownName
from precompute.store.many import thumbs_of
from precompute.store.owners import count_owners, count_owners_in, list_owners, positions_in
from precompute.store.records import Catalog, LayerRecord, StimulusRecord, TopStimulusRecord

DEFAULT_LIMIT = 60
PARAMETERS = (
    Parameter("model", "Only units of this model"),
    Parameter("layer", "Only units of this layer"),
    Parameter("limit", "Units on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)


def build_stimulus(visit: Visit) -> StimulusPage:
    """Return the page of an image."""
    reader, query = visit.reader, visit.query
    number = read_number("image", visit.path["id"])
    stimulus = reader.stimulus(number)
    if stimulus is None:
        total = reader.num_stimuli()
        raise UnknownName(
            "image", str(number), (), where="This atlas", hint=f"It has {total} images; examples on unit pages link to them."
        )
    catalogs = _catalogs(visit, stimulus)
    chosen, layers = _chosen(visit, catalogs)
    total, counts, num_layers = _count(visit, stimulus, catalogs, chosen, layers)
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 200)
    scope = {"stimulus": number, "model": query.text("model"), "layer": query.text("layer")}
    after = decode_cursor(scope, query.text("after"), (int, int, int))
    place = None if after is None else (after[0], after[1], after[2])
    rows = list_owners(reader, stimulus, [catalog.model.id for catalog in chosen], layers, place, limit + 1)
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = encode_cursor(scope, [rows[-1].layer, rows[-1].rank, rows[-1].unit])
        following = visit.prefer(urls.stimulus(number, **(query.values | {"after": cursor})))
    before, later = reader.stimulus_neighbours(number)
    credits_ = reader.dataset(stimulus.dataset_id).credits
    labels, said = said_about(visit, subject_of(dataset=stimulus.dataset_id, stimulus=stimulus.key), visit.address)
    return StimulusPage(
        id=stimulus.id,
        key=stimulus.key,
        label=stimulus.label,
        source=stimulus.source,
        width=stimulus.width,
        height=stimulus.height,
        image=urls.blob(stimulus.blob_name),
        credit=next((credit for credit in credits_ if credit.get("source") == stimulus.source), None),
        items=_items(visit, stimulus, chosen, rows),
        total=total,
        next=following,
        layers=_counts(number, catalogs, counts),
        num_layers=num_layers,
        labels=labels,
        said=said,
        query=query.values,
        links=page_links(
            urls.stimulus(number),
            previous=None if before is None else urls.stimulus(before),
            next=None if later is None else urls.stimulus(later),
        ),
    )


def _catalogs(visit: Visit, stimulus: StimulusRecord) -> list[Catalog]:
    return [visit.reader.catalog(model_id, visit.revision) for model_id in visit.reader.models_of(stimulus)]


def _chosen(visit: Visit, catalogs: list[Catalog]) -> tuple[list[Catalog], list[int] | None]:
    """Return the models to list units of, and the rows of their layers where only some are wanted."""
    model, layer = visit.query.text("model"), visit.query.text("layer")
    known = {catalog.model.id for catalog in catalogs}
    if model and model not in known:
        raise UnknownName("model", model, known, where="This image")
    chosen = [catalog for catalog in catalogs if not model or catalog.model.id == model]
    if not layer:
        return chosen, None
    rows = [catalog.layers[layer].row for catalog in chosen if layer in catalog.layers]
    if not rows:
        names = {name for catalog in chosen for name in catalog.layers}
        raise UnknownName("layer", layer, names, where="This image's models")
    return chosen, rows


def _count(
    visit: Visit, stimulus: StimulusRecord, catalogs: list[Catalog], chosen: list[Catalog], layers: list[int] | None
) -> tuple[int, dict[int, int], int]:
    """Return how many units are listed, the layers with most units of all models, and how many layers have any."""
    found = count_owners(visit.reader, stimulus, catalogs)
    if layers is not None:
        own = count_owners_in(visit.reader, stimulus, layers)
        return sum(own.values()), found.by_layer | own, found.num_layers
    if len(chosen) == len(catalogs):
        return found.num_units, found.by_layer, found.num_layers
    return count_owners(visit.reader, stimulus, chosen).num_units, found.by_layer, found.num_layers


def _counts(number: int, catalogs: list[Catalog], counts: dict[int, int]) -> list[LayerCount]:
    """Return how many units layers have, in the order of execution."""
    found = [(catalog, catalog.by_row[row]) for catalog in catalogs for row in counts if row in catalog.by_row]
    found.sort(key=lambda pair: (pair[0].model.id, pair[1].spec.position))
    return [
        LayerCount(
            model=catalog.model.id,
            layer=layer.name,
            num_units=counts[layer.row],
            link=urls.stimulus(number, model=catalog.model.id, layer=layer.name),
        )
        for catalog, layer in found
    ]


def _items(visit: Visit, stimulus: StimulusRecord, catalogs: list[Catalog], rows: list[TopStimulusRecord]) -> list[StimulusUnit]:
    units = [(row.layer, row.unit) for row in rows]
    positions, thumbs = positions_in(visit.reader, stimulus, units), thumbs_of(visit.reader, units)
    found: list[StimulusUnit] = []
    for row in rows:
        catalog = next(catalog for catalog in catalogs if row.layer in catalog.by_row)
        unit, layer = (row.layer, row.unit), catalog.by_row[row.layer]
        thumb = thumbs.get(unit)
        picture = None if thumb is None else address(catalog.model.id, layer.name, row.unit, catalog.model.dataset_id, thumb)
        found.append(_item(catalog, layer, row, positions.get(unit), picture))
    return found


def _item(
    catalog: Catalog, layer: LayerRecord, top: TopStimulusRecord, position: tuple[int, int] | None, thumbnail: str | None
) -> StimulusUnit:
    height, width = catalog.model.input_height, catalog.model.input_width
    return StimulusUnit(
        model=catalog.model.id,
        layer=layer.name,
        unit=top.unit,
        rank=top.rank,
        activation=top.activation,
        position=None if position is None else Position(y=position[0], x=position[1]),
        box=None if position is None else box_at(layer, position[0], position[1], height, width),
        thumbnail=thumbnail,
        links=page_links(urls.unit(catalog.model.id, layer.name, top.unit)),
    )


PAGES = (
    Page(
        "/stimuli/{id}",
        "stimulus",
        "One image: which units it is an example for.",
        build_stimulus,
        (StimulusPage,),
        PARAMETERS,
        shows_annotations=True,
    ),
)
