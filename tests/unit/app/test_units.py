"""What the page of a unit says is what the atlas holds."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from precompute.circuits.labels import label_kernels
from precompute.store.arrays import weights_of
from precompute.store.reader import AtlasReader

UNIT = "/api/v1/models/tiny_a/blocks.0.pw/7"
FIELDS = {
    "unit": "model layer index kind receptive_field_px metrics histogram examples visualizations weights labels provenance links",
    "example": "rank activation pre_activation position box stimulus crop",
    "visualization": "objective parameterization image activation dataset_max reached_ratio robustness canvas_px steps seed "
    "status transforms",
    "partner": "layer unit norm sum exact kernel_shape kernel image thumbnail rank links",
}


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> AtlasReader:
    return AtlasReader(fixture_atlas)


def test_unit_has_the_fields_of_the_contract(client: TestClient) -> None:
    unit = client.get(UNIT).json()
    assert set(FIELDS["unit"].split()) <= unit.keys()
    assert set(FIELDS["example"].split()) == unit["examples"]["top"][0].keys()
    assert set(FIELDS["visualization"].split()) <= unit["visualizations"][0].keys()
    assert set(FIELDS["partner"].split()) == unit["weights"]["inputs"][0].keys()
    assert {"mean", "max", "std", "fraction_active", "sparsity", "min"} <= unit["metrics"].keys()
    assert len(unit["histogram"]["edges"]) == len(unit["histogram"]["counts"]) + 1


def test_examples_cover_the_whole_range(client: TestClient) -> None:
    examples = client.get(UNIT).json()["examples"]
    assert [len(examples[kind]) for kind in ("top", "bottom", "random")] == [24, 8, 8]
    assert [len(part["items"]) for part in examples["quantiles"]] == [3] * 8
    assert [found["rank"] for found in examples["top"]] == list(range(1, 25))
    box = examples["top"][0]["box"]
    assert 0 <= box["y0"] < box["y1"] <= 64
    assert 0 <= box["x0"] < box["x1"] <= 64


def test_missing_metric_is_null(client: TestClient) -> None:
    metrics = client.get("/api/v1/models/tiny_a/stem/2").json()["metrics"]
    assert "sparsity" in metrics
    assert metrics["sparsity"] is None


def test_crop_names_a_tile_that_is_on_the_strip(client: TestClient) -> None:
    examples = client.get(UNIT).json()["examples"]
    quantiles = [found for part in examples["quantiles"] for found in part["items"]]
    crops = [found["crop"] for found in [*examples["top"], *examples["bottom"], *quantiles, *examples["random"]]]
    assert len(set(crops)) == 64
    address = crops[0].split("#")[0]
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    strip = Image.open(io.BytesIO(answer.content))
    assert strip.size == (examples["strip"]["width"], examples["strip"]["height"])
    for crop in crops:
        assert crop.startswith(address)
        x, y, width, height = (int(part) for part in crop.split("#xywh=")[1].split(","))
        assert x + width <= strip.width
        assert y + height <= strip.height
        tile = np.asarray(strip.crop((x, y, x + width, y + height)), np.float64)
        assert tile.std() > 2  # a picture, not an empty place


def test_strip_with_another_version_is_not_kept_for_ever(client: TestClient) -> None:
    address = client.get(UNIT).json()["examples"]["strip"]["url"].split("?")[0]
    assert client.get(f"{address}?v=old").headers["cache-control"] == "no-cache"


def test_unit_that_is_not_built_says_what_is_still_to_come(client: TestClient) -> None:
    unit = client.get("/api/v1/models/tiny_a/blocks.0.pw/23").json()
    assert unit["examples"] is None
    assert unit["histogram"] is None
    assert unit["visualizations"] == []
    assert unit["pending"] == ["statistics", "dataset_examples", "feature_visualization"]
    page = client.get("/models/tiny_a/blocks.0.pw/23").text
    assert "Feature visualization: not here yet. 23 of 24 pictures of this layer done, 1 failed." in page


@pytest.mark.parametrize("direction", ["inputs", "outputs"])
def test_partners_are_ranked_by_norm_and_equal_the_array(client: TestClient, reader: AtlasReader, direction: str) -> None:
    catalog = reader.catalog("tiny_a", reader.revision())
    partners = client.get(UNIT).json()["weights"][direction]
    norms = [partner["norm"] for partner in partners]
    assert norms == sorted(norms, reverse=True)
    assert [partner["rank"] for partner in partners] == list(range(1, len(partners) + 1))
    for partner in partners:
        ends = (partner["layer"], "blocks.0.pw") if direction == "inputs" else ("blocks.0.pw", partner["layer"])
        link = catalog.link(*ends)
        assert link is not None
        array = weights_of(reader, link)
        assert array is not None
        kernel = array[7, partner["unit"]] if direction == "inputs" else array[partner["unit"], 7]
        np.testing.assert_allclose(partner["kernel"], kernel, rtol=1e-6)
        assert partner["norm"] == pytest.approx(float(np.linalg.norm(kernel)), rel=1e-6)
        assert partner["sum"] == pytest.approx(float(kernel.sum()), rel=1e-5, abs=1e-7)
        assert partner["exact"] is link.is_exact


def test_list_of_all_partners_has_no_cap_and_takes_a_sign(client: TestClient) -> None:
    address = f"{UNIT}/weights?direction=inputs&limit=500"
    everyone = client.get(address).json()
    assert everyone["total"] == 24 + 24
    assert len(everyone["items"]) == 48
    assert len({(item["layer"], item["unit"]) for item in everyone["items"]}) == 48
    positive = [client.get(f"{address}&sign={sign}").json() for sign in ("%2B", "+", "%20")]
    negative = client.get(f"{address}&sign=-").json()
    assert positive[0]["total"] == positive[1]["total"] == positive[2]["total"]
    assert positive[0]["total"] + negative["total"] == 48
    assert all(item["sum"] > 0 for item in positive[0]["items"])
    assert all(item["sum"] < 0 for item in negative["items"])


def test_shares_and_contributions_are_those_of_the_arrays(client: TestClient) -> None:
    address = f"{UNIT}/weights?direction=inputs&limit=500"
    body = client.get(address).json()
    squares = np.array([item["norm"] ** 2 for item in body["items"]])
    np.testing.assert_allclose([item["share"] for item in body["items"]], squares / squares.sum(), rtol=1e-6)
    reached = np.cumsum(squares) / squares.sum()  # the items come by norm
    count = body["num_for_90_percent"]
    assert reached[count - 1] >= 0.9 > reached[count - 2]
    # A share stays one of the whole, whatever is listed.
    part = client.get(f"{address}&layer={body['items'][0]['layer']}&sign=-").json()
    known = {(item["layer"], item["unit"]): item["share"] for item in body["items"]}
    assert all(item["share"] == known[item["layer"], item["unit"]] for item in part["items"])
    assert part["num_for_90_percent"] == count
    for item in body["items"][:6]:
        spread = client.get(f"/api/v1/models/tiny_a/{item['layer']}/{item['unit']}").json()["metrics"].get("std")
        expected = None if spread is None else pytest.approx(item["norm"] * spread, rel=1e-6)
        assert item["contribution"] == expected
    assert any(item["contribution"] is not None for item in body["items"])


@pytest.mark.parametrize("direction", ["inputs", "outputs"])
def test_partners_are_sorted_by_what_is_asked(client: TestClient, direction: str) -> None:
    address = f"{UNIT}/weights?direction={direction}&limit=500"
    for ranking in ("norm", "sum", "contribution"):
        items = client.get(f"{address}&sort={ranking}").json()["items"]
        values = [item[ranking] for item in items if item[ranking] is not None]
        assert values == sorted(values, reverse=True)
        assert all(item[ranking] is None for item in items[len(values) :])
        assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    strongest = client.get(f"{address}&sort=sum&sign=-").json()["items"]
    assert [item["sum"] for item in strongest] == sorted(item["sum"] for item in strongest)
    first = client.get(f"{UNIT}/weights?direction={direction}&sort=sum&limit=5").json()
    second = client.get(first["next"]).json()
    assert first["items"][-1]["sum"] >= second["items"][0]["sum"]
    assert second["items"][0]["rank"] == 6


def test_listed_kernels_have_the_label_of_their_numbers(client: TestClient) -> None:
    items = client.get("/api/v1/models/tiny_a/blocks.0.dw/5/weights?direction=inputs").json()["items"]
    expected = label_kernels(np.array([items[0]["kernel"]]))[0]
    assert expected is not None
    assert items[0]["kernel_label"] == asdict(expected)
    points = client.get(f"{UNIT}/weights?direction=inputs").json()["items"]
    assert all((item["kernel_label"] is None) == (np.shape(item["kernel"]) == (1, 1)) for item in points)


def test_depthwise_unit_has_itself_as_its_only_input(client: TestClient) -> None:
    body = client.get("/api/v1/models/tiny_a/blocks.0.dw/5/weights?direction=inputs").json()
    assert [(item["layer"], item["unit"]) for item in body["items"]] == [("stem", 5)]
    assert np.shape(body["items"][0]["kernel"]) == (3, 3)


def test_same_edge_read_from_either_end_is_the_same(client: TestClient) -> None:
    down = client.get("/api/v1/models/tiny_a/stem/3/weights?direction=outputs&layer=blocks.0.pw&limit=500").json()["items"]
    for item in down[:5]:
        other = f"/api/v1/models/tiny_a/blocks.0.pw/{item['unit']}/weights?direction=inputs&layer=stem&limit=500"
        back = next(found for found in client.get(other).json()["items"] if found["unit"] == 3)
        assert (back["norm"], back["sum"], back["kernel"]) == (item["norm"], item["sum"], item["kernel"])


def test_kernel_picture_is_red_where_positive_and_blue_where_negative(client: TestClient) -> None:
    partner = client.get("/api/v1/models/tiny_a/blocks.0.dw/5").json()["weights"]["inputs"][0]
    picture = np.asarray(Image.open(io.BytesIO(client.get(partner["image"]).content)).convert("RGBA"))[4::8, 4::8]
    kernel = np.array(partner["kernel"])
    assert picture.shape[:2] == kernel.shape
    assert ((picture[..., 0] > picture[..., 2]) == (kernel > 0)).all()
    np.testing.assert_allclose(picture[..., 3] / 255, np.abs(kernel) / np.abs(kernel).max(), atol=0.003)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("stem 3", "/models/tiny_a/stem/3"),
        ("blocks.0.pw/7", "/models/tiny_a/blocks.0.pw/7"),
        ("pw 7", "/models/tiny_a/blocks.0.pw/7"),
        ("5", "/models/tiny_a/stem/5"),
        ("blocks.0.dw", "/models/tiny_a/blocks.0.dw"),
        ("tiny_b", "/models/tiny_b"),
        ("class 3", "/models/tiny_a/head.fc/3"),
        ("blobs", "/stimuli/2"),
    ],
)
def test_search_finds_first_what_was_meant(client: TestClient, query: str, first: str) -> None:
    body = client.get("/api/v1/search", params={"q": query}).json()
    assert body["items"][0]["link"] == first


def test_search_without_result_suggests(client: TestClient) -> None:
    assert "blocks.0.pw" in client.get("/api/v1/search?q=blokcs.0.pw").json()["suggestions"]


def test_layer_list_sorts_and_filters(client: TestClient) -> None:
    address = "/api/v1/models/tiny_a/stem"
    rising = [item["metrics"].get("max") for item in client.get(f"{address}?sort=max&order=asc&limit=24").json()["items"]]
    present = [value for value in rising if value is not None]
    assert present == sorted(present)
    assert rising[-1] is None  # units without the metric come last
    low, high = present[5], present[15]
    body = client.get(f"{address}?min.max={low!r}&max.max={high!r}").json()
    assert body["total"] == 11
    assert client.get(f"{address}?visualization=no").json()["total"] == 5
    assert client.get(f"{address}?visualization=yes").json()["total"] == 19
    found = client.get(f"{address}?status=saturated").json()
    assert found["total"] == found["statuses"]["saturated"]


def test_progress_of_a_silent_build_is_said_to_have_stopped(client: TestClient) -> None:
    body = client.get("/api/v1/models/tiny_a").json()
    assert {"layers", "coverage"} <= body.keys()
    assert body["progress"]["num_total"] == 84
    assert client.get("/api/v1/models/tiny_b").json()["progress"] is None
