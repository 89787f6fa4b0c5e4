"""The file `ATLAS/user.db`: made by the first write and never by a look. Writers wait for each other; readers wait for nobody."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from precompute.errors import AtlasError
from precompute.store import user_schema as schema
from precompute.store.engine import use_log

Answer = TypeVar("Answer")
_PATIENCE_SECONDS = 30.0
"""How long one who writes waits for the others."""
_SETTLED_SECONDS = 1.0
"""A file that was changed a shorter time ago may be changed again within the same tick of its clock."""


def user_path(atlas: Path) -> Path:
    """Return the path of what people wrote about the atlas in folder `atlas`."""
    return atlas / "user.db"


def now() -> str:
    """Return the moment, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class UserFile:
    """The file in which people's words are kept: what reads it and what writes it.

    Args:
        atlas: Folder of the atlas; the database in it need not exist.
    """

    counter = "changes"
    """The name under which writes are counted, for the stamp."""
    since = 1
    """The first schema in which what is read here was there."""

    def __init__(self, atlas: Path) -> None:
        self._path = user_path(atlas)
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._stamped: tuple[object, str] | None = None

    def stamp(self) -> str:
        """Return a text that changes with every write, and when the file was replaced."""
        state, changed_at = self._state()
        known = self._stamped
        if known is not None and known[0] == state:
            return known[1]
        query = select(schema.meta.c.value).where(schema.meta.c.key == self.counter)
        changes = self.read(lambda connection: connection.execute(query).scalar() or 0, 0)
        text = f"{self._file_id()}-{changes}"
        # Kept only where nothing was written lately and nothing meanwhile: two writes may leave one time and one size.
        if time.time() - changed_at > _SETTLED_SECONDS and self._state()[0] == state:
            self._stamped = (state, text)
        return text

    def read(self, ask: Callable[[Connection], Answer], otherwise: Answer) -> Answer:
        """Return an answer, or `otherwise` where nothing was ever written.

        Raises:
            AtlasError: The file cannot be read.
        """
        if self._file_id() == "none":
            return otherwise
        try:
            with self._engine(is_writer=False).connect() as connection:
                if not inspect(connection).has_table("meta"):  # made, and killed before anything was written
                    return otherwise
                if _version_of(connection, self._path) < self.since:
                    return otherwise
                return ask(connection)
        except DatabaseError as error:
            raise AtlasError(f"{self._path} cannot be read ({error.orig}). Put a backup in its place.") from error

    @contextmanager
    def write(self) -> Generator[Connection]:
        """Open the one transaction that writes now; the file and its tables are made where they are missing.

        Raises:
            AtlasError: It cannot be written.
        """
        if not self._path.parent.is_dir():
            raise AtlasError(f"There is no atlas in {self._path.parent}. `unitscope demo` makes one.")
        try:
            with self._engine(is_writer=True).begin() as connection:
                _bring_up_to_date(connection, self._path)
                table = schema.meta
                connection.execute(update(table).where(table.c.key == self.counter).values(value=table.c.value + 1))
                yield connection
        except DatabaseError as error:
            raise AtlasError(f"{self._path} cannot be written ({error.orig}). Mend its permissions or make room.") from error

    def _file_id(self) -> str:
        try:
            return str(self._path.stat().st_ino)
        except OSError:
            return "none"

    def _state(self) -> tuple[object, float]:
        """Return what changes when the file does, and when that was last."""
        found: list[tuple[int, int, int] | None] = []
        changed_at = 0.0
        for path in (self._path, _log_of(self._path)):
            try:
                state = path.stat()
            except OSError:
                found.append(None)
                continue
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
            changed_at = max(changed_at, state.st_mtime)
        return tuple(found), changed_at

    def _engine(self, *, is_writer: bool) -> Engine:
        # SQLite cannot make the file that its log is shared by where nothing can be written; but there, nothing changes.
        is_fixed = not is_writer and not os.access(self._path.parent, os.W_OK) and not _log_of(self._path).exists()
        mode = "mode=rwc" if is_writer else "mode=ro&immutable=1" if is_fixed else "mode=ro"
        with self._lock:
            if mode not in self._engines:
                self._engines[mode] = _make_engine(self._path, mode)
            return self._engines[mode]


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _make_engine(path: Path, mode: str) -> Engine:
    uri = f"file:{quote(str(path.resolve()))}?{mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=_PATIENCE_SECONDS, isolation_level=None)

    # No pool: a file that a backup replaced is seen at once, and opening one costs little.
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    if mode == "mode=rwc":
        event.listen(engine, "connect", _configure_writer)
        event.listen(engine, "begin", _begin_at_once)
    return engine


def _configure_writer(connection: sqlite3.Connection, _record: object) -> None:
    use_log(connection, _PATIENCE_SECONDS)
    connection.execute("PRAGMA synchronous = FULL")


def _begin_at_once(connection: Connection) -> None:
    """Take the lock before reading: two writers that both read first could not both go on."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _bring_up_to_date(connection: Connection, path: Path) -> None:
    """Make the tables that are missing; those of an earlier version stay as they are."""
    is_new = not inspect(connection).has_table("meta")
    if not is_new and _version_of(connection, path) == schema.USER_SCHEMA_VERSION:
        return
    schema.metadata.create_all(connection)
    connection.exec_driver_sql(schema.WORDS_TABLE)
    rows = {"changes": 0, "annotation_changes": 0} if is_new else {"annotation_changes": 0}
    connection.execute(insert(schema.meta), [{"key": key, "value": value} for key, value in rows.items()])
    if is_new:
        connection.execute(insert(schema.meta).values(key="schema_version", value=schema.USER_SCHEMA_VERSION))
    else:
        table = schema.meta
        connection.execute(update(table).where(table.c.key == "schema_version").values(value=schema.USER_SCHEMA_VERSION))


def _version_of(connection: Connection, path: Path) -> int:
    found = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")).scalar()
    if found is None or not 1 <= found <= schema.USER_SCHEMA_VERSION:
        raise AtlasError(
            f"{path} has schema {found}, and this unitscope knows {schema.USER_SCHEMA_VERSION}: install the unitscope that wrote "
            "it. Nothing was changed."
        )
    return int(found)
