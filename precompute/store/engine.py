"""Opening an atlas: read-only for the web process, read-write for a build."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, inspect, select, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from precompute.errors import AtlasError
from precompute.store import schema
from precompute.store.task_counts import keep_task_counts

_PATIENCE_SECONDS = 60.0
"""How long a build waits for another process to be done with the database."""


def database_path(atlas: Path) -> Path:
    """Return the path of the database of the atlas in folder `atlas`."""
    return atlas / "atlas.db"


def open_reader(atlas: Path, *, accepts_older: bool = False) -> Engine:
    """Open an atlas for reading; nothing done through the engine can change it.

    Args:
        atlas: Folder of the atlas.
        accepts_older: Whether an atlas that a build would first bring up to date may be read, too: what was there before is
            the same in it, and what came later is missing.

    Raises:
        AtlasError: There is no atlas there, or it has another schema.
    """
    path = database_path(atlas)
    if not path.is_file():
        raise AtlasError(
            f"There is no atlas in {atlas}. `unitscope demo` makes one, "
            f"and so does `unitscope build SPEC --images DIR --atlas {atlas}`."
        )
    # Where nothing can be written, nothing changes, and SQLite cannot make the shared file that its log would need.
    is_fixed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path.resolve()))}?mode=ro{'&immutable=1' if is_fixed else ''}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=10),
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=24,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA mmap_size = 1073741824")
        connection.execute("PRAGMA cache_size = -65536")

    check_schema(engine, atlas, accepts_older=accepts_older)
    return engine


def read_schema(atlas: Path) -> int:
    """Return the schema version of an atlas that this unitscope can read or bring up to date.

    Raises:
        AtlasError: There is no atlas there, or its schema is another.
    """
    engine = open_reader(atlas, accepts_older=True)
    try:
        with engine.connect() as connection:
            version = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
            return int(connection.execute(version).scalar_one())
    finally:
        engine.dispose()


def lacks_tables(atlas: Path) -> bool:
    """Return whether an atlas lacks tables that a writer would add.

    Raises:
        AtlasError: There is no atlas there, or its schema is another.
    """
    engine = open_reader(atlas, accepts_older=True)
    try:
        return not set(schema.metadata.tables) <= set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def open_writer(atlas: Path) -> Engine:
    """Open an atlas for a build; the folder and the tables are made where they are missing, in an older atlas, too.

    Raises:
        AtlasError: The folder cannot be made or written, or the atlas has another schema.
    """
    path = database_path(atlas)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_unfinished = not path.exists() or _is_unfinished(path)
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _PATIENCE_SECONDS}, json_serializer=_to_json)
        event.listen(engine, "connect", _configure_writer)
        if is_unfinished:
            schema.metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(
                    schema.meta.insert().prefix_with("OR IGNORE"),
                    [{"key": "schema_version", "value": str(schema.SCHEMA_VERSION)}, {"key": "revision", "value": "0"}],
                )
    except OSError as error:
        raise AtlasError(f"Cannot make an atlas in {atlas}: {error.strerror}. Choose another --atlas.") from error
    except DatabaseError as error:
        raise AtlasError(f"Cannot write {path}: {error.orig}. Choose another --atlas or mend its permissions.") from error
    check_schema(engine, atlas, accepts_older=True)
    try:
        _bring_up_to_date(engine)
    except DatabaseError as error:
        raise AtlasError(f"Cannot write {path}: {error.orig}. Choose another --atlas or mend its permissions.") from error
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    """Make what is missing in an atlas that `check_schema` let through: additions only, no row is touched but the version's."""
    schema.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in schema.metadata.tables.values():
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        keep_task_counts(connection)
        version, revision = (schema.meta.c.key == key for key in ("schema_version", "revision"))
        now = str(schema.SCHEMA_VERSION)
        changed = connection.execute(update(schema.meta).where(version, schema.meta.c.value != now).values(value=now))
        if changed.rowcount:  # what was said to be out of date is now shown
            more = text("CAST(CAST(value AS INTEGER) + 1 AS TEXT)")
            connection.execute(update(schema.meta).where(revision).values(value=more))


def _is_unfinished(path: Path) -> bool:
    """Tell whether a build was killed while it made the tables: nothing is there but tables of ours, and no version yet."""
    with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as connection:
        try:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "meta" not in names:
                return names <= set(schema.metadata.tables)
            version = connection.execute("SELECT 1 FROM meta WHERE key = 'schema_version'").fetchone()
            return version is None and names <= set(schema.metadata.tables)
        except sqlite3.DatabaseError:  # no database at all: what is wrong with it is said when it is opened
            return False


def _to_json(value: object) -> str:
    """Write JSON that every reader takes: what is not a number must fail here and not on every page."""
    return json.dumps(value, allow_nan=False)


def use_log(connection: sqlite3.Connection, seconds: float) -> None:
    """Let readers of a database go on while one writes to it: SQLite's write-ahead log.

    Args:
        connection: To the database.
        seconds: How long to wait for others. SQLite waits for a lock by itself, but not here: where several open a new file at
            once, all but one are turned away at once.

    Raises:
        sqlite3.OperationalError: Others kept the database for all that time, or it cannot be written.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.005)


def _configure_writer(connection: sqlite3.Connection, _record: object) -> None:
    use_log(connection, _PATIENCE_SECONDS)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = 1")
    connection.execute("PRAGMA recursive_triggers = 1")  # a row that replaces another takes it out of the counts


def check_schema(engine: Engine, atlas: Path, *, accepts_older: bool = False) -> None:
    """Refuse an atlas whose tables this version does not know.

    Raises:
        AtlasError: Its schema is newer or older than ours, or the file is no atlas.
    """
    try:
        with engine.connect() as connection:
            found = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")).scalar()
    except DatabaseError as error:
        raise AtlasError(f"{database_path(atlas)} is not an atlas ({error.orig}). Choose another --atlas.") from error
    if found is None or not found.isdigit():
        raise AtlasError(f"{database_path(atlas)} is not an atlas: it has no schema version. Choose another --atlas.")
    number = int(found)
    if number == schema.SCHEMA_VERSION or (accepts_older and number in schema.OLDER_VERSIONS):
        return
    if number in schema.OLDER_VERSIONS:
        remedy = f"`unitscope upgrade --atlas {atlas}` adds what it lacks and keeps every result, and so does the next build"
    elif number > schema.SCHEMA_VERSION:
        remedy = "install a newer unitscope"
    else:
        remedy = "build it again into another --atlas"
    age = "newer" if number > schema.SCHEMA_VERSION else "older"
    raise AtlasError(
        f"The atlas in {atlas} has schema {found}, {age} than this unitscope's {schema.SCHEMA_VERSION}: {remedy}. "
        "Nothing was changed."
    )
