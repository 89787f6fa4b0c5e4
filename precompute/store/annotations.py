"""Annotations in `ATLAS/user.db`: labels, notes, stars and lists, every state of them kept, searched by their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, text, tuple_, update

from precompute.annotations.document import (
    Annotation,
    Deleted,
    Kind,
    Label,
    Subject,
    parse_annotation,
    write_annotation,
)
from precompute.errors import AtlasError, Conflict, UnknownName, UsageError
from precompute.store import user_schema as schema
from precompute.store.user_file import UserFile, now

Outcome = Literal["new", "changed", "deleted", "unchanged", "older"]
MAX_SEARCH_WORDS = 12


@dataclass(frozen=True)
class StateRecord:
    """One state that an annotation had: `created`, `changed`, `deleted`, or `merged` from another atlas."""

    number: int
    action: str
    at: str
    annotation: Annotation


@dataclass(frozen=True)
class MentionRecord:
    """An annotation that names something, and how: `about` it, with it as `evidence`, or as an `item` of a list."""

    part: str
    annotation: Annotation


@dataclass(frozen=True)
class WrittenRecord:
    """An annotation whose words were searched for.

    Attributes:
        annotation: It.
        headline: The label, the title of the list, or the first line of the note.
        rank: How well it fits (BM25): smaller is better.
    """

    annotation: Annotation
    headline: str
    rank: float


@dataclass(frozen=True)
class MergedRecord:
    """What became of one annotation of a file."""

    id: str
    kind: Kind
    outcome: Outcome


class Annotations(UserFile):
    """What people said about an atlas."""

    counter = "annotation_changes"
    since = 2

    # -- looking ---------------------------------------------------------------------------------------------------

    def recent(
        self,
        kind: str | None = None,
        model_id: str | None = None,
        author: str | None = None,
        limit: int = 100,
        after: tuple[str, str] | None = None,
    ) -> tuple[list[Annotation], int]:
        """Return annotations, those changed last first, and how many there are.

        Args:
            kind: Only of this kind.
            model_id: Only those that name this model.
            author: Only of this author.
            limit: At most so many.
            after: `(updated_at, id)` of the one before the first.
        """
        table = schema.annotation
        wanted: list[ColumnElement[bool]] = [table.c.is_deleted.is_(False)]
        if kind is not None:
            wanted.append(table.c.kind == kind)
        if author is not None:
            wanted.append(table.c.author == author)
        if model_id is not None:
            mention = schema.annotation_mention
            wanted.append(table.c.row.in_(select(mention.c.annotation).where(mention.c.model_id == model_id)))
        query = select(table.c.document).where(*wanted).order_by(table.c.updated_at.desc(), table.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(tuple_(table.c.updated_at, table.c.id) < tuple_(*after))
        count = select(func.count()).select_from(table).where(*wanted)

        def ask(connection: Connection) -> tuple[Sequence[str], int]:
            return connection.execute(query).scalars().all(), connection.execute(count).scalar_one()

        nothing: tuple[Sequence[str], int] = ([], 0)
        documents, total = self.read(ask, nothing)
        return [_parsed(document) for document in documents], total

    def annotation(self, annotation_id: str, kind: str = "annotation") -> Annotation:
        """Return an annotation.

        Args:
            annotation_id: Its id.
            kind: What it is called where there is none.

        Raises:
            UnknownName: There is none of that id, or it was deleted.
        """
        found = self.read(lambda connection: _row(connection, annotation_id), None)
        if found is None or found["is_deleted"]:
            nothing: Sequence[str] = []
            raise _unknown(annotation_id, self.read(_ids, nothing), was_deleted=found is not None, kind=kind)
        return _parsed(found["document"])

    def states(self, annotation_id: str) -> list[StateRecord]:
        """Return every state that an annotation had here, the first one first; also of one that was deleted."""
        table = schema.annotation_revision
        query = select(table).where(table.c.annotation_id == annotation_id).order_by(table.c.number)
        nothing: Sequence[Any] = []
        rows = self.read(lambda connection: connection.execute(query).mappings().all(), nothing)
        return [StateRecord(row["number"], row["action"], row["at"], _parsed(row["document"])) for row in rows]

    def naming(self, subject: Subject) -> list[MentionRecord]:
        """Return the annotations that name exactly this, the oldest first."""
        table, mention = schema.annotation, schema.annotation_mention
        here = [mention.c[name] == value for name, value in _place(subject).items()]
        query = (
            select(mention.c.part, table.c.document)
            .join(table, table.c.row == mention.c.annotation)
            .where(*here)
            .order_by(table.c.row)
        )
        nothing: Sequence[Any] = []
        return [
            MentionRecord(part, _parsed(document))
            for part, document in self.read(lambda connection: connection.execute(query).all(), nothing)
        ]

    def labels_of(self, model_id: str, layer: str) -> dict[int, list[str]]:
        """Return what people call the units of a layer, by unit, the oldest label first; each text once."""
        table, mention = schema.annotation, schema.annotation_mention
        query = (
            select(mention.c.unit, table.c.headline)
            .join(table, table.c.row == mention.c.annotation)
            .where(mention.c.model_id == model_id, mention.c.layer == layer, mention.c.unit.is_not(None))
            .where(mention.c.part == "about", table.c.kind == "label")
            .order_by(table.c.row)
        )
        nothing: Sequence[Any] = []
        found: dict[int, list[str]] = {}
        for unit, label in self.read(lambda connection: connection.execute(query).all(), nothing):
            labels = found.setdefault(unit, [])
            if label not in labels:
                labels.append(label)
        return found

    def labelled(self, model_id: str, parts: Sequence[str], layer: str | None = None) -> list[tuple[str, int]]:
        """Return the layers and units of a model with a label in which all of some texts stand, whatever their case."""
        table, mention = schema.annotation, schema.annotation_mention
        query = (
            select(mention.c.layer, mention.c.unit, table.c.headline)
            .join(table, table.c.row == mention.c.annotation)
            .where(mention.c.model_id == model_id, mention.c.layer.is_not(None), mention.c.unit.is_not(None))
            .where(mention.c.part == "about", table.c.kind == "label")
        )
        if layer is not None:
            query = query.where(mention.c.layer == layer)
        nothing: Sequence[Any] = []
        rows = self.read(lambda connection: connection.execute(query).all(), nothing)
        wanted = [part.casefold() for part in parts]  # SQLite knows the case of ASCII letters alone
        return sorted({(name, unit) for name, unit, label in rows if all(part in label.casefold() for part in wanted)})

    def find_written(self, wanted: str, limit: int) -> list[WrittenRecord]:
        """Return the annotations in which every word of a text begins a word, the best first.

        Args:
            wanted: Any text; what is no letter, digit or underscore parts words. Without a word, nothing is found.
            limit: At most so many.
        """
        words = re.findall(r"\w+", wanted)[:MAX_SEARCH_WORDS]
        if not words:
            return []
        match = " ".join(f'"{word}"*' for word in words)  # in quotes, nothing is an operator
        query = text(
            "SELECT document, headline, bm25(annotation_words) AS rank FROM annotation_words "
            "JOIN annotation ON annotation.row = annotation_words.rowid "
            "WHERE annotation_words MATCH :match ORDER BY bm25(annotation_words), annotation.row LIMIT :limit"
        )
        nothing: Sequence[Any] = []
        rows = self.read(lambda connection: connection.execute(query, {"match": match, "limit": limit}).all(), nothing)
        return [WrittenRecord(_parsed(document), headline, rank) for document, headline, rank in rows]

    def everything(self) -> list[Annotation]:
        """Return all annotations, and what is left of those that were deleted."""
        nothing: Sequence[str] = []
        query = select(schema.annotation.c.document)
        return [_parsed(one) for one in self.read(lambda connection: connection.execute(query).scalars().all(), nothing)]

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, annotation: Annotation) -> tuple[Annotation, bool]:
        """Store a new annotation; the very same one may be given again, and so may a star.

        Returns:
            What is stored, and whether it is new.

        Raises:
            Conflict: Another annotation has its id.
        """
        with self.write() as connection:
            found = _row(connection, annotation.id)
            if found is None:
                _store(connection, annotation, "created", None)
                return annotation, True
            stored = _parsed(found["document"])
            if found["is_deleted"] and stored.kind == annotation.kind:
                again = annotation.model_copy(update={"revision": found["revision"] + 1})
                _store(connection, again, "created", found["row"])
                return again, True
            if annotation.kind == "star" == stored.kind or _said(stored) == _said(annotation):
                return stored, False
            raise Conflict(
                f"There is an annotation {annotation.id!r} already, and it is another one. "
                "Leave 'id' out to save a copy, or send it with PUT to make it the next revision."
            )

    def change(self, annotation: Annotation, expected_revision: int) -> Annotation:
        """Store the next revision of an annotation.

        Args:
            annotation: What it is from now on.
            expected_revision: The one that it follows; refused where it is another by now.

        Raises:
            UnknownName: There is none of that id.
            Conflict: Somebody changed it meanwhile.
        """
        with self.write() as connection:
            found = _current(connection, annotation.id, expected_revision)
            _store(connection, annotation, "changed", found["row"])
            return annotation

    def delete(self, deleted: Deleted, expected_revision: int) -> None:
        """Take an annotation out of all pages; its states are kept.

        Raises:
            UnknownName: There is none of that id.
            Conflict: Somebody changed it meanwhile.
        """
        with self.write() as connection:
            found = _current(connection, deleted.id, expected_revision)
            _store(connection, deleted, "deleted", found["row"])

    def merge(self, annotations: Iterable[Annotation]) -> list[MergedRecord]:
        """Bring annotations of another atlas together with those here, all or none.

        Of two states of one annotation the one with more revisions counts, then the one that was changed later, then the one
        whose text sorts later: in whatever order atlases are merged, they come to say the same.

        Args:
            annotations: Complete ones; each id once.
        """
        with self.write() as connection:
            return [_merge(connection, annotation) for annotation in annotations]


def _merge(connection: Connection, annotation: Annotation) -> MergedRecord:
    found = _row(connection, annotation.id)
    record = MergedRecord(annotation.id or "", annotation.kind, "new")
    if found is None:
        _store(connection, annotation, "merged", None)
        return MergedRecord(record.id, record.kind, "deleted") if annotation.is_deleted else record
    document = write_annotation(annotation)
    if document == found["document"]:
        return MergedRecord(record.id, record.kind, "unchanged")
    theirs, ours = (
        (annotation.revision, annotation.updated_at, document),
        (found["revision"], found["updated_at"], found["document"]),
    )
    if theirs < ours:
        return MergedRecord(record.id, record.kind, "older")
    _store(connection, annotation, "merged", found["row"])
    return MergedRecord(record.id, record.kind, "deleted" if annotation.is_deleted else "changed")


def _store(connection: Connection, annotation: Annotation, action: str, row: int | None) -> None:
    """Make an annotation what counts from now on, and keep its state."""
    table, kept = schema.annotation, schema.annotation_revision
    document = write_annotation(annotation)
    values: dict[str, Any] = {
        "id": annotation.id,
        "kind": annotation.kind,
        "headline": annotation.headline,
        "author": annotation.author,
        "document": document,
        "revision": annotation.revision,
        "updated_at": annotation.updated_at,
        "is_deleted": annotation.is_deleted,
    }
    if row is None:
        place = int(connection.execute(insert(table).values(**values).returning(table.c.row)).scalar_one())
    else:
        place = row
        connection.execute(update(table).where(table.c.row == row).values(**values))
    last = connection.execute(select(func.max(kept.c.number)).where(kept.c.annotation_id == annotation.id)).scalar()
    state = {"annotation_id": annotation.id, "number": (last or 0) + 1, "action": action, "document": document, "at": now()}
    connection.execute(insert(kept).values(**state))
    _index(connection, annotation, place)


def _index(connection: Connection, annotation: Annotation, row: int) -> None:
    """Bring what is looked up and searched in step with an annotation."""
    mention = schema.annotation_mention
    connection.execute(delete(mention).where(mention.c.annotation == row))
    connection.execute(text("DELETE FROM annotation_words WHERE rowid = :row"), {"row": row})
    if annotation.is_deleted:
        return
    connection.execute(
        text("INSERT INTO annotation_words (rowid, words) VALUES (:row, :words)"), {"row": row, "words": annotation.words}
    )
    mentions = [
        {"annotation": row, "place": place, "part": part, **_place(subject)}
        for place, (part, subject) in enumerate(annotation.named())
    ]
    if mentions:
        connection.execute(insert(mention), mentions)


def _place(subject: Subject) -> dict[str, Any]:
    return {
        "model_id": subject.model,
        "layer": subject.layer,
        "unit": subject.unit,
        "dataset_id": subject.dataset,
        "stimulus": subject.stimulus,
    }


def _row(connection: Connection, annotation_id: str | None) -> Any:
    return connection.execute(select(schema.annotation).where(schema.annotation.c.id == annotation_id)).mappings().first()


def _ids(connection: Connection) -> Sequence[str]:
    table = schema.annotation
    query: Select[Any] = select(table.c.id).where(table.c.is_deleted.is_(False)).order_by(table.c.row.desc()).limit(2000)
    return connection.execute(query).scalars().all()


def _current(connection: Connection, annotation_id: str | None, expected: int) -> Any:
    found = _row(connection, annotation_id)
    if found is None or found["is_deleted"]:
        raise _unknown(annotation_id or "", _ids(connection), was_deleted=found is not None)
    if expected != found["revision"]:
        raise Conflict(
            f"Annotation {annotation_id!r} is at revision {found['revision']} by now, and not at {expected}. "
            "Get it again, bring the changes together, and send that."
        )
    return found


def _said(annotation: Annotation) -> dict[str, Any]:
    """Return what was said, without what was filled in."""
    return annotation.model_dump(exclude={"revision", "created_at", "updated_at", "weights"})


def _parsed(document: str) -> Annotation:
    try:
        return parse_annotation(document)
    except UsageError as error:
        raise AtlasError(f"An annotation in user.db cannot be read: {error} Its earlier states are kept.") from error


def _unknown(annotation_id: str, known: Sequence[str], *, was_deleted: bool, kind: str = "annotation") -> UnknownName:
    hint = "It was deleted." if was_deleted else f"/{kind}s lists them."
    return UnknownName(kind, annotation_id[:100], known, where="This atlas", hint=hint)


def labels_about(mentions: Iterable[MentionRecord]) -> list[Label]:
    """Return the labels among annotations that name something."""
    return [one.annotation for one in mentions if one.part == "about" and isinstance(one.annotation, Label)]
