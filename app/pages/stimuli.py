"""The page of one image."""

from __future__ import annotations

from app import urls
from app.contexts import LayerCount, Position, StimulusPage, StimulusUnit
from app.dependencies import Visit, read_number
from app.parts.addresses import subject_of
from app.parts.annotations import said_about
from app.parts.examples import box_at
from app.parts.summaries import page_links
from app.pictures.thumbs import layer_thumbnails
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.errors import UnknownName
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
    layers = _layers(visit, catalogs)
    counts = reader.num_top_units(stimulus, [layer.row for catalog in catalogs for layer in catalog.layers.values()])
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 200)
    scope = {"stimulus": number, "model": query.text("model"), "layer": query.text("layer")}
    after = decode_cursor(scope, query.text("after"), (int, int, int))
    rows = reader.top_units(stimulus, list(layers), None if after is None else (after[0], after[1], after[2]), limit + 1)
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
        items=_items(visit, stimulus, layers, rows),
        total=sum(counts.get(row, 0) for row in layers),
        next=following,
        layers=_counts(number, catalogs, counts),
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


def _layers(visit: Visit, catalogs: list[Catalog]) -> dict[int, tuple[Catalog, LayerRecord]]:
    model, layer = visit.query.text("model"), visit.query.text("layer")
    known = {catalog.model.id for catalog in catalogs}
    if model and model not in known:
        raise UnknownName("model", model, known, where="This image")
    names = {name for catalog in catalogs for name in catalog.layers if not model or catalog.model.id == model}
    if layer and layer not in names:
        raise UnknownName("layer", layer, names, where="This image's models")
    return {
        record.row: (catalog, record)
        for catalog in catalogs
        if not model or catalog.model.id == model
        for record in catalog.layers.values()
        if not layer or record.name == layer
    }


def _counts(number: int, catalogs: list[Catalog], counts: dict[int, int]) -> list[LayerCount]:
    return [
        LayerCount(
            model=catalog.model.id,
            layer=layer.name,
            num_units=counts[layer.row],
            link=urls.stimulus(number, model=catalog.model.id, layer=layer.name),
        )
        for catalog in catalogs
        for layer in catalog.layers.values()
        if layer.row in counts
    ]


def _items(
    visit: Visit, stimulus: StimulusRecord, layers: dict[int, tuple[Catalog, LayerRecord]], rows: list[TopStimulusRecord]
) -> list[StimulusUnit]:
    by_layer: dict[int, list[int]] = {}
    for row in rows:
        by_layer.setdefault(row.layer, []).append(row.unit)
    found: dict[tuple[int, int], StimulusUnit] = {}
    ranks = {(row.layer, row.unit): row for row in rows}
    for row_id, units in by_layer.items():
        catalog, layer = layers[row_id]
        positions = visit.reader.example_positions(layer, units, stimulus)
        pictures = layer_thumbnails(visit.reader, catalog, layer, units)
        for unit in units:
            top = ranks[row_id, unit]
            found[row_id, unit] = _item(catalog, layer, top, positions.get(unit), pictures.get(unit))
    return [found[row.layer, row.unit] for row in rows]


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
