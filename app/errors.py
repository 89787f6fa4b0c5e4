"""Errors as people and programs want them: a page with the next step, or `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from app import urls
from app.contexts import ErrorPage
from app.templating import Templates
from precompute.errors import PublicError

_LOG = logging.getLogger("unitscope.app")
_PLAIN = ("/api/", "/media/", "/static/", "/healthz", "/oembed")

_DETAILS = {
    404: "There is no page at this address. The start page shows every model, and the search finds layers, units and labels.",
    405: "This address does not answer that method: an atlas is read here with GET and HEAD, and written by `unitscope build`.",
}


def install(app: FastAPI, templates: Templates) -> None:
    """Make an app answer every error in the right shape."""

    def public(request: Request, error: Exception) -> Response:
        status = error.http_status if isinstance(error, PublicError) else 500
        title = error.title if isinstance(error, PublicError) else "Error"
        return answer(request, templates, status, title, str(error))

    def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return answer(request, templates, status, HTTPStatus(status).phrase, _DETAILS.get(status, HTTPStatus(status).description))

    def defect(request: Request, error: Exception) -> Response:
        number = secrets.token_hex(4)
        _LOG.error("internal error %s at %s", number, request.url.path, exc_info=error)
        detail = (
            f"Something in unitscope went wrong (number {number}; the server's log tells more). Nothing in the atlas was changed."
        )
        return answer(request, templates, 500, "Internal error", detail)

    app.add_exception_handler(PublicError, public)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, defect)


def answer(request: Request, templates: Templates, status: int, title: str, detail: str) -> Response:
    """Return an error as a page, or as JSON where a program asks."""
    path = request.url.path
    page = ErrorPage(type="about:blank", title=title, status=status, detail=detail, instance=path[:500])
    headers = {"Cache-Control": "no-store"}
    if status == 405:
        headers["Allow"] = urls.methods(path)
    elif status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="unitscope"'
    if path.startswith(_PLAIN):
        return Response(page.model_dump_json(), status, headers, "application/problem+json")
    return Response(templates.render(page, path=path), status, headers, "text/html; charset=utf-8")
