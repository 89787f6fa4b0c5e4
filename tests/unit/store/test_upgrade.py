"""An atlas of an older version is brought up to date without losing a row; one that cannot be is refused in plain words."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from precompute.cli import main
from precompute.errors import AtlasError
from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.status import read_status
from precompute.store.verify import verify
from precompute.store.writer import AtlasWriter
from tests.dump import dump

INDEX = "task_by_status"
LATER = "progress"


@pytest.fixture
def old_atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    """Return an atlas of schema 2 that lacks a table and an index, as if they had come with schema 3."""
    atlas = tmp_path / "old"
    shutil.copytree(fixture_atlas, atlas)
    with sqlite3.connect(atlas / "atlas.db") as connection:
        connection.execute(f"DROP INDEX {INDEX}")
        connection.execute(f"DROP TABLE {LATER}")
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
    return atlas


def set_version(atlas: Path, version: str) -> None:
    with sqlite3.connect(atlas / "atlas.db") as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))


def names_in(atlas: Path) -> set[str]:
    with sqlite3.connect(atlas / "atlas.db") as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def rows_of(atlas: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in dump(atlas).items() if name != LATER}


def test_a_writer_adds_what_is_missing_and_keeps_every_row(old_atlas: Path) -> None:
    before = rows_of(old_atlas)
    assert len(before["unit_metric"]) > 100
    assert {INDEX, LATER}.isdisjoint(names_in(old_atlas))
    AtlasWriter(old_atlas).close()
    assert {INDEX, LATER} <= names_in(old_atlas)
    assert rows_of(old_atlas) == before
    assert verify(old_atlas).problems == []
    AtlasReader(old_atlas).close()


def test_the_command_upgrades_and_says_so(old_atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--atlas", str(old_atlas)]) == 0
    assert f"now has schema {schema.SCHEMA_VERSION}; before, it had 2" in capsys.readouterr().out
    revisions = AtlasReader(old_atlas).revision()
    assert main(["upgrade", "--atlas", str(old_atlas)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert AtlasReader(old_atlas).revision() == revisions


def test_an_upgrade_moves_the_revision(old_atlas: Path) -> None:
    def revision() -> int:
        with sqlite3.connect(old_atlas / "atlas.db") as connection:
            return int(connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0])

    before = revision()
    AtlasWriter(old_atlas).close()
    assert revision() == before + 1


def test_the_server_refuses_an_older_atlas_and_names_the_command(old_atlas: Path) -> None:
    with pytest.raises(AtlasError, match=rf"schema 2, older.*`unitscope upgrade --atlas {old_atlas}`"):
        AtlasReader(old_atlas)


def test_status_needs_no_upgrade(old_atlas: Path) -> None:
    AtlasWriter(old_atlas).close()
    set_version(old_atlas, "2")
    assert [model["id"] for model in read_status(old_atlas)["models"]] == ["tiny_a", "tiny_b"]


@pytest.mark.parametrize(
    ("version", "said"),
    [("1", "schema 1, older .* build it again into another"), ("4", "schema 4, newer .* install a newer unitscope")],
)
def test_what_cannot_be_upgraded_is_refused(old_atlas: Path, version: str, said: str) -> None:
    set_version(old_atlas, version)
    before = names_in(old_atlas)
    for opened in (AtlasWriter, AtlasReader):
        with pytest.raises(AtlasError, match=said):
            opened(old_atlas)
    assert names_in(old_atlas) == before


def test_there_must_be_an_atlas_to_upgrade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--atlas", str(tmp_path)]) == 1
    assert "no atlas" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


COUNTED = (
    "task_count",
    "model_count",
    "unit_column",
    "metric_count",
    "facet_count",
    "first_unit",
    "example_count",
    "search_entry",
    "dataset_look",
)


def test_what_an_older_version_did_not_count_is_counted(
    fixture_atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atlas = tmp_path / "uncounted"
    shutil.copytree(fixture_atlas, atlas)
    before = dump(atlas)
    assert all(before[table] for table in COUNTED)
    with sqlite3.connect(atlas / "atlas.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for table in COUNTED:
            connection.execute(f"DROP TABLE {table}")
    reader = AtlasReader(atlas)
    assert reader.coverage(reader.catalog("tiny_a", reader.revision()), None), "an atlas that lacks them can be read"
    reader.close()
    assert main(["upgrade", "--atlas", str(atlas)]) == 0
    said = capsys.readouterr().out
    assert "got the tables that it lacked" in said
    assert "Counted what the pages of tiny_b show." in said
    after = dump(atlas)
    assert [table for table in before if after[table] != before[table]] == []
    assert main(["upgrade", "--atlas", str(atlas)]) == 0
    assert "nothing to do" in capsys.readouterr().out
