"""The revision is read once while nothing is written, and never after something was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from precompute.store.reader import AtlasReader


@pytest.fixture
def atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fixture_atlas, tmp_path / "atlas"))


def change(atlas: Path, value: int) -> None:
    """Write a revision."""
    connection = sqlite3.connect(atlas / "atlas.db")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (str(value),))
    connection.commit()
    connection.close()


def test_every_write_is_seen_at_once(atlas: Path) -> None:
    reader = AtlasReader(atlas)
    for value in range(30, 60):
        change(atlas, value)
        assert reader.revision() == f"{reader.file_id}-{value}"


def test_settled_atlas_is_not_asked_again(atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(atlas, 70)
    reader = AtlasReader(atlas)
    reader.revision()  # opens the log
    moment = time.time() - 60
    for name in ("atlas.db", "atlas.db-wal"):
        if (atlas / name).exists():
            os.utime(atlas / name, (moment, moment))
    assert reader.revision().endswith("-70")
    monkeypatch.setattr(AtlasReader, "all", lambda *_, **__: pytest.fail("asked again"))
    assert reader.revision().endswith("-70")
    monkeypatch.undo()
    change(atlas, 71)
    assert reader.revision().endswith("-71")


def test_what_was_written_just_now_is_asked_again(atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(atlas, 80)
    reader = AtlasReader(atlas)
    reader.revision()
    asked: list[object] = []
    real = AtlasReader.all
    monkeypatch.setattr(AtlasReader, "all", lambda self, query, **values: asked.append(query) or real(self, query, **values))
    reader.revision()
    assert asked
