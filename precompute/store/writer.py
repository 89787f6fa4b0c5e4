"""Writing an atlas: blobs first, then rows, one transaction for each task."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from precompute.domain import Artifact, BlobData, LayerLink, Result, UnitMetric
from precompute.errors import AtlasError
from precompute.store import schema
from precompute.store.blobs import BlobStore
from precompute.store.engine import open_writer

Row = Mapping[str, Any]


class AtlasWriter:
    """The one writer of an atlas.

    Args:
        atlas: Folder of the atlas; made where it is missing.

    Raises:
        AtlasError: The folder cannot be written or holds another schema.
    """

    def __init__(self, atlas: Path) -> None:
        self.atlas = atlas
        self._lock = _lock(atlas)  # before the tables are made: two builds must not make them both
        try:
            self.engine = open_writer(atlas)
        except AtlasError:
            self._lock.close()
            raise
        self.blobs = BlobStore(atlas / "blobs")

    def close(self) -> None:
        """Close the database and fold its write-ahead log into it."""
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        self.engine.dispose()
        self._lock.close()

    # -- rows ------------------------------------------------------------------------------------------------------

    def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows in one transaction; a row with the same key is replaced."""
        with self._transaction() as connection:
            _replace(connection, table, rows)

    def insert_missing(self, table: Table, rows: Sequence[Row]) -> None:
        """Write the rows whose key is not there yet, in one transaction."""
        if rows:
            with self._transaction() as connection:
                connection.execute(insert(table).prefix_with("OR IGNORE"), list(rows))

    def update(self, table: Table, key: Row, values: Row) -> None:
        """Change one row."""
        with self._transaction() as connection:
            connection.execute(update(table).where(*_same(table, key)).values(**values))

    def set_priorities(self, rows: Sequence[Row]) -> None:
        """Set the priority of tasks of one unit each: `technique variant layer_id unit_start priority` of each."""
        if rows:
            statement = update(schema.task).where(
                schema.task.c.model_id == bindparam("task_model"),
                schema.task.c.technique == bindparam("task_technique"),
                schema.task.c.layer_id == bindparam("task_layer"),
                schema.task.c.unit_start == bindparam("task_start"),
                schema.task.c.unit_stop == bindparam("task_stop"),
                schema.task.c.variant == bindparam("task_variant"),
            )
            with self._transaction() as connection:
                connection.execute(statement.values(priority=bindparam("new_priority")), list(rows))

    def put_blob(self, blob: BlobData) -> str:
        """Store a file and its row, and return its sha256."""
        sha256 = self.blobs.put(blob)
        self.insert_missing(schema.blob, [_blob_row(sha256, blob)])
        return sha256

    def insert_stimuli(self, stimuli: Sequence[tuple[Row, BlobData]]) -> None:
        """Write stimuli in one transaction.

        Args:
            stimuli: For each, its row without the blob's name, and the blob: put it into the file store beforehand, in
                threads, where there are many; it is put here where it is not there.
        """
        named = [(row, blob, self.blobs.put(blob)) for row, blob in stimuli]
        with self._transaction() as connection:
            blobs = [_blob_row(sha256, blob) for _, blob, sha256 in named]
            connection.execute(insert(schema.blob).prefix_with("OR IGNORE"), blobs)
            rows = [{**row, "blob_sha256": sha256} for row, _, sha256 in named]
            connection.execute(insert(schema.stimulus).prefix_with("OR IGNORE"), rows)

    def finish_task(
        self, task: Row, results: Iterable[Result], layer_ids: Mapping[str, int], run_id: str, seconds: float
    ) -> None:
        """Store the results of a task and mark it done, in one transaction; its blobs are on the disk before.

        Args:
            task: The key of the task's row.
            results: What the technique yielded.
            layer_ids: Row number of each layer of the model.
            run_id: The run that made them.
            seconds: How long it took.
        """
        rows: dict[str, list[Row]] = {table.name: [] for table in _RESULT_TABLES}
        blobs: list[Row] = []
        for result in results:
            sha256 = None
            if isinstance(result, Artifact | LayerLink) and result.blob is not None:
                sha256 = self.blobs.put(result.blob)
                blobs.append(_blob_row(sha256, result.blob))
            table, row = _row_of(result, layer_ids, run_id, sha256)
            rows[table.name].append(row)
        with self._transaction() as connection:
            if blobs:
                connection.execute(insert(schema.blob).prefix_with("OR IGNORE"), blobs)
            for table in _RESULT_TABLES:
                _replace(connection, table, rows[table.name])
            done = {"status": "done", "error": None, "run_id": run_id, "seconds": seconds}
            connection.execute(update(schema.task).where(*_same(schema.task, task)).values(**done))

    def fail_task(self, task: Row, error: str) -> None:
        """Mark a task failed; a later build tries it again."""
        with self._transaction() as connection:
            connection.execute(update(schema.task).where(*_same(schema.task, task)).values(status="failed", error=error))

    def set_progress(self, model_id: str, stage: str, num_done: int, num_total: int, per_second: float | None) -> None:
        """Say what the build is doing now; does not count as a change of the atlas."""
        left = (num_total - num_done) / per_second if per_second else None
        row = {
            "model_id": model_id,
            "stage": stage,
            "num_done": num_done,
            "num_total": num_total,
            "per_second": per_second,
            "seconds_left": left,
            "updated_at": time.time(),
            "process_id": os.getpid(),
        }
        with self._transaction(is_change=False) as connection:
            _replace(connection, schema.progress, [row])

    def clear_progress(self, model_id: str) -> None:
        """Say that no build is running."""
        with self._transaction() as connection:
            connection.execute(delete(schema.progress).where(schema.progress.c.model_id == model_id))

    def rows(self, table: Table, *conditions: Any) -> list[dict[str, Any]]:
        """Return rows of a table as the database has them now."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table).where(*conditions)).mappings()]

    def next_layer_id(self) -> int:
        """Return a layer id that is not taken."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(schema.layer.c.id), 0))).scalar_one()) + 1

    def changing(self) -> AbstractContextManager[Connection]:
        """Open a transaction that moves the atlas's revision on."""
        return self._transaction()

    def _transaction(self, *, is_change: bool = True) -> _Transaction:
        return _Transaction(self, is_change=is_change)


