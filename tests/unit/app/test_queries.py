"""Questions about weights as pages: their numbers are those of the arrays, and bad questions say what exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.circuits.circuit import parse_circuit
from precompute.circuits.motifs import Instance, Kind, MotifCount
from precompute.errors import UsageError
from precompute.store.arrays import kernel_between
from precompute.store.questions import find_motifs, motif_sources
from precompute.store.reader import AtlasReader

BASE = "/api/v1/models/tiny_a"
UNIT = f"{BASE}/blocks.0.pw/3"
START = f"{BASE}/stem/3"


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> AtlasReader:
    return AtlasReader(fixture_atlas)


def reach(client: TestClient) -> list[str]:
    return client.get(f"{START}/weights?direction=outputs").json()["reach"]


def test_paths_are_chains_whose_strength_is_the_product_of_their_steps(client: TestClient, reader: AtlasReader) -> None:
    target = reach(client)[-1]
    found = client.get(f"{START}/paths?to={target}/1&count=4").json()
    assert found["total"] == len(found["items"]) == 4
    strengths = [path["strength"] for path in found["items"]]
    assert strengths == sorted(strengths, reverse=True)
    catalog = reader.catalog("tiny_a", reader.revision())
    for path in found["items"]:
        assert (path["units"][0]["layer"], path["units"][0]["unit"]) == ("stem", 3)
        assert (path["units"][-1]["layer"], path["units"][-1]["unit"]) == (target, 1)
        product = 1.0
        for before, after, step in zip(path["units"], path["units"][1:], path["steps"], strict=False):
            link = catalog.link(before["layer"], after["layer"])
            assert link is not None
            kernel = kernel_between(reader, link, before["unit"], after["unit"])
            assert kernel is not None
            assert step["norm"] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
            product *= step["norm"]
        assert path["strength"] == pytest.approx(product, rel=1e-4)
    back = client.get(f"{BASE}/{target}/1/paths?to=stem/3&count=4").json()
    assert [path["units"] for path in back["items"]] == [path["units"] for path in found["items"]]


def test_shortest_paths_are_no_longer_than_the_strongest(client: TestClient) -> None:
    target = reach(client)[-1]
    strongest = client.get(f"{START}/paths?to={target}/1&count=20").json()["items"]
    shortest = client.get(f"{START}/paths?to={target}/1&kind=shortest").json()["items"]
    assert len({len(path["units"]) for path in shortest}) == 1
    assert len(shortest[0]["units"]) <= min(len(path["units"]) for path in strongest)


def test_common_inputs_are_ranked_by_their_weakest_share(client: TestClient) -> None:
    found = client.get(f"{UNIT}/common?with=blocks.0.pw/5,blocks.0.pw/7").json()
    assert [ref["unit"] for ref in found["units"]] == [3, 5, 7]
    assert found["items"]
    for item in found["items"]:
        assert item["score"] == min(item["shares"])
        one = client.get(f"{UNIT}/weights?direction=inputs&layer={item['layer']}&limit=500").json()["items"]
        same = next(partner for partner in one if partner["unit"] == item["unit"])
        assert same["norm"] == pytest.approx(item["norms"][0], rel=1e-6)
        assert same["sum"] == pytest.approx(item["sums"][0], rel=1e-6, abs=1e-9)
    scores = [item["score"] for item in found["items"]]
    assert scores == sorted(scores, reverse=True)


def test_similar_units_have_the_cosines_of_the_arrays(client: TestClient, reader: AtlasReader) -> None:
    found = client.get(f"{UNIT}/similar?by=inputs&limit=200").json()
    catalog = reader.catalog("tiny_a", reader.revision())
    layer = catalog.layers["blocks.0.pw"]
    assert found["total"] == layer.spec.num_units - 1
    link = catalog.link(layer.spec.inputs[0], layer.name)
    assert link is not None
    rows = {
        unit: np.concatenate(
            [
                np.ravel(kernel)
                for source in range(catalog.layers[link.source].spec.num_units)
                if (kernel := kernel_between(reader, link, source, unit)) is not None
            ]
        )
        for unit in (3, found["items"][0]["unit"])
    }
    one, two = rows.values()
    if len(layer.spec.inputs) == 1:
        assert found["items"][0]["cosine"] == pytest.approx(one @ two / np.linalg.norm(one) / np.linalg.norm(two), rel=1e-5)
    assert 0 < found["control"] < 1
    assert found["num_shuffles"] > 0


def test_motifs_carry_their_control(client: TestClient) -> None:
    target = reach(client)[-1]
    found = client.get(f"{BASE}/{target}/motifs").json()
    assert found["source"] in found["sources"]
    assert found["weights_origin"]
    assert {group["kind"] for group in found["groups"]} | set(found["impossible"]) == {
        "union", "opponent", "feed_forward", "equivariant",
    }  # fmt: skip
    for group in found["groups"]:
        assert group["num_shuffles"] > 1
        assert 0 <= group["null_mean"] <= 1e6
        assert 1 / (group["num_shuffles"] + 1) <= group["p"] <= 1
        assert (group["z"] is None) == (group["null_std"] == 0 and group["count"] == group["null_mean"])
        assert group["null"].endswith(".")
    assert client.get(f"{BASE}/{target}/motifs").json() == found


def motif_items(client: TestClient) -> list[tuple[str, dict[str, Any]]]:
    """Return the first motifs of each kind between each layer and each of its sources."""
    found: list[tuple[str, dict[str, Any]]] = []
    for target in reach(client):
        for source in client.get(f"{BASE}/{target}/motifs").json()["sources"]:
            groups = client.get(f"{BASE}/{target}/motifs?source={source}").json()["groups"]
            found += [(group["kind"], item) for group in groups for item in group["items"][:2]]
    return found


def test_motif_leads_to_its_cards_and_weights_in_the_explorer(client: TestClient) -> None:
    num_edges = {"union": 2, "feed_forward": 3, "equivariant": 4}
    items = [(kind, item) for kind, item in motif_items(client) if "explorer" in item["links"]]
    assert items
    for kind, item in items:
        page = client.get(f"/api/v1{item['links']['explorer']}").json()
        cards = {(unit["layer"], unit["unit"]) for column in page["columns"] for unit in column["units"]}
        assert cards == {(unit["layer"], unit["unit"]) for unit in item["units"]}
        assert len(page["edges"]) >= num_edges[kind]
        assert client.get(item["links"]["explorer"]).status_code == 200


@pytest.mark.parametrize(
    ("kind", "units", "source_place", "names"),
    [
        ("union", (1, 2, 3), 0, {"circuit", "explorer"}),
        ("union", (1, 2, 3), 1, {"circuit"}),  # composed weights, which the explorer does not draw
        ("equivariant", (0, 1, 2, 3, 4, 5, 6, 7), 0, {"circuit", "explorer"}),
        ("equivariant", (0, 1, 2, 3, 4, 5, 6, 7), 1, {"circuit"}),
        ("opponent", (2, 3), 0, {"circuit", "common"}),
    ],
)
def test_motifs_lead_only_to_pages_that_show_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, kind: Kind, units: tuple[int, ...], source_place: int, names: set[str]
) -> None:
    def planted(*_: object) -> MotifCount:
        return MotifCount(kind, 1, 0.0, 0.0, 4.5, 1 / 21, 20, 0, (Instance(units, 0.5),))

    address = f"{BASE}/head.fc/motifs"
    source = client.get(address).json()["sources"][source_place]
    monkeypatch.setattr("app.pages.queries.find_motifs", planted)
    [group] = client.get(f"{address}?kind={kind}&source={source}").json()["groups"]
    [item] = group["items"]
    assert set(item["links"]) == names
    shown = client.get(f"{address.removeprefix('/api/v1')}?kind={kind}&source={source}").text
    assert ("in the explorer" in shown) == ("explorer" in names)
    assert ("what they share" in shown) == ("common" in names)
    assert "More than in any of 20 shuffles" in shown
    assert "z =" not in shown
    if "common" in names:
        assert client.get(f"/api/v1{item['links']['common']}").json()["total"] > 0
    if "explorer" in names:
        page = client.get(f"/api/v1{item['links']['explorer']}").json()
        cards = {(unit["layer"], unit["unit"]) for column in page["columns"] for unit in column["units"]}
        assert cards == {(unit["layer"], unit["unit"]) for unit in item["units"]}
        assert page["edges"]


@pytest.mark.parametrize(
    ("count", "mean", "spread", "words"),
    [(3, 3.0, 0.0, "No more than by chance"), (1, 3.0, 0.0, "No more than by chance"), (9, 3.0, 1.5, 'z = <b class="num">4</b>')],
)
def test_z_is_told_where_shuffles_vary(
    fixture_atlas: Path, monkeypatch: pytest.MonkeyPatch, count: int, mean: float, spread: float, words: str
) -> None:
    z = (count - mean) / (spread or 0.1) if count != mean else None
    found = MotifCount("opponent", count, mean, spread, z, 0.25, 100, 0, ())
    monkeypatch.setattr("app.pages.queries.find_motifs", lambda *_: found)
    with TestClient(create_app(AppSettings(fixture_atlas, max_kept_bytes=0, max_ready_bytes=0))) as client:
        shown = client.get("/models/tiny_a/blocks.0.pw/motifs?kind=opponent").text
    assert words in shown
    assert "More than in any" not in shown
    assert "0.25" in shown


def test_motif_becomes_a_circuit_whose_edges_lead_forward(client: TestClient) -> None:
    num_edges = {"union": 2, "opponent": 0, "feed_forward": 3, "equivariant": 4}
    seen: set[str] = set()
    for target in reach(client):
        order = [layer["name"] for layer in client.get("/api/v1/models/tiny_a").json()["layers"]]
        for group in client.get(f"{BASE}/{target}/motifs").json()["groups"]:
            for item in group["items"][:2]:
                page = client.get(f"/api/v1{item['links']['circuit']}").json()
                circuit = parse_circuit(page["document"])
                keys = {(unit["layer"], unit["unit"]) for unit in item["units"]}
                assert {unit.key for unit in circuit.units} == keys
                assert len(circuit.edges) == num_edges[group["kind"]]
                assert all(order.index(edge.source.layer) < order.index(edge.target.layer) for edge in circuit.edges)
                seen.add(group["kind"])
    assert seen, "the atlas of the tests has motifs"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"{UNIT}/paths?to=nowhere/1", "nowhere"),
        (f"{UNIT}/paths?to=blocks", "is not a unit"),
        (f"{UNIT}/paths?to=blocks.0.pw/9999", "Its units are numbered"),
        (f"{UNIT}/common?with=x", "is not a unit"),
        (f"{UNIT}/similar?by=colour", "Possible values"),
        (f"{BASE}/blocks.0.pw/motifs?source=nowhere", "nowhere"),
        (f"{UNIT}/similar?after=forged", "after"),
    ],
)
def test_bad_questions(client: TestClient, address: str, words: str) -> None:
    answer = client.get(address)
    assert answer.status_code in (400, 404)
    assert words in answer.json()["detail"]


def test_pages_without_scripts(client: TestClient) -> None:
    target = reach(client)[-1]
    for address in (
        f"/models/tiny_a/blocks.0.pw/3/paths?to={target}/1",
        "/models/tiny_a/blocks.0.pw/3/paths",
        "/models/tiny_a/blocks.0.pw/3/common?with=blocks.0.pw/5",
        "/models/tiny_a/blocks.0.pw/3/similar",
        "/models/tiny_a/blocks.0.pw/motifs",
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "<h1>" in answer.text


def test_source_too_far_for_motifs_is_refused_with_advice_that_can_be_taken(
    reader: AtlasReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = reader.catalog("tiny_a", reader.revision())
    layer = catalog.layers["head.fc"]
    source = motif_sources(reader, catalog, layer)[-1]

    def refused() -> str:
        with pytest.raises(UsageError) as caught:
            find_motifs(reader, catalog, layer, source, "opponent", seed=7)
        return str(caught.value)

    monkeypatch.setattr("precompute.circuits.expand.MAX_PRODUCTS", 10)
    assert "grow too large to look through while you wait. Choose a nearer source." in refused()
    assert "the other end" not in refused()
    monkeypatch.setattr("precompute.store.questions.MAX_TABLE_NUMBERS", 10)
    assert "(at most 0). Choose a nearer source." in refused()
    monkeypatch.undo()
    assert find_motifs(reader, catalog, layer, source, "opponent", seed=7) is not None
