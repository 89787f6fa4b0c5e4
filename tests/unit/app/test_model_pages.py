"""A model of very many layers shows some at a time; all others show all."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.pages import models
from app.settings import AppSettings
from precompute.store.best import DOUBTS, LIKENESS
from tests.served import served
from unitscope import Client

NAMES = ["stem", "blocks.0.dw", "blocks.0.pw", "head.fc"]


def names(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [layer["name"] for layer in page["layers"]]


def test_usual_model_shows_all_its_layers(client: TestClient) -> None:
    page = client.get("/api/v1/models/tiny_a").json()
    assert names(page) == NAMES
    assert (page["start"], page["next"]) == (0, None)
    assert {row["layer"] for row in page["coverage"]} == set(NAMES)
    assert "Later layers" not in client.get("/models/tiny_a").text


def test_layers_come_page_by_page_where_there_are_very_many(fixture_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_WHOLE", 3)
    monkeypatch.setattr(models, "LAYERS_AT_ONCE", 3)
    client = TestClient(create_app(AppSettings(fixture_atlas, max_kept_bytes=0)))
    first = client.get("/api/v1/models/tiny_a").json()
    assert names(first) == NAMES[:3]
    assert {row["layer"] for row in first["coverage"]} == set(NAMES[:3])
    second = client.get(first["next"]).json()
    assert (names(second), second["start"], second["next"]) == (NAMES[3:], 3, None)
    assert second["stages"] == first["stages"], "of all layers, whichever are shown"
    page = client.get("/models/tiny_a").text
    assert "Layers 1 to 3 of 4" in page
    assert page.count("Later layers") == 2
    assert 'href="/models/tiny_a?after=' in page
    last = client.get(first["next"].removeprefix("/api/v1")).text
    assert "Layers 4 to 4 of 4" in last
    assert "Earlier layers" in last
    assert names(client.get("/api/v1/models/tiny_a?limit=4").json()) == NAMES
    assert client.get("/api/v1/models/tiny_a?after=nowhere").status_code == 400


def test_client_gathers_all_layers(fixture_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_WHOLE", 3)
    monkeypatch.setattr(models, "LAYERS_AT_ONCE", 1)
    with served(fixture_atlas) as address:
        assert [layer["name"] for layer in Client(address).layers("tiny_a")] == NAMES


def test_samples_are_the_best_pictured_units(client: TestClient) -> None:
    page = client.get("/api/v1/models/tiny_a").json()
    stem = page["layers"][0]
    units = {sample["index"]: sample for sample in stem["samples"]}
    listed = client.get("/api/v1/models/tiny_a/stem?visualization=yes&limit=200").json()["items"]
    pictured = {unit["index"]: unit["metrics"] for unit in listed}
    shown = [index for index, sample in units.items() if sample["is_visualization"]]
    assert len(shown) == min(len(pictured), models.LAYER_SAMPLES)
    scored = [index for index, metrics in pictured.items() if metrics.get(LIKENESS) is not None]
    best = sorted(scored, key=lambda index: (pictured[index].get(DOUBTS) or 0, -pictured[index][LIKENESS]))
    assert len(best) > 2
    assert shown[: len(best)] == best[: len(shown)]
