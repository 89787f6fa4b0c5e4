"""The tables of `ATLAS/user.db`: what people write. A build never opens it.

circuit             the circuits as they are now; `document` is the text of the exchange format, byte for byte
circuit_revision    every revision that a circuit ever had, deletions too: nothing is lost
saved_view          short ids for addresses
meta                schema version, and `changes`, which grows with every write (part of the ETag of what shows them)
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text

USER_SCHEMA_VERSION = 1

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
