"""Finding names: equal ones first, then those that begin so, then those that have all the words. Nothing is scanned."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select, text

from precompute.store import schema
from precompute.store.indexing import KINDS, MAX_WORDS, SPAN, fold, words_of
from precompute.store.prepared import Prepared, one_of
from precompute.store.reader import AtlasReader

_ENTRY = schema.search_entry
_EQUAL = Prepared(select(_ENTRY).where(_ENTRY.c.folded == bindparam("low")).order_by(_ENTRY.c.id).limit(bindparam("limit")))
_BEGINNING = Prepared(
    select(_ENTRY)
    .where(_ENTRY.c.folded > bindparam("low"), _ENTRY.c.folded < bindparam("high"))
    .order_by(_ENTRY.c.folded)
    .limit(bindparam("limit"))
)
_WORDS = text("SELECT rowid FROM search_word WHERE search_word MATCH :words AND rowid BETWEEN :low AND :high LIMIT :limit")
_CHOSEN = Prepared(select(_ENTRY).where(_ENTRY.c.id.in_(one_of(bindparam("ids")))))
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class FoundName:
    """A name that a search found.

    Attributes:
        kind: One of `KINDS`.
        place: Its place among those of its kind.
        title: The name.
        folded: The name in small letters, without diacritics.
    """

    kind: str
    place: int
    title: str
    folded: str
    model_id: str | None
    layer_id: int | None
    unit: int | None
    stimulus_id: int | None
    num_images: int | None


def has_index(reader: AtlasReader) -> bool:
    """Return whether a build has made the index of names."""
    return reader.has_table("search_entry") and reader.has_table("search_word")


def find_names(reader: AtlasReader, q: str, limit_per_kind: int, kinds: tuple[str, ...] = KINDS) -> list[FoundName]:
    """Return names that equal a text, begin with it, or have all its words, each once, in no order that matters."""
    whole = fold(q)
    words = words_of(q)[:MAX_WORDS]
    if not words:
        return []
    rows = [
        *reader.ask(_EQUAL, low=whole, limit=limit_per_kind),
        *reader.ask(_BEGINNING, low=whole, high=whole + _LAST, limit=limit_per_kind),
    ]
    ids = _with_words(reader, words, limit_per_kind, [KINDS.index(kind) for kind in kinds])
    if ids:
        rows += reader.ask(_CHOSEN, ids=ids)
    found: dict[int, FoundName] = {}
    for row in rows:
        kind, place = divmod(int(row["id"]), SPAN)
        if KINDS[kind] in kinds:
            target = (row["model_id"], row["layer_id"], row["unit_index"], row["stimulus_id"], row["num_images"])
            found[row["id"]] = FoundName(KINDS[kind], place, row["title"], row["folded"], *target)
    return list(found.values())


def _with_words(reader: AtlasReader, words: list[str], limit: int, kinds: list[int]) -> list[int]:
    """Return the entries that have all words, so many of each kind.

    Entries of a kind are a range of rows. Most often all that there are come with the first question; where one kind has more
    than are wanted, the next question begins behind it.
    """
    # What was typed last may still be growing; the words before it are the beginnings of words too: `conv p` finds conv_pwl.
    asked = " AND ".join(f'"{word}"*' for word in words)
    found: dict[int, list[int]] = {kind: [] for kind in kinds}
    low, stop = min(kinds) * SPAN, (max(kinds) + 1) * SPAN
    size = len(kinds) * limit + 1
    while low < stop:
        rows = [row["rowid"] for row in reader.all(_WORDS, words=asked, low=low, high=stop - 1, limit=size)]
        for row in rows:
            known = found.get(row // SPAN)
            if known is not None and len(known) < limit:
                known.append(row)
        if len(rows) < size:
            break
        last = rows[-1] // SPAN
        low = rows[-1] + 1 if len(found.get(last, ())) < limit and last in found else (last + 1) * SPAN
    return [row for ids in found.values() for row in ids]
