"""Names that are found by their words: so many of each kind as there are, up to what is wanted, whatever other kinds have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from precompute.store.finding import find_names
from precompute.store.indexing import KINDS, SPAN, words_of
from precompute.store.reader import AtlasReader

QUESTIONS = ("stem", "b", "pw", "0", "png", "1", "label", "s", "blocks 0", "nothing at all")


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> Iterator[AtlasReader]:
    found = AtlasReader(fixture_atlas)
    yield found
    found.close()


@pytest.mark.parametrize("kinds", [KINDS, ("layer",), ("unit", "file"), ("images",)], ids=str)
@pytest.mark.parametrize("limit", [1, 2, 5, 60])
@pytest.mark.parametrize("q", QUESTIONS)
def test_each_kind_is_looked_for_up_to_its_limit(reader: AtlasReader, q: str, limit: int, kinds: tuple[str, ...]) -> None:
    asked = " AND ".join(f'"{word}"*' for word in words_of(q))
    expected: set[int] = set()
    with sqlite3.connect(f"file:{reader.atlas / 'atlas.db'}?mode=ro", uri=True) as connection:
        for kind in kinds:
            low = KINDS.index(kind) * SPAN
            query = "SELECT rowid FROM search_word WHERE search_word MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
            expected |= {row[0] for row in connection.execute(query, (asked, low, low + SPAN - 1, limit))}
    found = {KINDS.index(name.kind) * SPAN + name.place for name in find_names(reader, q, limit, kinds)}
    assert found >= expected
    assert {name.kind for name in find_names(reader, q, limit, kinds)} <= set(kinds)


def test_kinds_with_more_than_are_wanted_are_among_the_questions(reader: AtlasReader) -> None:
    numbers = [len([name for name in find_names(reader, q, 60) if name.kind == kind]) for q in QUESTIONS for kind in KINDS]
    assert max(numbers) > 5
    assert 0 in numbers
