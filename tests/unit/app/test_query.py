"""Cursors come back as they were given, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from app.query import decode_cursor, encode_cursor
from precompute.errors import UsageError

SCOPE = {"layer": "stem"}
KINDS = (int, (int, float, type(None)))


def test_cursor_comes_back() -> None:
    assert decode_cursor(SCOPE, encode_cursor(SCOPE, [7, 0.25]), KINDS) == [7, 0.25]
    assert decode_cursor(SCOPE, encode_cursor(SCOPE, [7, None]), KINDS) == [7, None]


@pytest.mark.parametrize("place", [[10**30, 1], [1, float("nan")], [1, float("inf")], ["1", 1], [1]])
def test_crafted_cursor_is_refused(place: list[Any]) -> None:
    with pytest.raises(UsageError, match="is not a place in this list"):
        decode_cursor(SCOPE, encode_cursor(SCOPE, place), KINDS)


def test_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a place in this list"):
        decode_cursor({"layer": "head"}, encode_cursor(SCOPE, [7, 0.25]), KINDS)
