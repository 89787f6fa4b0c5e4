"""Finding names: equal ones first, then those that begin so, then those that have all the words. Nothing is scanned."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select, text

from precompute.store import schema
from precompute.store.indexing import KINDS, MAX_WORDS, SPAN, fold, words_of
from precompute.store.reader import AtlasReader

_ENTRY = schema.search_entry
_EQUAL = select(_ENTRY).where(_ENTRY.c.folded == bindparam("low")).order_by(_ENTRY.c.id).limit(bindparam("limit"))
_BEGINNING = (
    select(_ENTRY)
    .where(_ENTRY.c.folded > bindparam("low"), _ENTRY.c.folded < bindparam("high"))
    .order_by(_ENTRY.c.folded)
    .limit(bindparam("limit"))
)
_WORDS = text("SELECT rowid FROM search_word WHERE search_word MATCH :words AND rowid BETWEEN :low AND :high LIMIT :limit")
_CHOSEN = select(_ENTRY).where(_ENTRY.c.id.in_(bindparam("ids", expanding=True)))
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
        *reader.all(_EQUAL, low=whole, limit=limit_per_kind),
        *reader.all(_BEGINNING, low=whole, high=whole + _LAST, limit=limit_per_kind),
    ]
    # What was typed last may still be growing; the words before it are the beginnings of words too: `conv p` finds conv_pwl.
    asked = " AND ".join(f'"{word}"*' for word in words)
    ids: list[int] = []
    for kind in kinds:
        low = KINDS.index(kind) * SPAN
        values = {"words": asked, "low": low, "high": low + SPAN - 1, "limit": limit_per_kind}
        ids += [int(row["rowid"]) for row in reader.all(_WORDS, **values)]
    if ids:
        rows += reader.all(_CHOSEN, ids=ids)
    found: dict[int, FoundName] = {}
    for row in rows:
        kind, place = divmod(int(row["id"]), SPAN)
        if KINDS[kind] in kinds:
            target = (row["model_id"], row["layer_id"], row["unit_index"], row["stimulus_id"], row["num_images"])
            found[row["id"]] = FoundName(KINDS[kind], place, row["title"], row["folded"], *target)
    return list(found.values())
