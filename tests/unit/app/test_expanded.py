"""Partners any number of layers away: every unit is listed, both ends agree, routes add up, and bad names say what exists."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.contexts import PartnersPage
from app.pages import weights
from app.words.formats import far_layers

BASE = "/api/v1/models/tiny_a"


def layers(client: TestClient) -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in client.get(BASE).json()["layers"]}


@pytest.fixture(scope="module")
def ends(client: TestClient) -> tuple[str, str]:
    """Return the first layer, and the last that weights lead to from it."""
    first = next(iter(layers(client)))
    reach = client.get(f"{BASE}/{first}/0/weights?direction=outputs").json()["reach"]
    return first, reach[-1]


def test_every_unit_of_a_distant_layer_is_a_partner(client: TestClient, ends: tuple[str, str]) -> None:
    source, target = ends
    page = client.get(f"{BASE}/{target}/1/weights?direction=inputs&layer={source}&limit=500").json()
    assert page["is_expanded"]
    assert sorted(item["unit"] for item in page["items"]) == list(range(layers(client)[source]["num_units"]))
    assert sum(item["share"] for item in page["items"]) == pytest.approx(1)
    assert [item["norm"] for item in page["items"]] == sorted((item["norm"] for item in page["items"]), reverse=True)
    assert {item["exact"] for item in page["items"]} == {False}
    for item in page["items"]:
        assert item["gross"] >= abs(item["sum"]) * (1 - 1e-9)


def test_both_ends_agree(client: TestClient, ends: tuple[str, str]) -> None:
    source, target = ends
    inputs = client.get(f"{BASE}/{target}/1/weights?direction=inputs&layer={source}&limit=500").json()["items"]
    seen = next(item for item in inputs if item["unit"] == 2)
    outputs = client.get(f"{BASE}/{source}/2/weights?direction=outputs&layer={target}&limit=500").json()["items"]
    back = next(item for item in outputs if item["unit"] == 1)
    for number in ("norm", "sum", "gross"):
        assert back[number] == pytest.approx(seen[number], rel=1e-9)
    assert back["kernel_shape"] == seen["kernel_shape"]
    other = next(item for item in outputs if item["unit"] == 0)
    assert other["norm"] != pytest.approx(seen["norm"], rel=1e-3)


def test_routes_add_up_to_the_whole(client: TestClient, ends: tuple[str, str]) -> None:
    source, target = ends
    query = f"{BASE}/{target}/1/weights?direction=inputs&layer={source}&limit=500"
    whole = {item["unit"]: item["sum"] for item in client.get(query).json()["items"]}
    routes = client.get(query).json()["routes"]
    assert routes["total"] == len(routes["items"]) > 1
    parts = dict.fromkeys(whole, 0.0)
    for row in routes["items"]:
        page = client.get(f"/api/v1{row['links']['html']}").json()
        assert [item["is_chosen"] for item in page["routes"]["items"]].count(True) == 1
        for item in page["items"]:
            parts[item["unit"]] += item["sum"]
    for unit, total in whole.items():
        assert parts[unit] == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_kernel_of_distant_units_is_drawn(client: TestClient, ends: tuple[str, str]) -> None:
    source, target = ends
    item = client.get(f"{BASE}/{target}/1/weights?direction=inputs&layer={source}").json()["items"][0]
    answer = client.get(item["image"])
    assert answer.status_code == 200
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert pixels.std() > 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("direction=inputs&layer=nowhere", "nowhere"),
        ("direction=inputs&route=direct", "'route' needs 'layer'"),
        ("direction=inputs&layer={source}&route=nowhere", "Routes that do"),
        ("route=direct", "'route' needs 'direction'"),
    ],
)
def test_bad_questions_are_answered_with_what_exists(client: TestClient, ends: tuple[str, str], query: str, words: str) -> None:
    source, target = ends
    answer = client.get(f"{BASE}/{target}/1/weights?{query.format(source=source)}")
    assert answer.status_code in (400, 404)
    assert words in answer.json()["detail"]


def test_page_without_scripts_lists_the_ways(client: TestClient, ends: tuple[str, str]) -> None:
    source, target = ends
    page = client.get(f"/models/tiny_a/{target}/1/weights?direction=inputs&layer={source}").text
    assert "Composed over all layers between" in page
    assert "Farther away" in page


def test_only_the_nearest_of_many_layers_are_offered_and_the_chosen_one() -> None:
    names = [f"layer{place}" for place in range(500)]
    page = PartnersPage.model_construct(direction="inputs", layers=["layer499"], reach=names, query={"layer": "layer3"})
    offered = far_layers(page)
    assert offered == [*reversed(names[299:499]), "layer3"]
    page = PartnersPage.model_construct(direction="outputs", layers=["layer0"], reach=names, query={})
    assert far_layers(page) == names[1:201]


def test_direct_weights_tell_of_longer_ways_and_lead_to_all_together(client: TestClient) -> None:
    """`stem` feeds `blocks.0.pw` directly and over the depthwise layer between."""
    address = f"{BASE}/blocks.0.pw/2/weights?direction=inputs&layer=stem"
    direct = client.get(address).json()
    assert direct["is_expanded"] is False
    assert direct["routes"]["total"] == 2
    assert [row["layers"] for row in direct["routes"]["items"] if row["is_chosen"]] == [[]]
    whole = client.get(f"/api/v1{direct['routes']['links']['html']}").json()
    assert whole["is_expanded"] is True
    assert whole["routes"]["is_all"] is True
    assert not any(row["is_chosen"] for row in whole["routes"]["items"])
    over = client.get(f"{address}&route=blocks.0.dw").json()
    sums = [{item["unit"]: item["sum"] for item in page["items"]} for page in (whole, direct, over)]
    for unit, total in sums[0].items():
        assert total == pytest.approx(sums[1][unit] + sums[2][unit], rel=1e-9, abs=1e-12)
    assert sums[0] != sums[1]  # the way over the depthwise layer counts
    for item in whole["items"][:2]:
        assert "route=all" in item["image"]
        assert client.get(item["image"]).status_code == 200
    page = client.get(address.removeprefix("/api/v1")).text
    assert "direct link alone" in page
    assert "All ways together" in page


def test_layers_without_longer_ways_have_no_routes(client: TestClient) -> None:
    assert client.get(f"{BASE}/head.fc/2/weights?direction=inputs&layer=blocks.0.pw").json()["routes"] is None


def test_layer_on_the_other_side_is_said_to_be_there(client: TestClient) -> None:
    answer = client.get(f"{BASE}/blocks.0.pw/2/weights?direction=inputs&layer=head.fc")
    assert answer.status_code == 404
    assert "no weights lead from there; it is on the other side: direction=outputs" in answer.json()["detail"]


def test_nearest_layers_are_offered_and_the_one_asked_for(
    client: TestClient, ends: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ends
    everything = {
        (name, direction): client.get(f"{BASE}/{name}/1/weights?direction={direction}&limit=77").json()["reach"]
        for name, direction in ((target, "inputs"), (source, "outputs"))
    }
    assert all(len(reach) > 2 for reach in everything.values())
    monkeypatch.setattr(weights, "MAX_OFFERED", 1)
    before, after = everything[target, "inputs"], everything[source, "outputs"]
    asked = client.get(f"{BASE}/{target}/1/weights?direction=inputs&limit=78").json()["reach"]
    assert asked == before[-1:]
    assert client.get(f"{BASE}/{source}/1/weights?direction=outputs&limit=78").json()["reach"] == after[:1]
    far = client.get(f"{BASE}/{target}/1/weights?direction=inputs&layer={before[0]}&limit=78").json()
    assert (far["reach"], far["is_expanded"]) == ([before[0], before[-1]], True)
    far = client.get(f"{BASE}/{source}/1/weights?direction=outputs&layer={after[-1]}&limit=78").json()
    assert far["reach"] == [after[0], after[-1]]
    assert client.get(f"{BASE}/{target}/1/weights?direction=inputs&layer={target}&limit=78").status_code == 404
