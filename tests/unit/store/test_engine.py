"""A database that several open at once for the first time."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from precompute.store.engine import use_log


def held(path: Path) -> sqlite3.Connection:
    """Return a connection that nobody else can write beside, to a database without a log."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE thing (id INTEGER)")
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_log_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(held(path)) as first, closing(sqlite3.connect(path, timeout=0)) as second:
        release = threading.Timer(0.2, first.execute, ["COMMIT"])
        release.start()
        use_log(second, 30)
        release.join()
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_wait_for_the_log_ends(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with (
        closing(held(path)),
        closing(sqlite3.connect(path, timeout=0)) as second,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        use_log(second, 0.05)


def test_what_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    held(path).close()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader, pytest.raises(sqlite3.OperationalError):
        use_log(reader, 600)
