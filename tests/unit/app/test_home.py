"""The start page."""

from __future__ import annotations

from fastapi.testclient import TestClient

from app.words import glossary


def test_networks_that_were_calculated_come_after_those_that_learned(client: TestClient) -> None:
    items = client.get("/api/v1").json()["items"]
    assert [(item["id"], item["weights_origin"]) for item in items] == [("tiny_b", "random"), ("tiny_a", "hand-coded")]
    page = client.get("/").text
    assert page.index('<h3><a href="/models/tiny_b"') < page.index('<h3><a href="/models/tiny_a"')


def test_way_to_a_unit_is_the_same_for_the_same_seed(client: TestClient) -> None:
    first, again = (client.get("/random?seed=3").headers["location"] for _ in range(2))
    assert first == again
    others = {client.get(f"/random?seed={seed}").headers["location"] for seed in range(20)}
    assert len(others) > 3
    for address in others:
        assert client.get(address).status_code == 200


def test_way_to_a_unit_keeps_to_a_model(client: TestClient) -> None:
    for seed in range(10):
        answer = client.get(f"/random?model=tiny_b&seed={seed}")
        assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
        assert answer.headers["location"].startswith("/models/tiny_b/")
    assert client.get("/random?model=nothing").status_code == 404
    assert client.get("/random?sed=3").status_code == 400
    assert client.get("/random?seed=-1").status_code == 400


def test_words_are_those_of_the_glossary(client: TestClient) -> None:
    items = client.get("/api/v1/docs/words").json()["items"]
    assert {item["term"]: item["text"] for item in items}["receptive_field"] == glossary.explain("receptive_field")
    page = client.get("/docs/words").text
    assert all(f'id="{item["term"]}"' in page for item in items)
