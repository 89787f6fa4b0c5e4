"""Every page can be made ahead, by a process of its own; the server then makes none of them again."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.cli import main

NUM_UNITS = 24 + 24 + 24 + 12
NUM_PAGES = 2 * 2 * (1 + 4 + NUM_UNITS)  # two models; a page and a twin of the model, its layers, its units


@pytest.fixture
def atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    copied = Path(shutil.copytree(fixture_atlas, tmp_path / "atlas", ignore=shutil.ignore_patterns("cache")))
    with sqlite3.connect(copied / "atlas.db") as connection:
        connection.execute("DELETE FROM progress")
    connection.close()
    for path in copied.glob("*.db*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return copied


def test_all_pages_are_made_once(atlas: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["warm", "--atlas", str(atlas)]) == 0
    assert f"{NUM_PAGES} pages are ready." in capfd.readouterr().out
    kept = {path: path.read_bytes() for path in (atlas / "cache" / "pages").rglob("*.page")}
    # Pages of models tell how a build goes and are kept, too.
    assert len(kept) == NUM_PAGES

    def make(*_: object) -> None:
        pytest.fail("made again")

    monkeypatch.setattr("app.twins.make_answer", make)
    client = TestClient(create_app(AppSettings(atlas)))
    for address in ("/models/tiny_a/stem/5", "/api/v1/models/tiny_b/head.fc/11", "/models/tiny_b", "/models/tiny_a/stem"):
        assert client.get(address).status_code == 200


def test_there_must_be_an_atlas(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "--atlas", str(tmp_path / "nowhere")]) == 1
    said = capfd.readouterr().err
    assert "There is no atlas in" in said
    assert "Traceback" not in said
