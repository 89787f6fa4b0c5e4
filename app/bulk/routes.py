"""The addresses of bulk answers: `/api/v1/models/{model}/TABLE.FORMAT`."""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app import urls
from app.bulk.columns import SUMMARIES, TABLES, row_schema
from app.bulk.formats import MEDIA_TYPES, json_lines, parquet
from app.bulk.rows import GROUPS, ROWS, Wanted
from app.dependencies import AtlasDoor
from app.query import Parameter, Query
from precompute.domain import VISUALIZATION_STATUSES
from precompute.errors import UnknownName, UsageError
from precompute.store.columns import metric_bins
from precompute.store.listing import UnitFilter, metric_names
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord

_LAYER = Parameter("layer", "Only layers of this name; `*` stands for any letters")
_UNITS = (
    _LAYER,
    Parameter("min.", "Only units whose METRIC is at least this", kind="number"),
    Parameter("max.", "Only units whose METRIC is at most this", kind="number"),
    Parameter("status", "Only units with a visualization of this status", choices=VISUALIZATION_STATUSES),
    Parameter("visualization", "Only units with, or without, a visualization", choices=("yes", "no")),
)
PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "units": _UNITS,
    "metrics": (*_UNITS, Parameter("metric", "Only these metrics, separated by commas")),
    "examples": (*_UNITS, Parameter("group", "Only examples of this group", choices=GROUPS)),
    "edges": (
        Parameter("layer", "Only weights into layers of this name; `*` stands for any letters"),
        Parameter("source", "Only weights from layers of this name; `*` stands for any letters"),
        Parameter("top", "Only the strongest so many into each unit from each layer, 1 to 100000", kind="integer"),
        Parameter("min.norm", "Only weights of at least this norm", kind="number"),
    ),
}
_WORDS = {
    400: "An unknown query parameter, or an impossible value",
    404: "No such model or layer",
    503: "The atlas cannot be read",
}


class Bulk:
    """The routes.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        for table in TABLES:
            for extension in MEDIA_TYPES:
                path = f"{urls.API}/models/{{model}}/{table}.{extension}"
                endpoint = self._endpoint(table, extension)
                router.add_api_route(
                    path,
                    endpoint,
                    methods=["GET"],
                    operation_id=f"{table}_{extension}",
                    summary=SUMMARIES[table],
                    response_class=Response,
                    responses=_responses(table, extension),
                    openapi_extra={"parameters": _parameters(table)},
                )
                router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        return router

    def _endpoint(self, table: str, extension: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            query = Query(request.query_params.multi_items(), PARAMETERS[table])
            reader = self._door.reader()
            revision = reader.revision()
            wanted = _wanted(reader, reader.catalog(str(request.path_params["model"]), revision), table, query)
            model_id = wanted.catalog.model.id
            stamp = "\0".join((revision, table, extension, model_id, str(sorted(query.values.items()))))
            headers = {
                "ETag": f'W/"{hashlib.sha256(stamp.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"',
                "Cache-Control": "no-cache",
                "Content-Disposition": f'attachment; filename="{table}.{extension}"',
            }
            if headers["ETag"] in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            pieces = _pieces(table, extension, wanted)
            first = next(pieces, b"")  # what goes wrong at the start is an answer, and not a broken file
            if request.method == "HEAD":
                told = Response(headers=headers, media_type=MEDIA_TYPES[extension])
                del told.headers["content-length"]  # it is not known before all is read
                return told
            return StreamingResponse(itertools.chain([first], pieces), headers=headers, media_type=MEDIA_TYPES[extension])

        return answer


def _pieces(table: str, extension: str, wanted: Wanted) -> Iterator[bytes]:
    chunks = ROWS[table](wanted)
    if extension == "jsonl":
        return json_lines(chunks)
    return parquet(table, chunks, sorted(_metrics_of(wanted)) if table == "units" else ())


def _metrics_of(wanted: Wanted) -> set[str]:
    """Return the metrics of the units; those of a whole model were counted, unless a build is under way."""
    reader, catalog = wanted.reader, wanted.catalog
    if len(wanted.layers) == len(catalog.layers) and reader.is_counted(catalog):
        return {found.metric for found in metric_bins(reader, catalog.model.id, None)}
    return metric_names(reader, wanted.layers)


def _wanted(reader: AtlasReader, catalog: Catalog, table: str, query: Query) -> Wanted:
    layers = _layers(catalog, "layer", query.text("layer"))
    if table == "edges":
        sources = {layer.name for layer in _layers(catalog, "source", query.text("source"))}
        names = {layer.name for layer in layers}
        return Wanted(
            reader,
            catalog,
            layers,
            UnitFilter(),
            links=[link for link in catalog.links if link.target in names and link.source in sources],
            top=query.integer("top", 0, 1, 100_000) or None,
            min_norm=query.numbers("min.").get("norm", 0.0),
        )
    metrics = tuple(query.text("metric").split(",")) if table == "metrics" and query.text("metric") else ()
    minimum, maximum = query.numbers("min."), query.numbers("max.")
    asked = {*minimum, *maximum, *metrics}
    if asked and (unknown := sorted(asked - metric_names(reader, layers, asked))):
        known = metric_names(reader, layers)
        raise UsageError(f"There is no metric {unknown[0][:80]!r} here. It has: {', '.join(sorted(known)) or 'none yet'}.")
    visualization = query.choice("visualization")
    units = UnitFilter(
        minimum=minimum,
        maximum=maximum,
        status=query.choice("status"),
        has_visualization=None if visualization is None else visualization == "yes",
    )
    return Wanted(reader, catalog, layers, units, metrics, query.choice("group") if table == "examples" else None)


def _layers(catalog: Catalog, parameter: str, pattern: str) -> list[LayerRecord]:
    if not pattern:
        return list(catalog.layers.values())
    if "*" not in pattern:
        return [catalog.layer(pattern)]
    if len(pattern) > 300 or pattern.count("*") > 8:
        raise UsageError(f"{parameter!r} is too long, or has more than eight `*`.")
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    found = [layer for name, layer in catalog.layers.items() if fnmatch.fnmatchcase(name, literal)]
    if not found:
        raise UnknownName("layer", pattern[:80], catalog.layers, where=catalog.model.id)
    return found


def _parameters(table: str) -> list[dict[str, Any]]:
    in_path = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    in_query = [
        {"name": p.name, "in": "query", "required": False, "description": p.summary, "schema": p.schema}
        for p in PARAMETERS[table]
    ]
    return [in_path, *in_query]


def _responses(table: str, extension: str) -> dict[int | str, dict[str, Any]]:
    schema: dict[str, Any] = {"type": "string", "format": "binary"}
    if extension == "jsonl":
        schema = {"type": "string", "description": "One JSON object on each line", "x-row": row_schema(table)}
    words = dict(_WORDS)
    if extension == "parquet":
        words[501] = "The server has no pyarrow"
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": SUMMARIES[table], "content": {MEDIA_TYPES[extension]: {"schema": schema}}}
    }
    return found | {status: {"description": text, "content": problem} for status, text in words.items()}
