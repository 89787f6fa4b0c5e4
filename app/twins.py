"""A page is declared once; from it come the HTML page, its JSON twin, the link between them, and its documentation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response

from app import urls
from app.contexts import Context
from app.dependencies import AtlasDoor, Visit
from app.parts.builds import BUILD, check_build
from app.parts.share import share_of
from app.query import Parameter, Query
from app.ready import NOTHING, Answer, Basis, Needs, ReadyAnswers, is_known_tag, make_answer, takes_gzip
from app.templating import Templates
from precompute.errors import AtlasError

_EMBED = Parameter("embed", "`1`: only what is worth showing in another page", choices=("0", "1"), default="0")


@dataclass(frozen=True)
class Page:
    """One page and its twin.

    Attributes:
        path: Address of the page, with names in braces for what varies.
        name: Its short name.
        summary: What it shows, one line.
        build: Makes its context.
        contexts: The kinds of context that it makes; the first is the usual one.
        parameters: The query parameters it takes.
        is_live: Whether it also shows what a running build is doing, which changes without a new revision.
        shows_people: Whether it also shows circuits that people wrote.
        shows_annotations: Whether it also shows what people said.
        is_fragment: Whether it is a part of a page and has no twin.
        needs_atlas: Whether it can show nothing without an atlas.
        embed_template: The template of the page as it is shown in another one, where it can be so.
    """

    path: str
    name: str
    summary: str
    build: Callable[[Visit], Context]
    contexts: tuple[type[Context], ...]
    parameters: Sequence[Parameter] = ()
    is_live: bool = False
    shows_people: bool = False
    shows_annotations: bool = False
    is_fragment: bool = False
    needs_atlas: bool = True
    embed_template: str | None = None

    def __post_init__(self) -> None:
        """Let every page about a model name a build, and those that can be embedded say so."""
        added = [BUILD] if "model" in self.path_names and not self.is_fragment else []
        if self.embed_template is not None:
            added.append(_EMBED)
        object.__setattr__(self, "parameters", (*self.parameters, *added))

    @property
    def path_names(self) -> list[str]:
        """Return the names of what varies in the address."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def serve_pages(pages: Sequence[Page], door: AtlasDoor, templates: Templates, ready: ReadyAnswers) -> APIRouter:
    """Return the routes of all pages and twins."""
    router = APIRouter()
    server = _Server(door, templates, ready)
    for page in pages:
        _serve_html(router, page, server)
        if not page.is_fragment:
            _serve_json(router, page, server)
    return router


def page_at(pages: Sequence[Page], path: str) -> tuple[Page | None, dict[str, str]]:
    """Return the page at a path, and the names in the path; None where none is there, or a name could lead elsewhere."""
    for page in pages:
        match = None if page.is_fragment else re.fullmatch(_pattern(page.path), path)
        if match is not None:
            names = {name: unquote(value, errors="replace") for name, value in match.groupdict().items()}
            if all(_is_plain(value) for value in names.values()):
                return page, names
    return None, {}


def address_at(page: Page, names: Mapping[str, str]) -> str:
    """Return the address of a page without its query."""
    address = page.path
    for name, value in names.items():
        address = address.replace(f"{{{name}}}", urls.part(value))
    return address


def _pattern(path: str) -> str:
    return "/".join(f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in path.split("/"))


def _is_plain(value: str) -> bool:
    return value not in {".", ".."} and value.isprintable() and not set(value) & {"/", "\\", "\ufffd"}


@dataclass(frozen=True)
class _Server:
    """What all pages are made with."""

    door: AtlasDoor
    templates: Templates
    ready: ReadyAnswers

    def answer(self, page: Page, visit: Visit, request: Request) -> Response:
        """Answer one request, and keep the answer for the next."""
        basis, wrong = self._basis(page)
        etag = _etag(visit, self.templates, wrong if basis is None else basis.stamp)
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        twin = urls.twin(visit.full_address)
        if visit.is_api:
            headers["Link"] = f'<{visit.full_address}>; rel="alternate"; type="text/html"'
        elif not page.is_fragment:
            headers["Link"] = f'<{twin}>; rel="alternate"; type="application/json"'
        latest = _check_build(page, visit, headers)
        is_embed = page.embed_template is not None and visit.query.choice("embed") == "1"
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        is_packed = takes_gzip(request.scope["headers"])
        usual = twin if visit.is_api else visit.full_address
        found = None if basis is None else self.ready.find_made(usual, basis, packed=is_packed)
        if found is None:
            found = self._make(page, visit, basis, headers, latest, page.embed_template if is_embed else None)
            if basis is not None:
                self.ready.keep(request.scope, usual, found)
        return _response(found, is_packed=is_packed)

    def _make(
        self,
        page: Page,
        visit: Visit,
        basis: Basis | None,
        headers: dict[str, str],
        latest: str | None,
        template: str | None,
    ) -> Answer:
        context = page.build(visit)
        if visit.is_api:
            body, media_type = context.model_dump_json(), "application/json"
        else:
            share = None if template is not None else share_of(page.name, visit, context)
            body = self.templates.render(context, path=visit.address, share=share, latest=latest, template=template)
            media_type = "text/html; charset=utf-8"
        return make_answer(basis or NOTHING, headers, media_type, body.encode())

    def _basis(self, page: Page) -> tuple[Basis | None, str]:
        """Return what a page depends on, or else why there is no atlas."""
        try:
            needs = Needs(page.is_live, page.shows_people, page.shows_annotations)
            return self.ready.basis(needs), ""
        except AtlasError as error:
            if page.needs_atlas:
                raise
            return None, str(error)


