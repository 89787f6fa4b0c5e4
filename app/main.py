"""The web app: `create_app(settings)` returns it. It changes nothing in an atlas; what people write is apart."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors, urls
from app.bulk.routes import Bulk
from app.dependencies import AtlasDoor
from app.explorer.files import ExplorerFiles
from app.media import Media
from app.pages import PAGES
from app.pages.docs import docs_page
from app.pages.events import BuildEvents
from app.pages.example import example_routes
from app.pages.random import random_routes
from app.query import Query
from app.rate import RateLimit, client_of, refuse
from app.ready import LEVEL, SMALLEST_PACKED, RawHeaders, ReadyAnswers, is_known_tag, takes_gzip, target_of
from app.ready_blobs import ReadyBlobs
from app.settings import AppSettings
from app.sharing.routes import Sharing
from app.static_files import StaticFolder
from app.templating import Templates, app_version
from app.twins import serve_pages
from app.writing.annotations import AnnotationApi
from app.writing.circuits import CircuitApi
from precompute.annotations.document import annotation_schema
from precompute.circuits.circuit import circuit_schema

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
# A graph that is made to be shown in another page may be; nothing else of the app.
_EMBED_HEADERS = [
    (name, value.replace(b"frame-ancestors 'self'", b"frame-ancestors *"))
    for name, value in _RAW_HEADERS
    if name != b"x-frame-options"
]
_READS = ("GET", "HEAD")
_EMBEDDED = re.compile(r"/models/[^/]+/[^/]+(?:/[0-9]+(?:/weights)?)?")
_PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457)",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}


class Envelope:
    """Gives answers that are ready, compresses text, and puts the security headers on every answer.

    Args:
        app: What answers where nothing is ready.
        ready: The pages that are.
        blobs: The files that are.
        limit: How often one client may ask; None: as often as it likes.
    """

    def __init__(self, app: ASGIApp, ready: ReadyAnswers, blobs: ReadyBlobs, limit: RateLimit | None) -> None:
        self._plain = app
        self._compressing = GZipMiddleware(app, minimum_size=SMALLEST_PACKED, compresslevel=LEVEL)
        self._ready = ready
        self._blobs = blobs
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._plain(scope, receive, send)
            return
        headers = _EMBED_HEADERS if _is_embed(scope) else _RAW_HEADERS
        seconds = 0.0 if self._limit is None else self._limit.take(client_of(scope))
        if self._limit is not None and seconds:
            await refuse(scope, send, seconds, self._limit.per_second, headers)
            return
        if scope["method"] in _READS and await self._send_ready(scope, send, headers):
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._next(scope)(scope, receive, send_with_headers)

    def _next(self, scope: Scope) -> ASGIApp:
        if scope["path"].startswith("/media/"):
            return self._plain
        return self._compressing if takes_gzip(scope["headers"]) else IdentityResponder(self._plain, SMALLEST_PACKED)

    async def _send_ready(self, scope: Scope, send: Send, headers: RawHeaders) -> bool:
        """Send what is ready, and return whether anything was."""
        if scope["path"].startswith("/media/"):
            blob = self._blobs.find(scope)
            if blob is None:
                return False
            await _send(scope, send, blob.etag, [*blob.headers, *headers], blob.headers[:2] + headers, blob.body)
            return True
        answer = self._ready.find(target_of(scope), packed=takes_gzip(scope["headers"]))
        if answer is None:
            return False
        full, known = [*answer.raw_headers, *headers], [*answer.known_headers, *headers]
        await _send(scope, send, answer.headers["ETag"], full, known, answer.body)
        return True


async def _send(scope: Scope, send: Send, etag: str, full: RawHeaders, known: RawHeaders, body: bytes) -> None:
    """Send an answer, or say that who asks has it already.

    Args:
        scope: The request.
        send: Takes the answer.
        etag: Of the answer.
        full: The headers of the whole answer.
        known: The headers for who has it.
        body: Its bytes.
    """
    is_known = any(name == b"if-none-match" and is_known_tag(value.decode("latin-1"), etag) for name, value in scope["headers"])
    await send({"type": "http.response.start", "status": 304 if is_known else 200, "headers": known if is_known else full})
    await send({"type": "http.response.body", "body": b"" if is_known or scope["method"] == "HEAD" else body})


def _is_embed(scope: Scope) -> bool:
    return _EMBEDDED.fullmatch(scope["path"]) is not None and b"embed=1" in scope["query_string"].split(b"&")


def create_app(settings: AppSettings) -> FastAPI:
    """Return the web app for an atlas.

    Args:
        settings: Where the atlas is. It need not exist yet: the start page then tells how to build it.
    """
    app = FastAPI(
        title="unitscope", version=app_version(), docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    door = AtlasDoor(settings)
    templates = Templates(settings)
    pages = (*PAGES, docs_page(PAGES, lambda: openapi_of(app)))
    errors.install(app, templates)
    app.include_router(_plain_routes(app, settings, templates))
    app.include_router(random_routes(door))
    app.include_router(BuildEvents(door).router())
    app.include_router(example_routes())
    app.include_router(ExplorerFiles(door).router())
    app.include_router(Sharing(door).router())
    app.include_router(Bulk(door).router())
    app.include_router(Media(door).router())
    app.include_router(CircuitApi(door, templates, pages).router())
    app.include_router(AnnotationApi(door, templates, pages).router())
    ready = ReadyAnswers(door, templates.version)
    app.include_router(serve_pages(pages, door, templates, ready))
    limit = RateLimit(settings.requests_per_second) if settings.requests_per_second else None
    app.add_middleware(Envelope, ready=ready, blobs=ReadyBlobs(door), limit=limit)
    return app


def _plain_routes(app: FastAPI, settings: AppSettings, templates: Templates) -> APIRouter:
    router = APIRouter()
    folder = StaticFolder(settings.static, templates.static_version)

    def healthz(request: Request) -> dict[str, str]:
        Query(request.query_params.multi_items(), ())
        return {"status": "ok", "version": app_version()}

    def openapi(request: Request) -> dict[str, Any]:
        Query(request.query_params.multi_items(), ())
        return openapi_of(app)

    async def static(request: Request) -> Response:
        path = str(request.path_params["path"])
        if "\0" in path:
            raise HTTPException(404)
        return await folder.answer(request, str(request.path_params["version"]), path)

    router.add_api_route("/healthz", healthz, methods=["GET", "HEAD"], include_in_schema=False)
    router.add_api_route(urls.openapi(), openapi, methods=["GET", "HEAD"], include_in_schema=False)
    router.add_api_route("/static/{version}/{path:path}", static, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _document_schemas(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of documents and of their parts, under the names that the description gives them."""
    document: dict[str, Any] = json.loads(json.dumps(schema).replace('"#/$defs/', f'"#/components/schemas/{name}.'))
    parts: dict[str, Any] = document.pop("$defs", {})
    plain = {key: value for key, value in document.items() if key not in ("$id", "$schema")}
    return {name: plain} | {f"{name}.{part}": body for part, body in parts.items()}


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """Return the machine-readable description of the API."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, routes=app.routes, description=__doc__)
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        schemas |= _document_schemas("CircuitDocument", circuit_schema()) | _document_schemas(
            "AnnotationDocument", annotation_schema()
        )
        app.openapi_schema = found
    return app.openapi_schema
