"""The names that a search finds: models, layers, labels of units, labels and file names of images; and the index of their words.

The index is SQLite's FTS5. Every text is cut into words by `words_of`, here and where a search is asked, so nothing that
people type can be an operator of the query language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import delete, func, insert, select, text

from precompute.store import schema
from precompute.store.writer import AtlasWriter

KINDS = ("model", "layer", "unit", "images", "file")
SPAN = 1 << 32
MAX_WORDS = 12
_WORD = re.compile(r"[^\W_]+")


def fold(name: str) -> str:
    """Return a text in small letters, without diacritics, blanks single.

    >>> fold("  Crème  Brûlée ")
    'creme brulee'
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(letter))
    return " ".join(plain.replace("\0", " ").split())


def words_of(name: str) -> list[str]:
    """Return the words of a text, folded.

    >>> words_of('blocks.3.1.conv_pwl "NOT" 7')
    ['blocks', '3', '1', 'conv', 'pwl', 'not', '7']
    """
    return _WORD.findall(fold(name))


def index_names(writer: AtlasWriter) -> int:
    """Make the index of all names of an atlas anew, in one transaction, and return how many there are."""
    rows = list(_entries(writer))
    with writer.changing() as connection:
        connection.execute(delete(schema.search_entry))
        connection.execute(text(_CREATE))
        connection.execute(text("INSERT INTO search_word(search_word) VALUES ('delete-all')"))
        if rows:
            connection.execute(insert(schema.search_entry), [{key: row[key] for key in _COLUMNS} for row in rows])
            words = [{"id": row["id"], "words": row["words"]} for row in rows]
            connection.execute(text("INSERT INTO search_word(rowid, words) VALUES (:id, :words)"), words)
    return len(rows)


_CREATE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS search_word USING fts5"
    "(words, content='', prefix='1 2 3', tokenize='unicode61 remove_diacritics 2')"
)
_COLUMNS = [column.name for column in schema.search_entry.c]


def _entries(writer: AtlasWriter) -> Iterator[dict[str, Any]]:
    stimulus, unit, layer = schema.stimulus.c, schema.unit.c, schema.layer.c
    with writer.engine.connect() as connection:
        models = connection.execute(select(schema.model.c.id, schema.model.c.title).order_by(schema.model.c.id)).all()
        layers = connection.execute(select(layer.id, layer.model_id, layer.name).order_by(layer.position, layer.id)).all()
        labelled = select(unit.layer_id, unit.unit_index, unit.label).where(unit.label.is_not(None))
        units = connection.execute(labelled.order_by(func.length(unit.label), unit.layer_id, unit.unit_index)).all()
        labels = connection.execute(_distinct(stimulus.label)).all()
        files = connection.execute(_distinct(stimulus.source)).all()
    yield from _numbered("model", ({"title": row.title, "model_id": row.id, "more": row.id} for row in models))
    yield from _numbered(
        "layer",
        ({"title": row.name, "model_id": row.model_id, "layer_id": row.id, "more": row.model_id} for row in layers),
    )
    homes = {row.id: (row.model_id, row.name) for row in layers}
    yield from _numbered("unit", (_unit(row, *homes[row.layer_id]) for row in units if row.layer_id in homes))
    for kind, rows in (("images", labels), ("file", files)):
        yield from _numbered(kind, ({"title": row.name, "stimulus_id": row.first, "num_images": row.n} for row in rows))


def _unit(row: Any, model_id: str, layer: str) -> dict[str, Any]:
    about = {"title": row.label, "model_id": model_id, "layer_id": row.layer_id, "unit_index": row.unit_index}
    return about | {"more": f"{model_id} {layer}"}


def _distinct(name: Any) -> Any:
    first = func.min(schema.stimulus.c.id).label("first")
    query = select(name.label("name"), first, func.count().label("n")).where(name.is_not(None))
    return query.group_by(name).order_by(func.length(name), name)


def _numbered(kind: str, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    empty = dict.fromkeys(_COLUMNS)
    for place, row in enumerate(rows):
        about = {"id": KINDS.index(kind) * SPAN + place + 1, "folded": fold(row["title"])}
        yield empty | row | about | {"words": " ".join(words_of(f"{row['title']} {row.get('more', '')}"))}
