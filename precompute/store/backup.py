"""A copy of `user.db` that is whole, also while people write: one file, on the disk when the command says so."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from precompute.errors import AtlasError, UsageError
from precompute.store.user_file import user_path

_COUNTS = {
    "annotation": "SELECT count(*) FROM annotation WHERE is_deleted = 0",
    "circuit": "SELECT count(*) FROM circuit",
}


@dataclass(frozen=True)
class BackupRecord:
    """What was copied."""

    path: Path
    num_bytes: int
    num_annotations: int
    num_circuits: int


def back_up(atlas: Path, target: Path) -> BackupRecord:
    """Copy what people wrote about an atlas: all that was acknowledged before this began is in the copy, nothing half.

    Args:
        atlas: Folder of the atlas; its server may go on writing.
        target: The file to make.

    Raises:
        UsageError: The target is there already, or its folder is not.
        AtlasError: Nothing was ever written, or the copy cannot be made.
    """
    source = user_path(atlas)
    if not source.is_file():
        raise AtlasError(f"{atlas} has no user.db: nobody has written anything yet, so there is nothing to back up.")
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already, and a backup is never written over. Name another file.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}. Make it first, or name another file.")
    try:
        return _copy(source, target)
    except FileExistsError as error:
        raise UsageError(f"{target} was made by somebody else meanwhile. Name another file.") from error
    except (OSError, sqlite3.Error) as error:
        raise AtlasError(f"{source} cannot be backed up to {target}: {error}.") from error


def _copy(source: Path, target: Path) -> BackupRecord:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        uri = f"file:{quote(str(source.resolve()))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as reader, closing(sqlite3.connect(part)) as copy:
            reader.backup(copy)  # in one step, under one read lock: one state of the file, while writers go on
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("the copy is not whole")
            numbers = [_count(copy, table, query) for table, query in _COUNTS.items()]
        _sync(part)
        os.link(part, target)  # fails where the target is there: nothing is written over, not even by a race
        _sync(target.parent)
        return BackupRecord(target, target.stat().st_size, *numbers)
    finally:
        part.unlink(missing_ok=True)


def _count(copy: sqlite3.Connection, table: str, query: str) -> int:
    """Return how many of something there are; a file of the first version has no annotations."""
    is_there = copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None
    return int(copy.execute(query).fetchone()[0]) if is_there else 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
