"""The tables of `ATLAS/user.db`: what people write. A build never opens it.

circuit             the circuits as they are now; `document` is the text of the exchange format, byte for byte
circuit_revision    every revision that a circuit ever had, deletions too: nothing is lost
saved_view          short ids for addresses
annotation          labels, notes, stars and lists as they are now; `document` is the line of the exchange format, byte for byte
annotation_revision every state that an annotation ever had here, deletions too: nothing is lost
annotation_mention  what each annotation is about, lists, or names as evidence: found from the annotations, for looking up
annotation_words    the words of annotations, for searching (FTS5); its rows are numbered like `annotation`
meta                schema version, and `changes` (circuits, short links) and `annotation_changes`, which grow with every write
                    (part of the ETag of what shows them)
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text

USER_SCHEMA_VERSION = 2

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Integer, nullable=False),
)

circuit = Table(
    "circuit",
    metadata,
    Column("id", String, primary_key=True),
    Column("model_id", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("revision", Integer, nullable=False),
)
Index("circuit_by_change", circuit.c.updated_at, circuit.c.id)
Index("circuit_by_model", circuit.c.model_id, circuit.c.updated_at, circuit.c.id)

circuit_revision = Table(
    "circuit_revision",
    metadata,
    Column("circuit_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("action", String, nullable=False),  # created, changed, deleted
    Column("document", Text, nullable=False),  # of a deletion: what was deleted
    Column("at", String, nullable=False),
    PrimaryKeyConstraint("circuit_id", "revision"),
)

saved_view = Table(
    "saved_view",
    metadata,
    Column("id", String, primary_key=True),
    Column("address", Text, nullable=False),
    Column("created_at", String, nullable=False),
)
Index("saved_view_by_address", saved_view.c.address, unique=True)

annotation = Table(
    "annotation",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),  # label, note, star, list
    Column("headline", Text, nullable=False),  # the label, the title of a list, the first line of a note
    Column("author", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
)
Index("annotation_by_change", annotation.c.is_deleted, annotation.c.updated_at, annotation.c.id)
Index("annotation_by_kind", annotation.c.is_deleted, annotation.c.kind, annotation.c.updated_at, annotation.c.id)

annotation_revision = Table(
    "annotation_revision",
    metadata,
    Column("annotation_id", String, nullable=False),
    Column("number", Integer, nullable=False),  # from 1, in the order in which they came here
    Column("action", String, nullable=False),  # created, changed, deleted; merged where it came from another atlas
    Column("document", Text, nullable=False),
    Column("at", String, nullable=False),
    PrimaryKeyConstraint("annotation_id", "number"),
)

annotation_mention = Table(
    "annotation_mention",
    metadata,
    Column("annotation", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("part", String, nullable=False),  # about, evidence, item
    Column("model_id", String),
    Column("layer", String),
    Column("unit", Integer),
    Column("dataset_id", String),
    Column("stimulus", String),
    PrimaryKeyConstraint("annotation", "place"),
)
Index("mention_by_unit", annotation_mention.c.model_id, annotation_mention.c.layer, annotation_mention.c.unit)
Index("mention_by_stimulus", annotation_mention.c.dataset_id, annotation_mention.c.stimulus)

WORDS_TABLE = (
    "CREATE VIRTUAL TABLE annotation_words USING fts5(words, tokenize = \"unicode61 remove_diacritics 2\", prefix = '2 3')"
)
