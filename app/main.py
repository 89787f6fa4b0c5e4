"""The web app: `create_app(settings)` returns it. It changes nothing in an atlas; what people write is apart."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors, urls
from app.bulk.routes import Bulk
from app.dependencies import AtlasDoor
from app.explorer.files import ExplorerFiles
from app.media import IMMUTABLE, Media
from app.pages import PAGES
from app.pages.docs import docs_page
from app.query import Query
from app.settings import AppSettings
from app.sharing.routes import Sharing
from app.templating import Templates, app_version
from app.twins import serve_pages
from app.writing.circuits import CircuitApi

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
_EMBEDDED = re.compile(r"/models/[^/]+/[^/]+(?:/[0-9]+(?:/weights)?)?")
# They travel as one file: one request instead of six.
_STYLES = ("tokens.css", "base.css", "components.css", "circuits.css", "explorer.css", "queries.css", "share.css")
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
    """Compresses text, and puts the security headers on every answer.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressing = GZipMiddleware(app, minimum_size=500, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._plain(scope, receive, send)
            return

        headers = _EMBED_HEADERS if _is_embed(scope) else _RAW_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        is_picture = scope["path"].startswith("/media/")
        await (self._plain if is_picture else self._compressing)(scope, receive, send_with_headers)


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
    pages = (*PAGES, docs_page(PAGES))
    errors.install(app, templates)
    app.include_router(_plain_routes(app, settings, templates))
    app.include_router(ExplorerFiles(door).router())
    app.include_router(Sharing(door).router())
    app.include_router(Bulk(door).router())
    app.include_router(Media(door).router())
    app.include_router(CircuitApi(door, templates, pages).router())
    app.include_router(serve_pages(pages, door, templates))
    app.add_middleware(Envelope)
    return app


def _plain_routes(app: FastAPI, settings: AppSettings, templates: Templates) -> APIRouter:
    router = APIRouter()
    files = StaticFiles(directory=settings.static, check_dir=False)

    def healthz(request: Request) -> dict[str, str]:
        Query(request.query_params.multi_items(), ())
        return {"status": "ok", "version": app_version()}

    def openapi(request: Request) -> dict[str, Any]:
        Query(request.query_params.multi_items(), ())
        return openapi_of(app)

    styles = "\n".join((settings.static / "css" / name).read_text() for name in _STYLES)

    async def static(request: Request) -> Response:
        path = str(request.path_params["path"])
        if "\0" in path:
            raise HTTPException(404)
        if path == "app.css":
            response = Response(styles, media_type="text/css")
        else:
            response = await files.get_response(path, request.scope)
        is_current = request.path_params["version"] == templates.static_version
        response.headers["Cache-Control"] = IMMUTABLE if is_current else "no-cache"
        return response

    router.add_api_route("/healthz", healthz, methods=["GET", "HEAD"], include_in_schema=False)
    router.add_api_route(urls.openapi(), openapi, methods=["GET", "HEAD"], include_in_schema=False)
    router.add_api_route("/static/{version}/{path:path}", static, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """Return the machine-readable description of the API."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, routes=app.routes, description=__doc__)
        found.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
        app.openapi_schema = found
    return app.openapi_schema