class _Transaction:
    """A transaction that moves the atlas's revision on, and says in plain words why it failed."""

    def __init__(self, writer: AtlasWriter, *, is_change: bool) -> None:
        self._writer = writer
        self._is_change = is_change

    def __enter__(self) -> Connection:
        self._begin = self._writer.engine.begin()
        self._connection = self._begin.__enter__()
        return self._connection

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None and self._is_change:
                self._connection.execute(
                    update(schema.meta)
                    .where(schema.meta.c.key == "revision")
                    .values(value=text("CAST(CAST(value AS INTEGER) + 1 AS TEXT)"))
                )
            self._begin.__exit__(kind, error, trace)
        except OperationalError as failure:
            raise _plain(failure, self._writer.atlas) from failure
        if isinstance(error, OperationalError):
            raise _plain(error, self._writer.atlas) from error


def _lock(atlas: Path) -> IO[str]:
    """Take the atlas for this process until the file is closed or the process ends, however it ends.

    Raises:
        AtlasError: Another build has it, or the folder cannot be written.
    """
    try:
        atlas.mkdir(parents=True, exist_ok=True)
        file = (atlas / "build.lock").open("w", encoding="utf-8")
    except OSError as error:
        raise AtlasError(f"Cannot make an atlas in {atlas}: {error.strerror}. Choose another --atlas.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise AtlasError(
            f"Another build is writing to {atlas}. Wait until it ends, stop it, or choose another --atlas."
        ) from error
    return file


_RESULT_TABLES = (schema.layer_link, schema.artifact, schema.unit_metric, schema.top_stimulus)


def _plain(error: OperationalError, atlas: Path) -> AtlasError:
    reason = str(error.orig)
    if "full" in reason:
        return AtlasError(
            f"No space left on the disk of {atlas}. What was built so far is safe: "
            "free some space and give the same command again to go on."
        )
    if "locked" in reason:
        return AtlasError(f"Another build is writing to {atlas}. Wait until it ends, or choose another --atlas.")
    return AtlasError(f"Cannot write the atlas in {atlas}: {reason}.")


def _blob_row(sha256: str, blob: BlobData) -> Row:
    return {"sha256": sha256, "extension": blob.extension, "num_bytes": len(blob.data)}


def _row_of(result: Result, layer_ids: Mapping[str, int], run_id: str, sha256: str | None) -> tuple[Table, Row]:
    if isinstance(result, LayerLink):
        ends = {"source_layer_id": layer_ids[result.source], "target_layer_id": layer_ids[result.target]}
        shape = {"is_exact": int(result.is_exact), "kernel_shape": list(result.kernel_shape), "layout": result.layout}
        return schema.layer_link, ends | shape | {"placement": asdict(result.placement), "blob_sha256": sha256}
    layer_id = layer_ids[result.layer]
    unit = -1 if result.unit is None else result.unit
    key: dict[str, Any] = {"layer_id": layer_id, "unit_index": unit}
    if isinstance(result, Artifact):
        about = {"technique": result.technique, "kind": result.kind, "position": result.position}
        return schema.artifact, key | about | {"payload": dict(result.payload), "blob_sha256": sha256, "run_id": run_id}
    if isinstance(result, UnitMetric):
        return schema.unit_metric, key | {"metric": result.metric, "value": result.value}
    found = {"stimulus_index": result.stimulus, "rank": result.rank, "activation": result.activation}
    return schema.top_stimulus, key | found


def _replace(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(insert(table).prefix_with("OR REPLACE"), list(rows))


def _same(table: Table, key: Row) -> list[Any]:
    return [table.c[column.name] == key[column.name] for column in table.primary_key.columns]


def utc_now() -> str:
    """Return the time as ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