def _response(made: Answer, *, is_packed: bool) -> Response:
    """Return an answer as the framework wants it; who takes nothing compressed gets it plain."""
    body, headers = made.body, dict(made.headers)
    if made.is_packed and is_packed:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    elif made.is_packed:
        body = made.plain().body
    return Response(body, 200, headers, made.media_type)


def _serve_html(router: APIRouter, page: Page, server: _Server) -> None:
    def html(request: Request) -> Response:
        return server.answer(page, _visit(page, server.door, request, is_api=False), request)

    router.add_api_route(page.path, html, methods=["GET", "HEAD"], name=page.name, include_in_schema=False)


def _serve_json(router: APIRouter, page: Page, server: _Server) -> None:
    def twin(request: Request) -> Response:
        return server.answer(page, _visit(page, server.door, request, is_api=True), request)

    path = urls.twin(page.path)
    name = f"{page.name}_twin"
    router.add_api_route(
        path,
        twin,
        methods=["GET"],
        name=name,
        operation_id=page.name,
        summary=page.summary,
        responses=_responses(page),
        response_class=Response,
        openapi_extra={"parameters": _parameters(page)},
    )
    router.add_api_route(path, twin, methods=["HEAD"], name=f"{name}_head", include_in_schema=False)
    if page.path == "/":
        router.add_api_route(urls.API, twin, methods=["GET", "HEAD"], name=f"{name}_bare", include_in_schema=False)


def _visit(page: Page, door: AtlasDoor, request: Request, *, is_api: bool) -> Visit:
    path = {name: str(request.path_params[name]) for name in page.path_names}
    query = Query(request.query_params.multi_items(), page.parameters)
    for parameter in page.parameters:  # what is not possible is refused, also where the page would not have looked at it
        if parameter.choices:
            query.choice(parameter.name)
        elif parameter.kind == "integer":
            query.integer(parameter.name, 0, 0, 999_999_999)
    address = address_at(page, path)
    return Visit(door, path, query, address, urls.with_query(address, query.values), is_api)


def _etag(visit: Visit, templates: Templates, stamp: str) -> str:
    """Return the ETag of an answer: it tells the atlas, what was asked, and the version of the app."""
    parts = [stamp, visit.full_address, "json" if visit.is_api else "html", templates.version]
    return f'W/"{hashlib.sha256(chr(0).join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'


def _check_build(page: Page, visit: Visit, headers: dict[str, str]) -> str | None:
    """Return the address as it is now where the link names a build with other results, and say it in the `Link` header."""
    latest = check_build(visit) if BUILD in page.parameters else None
    if latest is not None:
        headers["Link"] += f', <{urls.twin(latest) if visit.is_api else latest}>; rel="latest-version"'
    return latest


def _is_known(request: Request, headers: dict[str, str]) -> bool:
    return is_known_tag(request.headers.get("if-none-match", ""), headers["ETag"])


def _responses(page: Page) -> dict[int | str, dict[str, Any]]:
    models: Any = page.contexts[0]
    for other in page.contexts[1:]:
        models = models | other
    found: dict[int | str, dict[str, Any]] = {200: {"model": models, "description": page.summary}}
    known = {400: "An unknown query parameter, or an impossible value", 404: "No such name", 503: "The atlas cannot be read"}
    if BUILD in page.parameters:
        known[410] = "The link names a build of other weights or images"
    for status, words in known.items():
        found[status] = {
            "description": words,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def _parameters(page: Page) -> list[dict[str, Any]]:
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in page.path_names]
    in_query = [
        {"name": p.name, "in": "query", "required": False, "description": p.summary, "schema": p.schema} for p in page.parameters
    ]
    return [*in_path, *in_query]
