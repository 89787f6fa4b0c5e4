"""Similar units, labels, activation maps, the map of a layer and comparisons, as pages and twins show them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.drawing import strips
from app.pages import compare
from app.pictures.heat import SHRINK, colours, window_of_map
from precompute.store.reader import AtlasReader
from precompute.store.responses import example_maps, label_rows, profile_of, similar_units

UNIT = "/models/tiny_a/blocks.0.pw/7"


def twin(client: TestClient, address: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1{address}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_unit_tells_the_stored_similar_units_and_labels(client: TestClient, fixture_atlas: Path) -> None:
    reader = AtlasReader(fixture_atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    layer = catalog.layers["blocks.0.pw"]
    body = twin(client, UNIT)
    stored = similar_units(reader, catalog, layer, 7)
    rows = label_rows(reader, catalog, layer, 7)
    profile = profile_of(reader, catalog, layer)
    assert stored is not None
    assert rows is not None
    assert profile is not None
    assert [(item["unit"], item["correlation"]) for item in body["similar"]["within"]] == [
        (item.unit, pytest.approx(item.correlation)) for item in stored.within
    ]
    first = body["similar"]["within"][0]
    values = profile.array.astype(np.float64)
    assert first["correlation"] == pytest.approx(np.corrcoef(values[7], values[first["unit"]])[0, 1], abs=2e-3)
    assert body["label_responses"]["total"] == 3
    assert [item["mean"] for item in body["label_responses"]["items"]] == [pytest.approx(row.mean) for row in rows.rows]
    page = client.get(UNIT).text
    assert "Similar units" in page
    assert "&lt;script&gt;alert(&#34;label&#34;)&lt;/script&gt;" in page


def test_unit_that_does_not_vary_is_told_so(client: TestClient) -> None:
    body = twin(client, "/models/tiny_a/blocks.0.pw/23")
    assert body["similar"]["is_constant"] is True
    assert body["similar"]["within"] == body["similar"]["others"] == []
    assert "gives the same to all" in client.get("/models/tiny_a/blocks.0.pw/23").text


def test_logit_weights_are_those_of_the_classifier(client: TestClient) -> None:
    body = twin(client, UNIT)
    found = body["logit_weights"]
    outputs = twin(client, f"{UNIT}/weights?direction=outputs&layer=head.fc&limit=50")["items"]
    sums = {item["unit"]: item["sum"] for item in outputs}
    assert found["total"] == len(sums) == 12
    listed = {item["unit"]: item["weight"] for item in (*found["positive"], *found["negative"])}
    assert listed == {unit: pytest.approx(sums[unit]) for unit in listed}
    assert found["positive"][0]["weight"] == pytest.approx(max(sums.values()))
    assert found["mean"] == pytest.approx(np.mean(list(sums.values())))
    assert twin(client, "/models/tiny_a/stem/7")["logit_weights"] is None


def test_activation_maps_lie_over_the_tiles_of_their_examples(client: TestClient, fixture_atlas: Path) -> None:
    body = twin(client, UNIT)
    answer = client.get(body["heat"]["image"])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    drawn = np.asarray(Image.open(io.BytesIO(answer.content)))
    strip = body["examples"]["strip"]
    assert drawn.shape[:2] == (strip["height"] // SHRINK, strip["width"] // SHRINK)
    reader = AtlasReader(fixture_atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    layer = catalog.layers["blocks.0.pw"]
    maps = example_maps(reader, catalog, layer, 7)
    assert maps is not None
    for place in (0, 5):
        example = body["examples"]["top"][place]
        found = re.search(r"xywh=(\d+),(\d+),(\d+),(\d+)", example["crop"])
        assert found is not None
        x, y, side = (int(value) // SHRINK for value in found.groups()[:3])
        box = example["box"]
        window = strips.window_of((box["y0"], box["x0"], box["y1"], box["x1"]), 64, 64)
        expected = colours(np.rint(window_of_map(maps[0][place], window, (64, 64), side) * 32) / 32)
        np.testing.assert_array_equal(drawn[y : y + side, x : x + side], expected)
        assert not np.array_equal(drawn[y : y + side, x : x + side], expected[:, ::-1])
    bottom = body["examples"]["bottom"][0]["crop"].split("xywh=")[1].split(",")
    x, y, side = (int(value) // SHRINK for value in bottom[:3])
    assert not drawn[y : y + side, x : x + side].any()  # it has no map


def test_window_of_a_map_is_the_part_that_the_tile_shows() -> None:
    values = np.zeros((8, 8), np.uint8)
    values[2:4, 6:8] = 255
    bright = window_of_map(values, strips.Window(48, 16, 16), (64, 64), 16)
    dark = window_of_map(values, strips.Window(0, 16, 16), (64, 64), 16)
    assert bright.mean() > 0.8
    assert dark.max() < 0.2
    beyond = window_of_map(np.full((8, 8), 255, np.uint8), strips.Window(-16, 0, 64), (64, 64), 64)
    assert beyond[:, :16].max() == 0
    assert beyond[:, 20:].min() > 0.9


def test_unit_without_maps_says_so(client: TestClient) -> None:
    assert twin(client, "/models/tiny_b/stem/7")["heat"] is None
    assert client.get("/media/heat/tiny_b/stem/7.png").status_code == 404
    assert client.get("/media/heat/tiny_a/stem/999.png").status_code == 404


def test_examples_are_marked_on_the_histogram_by_their_tile(client: TestClient) -> None:
    page = client.get(UNIT).text
    tiles = re.findall(r'<a class="tile".*?viewBox="([^"]+)"', page, re.DOTALL)
    marked = re.findall(r'<path data-tile="([^"]+)"', page)
    assert len(marked) == 64
    assert set(marked) == set(tiles)


def test_map_places_the_units_that_pass_the_filter(client: TestClient) -> None:
    whole = twin(client, "/models/tiny_a/stem?view=map")["map"]
    assert len(whole["items"]) == 24
    assert whole["items"][23]["x"] is None
    assert whole["neighbours_kept_by_chance"] < whole["neighbours_kept"]
    some = twin(client, "/models/tiny_a/stem?view=map&min.max=2.5")["map"]["items"]
    assert 0 < len(some) < 24
    assert {item["index"] for item in some} <= {item["index"] for item in whole["items"]}
    page = client.get("/models/tiny_a/stem?view=map").text
    assert page.count('aria-label="Unit ') == 23
    assert twin(client, "/models/tiny_a/stem")["map"] is None


def test_layer_against_itself_matches_every_unit_with_itself(client: TestClient) -> None:
    found = twin(client, "/compare?left=tiny_a/stem&right=tiny_a/stem")["matched"]
    assert found["num_matched"] == found["num_same_index"] == 23
    assert [unit["unit"] for unit in found["left_unmatched"]] == [23]  # it does not vary
    assert all(pair["correlation"] == pytest.approx(1, abs=1e-3) for pair in found["items"])


def test_units_in_another_order_are_found_again(client: TestClient) -> None:
    found = twin(client, "/compare?left=tiny_a/stem&right=tiny_b/stem")["matched"]
    assert found["num_matched"] == 23
    assert all(pair["right"]["unit"] == 23 - pair["left"]["unit"] for pair in found["items"])


def test_unrelated_layers_fall_to_the_control(client: TestClient) -> None:
    found = twin(client, "/compare?left=tiny_a/stem&right=tiny_b/blocks.0.dw")["matched"]
    assert found["num_matched"] <= 3
    assert found["median"] == pytest.approx(found["control_median"], abs=0.12)


def test_units_of_one_layer_are_named_by_number(client: TestClient) -> None:
    by_number = twin(client, "/compare?layer=tiny_a/stem&units=1, 2,tiny_b/stem/22")["units"]
    assert by_number == twin(client, "/compare?units=tiny_a/stem/1,tiny_a/stem/2,tiny_b/stem/22")["units"]
    assert client.get("/api/v1/compare?units=1,2").status_code == 400
    assert client.get("/api/v1/compare?layer=tiny_a/stem").status_code == 400
    by_boxes = twin(client, "/compare?units=tiny_a/stem/1&units=tiny_a/stem/2&units=tiny_b/stem/22")
    assert by_boxes["units"] == by_number
    assert by_boxes["query"] == {"units": "tiny_a/stem/1,tiny_a/stem/2,tiny_b/stem/22"}


@pytest.mark.parametrize("path", ["/models/tiny_a/stem?size=s", "/models/tiny_a/units?layer=stem"])
def test_units_are_chosen_by_boxes(client: TestClient, path: str) -> None:
    usual, choosing = client.get(path).text, client.get(f"{path}&choose=tiny_a/stem/3,tiny_b/stem/4").text
    assert 'type="checkbox"' not in usual
    assert len(re.findall(r'<input type="checkbox" name="units" value="tiny_a/stem/\d+"', choosing)) == 24
    assert re.findall(r'value="([^"]+)" checked', choosing) == ["tiny_a/stem/3"]
    assert '<input type="hidden" name="units" value="tiny_b/stem/4">' in choosing
    assert client.get(f"{path}&choose=none").text.count(" checked") == 0


def test_one_unit_is_the_beginning_of_a_comparison(client: TestClient) -> None:
    body = twin(client, "/compare?units=tiny_a/stem/1")
    assert [unit["unit"] for unit in body["units"]] == [1]
    assert body["units"][0]["links"]["without"] == "/compare"
    assert body["units"][0]["links"]["more"] == "/models/tiny_a/stem?choose=tiny_a/stem/1"
    three = twin(client, "/compare?units=tiny_a/stem/1,tiny_a/stem/2,tiny_b/stem/3")["units"]
    assert three[1]["links"]["without"] == "/compare?units=tiny_a/stem/1,tiny_b/stem/3"
    assert "One unit so far" in client.get("/compare?units=tiny_a/stem/1").text


def test_units_side_by_side_tell_their_correlation_and_partners(client: TestClient) -> None:
    body = twin(client, "/compare?units=tiny_a/stem/1,tiny_b/stem/22,tiny_a/stem/2")
    assert body["correlations"][0][1] == pytest.approx(1, abs=1e-3)
    assert abs(body["correlations"][0][2]) < 0.95
    assert body["correlation_chance"] == pytest.approx(39**-0.5)
    assert body["shared_outputs"] == []  # of two models
    same = twin(client, "/compare?units=tiny_a/stem/1,tiny_a/stem/2")
    common = twin(client, "/models/tiny_a/stem/1/common?with=stem/2&direction=outputs")["items"]
    assert [item["score"] for item in same["shared_outputs"]] == [item["score"] for item in common[:8]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("units=" + ",".join(f"tiny_a/stem/{unit}" for unit in range(7)), "two to 6"),
        ("units=tiny_a/stem/1,tiny_a/stem/99", "0 to 23"),
        ("units=stem", "MODEL/LAYER/UNIT"),
        ("left=tiny_a/stem", "both"),
        ("left=tiny_a/stem&right=tiny_a", "MODEL/LAYER"),
        ("units=tiny_a/stem/1,tiny_a/stem/2&left=tiny_a/stem", "either"),
        ("left=tiny_a/stem&right=tiny_a/stems", "stem"),
    ],
)
def test_what_cannot_be_compared_is_said(client: TestClient, query: str, words: str) -> None:
    answer = client.get(f"/api/v1/compare?{query}")
    assert answer.status_code in (400, 404)
    assert words in answer.json()["detail"]


def test_first_layers_are_offered_where_there_are_very_many(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = twin(client, "/compare")
    assert {model: len(names) for model, names in whole["layers"].items()} == {"tiny_a": 4, "tiny_b": 4}
    assert whole["num_layers"] == 8
    monkeypatch.setattr(compare, "MAX_OFFERED", 5)
    few = twin(client, "/compare?limit=119")
    assert few["layers"] == {"tiny_a": whole["layers"]["tiny_a"][:2], "tiny_b": whole["layers"]["tiny_b"][:3]}
    page = client.get("/compare?left=tiny_a/stem&right=tiny_b/head.fc&limit=119").text
    assert '<input name="right" list="offered" value="tiny_b/head.fc"' in page
    assert '<option value="tiny_b/blocks.0.pw">' in page
    assert "head.fc" not in page[page.index("<datalist") : page.index("</datalist")]
