"""Search: unit numbers, layers, models, labels of units and of images, names of files, and what people said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from app import urls
from app.contexts import Found, SearchPage
from app.dependencies import Visit
from app.parts.annotations import address_of
from app.parts.summaries import page_links
from app.pictures.thumbs import address
from app.query import Parameter
from app.twins import Page
from app.words.formats import plural
from precompute.annotations.document import Subject
from precompute.errors import UsageError, closest_names
from precompute.store.finding import FoundName, find_names, has_index
from precompute.store.indexing import KINDS, fold
from precompute.store.many import thumbs_of
from precompute.store.records import Catalog, LayerRecord
from precompute.store.subjects import stimuli_of

DEFAULT_LIMIT = 40
MAX_FOUND = 400
MAX_PER_KIND = 60
MAX_LENGTH = 200
PARAMETERS = (
    Parameter("q", "What to look for: `42`, `blocks.3 42`, `conv_dw`, `tabby cat`"),
    Parameter("limit", "Results on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
_UNIT = re.compile(r"^(?P<layer>.*?)[\s/:#]*(?<![\d])(?P<unit>0|[1-9]\d{0,8})$")


@dataclass(frozen=True)
class _Hit:
    """Something found, before it is told in words; smaller scores come first."""

    score: tuple[int, int, int, int]
    kind: str
    title: str
    detail: str
    model: str | None
    link: str
    unit: tuple[str, int] | None = None


def build_search(visit: Visit) -> SearchPage:
    """Return what a search found."""
    q = " ".join(visit.query.text("q").split())
    if len(q) > MAX_LENGTH:
        raise UsageError(f"q is {len(q)} characters long; at most {MAX_LENGTH} can be searched for.")
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, 200)
    catalogs = [visit.reader.catalog(model.id, visit.revision) for model in visit.reader.models()]
    hits = _best(_hits(visit, catalogs, q)) if q else []
    scope = {"q": q}
    start = visit.first_place(scope)
    return SearchPage(
        q=q,
        items=_pictured(visit, catalogs, hits[start : start + limit]),
        total=len(hits),
        is_cut=len(hits) >= MAX_PER_KIND,
        next=visit.following(scope, start + limit, len(hits)),
        suggestions=[] if hits or not q else _suggestions(catalogs, q),
        has_index=has_index(visit.reader),
        links=page_links(urls.search(q=q or None), example=urls.search_example()),
    )


def _best(hits: Iterable[_Hit]) -> list[_Hit]:
    """Return the hits, best first; what was found in two ways is told once."""
    found: dict[str, _Hit] = {}
    for hit in sorted(hits, key=lambda hit: hit.score):
        found.setdefault(hit.link, hit)
    return list(found.values())[:MAX_FOUND]


def _hits(visit: Visit, catalogs: list[Catalog], q: str) -> Iterator[_Hit]:
    text = fold(q)
    if has_index(visit.reader):
        for name in find_names(visit.reader, q, MAX_PER_KIND):
            hit = _named(name, _closeness(text, name.folded), catalogs)
            if hit is not None:
                yield hit
    else:
        yield from _names(catalogs, text)
    match = _UNIT.match(text)
    if match is not None:
        yield from _numbers(visit, catalogs, match["layer"].strip(" /:#"), int(match["unit"]))
    yield from _written(visit, {catalog.model.id: catalog for catalog in catalogs}, q)


def _closeness(text: str, name: str) -> int:
    """Return how well a name that was found matches: 0 equal, 1 begins, 2 has the text where a word begins, 3 otherwise."""
    if name.startswith(text):
        return int(name != text)
    place = name.find(text)
    return 2 if place > 0 and not name[place - 1].isalnum() else 3


def _layer_of(catalogs: list[Catalog], row: int | None) -> tuple[Catalog, LayerRecord] | None:
    return next(((catalog, catalog.by_row[row]) for catalog in catalogs if row in catalog.by_row), None)


def _named(name: FoundName, closeness: int, catalogs: list[Catalog]) -> _Hit | None:
    """Return a name of the index as a hit, or None where the atlas no longer has what it names."""
    score = (closeness, KINDS.index(name.kind), name.place, 0)
    if name.kind == "model":
        catalog = next((catalog for catalog in catalogs if catalog.model.id == name.model_id), None)
        return None if catalog is None else _model_hit(catalog, score)
    if name.stimulus_id is not None:
        detail = plural(name.num_images or 0, "image")
        return _Hit(score, name.kind, name.title, detail, None, urls.stimulus(name.stimulus_id))
    known = _layer_of(catalogs, name.layer_id)
    if known is None:
        return None
    catalog, layer = known
    if name.unit is None:
        return _layer_hit(catalog, layer, score)
    link = urls.unit(catalog.model.id, layer.name, name.unit)
    return _Hit(score, "unit", name.title, f"{layer.name} / {name.unit}", catalog.model.id, link, (layer.name, name.unit))


def _model_hit(catalog: Catalog, score: tuple[int, int, int, int]) -> _Hit:
    model = catalog.model
    detail = f"{plural(model.num_layers, 'layer')}, {plural(model.num_units, 'unit')}"
    return _Hit(score, "model", model.title, detail, model.id, urls.model(model.id))


def _layer_hit(catalog: Catalog, layer: LayerRecord, score: tuple[int, int, int, int]) -> _Hit:
    detail = f"{layer.spec.operation}, {plural(layer.spec.num_units, layer.spec.kind)}"
    return _Hit(score, "layer", layer.name, detail, catalog.model.id, urls.layer(catalog.model.id, layer.name))


def _names(catalogs: list[Catalog], text: str) -> Iterator[_Hit]:
    """Yield models and layers by their names where no build has made the index of names yet."""
    for place, catalog in enumerate(catalogs):
        if text in (model_name := fold(f"{catalog.model.id} {catalog.model.title}")):
            yield _model_hit(catalog, (_closeness(text, model_name), 0, place, 0))
        for layer in catalog.layers.values():
            if text in (name := fold(layer.name)):
                yield _layer_hit(catalog, layer, (_closeness(text, name), 1, layer.spec.position, place))


def _numbers(visit: Visit, catalogs: list[Catalog], layer_text: str, unit: int) -> Iterator[_Hit]:
    """Yield the units of a number, in all layers or in those that have the words before it in their name."""
    places = {catalog.model.id: place for place, catalog in enumerate(catalogs)}
    chosen: Iterable[tuple[Catalog, LayerRecord, int]]
    if not layer_text:
        chosen = ((catalog, layer, 1) for catalog in catalogs for layer in catalog.layers.values())
    elif has_index(visit.reader):
        names = find_names(visit.reader, layer_text, MAX_PER_KIND, kinds=("layer",))
        known = [(name, _layer_of(catalogs, name.layer_id)) for name in names]
        chosen = ((*layer, _closeness(layer_text, name.folded)) for name, layer in known if layer is not None)
    else:
        chosen = ((catalog, layer, 3) for catalog in catalogs for layer in catalog.layers.values() if layer_text in layer.name)
    large_enough = (each for each in chosen if unit < each[1].spec.num_units)
    for catalog, layer, closeness in islice(large_enough, MAX_PER_KIND):
        model_id = catalog.model.id
        detail = f"{layer.spec.kind} {unit} of {layer.spec.num_units}"
        link = urls.unit(model_id, layer.name, unit)
        score = (closeness, KINDS.index("unit"), layer.spec.position, places[model_id])
        yield _Hit(score, "unit", f"{layer.name} / {unit}", detail, model_id, link, (layer.name, unit))


def _written(visit: Visit, catalogs: dict[str, Catalog], q: str) -> Iterator[_Hit]:
    """Yield what people said in which the words of a text are: labels and notes lead to what they are about."""
    found = [one.annotation for one in visit.door.annotations.find_written(q, MAX_PER_KIND)]
    stimuli = stimuli_of(visit.reader, (subject for one in found for part, subject in one.named() if part == "about"))
    for rank, one in enumerate(found):
        score = (_closeness(fold(q), fold(one.headline)), len(KINDS), rank, 0)
        by = f"{one.kind}{' by ' if one.author else ''}{one.author}"
        about = next((subject for part, subject in one.named() if part == "about"), None)
        link = urls.unit_list(one.id or "") if about is None else address_of(about, stimuli)
        if link is None or (about is not None and not _is_here(catalogs, about)):
            continue  # of what this atlas does not have, the page of the annotation itself tells
        unit = None if about is None or about.unit is None or about.layer is None else (about.layer, about.unit)
        place = "" if unit is None else f", {unit[0]} / {unit[1]}"
        model_id = None if about is None else about.model
        yield _Hit(score, one.kind, one.headline or "★", f"{by}{place}", model_id, link, unit)


def _is_here(catalogs: dict[str, Catalog], about: Subject) -> bool:
    if about.model is None:
        return True
    catalog = catalogs.get(about.model)
    layer = None if catalog is None or about.layer is None else catalog.layers.get(about.layer)
    if layer is None:
        return catalog is not None and about.layer is None
    return about.unit is None or about.unit < layer.spec.num_units


def _pictured(visit: Visit, catalogs: list[Catalog], hits: list[_Hit]) -> list[Found]:
    by_model = {catalog.model.id: catalog for catalog in catalogs}
    units: dict[str, tuple[int, int]] = {}
    for hit in hits:
        if hit.unit is not None and hit.model is not None:
            units[hit.link] = (by_model[hit.model].layers[hit.unit[0]].row, hit.unit[1])
    thumbs = thumbs_of(visit.reader, list(units.values()))

    def picture(hit: _Hit) -> str | None:
        thumb = thumbs.get(units.get(hit.link, (-1, -1)))
        if thumb is None or hit.unit is None or hit.model is None:
            return None
        return address(hit.model, *hit.unit, by_model[hit.model].model.dataset_id, thumb)

    return [
        Found(
            kind=hit.kind,
            title=hit.title,
            detail=hit.detail,
            model=hit.model,
            thumbnail=picture(hit),
            link=hit.link,
        )
        for hit in hits
    ]


def _suggestions(catalogs: list[Catalog], q: str) -> list[str]:
    names = [name for catalog in catalogs for name in (catalog.model.id, *catalog.layers, *(catalog.model.labels or []))]
    return closest_names(q, dict.fromkeys(names), count=3)


PAGES = (
    Page(
        "/search",
        "search",
        "Units, layers, models and labels that match a text, and what people said.",
        build_search,
        (SearchPage,),
        PARAMETERS,
        shows_annotations=True,
    ),
)
