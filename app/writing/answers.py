"""What the answers to writing have in common, and how they are documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

FRESH = {"Cache-Control": "no-cache"}
_PROBLEMS = {
    400: "The document is not one",
    401: "The token is missing or another",
    403: "The server only reads, or another site asks",
    404: "No such thing, or it names what the atlas does not have",
    409: "It is there already, or was changed meanwhile",
    413: "More than 256 kB",
    415: "Not JSON",
}


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the documentation of a body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def responses_of(status: int = 200, model: type[BaseModel] | None = None) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the answers.

    Args:
        status: Where it worked.
        model: What the answer then holds.
    """
    found: dict[int | str, dict[str, Any]] = {}
    if model is not None:
        found[status] = {"model": model, "description": model.__doc__ or ""}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return found | {code: {"description": words, "content": problem} for code, words in _PROBLEMS.items()}


def add_described(
    router: APIRouter, path: str, endpoint: Callable[..., Any], method: str, name: str, summary: str, **more: Any
) -> None:
    """Add a route that makes its own answers, with what the description of the API says of it.

    Args:
        router: Where it is added.
        path: Its address.
        endpoint: What answers.
        method: Of HTTP.
        name: Its name in the description.
        summary: What it does, one line.
        more: Further parts of the description, and `answers` for `responses_of`.
    """
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        operation_id=name,
        summary=summary,
        response_class=Response,
        responses=responses_of(**more.pop("answers", {})),
        openapi_extra=more,
    )
