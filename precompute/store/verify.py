"""Is the atlas whole? Every blob is hashed again, and every row that names one is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select, text

from precompute.store import schema
from precompute.store.blobs import BlobStore
from precompute.store.engine import open_reader


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was written.

    Attributes:
        kind: `missing` (a row names it, the file is not there), `altered` (the file has other bytes), `unknown` (a row names
            a blob that the list of blobs does not know), `database` (SQLite's own check complains).
        name: File name of the blob, or what SQLite says.
        used_by: A row that names it, in words.
    """

    kind: str
    name: str
    used_by: str = ""


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        num_blobs: How many were checked.
        num_bytes: Their size as written.
        problems: What is wrong; empty where all is well.
    """

    num_blobs: int
    num_bytes: int
    problems: list[Problem]


def verify(atlas: Path) -> VerifyReport:
    """Check an atlas; changes nothing.

    Raises:
        AtlasError: There is none, or its schema is another.
    """
    engine = open_reader(atlas, accepts_older=True)
    blobs = BlobStore(atlas / "blobs")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(schema.blob).order_by(schema.blob.c.sha256)).all()
            complaints = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok"]
        problems = [Problem("database", complaint) for complaint in complaints]
        users = dict(_users(engine))
        for sha256, extension, _size in rows:
            found = blobs.hash_of(sha256, extension)
            if found != sha256:
                problems.append(
                    Problem("missing" if found is None else "altered", f"{sha256}.{extension}", users.get(sha256, ""))
                )
        known = {row[0] for row in rows}
        problems.extend(Problem("unknown", sha256, user) for sha256, user in sorted(users.items()) if sha256 not in known)
        return VerifyReport(len(rows), sum(row[2] for row in rows), problems)
    finally:
        engine.dispose()


def _users(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield the sha256 of every blob that a row names, with the row in words."""
    names = select(schema.layer.c.id, schema.layer.c.model_id, schema.layer.c.name)
    with engine.connect() as connection:
        layers = {row.id: f"{row.model_id} {row.name}" for row in connection.execute(names)}
        for row in connection.execute(select(schema.stimulus.c.blob_sha256, schema.stimulus.c.key)):
            yield row.blob_sha256, f"image {row.key}"
        links = select(schema.layer_link).where(schema.layer_link.c.blob_sha256.is_not(None))
        for row in connection.execute(links):
            yield row.blob_sha256, f"weights into {layers[row.target_layer_id]}"
        artifacts = select(
            schema.artifact.c.blob_sha256, schema.artifact.c.layer_id, schema.artifact.c.unit_index, schema.artifact.c.kind
        ).where(schema.artifact.c.blob_sha256.is_not(None))
        for row in connection.execute(artifacts):
            unit = f"/{row.unit_index}" if row.unit_index >= 0 else ""
            yield row.blob_sha256, f"{row.kind} of {layers[row.layer_id]}{unit}"
