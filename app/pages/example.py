"""Search by example: which images, and which units' strongest examples, look like an image that somebody gives."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from numpy.typing import NDArray

from app import urls
from app.contexts import ExamplePage, LikeControl, LikeStimulus, LikeUnit
from app.dependencies import Visit, read_number
from app.parts.summaries import page_links
from app.pictures.given import MAX_BYTES, describe_given
from app.pictures.thumbs import address
from app.query import Parameter, Query, decode_cursor, encode_cursor
from app.twins import Page
from app.writing.gate import is_same_origin, read_body
from precompute.appearance import of_text, to_text
from precompute.errors import OtherOrigin, TooLarge, UnknownName, UsageError
from precompute.store.columns import UnitColumns, dataset_looks, unit_columns
from precompute.store.like_units import best_units, strongest_owners
from precompute.store.likeness import first_places
from precompute.store.looks import LooksRecord
from precompute.store.many import labels_of, thumbs_of
from precompute.store.records import Catalog, StimulusRecord

DEFAULT_LIMIT = 60
NUM_STIMULI = 24
MAX_START = 10_000
_FORM_BYTES = 4096
PARAMETERS = (
    Parameter("like", "The description of an image, as the form answers with it"),
    Parameter("stimulus", "Or the number of an image of the atlas", kind="integer"),
    Parameter("model", "Search the images and units of this model"),
    Parameter("limit", "Units on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
_NOT_COUNTED = (
    "This atlas does not tell yet what its images look like. Any build adds it: give the command of the model again, and it does "
    "only what is missing."
)


@dataclass(frozen=True)
class _Asked:
    """What is asked about.

    Attributes:
        direction: What it looks like, in standard deviations of the dataset, at length 1.
        stimulus: The image, where it is one of the dataset.
    """

    direction: NDArray[np.float32]
    stimulus: StimulusRecord | None


def build_example(visit: Visit) -> ExamplePage:
    """Return what looks like an image."""
    query = visit.query
    like, number = query.text("like"), query.text("stimulus")
    if like and number:
        raise UsageError("Give `like` or `stimulus`, not both.")
    features = of_text(like) if like else None
    stimulus = _stimulus(visit, number) if number else None
    shown = None if stimulus is None else visit.reader.models_of(stimulus)
    models = [model for model in visit.reader.models() if shown is None or model.id in shown]
    names = [model.id for model in sorted(models, key=lambda model: model.weights_origin == "hand-coded")]
    model = query.text("model") or (names[0] if names else "")
    if query.text("model") and model not in names:
        raise UnknownName("model", model, names, where="This image" if stimulus else "This atlas")
    page = ExamplePage(
        like=like or None,
        stimulus=None if stimulus is None else stimulus.id,
        image=None if stimulus is None else urls.blob(stimulus.blob_name),
        model=model or None,
        models=names,
        problem=None,
        stimuli=[],
        items=[],
        total=0,
        next=None,
        control=None,
        query=query.values,
        links=page_links(urls.search_example(**query.values), search=urls.search()),
    )
    return _answered(visit, page, features, stimulus)


def _answered(
    visit: Visit, page: ExamplePage, features: NDArray[np.float64] | None, stimulus: StimulusRecord | None
) -> ExamplePage:
    """Return the page with what was found, or with why nothing can be."""
    catalog = None if page.model is None else visit.reader.catalog(page.model, visit.revision)
    looks = None if catalog is None else dataset_looks(visit.reader, catalog)
    columns = None if catalog is None else unit_columns(visit.reader, catalog.model.id)
    if catalog is None or looks is None or columns is None or not columns.looks().size:
        return page.model_copy(update={"problem": _NOT_COUNTED})
    asked = _asked(looks, features, stimulus)
    if asked is None:
        return page
    likeness = looks.directions @ asked.direction
    found = _units(visit, catalog, looks, columns, asked, likeness)
    return page.model_copy(update={"stimuli": _stimuli(visit, catalog, looks, likeness, stimulus), **found})


def _stimulus(visit: Visit, text: str) -> StimulusRecord:
    found = visit.reader.stimulus(read_number("image", text))
    if found is None:
        raise UnknownName("image", text[:80], (), where="This atlas", hint="Examples on unit pages link to its images.")
    return found


def _asked(looks: LooksRecord, features: NDArray[np.float64] | None, stimulus: StimulusRecord | None) -> _Asked | None:
    if features is not None:
        return _Asked(looks.direction_of(features), None)
    if stimulus is None:
        return None
    place = int(looks.places(np.array([stimulus.index]))[0])
    return None if place < 0 else _Asked(looks.directions[place], stimulus)


def _stimuli(
    visit: Visit, catalog: Catalog, looks: LooksRecord, likeness: NDArray[np.float32], own: StimulusRecord | None
) -> list[LikeStimulus]:
    """Return the images that look most like it, without itself."""
    places = first_places(-likeness, NUM_STIMULI + 1)
    values = {int(looks.stimuli[place]): float(likeness[place]) for place in places}
    if own is not None:
        values.pop(own.index, None)
    records = visit.reader.stimuli(catalog.model, values)
    return [
        LikeStimulus(
            stimulus=record.id,
            key=record.key,
            label=record.label,
            similarity=values[record.index],
            image=urls.blob(record.blob_name),
            links=page_links(urls.stimulus(record.id), example=urls.search_example(stimulus=record.id, model=catalog.model.id)),
        )
        for record in (records[index] for index in list(values)[:NUM_STIMULI] if index in records)
    ]


def _units(
    visit: Visit,
    catalog: Catalog,
    looks: LooksRecord,
    columns: UnitColumns,
    asked: _Asked,
    likeness: NDArray[np.float32],
) -> dict[str, object]:
    """Return the units whose examples look most like it, and what comes for free."""
    own = _own_places(visit, columns, asked.stimulus)
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, 200)
    scope = {"like": visit.query.text("like"), "stimulus": visit.query.text("stimulus"), "model": catalog.model.id}
    given = decode_cursor(scope, visit.query.text("after"), (int,))
    start = 0 if given is None else max(0, min(MAX_START, int(given[0])))
    found = best_units(columns, looks, asked.direction, own, start + limit + 1)
    places = found.places[start:].tolist()
    following = None
    if len(places) > limit and start + limit <= MAX_START:
        values = visit.query.values | {"after": encode_cursor(scope, [start + limit])}
        following = visit.prefer(urls.search_example(**values))
    chance = columns.looks_control()
    control = LikeControl(
        mean_similarity=float(likeness.mean()),
        high_similarity=float(np.quantile(likeness, 0.95)),
        num_images=len(likeness),
        top_score=None if chance is None else chance.top,
        tenth_score=None if chance is None else chance.tenth,
        shuffled_top_score=found.shuffled_top,
        num_random=0 if chance is None else chance.num_random,
        seed=0 if chance is None else chance.seed,
    )
    scores = dict(zip(places[:limit], found.scores[start:].tolist(), strict=False))
    items = _items(visit, catalog, columns, scores, frozenset(np.intersect1d(own, places).tolist()))
    return {"items": items, "total": columns.num_units, "next": following, "control": control}


def _own_places(visit: Visit, columns: UnitColumns, stimulus: StimulusRecord | None) -> NDArray[np.int64]:
    """Return the places of the units that have the image itself among their strongest examples, rising."""
    return np.zeros(0, dtype=np.int64) if stimulus is None else strongest_owners(visit.reader, columns, stimulus)


def _items(
    visit: Visit,
    catalog: Catalog,
    columns: UnitColumns,
    scores: dict[int, float],
    own: frozenset[int],
) -> list[LikeUnit]:
    model = catalog.model
    units = dict(zip(scores, columns.units_at(list(scores)), strict=True))
    labels, thumbs = labels_of(visit.reader, list(units.values())), thumbs_of(visit.reader, list(units.values()))
    found: list[LikeUnit] = []
    for place, unit in units.items():
        layer = catalog.by_row.get(unit[0])
        if layer is None:
            continue
        thumb = thumbs.get(unit)
        found.append(
            LikeUnit(
                model=model.id,
                layer=layer.name,
                index=unit[1],
                label=labels.get(unit),
                score=scores[place],
                is_own_example=place in own,
                thumbnail=None if thumb is None else address(model.id, layer.name, unit[1], model.dataset_id, thumb),
                links=page_links(urls.unit(model.id, layer.name, unit[1])),
            )
        )
    return found


_IMAGE = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "required": ["image"], "properties": {"image": _IMAGE}}},
        "image/*": {"schema": _IMAGE},
    },
}
_PROBLEMS = {400: "It is no image", 403: "The page of another site sent it", 413: f"More than {MAX_BYTES // 2**20} MB"}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    303: {"description": "`Location` is the address of the search"},
    **{
        status: {
            "description": words,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, words in _PROBLEMS.items()
    },
}


def example_routes() -> APIRouter:
    """Return what takes an image, as a form or as it is, and answers with the address of the search."""
    router = APIRouter()

    def taking(prefix: str) -> None:
        async def take(request: Request) -> Response:
            Query(request.query_params.multi_items(), ())
            if not is_same_origin(request.headers):
                raise OtherOrigin("The page of another site sent this. Open this server's own page and send it from there.")
            try:
                body = await read_body(request, MAX_BYTES + _FORM_BYTES)
            except TooLarge as error:
                raise TooLarge(f"The image may have at most {MAX_BYTES // 2**20} MB. Give a smaller one.") from error
            features = await run_in_threadpool(lambda: describe_given(image_of(request.headers.get("content-type", ""), body)))
            return RedirectResponse(f"{prefix}{urls.search_example(like=to_text(features))}", 303, {"Cache-Control": "no-store"})

        router.add_api_route(
            f"{prefix}{urls.search_example()}",
            take,
            methods=["POST"],
            operation_id="search_example_image",
            summary="Take an image, and lead to the search for units whose examples look like it; the image is not kept.",
            response_class=Response,
            status_code=303,
            responses=_ANSWERS,
            openapi_extra={"requestBody": _BODY},
            include_in_schema=bool(prefix),
        )

    for prefix in ("", urls.API):
        taking(prefix)
    return router


def image_of(content_type: str, body: bytes) -> bytes:
    """Return the bytes of the image in a body: the whole of it, or the field `image` of a form.

    Raises:
        UsageError: It is neither.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        return body
    wrong = UsageError("Send the file in the field `image` of a form, or as the body with its own content type.")
    if kind != "multipart/form-data" or not content_type.isascii():
        raise wrong
    try:
        message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=HTTP)
        parts = list(message.iter_parts()) if message.is_multipart() else []
        for part in parts[:8]:
            content = part.get_payload(decode=True)
            if part.get_param("name", header="content-disposition") == "image" and isinstance(content, bytes):
                return content
    except (ValueError, LookupError) as error:
        raise wrong from error
    raise wrong


PAGES = (
    Page(
        "/search/example",
        "search_example",
        "Images, and units whose examples look like an image.",
        build_example,
        (ExamplePage,),
        PARAMETERS,
    ),
)
