"""Builds that were killed at the worst moment, lost an image under way, or grow by further layers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute import pipeline
from precompute.errors import AtlasError
from precompute.pipeline import build
from precompute.planning import BuildOptions
from precompute.stimuli.image_folder import ImageFolder
from precompute.store.engine import open_writer
from precompute.store.writer import AtlasWriter
from tests.dump import dump


@pytest.fixture
def options(twelve_images: Path, tmp_path: Path) -> BuildOptions:
    techniques = ("statistics", "dataset_examples", "weights")
    return BuildOptions("tiny:net@random:0", str(twelve_images), tmp_path / "atlas", techniques=techniques, is_quiet=True)


def results(atlas: Path) -> dict[str, list[str]]:
    """Return the rows that say something about units, without the ids that depend on the order of builds."""
    with closing(sqlite3.connect(atlas / "atlas.db")) as connection:
        names = dict(connection.execute("SELECT id, name FROM layer"))
        links = connection.execute(
            "SELECT source_layer_id, target_layer_id, layout, placement, blob_sha256 FROM layer_link"
        ).fetchall()
    return {"links": sorted(repr((names[row[0]], names[row[1]], *row[2:])) for row in links)}


@pytest.mark.parametrize("first", [("left", "deep"), ("deep",), ("block.conv2",)])
def test_layers_in_two_builds_are_linked_as_in_one(options: BuildOptions, tmp_path: Path, first: tuple[str, ...]) -> None:
    whole = replace(options, atlas=tmp_path / "whole")
    build(whole)
    build(replace(options, layers=first))
    build(options)
    assert results(options.atlas) == results(whole.atlas)
    assert "None" not in " ".join(results(options.atlas)["links"])
    assert build(options).num_done == 0


def test_source_built_after_its_target_alone_is_linked(options: BuildOptions) -> None:
    build(replace(options, layers=("deep",)))
    assert results(options.atlas)["links"] == []
    build(replace(options, layers=("right",)))
    found = results(options.atlas)
    assert len(found["links"]) == 1
    assert found["links"][0].startswith("('right', 'deep'")


def test_kill_between_the_units_of_two_layers(options: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replace(options, atlas=tmp_path / "whole")
    build(whole)
    real, calls = AtlasWriter.insert_missing, iter(range(100))

    def insert(self: AtlasWriter, table: Any, rows: Any) -> None:
        if table.name == "unit" and next(calls) == 1:
            raise InterruptedError("killed")
        real(self, table, rows)

    monkeypatch.setattr(AtlasWriter, "insert_missing", insert)
    with pytest.raises(InterruptedError):
        build(options)
    build(options)
    assert dump(options.atlas) == dump(whole.atlas)


@pytest.mark.parametrize("script", ["", "CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)"])
def test_kill_while_the_tables_are_made(options: BuildOptions, script: str) -> None:
    options.atlas.mkdir()
    with closing(sqlite3.connect(options.atlas / "atlas.db")) as connection:
        connection.executescript(script)
    (options.atlas / "atlas.db").touch()
    assert build(options).failed == []


def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        connection.executescript("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(AtlasError, match="is not an atlas"):
        open_writer(tmp_path)
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


@pytest.mark.parametrize("when", ["before the plan is written", "after it"])
def test_image_that_goes_away_is_skipped_and_every_page_works(
    options: BuildOptions, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    victim = sorted(Path(options.images).rglob("*.png"))[0]
    if when == "after it":
        real = pipeline.write_plan

        def write(plan: Any, writer: AtlasWriter) -> None:
            real(plan, writer)
            victim.unlink(missing_ok=True)

        monkeypatch.setattr(pipeline, "write_plan", write)
    else:
        check = ImageFolder.check

        def check_and_lose(self: ImageFolder, *arguments: Any) -> Any:
            result = check(self, *arguments)
            victim.unlink(missing_ok=True)
            return result

        monkeypatch.setattr(ImageFolder, "check", check_and_lose)
    assert build(options).failed == []
    with TestClient(create_app(AppSettings(options.atlas))) as client:
        for address in ("/", "/models/net", "/models/net/deep", "/models/net/deep/0", "/search?q=deep", "/stimuli/2"):
            assert client.get(address).status_code == 200, address
        examples = client.get("/api/v1/models/net/deep/0").json()["examples"]
    kept = [*examples["top"], *examples["random"], *(found for part in examples["quantiles"] for found in part["items"])]
    assert all(found["activation"] is not None for found in kept)
    assert len({found["stimulus"]["id"] for found in kept}) == 11
