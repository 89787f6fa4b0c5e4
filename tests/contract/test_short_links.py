"""Short links: they lead to our own pages and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.pages import PAGES
from app.writing.short_links import check_address
from precompute.store.user_db import UserDb
from tests.writers import BEARER, problem


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/docs",
        "/circuits/hostile-23456789",
        "/models/tiny_a/blocks.0.pw/7/weights?open=blocks.0.dw/7,stem/3&top=3",
        "/models/tiny_a/stem?sort=max&min.max=1",
        "/search?q=%3Cscript%3E%20%26%20x",
    ],
)
def test_short_link_leads_to_its_page(writer: TestClient, address: str) -> None:
    made = writer.post("/api/v1/views", json={"address": address}, headers=BEARER)
    assert made.status_code == 201
    assert set(made.json()) == {"id", "url"}
    led = writer.get(made.json()["url"])
    assert led.status_code == 302
    assert led.headers["location"] == address
    assert writer.get(address).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "",
        "docs",
        "//evil.example",
        "//evil.example/docs",
        "/\\evil.example",
        "/docs/../..//evil.example",
        "https://evil.example/docs",
        "javascript:alert(1)",
        "/models/..",
        "/models/%2e%2e",
        "/models/a%2f..%2f..%2fb",
        "/models/a%0d%0aSet-Cookie:x",
        "/docs\r\nSet-Cookie: x",
        "/docs?colour=red",
        "/v/abcdefghij",
        "/api/v1/models",
        "/media/x.png",
        "/fragments/models/tiny_a/progress",
        "/static/x/app.css",
        "/search?q=%ff",
        "/search?q=" + "a" * 40_000,
        " /docs",
        "/docs\t",
        "/models/\ud800",
    ],
    ids=lambda address: repr(address[:30]),
)
def test_short_link_leads_nowhere_else(writer: TestClient, address: str) -> None:
    body = json.dumps({"address": address}).encode()
    answer = writer.post("/api/v1/views", content=body, headers=BEARER | {"Content-Type": "application/json"})
    problem(answer, 400)


def test_stored_address_is_checked_again(writer: TestClient, atlas: Path) -> None:
    forged = UserDb(atlas).save_view("//evil.example/")
    answer = writer.get(f"/v/{forged}")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert writer.get("/v/nosuchlink").status_code == 404


def test_long_state_has_a_short_link_that_works(writer: TestClient) -> None:
    listed = "/models/tiny_a/stem?" + "&".join(f"min.m{number}=0.5" for number in range(1500))
    made = writer.post("/api/v1/views", json={"address": listed}, headers=BEARER).json()
    assert writer.get(made["url"]).headers["location"] == listed
    assert len(made["url"]) <= 16


def test_pages_that_short_links_lead_to_are_all_there() -> None:
    for page in PAGES:
        if not page.is_fragment and "{" not in page.path:
            assert check_address(PAGES, page.path) == page.path
