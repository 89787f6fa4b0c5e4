"""The start page."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_networks_that_were_calculated_come_after_those_that_learned(client: TestClient) -> None:
    items = client.get("/api/v1").json()["items"]
    assert [(item["id"], item["weights_origin"]) for item in items] == [("tiny_b", "random"), ("tiny_a", "hand-coded")]
    page = client.get("/").text
    assert page.index("/models/tiny_b") < page.index("/models/tiny_a")
