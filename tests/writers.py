"""What tests of writing have in common: the token, and the shape of a refusal."""

from __future__ import annotations

from typing import Any

TOKEN = "a-token-of-the-tests-only"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def problem(answer: Any, status: int) -> str:
    """Return what a refusal says, which must be of the status and of the one shape that all have."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}
    return answer.json()["detail"]
