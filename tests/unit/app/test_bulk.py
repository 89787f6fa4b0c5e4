"""Rows of many units: the numbers of the pages, all of them, in one order, in both formats, and no work for nobody."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from fastapi.testclient import TestClient

from app.bulk.columns import TABLES, row_schema
from app.main import create_app
from app.settings import AppSettings
from precompute.store import bulk

BASE = "/api/v1/models/tiny_a"


def rows(client: TestClient, address: str) -> list[dict[str, Any]]:
    answer = client.get(f"{BASE}/{address}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_units_are_those_of_the_layers_with_the_same_numbers(client: TestClient) -> None:
    found = rows(client, "units.jsonl")
    expected = []
    for layer in client.get(BASE).json()["layers"]:
        for item in client.get(f"{BASE}/{layer['name']}?limit=4096").json()["items"]:
            expected.append((layer["name"], item["index"], item["kind"], item["label"], item["metrics"]))
    assert [(r["layer"], r["index"], r["kind"], r["label"], r["metrics"]) for r in found] == expected
    assert len(found) == 84


def test_metrics_are_those_of_the_unit_pages(client: TestClient) -> None:
    found = [row for row in rows(client, "metrics.jsonl?layer=stem") if row["index"] == 7]
    page = client.get(f"{BASE}/stem/7").json()
    assert {row["metric"]: row["value"] for row in found} == page["metrics"]
    assert {row["metric"] for row in rows(client, "metrics.jsonl?metric=mean,max")} == {"mean", "max"}


def test_examples_are_those_of_the_unit_pages(client: TestClient) -> None:
    found = [row for row in rows(client, "examples.jsonl?layer=blocks.0.pw") if row["index"] == 7]
    examples = client.get(f"{BASE}/blocks.0.pw/7").json()["examples"]
    page = [("top", None, e) for e in examples["top"]] + [("bottom", None, e) for e in examples["bottom"]]
    page += [("quantile", part["q"], e) for part in examples["quantiles"] for e in part["items"]]
    page += [("random", None, e) for e in examples["random"]]
    told = [
        (r["group"], r["q"], r["rank"], r["activation"], r["pre_activation"], r["y"], r["x"], r["stimulus"], r["key"])
        for r in found
    ]
    assert told == [
        (
            g,
            q,
            e["rank"],
            e["activation"],
            e["pre_activation"],
            e["position"]["y"],
            e["position"]["x"],
            e["stimulus"]["id"],
            e["stimulus"]["key"],
        )
        for g, q, e in page
    ]
    boxes = [{name: r[name] for name in ("y0", "x0", "y1", "x1")} for r in found]
    assert boxes == [e["box"] for _, _, e in page]
    assert {r["group"] for r in rows(client, "examples.jsonl?group=bottom&layer=stem")} == {"bottom"}


@pytest.mark.parametrize("layer", ["blocks.0.dw", "blocks.0.pw", "head.fc"])
def test_edges_are_the_partners_of_the_pages(client: TestClient, layer: str) -> None:
    found = [r for r in rows(client, f"edges.jsonl?layer={layer}") if r["target_unit"] == 7]
    listed = client.get(f"{BASE}/{layer}/7/weights?direction=inputs&limit=500").json()
    mine = {(r["source_layer"], r["source_unit"]): (r["norm"], r["sum"], r["exact"]) for r in found}
    assert mine == {(p["layer"], p["unit"]): (p["norm"], p["sum"], p["exact"]) for p in listed["items"]}
    assert len(mine) == listed["total"] > 0


def test_strongest_edges_are_the_first_partners(client: TestClient) -> None:
    found = rows(client, "edges.jsonl?layer=head.fc&top=3")
    listed = client.get(f"{BASE}/head.fc/4/weights?direction=inputs&limit=3").json()["items"]
    mine = sorted((r for r in found if r["target_unit"] == 4), key=lambda r: -r["norm"])
    assert [r["source_unit"] for r in mine] == [p["unit"] for p in listed]
    least = listed[1]["norm"]
    above = [r for r in rows(client, f"edges.jsonl?layer=head.fc&min.norm={least!r}") if r["target_unit"] == 4]
    assert sorted(r["source_unit"] for r in above) == sorted(p["unit"] for p in listed[:2])


def test_filters_are_those_of_the_layer_page(client: TestClient) -> None:
    for query in ("min.max=2", "status=ok", "visualization=no", "max.sparsity=6.5&min.mean=0.1"):
        found = [(r["layer"], r["index"]) for r in rows(client, f"units.jsonl?{query}")]
        listed = [
            (layer, item["index"])
            for layer in ("stem", "blocks.0.dw", "blocks.0.pw", "head.fc")
            for item in client.get(f"{BASE}/{layer}?limit=4096&{query}").json()["items"]
        ]
        assert found == listed
        assert 0 < len(found) < 84
    assert {r["layer"] for r in rows(client, "units.jsonl?layer=blocks.*")} == {"blocks.0.dw", "blocks.0.pw"}


@pytest.mark.parametrize("table", TABLES)
def test_rows_have_exactly_the_documented_fields(client: TestClient, table: str) -> None:
    names = [column.name for column in TABLES[table]]
    found = rows(client, f"{table}.jsonl")
    assert all(list(row) == names for row in found)
    assert list(row_schema(table)["properties"]) == names
    kinds = {"string": str, "integer": int, "number": float, "boolean": bool, "metrics": dict}
    for column in TABLES[table]:
        for row in found:
            value = row[column.name]
            assert isinstance(value, kinds[column.kind]) or (value is None and column.is_nullable)


@pytest.mark.parametrize("table", TABLES)
def test_parquet_has_the_same_rows(client: TestClient, table: str) -> None:
    answer = client.get(f"{BASE}/{table}.parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    mine = pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    for row, other in zip(mine, rows(client, f"{table}.jsonl"), strict=True):
        metrics = {name: value for name, value in other.pop("metrics", {}).items() if value is not None}
        plain = {name: value for name, value in row.items() if not name.startswith("metrics.")}
        assert plain == other
        assert {name[8:]: value for name, value in row.items() if name.startswith("metrics.") and value is not None} == metrics


def test_parquet_without_pyarrow_says_what_to_do(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    answer = client.get(f"{BASE}/units.parquet")
    assert answer.status_code == 501
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unitscope[parquet]" in answer.json()["detail"]
    assert client.get(f"{BASE}/units.jsonl").status_code == 200


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("units.jsonl?colour=red", 400, "colour"),
        ("units.jsonl?layer=stam", 404, "stem"),
        ("units.jsonl?layer=stam*", 404, "stam"),
        ("units.jsonl?min.beauty=1", 400, "beauty"),
        ("units.jsonl?min.max=nan", 400, "number"),
        ("metrics.jsonl?metric=beauty", 400, "beauty"),
        ("examples.parquet?group=best", 400, "group"),
        ("edges.jsonl?top=0", 400, "top"),
        ("edges.jsonl?source=nowhere", 404, "nowhere"),
        ("edges.jsonl?layer=" + "*" * 20, 400, "eight"),
    ],
)
def test_wrong_questions_are_refused(client: TestClient, address: str, status: int, said: str) -> None:
    answer = client.get(f"{BASE}/{address}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


def test_answers_are_conditional_and_head_sends_nothing(client: TestClient) -> None:
    answer = client.get(f"{BASE}/units.jsonl?layer=stem")
    again = client.get(f"{BASE}/units.jsonl?layer=stem", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{BASE}/units.jsonl", headers={"If-None-Match": answer.headers["etag"]}).status_code == 200
    head = client.head(f"{BASE}/units.jsonl")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/x-ndjson")


def test_work_stops_when_nobody_reads(fixture_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = bulk.list_units

    def counted(reader: Any, layer: Any, *more: Any) -> Any:
        asked.append(layer.name)
        return real(reader, layer, *more)

    monkeypatch.setattr(bulk, "list_units", counted)
    monkeypatch.setattr(bulk, "UNITS_AT_ONCE", 2)
    app = create_app(AppSettings(fixture_atlas))
    path = f"{BASE}/units.jsonl"
    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
    }
    scope |= {"raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [], "client": None, "server": None}

    async def call(hangs_up: bool) -> int:
        asked.clear()
        is_read = asyncio.Event()
        calls = 0

        async def receive() -> dict[str, Any]:
            nonlocal calls
            calls += 1
            if calls == 1:
                return {"type": "http.request", "body": b"", "more_body": False}
            if not hangs_up:
                await asyncio.Event().wait()
            await is_read.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message.get("body"):
                is_read.set()
                await asyncio.sleep(0.01)

        await app(scope, receive, send)
        return len(asked)

    assert asyncio.run(call(hangs_up=False)) >= 42
    assert asyncio.run(call(hangs_up=True)) < 12
