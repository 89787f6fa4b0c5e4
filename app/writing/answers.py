"""What the answers to writing have in common, and how they are documented."""

from __future__ import annotations

from typing import Any

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
