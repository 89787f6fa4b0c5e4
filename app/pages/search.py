"""Search: unit numbers, layers, models, labels of units and of images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app import urls
from app.contexts import Found, SearchPage
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from app.words.formats import plural
from precompute.errors import UsageError, closest_names
from precompute.store.listing import find_labelled_units, find_stimuli
from precompute.store.records import Catalog

DEFAULT_LIMIT = 40
MAX_FOUND = 400
MAX_LENGTH = 200
PARAMETERS = (
    Parameter("q", "What to look for: `42`, `blocks.3 42`, `conv_dw`, `tabby cat`"),
    Parameter("limit", "Results on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
_UNIT = re.compile(r"^(?P<layer>.*?)[\s/:#]*(?<![\d])(?P<unit>0|[1-9]\d{0,8})$")


@dataclass(frozen=True)
class _Hit:
    """Something found, before its picture is looked up; smaller scores come first."""

    score: tuple[int, int, int, int]
    found: Found
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
    place = decode_cursor(scope, visit.query.text("after"), (int,))
    start = 0 if place is None else max(0, int(place[0]))
    following = None
    if start + limit < len(hits):
        values = visit.query.values | {"after": encode_cursor(scope, [start + limit])}
        following = visit.prefer(urls.search(**values))
    return SearchPage(
        q=q,
        items=_pictured(visit, catalogs, hits[start : start + limit]),
        total=len(hits),
        next=following,
        suggestions=[] if hits or not q else _suggestions(catalogs, q),
        links=page_links(urls.search(q=q or None)),
    )


def _best(hits: Iterable[_Hit]) -> list[_Hit]:
    """Return the hits, best first; what was found in two ways is told once."""
    found: dict[str, _Hit] = {}
    for hit in sorted(hits, key=lambda hit: hit.score):
        found.setdefault(hit.found.link, hit)
    return list(found.values())[:MAX_FOUND]


def _hits(visit: Visit, catalogs: list[Catalog], q: str) -> Iterator[_Hit]:
    text = q.lower()
    match = _UNIT.match(text)
    for place, catalog in enumerate(catalogs):
        yield from _names(catalog, place, text)
        if match is not None:
            yield from _numbers(catalog, place, match["layer"].strip(" /:#"), int(match["unit"]))
    yield from _labels(visit, catalogs, text)


def _closeness(text: str, name: str) -> int | None:
    """Return how well a name matches: 0 equal, 1 begins, 2 a word begins, 3 contains; None where it does not."""
    name = name.lower()
    place = name.find(text)
    if place < 0:
        return None
    if name == text:
        return 0
    if place == 0:
        return 1
    return 2 if not name[place - 1].isalnum() else 3


def _names(catalog: Catalog, place: int, text: str) -> Iterator[_Hit]:
    model = catalog.model
    close = [found for found in (_closeness(text, model.id), _closeness(text, model.title)) if found is not None]
    if close:
        detail = f"{plural(model.num_layers, 'layer')}, {plural(model.num_units, 'unit')}"
        yield _Hit((min(close), 0, place, 0), _found("model", model.title, detail, model.id, urls.model(model.id)))
    for layer in catalog.layers.values():
        closeness = _closeness(text, layer.name)
        if closeness is not None:
            detail = f"{layer.spec.operation}, {plural(layer.spec.num_units, layer.spec.kind)}"
            found = _found("layer", layer.name, detail, model.id, urls.layer(model.id, layer.name))
            yield _Hit((closeness, 1, layer.spec.position, place), found)


def _numbers(catalog: Catalog, place: int, layer_text: str, unit: int) -> Iterator[_Hit]:
    for layer in catalog.layers.values():
        closeness = _closeness(layer_text, layer.name) if layer_text else 1
        if closeness is None or unit >= layer.spec.num_units:
            continue
        url = urls.unit(catalog.model.id, layer.name, unit)
        found = _found(
            "unit", f"{layer.name} / {unit}", f"{layer.spec.kind} {unit} of {layer.spec.num_units}", catalog.model.id, url
        )
        yield _Hit((closeness, 2, layer.spec.position, place), found, (layer.name, unit))


def _labels(visit: Visit, catalogs: list[Catalog], text: str) -> Iterator[_Hit]:
    layers = {row: (catalog, layer) for catalog in catalogs for row, layer in catalog.by_row.items()}
    for rank, found in enumerate(find_labelled_units(visit.reader, text, MAX_FOUND)):
        catalog, layer = layers[found.layer]
        url = urls.unit(catalog.model.id, layer.name, found.unit)
        detail = f"{layer.name} / {found.unit}"
        hit = _found("unit", found.label, detail, catalog.model.id, url)
        yield _Hit((_closeness(text, found.label) or 0, 3, rank, 0), hit, (layer.name, found.unit))
    for rank, (first, name, number) in enumerate(find_stimuli(visit.reader, text, 60)):
        hit = _found("images", name, plural(number, "image"), None, urls.stimulus(first))
        yield _Hit((_closeness(text, name) or 0, 4, rank, 0), hit)


def _found(kind: str, title: str, detail: str, model: str | None, link: str) -> Found:
    return Found(kind=kind, title=title, detail=detail, model=model, thumbnail=None, link=link)


def _pictured(visit: Visit, catalogs: list[Catalog], hits: list[_Hit]) -> list[Found]:
    wanted: dict[str, dict[str, list[int]]] = {}
    for hit in hits:
        if hit.unit is not None and hit.found.model is not None:
            wanted.setdefault(hit.found.model, {}).setdefault(hit.unit[0], []).append(hit.unit[1])
    pictures = {
        catalog.model.id: thumbnails(visit.reader, catalog, wanted[catalog.model.id])
        for catalog in catalogs
        if catalog.model.id in wanted
    }
    return [
        hit.found
        if hit.unit is None
        else hit.found.model_copy(update={"thumbnail": pictures[hit.found.model or ""].get(hit.unit)})
        for hit in hits
    ]


def _suggestions(catalogs: list[Catalog], q: str) -> list[str]:
    names = [name for catalog in catalogs for name in (catalog.model.id, *catalog.layers, *(catalog.model.labels or []))]
    return closest_names(q, dict.fromkeys(names), count=3)


PAGES = (
    Page("/search", "search", "Units, layers, models and labels that match a text.", build_search, (SearchPage,), PARAMETERS),
)
