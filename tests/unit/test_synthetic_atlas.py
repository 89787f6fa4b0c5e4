"""Copies of a made-up network are chained and whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from app.main import create_app
from app.settings import AppSettings
from precompute.bench import synthetic_atlas
from precompute.store import schema
from precompute.store.engine import open_reader


def test_copies_hold_every_row_and_are_chained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_atlas, "STAGES", ((1, 1, 3, 1, 8),))
    monkeypatch.setattr(synthetic_atlas, "NUM_STIMULI", 70)
    atlas = tmp_path / "atlas"
    one = sum(layer[1] for layer in synthetic_atlas.plan_layers())
    assert synthetic_atlas.make_synthetic_atlas(atlas, num_copies=3) == 3 * one
    last = len(synthetic_atlas.plan_layers())
    engine = open_reader(atlas)
    with engine.connect() as connection:
        for table in (schema.unit, schema.unit_metric, schema.artifact, schema.top_stimulus, schema.task):
            rows = connection.execute(select(table.c.layer_id, func.count()).group_by(table.c.layer_id)).all()
            counts = {int(row[0]): int(row[1]) for row in rows}
            assert set(counts) == set(range(1, 3 * last + 1)), table.name
            assert [counts[layer] for layer in range(1, last + 1)] * 3 == [counts[layer] for layer in sorted(counts)], table.name
    engine.dispose()
    client = TestClient(create_app(AppSettings(atlas)))
    model = client.get("/api/v1/models/synthetic").json()
    assert (model["num_layers"], model["num_units"]) == (3 * last, 3 * one)
    page = client.get("/api/v1/models/synthetic/copy2.conv_stem/3/weights?direction=inputs").json()
    assert page["total"] == 1280
    assert page["items"][0]["layer"] == "copy1.conv_head"
    first = client.get("/api/v1/models/synthetic/conv_head/7/weights?direction=inputs").json()["items"]
    again = client.get("/api/v1/models/synthetic/copy2.conv_head/7/weights?direction=inputs").json()["items"]
    assert [item["norm"] for item in first] == [item["norm"] for item in again]
