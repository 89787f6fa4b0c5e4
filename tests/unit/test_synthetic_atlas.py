"""Copies of a made-up network are chained and whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.bench import synthetic_atlas


def test_copies_hold_every_row_and_are_chained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_atlas, "STAGES", ((1, 1, 3, 1, 8),))
    monkeypatch.setattr(synthetic_atlas, "NUM_STIMULI", 70)
    atlas = tmp_path / "atlas"
    one = sum(layer[1] for layer in synthetic_atlas.plan_layers())
    assert synthetic_atlas.make_synthetic_atlas(atlas, num_copies=3) == 3 * one
    database = sqlite3.connect(atlas / "atlas.db")
    last = len(synthetic_atlas.plan_layers())
    for table in ("unit", "unit_metric", "artifact", "top_stimulus", "task"):
        counts = database.execute(f"SELECT (layer_id - 1) / ?, COUNT(*) FROM {table} GROUP BY 1", (last,)).fetchall()  # noqa: S608
        assert len(counts) == 3, table
        assert len({count for _, count in counts}) == 1, table
    database.close()
    client = TestClient(create_app(AppSettings(atlas)))
    model = client.get("/api/v1/models/synthetic").json()
    assert (model["num_layers"], model["num_units"]) == (3 * last, 3 * one)
    page = client.get("/api/v1/models/synthetic/copy2.conv_stem/3/weights?direction=inputs").json()
    assert page["total"] == 1280
    assert page["items"][0]["layer"] == "copy1.conv_head"
    first = client.get("/api/v1/models/synthetic/conv_head/7/weights?direction=inputs").json()["items"]
    again = client.get("/api/v1/models/synthetic/copy2.conv_head/7/weights?direction=inputs").json()["items"]
    assert [item["norm"] for item in first] == [item["norm"] for item in again]
