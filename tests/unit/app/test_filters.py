"""Filters on the image: the right colours in the right places, and the numbers that make them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.fixture_atlas import planted_filters

STEM = "/api/v1/models/tiny_a/stem"


def pixels_of(client: TestClient, address: str) -> np.ndarray:
    answer = client.get(address)
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.asarray(image)[4::8, 4::8]


def test_a_filter_of_red_left_and_blue_right_looks_so(client: TestClient) -> None:
    found = client.get(f"{STEM}/0").json()["filter"]
    pixels = pixels_of(client, found["image"])
    assert pixels.shape == (4, 6, 3)
    assert (pixels[:, :3] == (255, 128, 128)).all()
    assert (pixels[:, 3:] == (128, 128, 255)).all()
    assert found["maximum"] == 2.0
    # The twin: another filter is another picture.
    assert (pixels != pixels_of(client, client.get(f"{STEM}/1").json()["filter"]["image"])).any()


def test_values_are_the_stored_ones_and_make_the_picture(client: TestClient) -> None:
    expected = planted_filters(24)
    for unit in (0, 1, 23):
        found = client.get(f"{STEM}/{unit}").json()["filter"]
        values = np.array(found["values"])
        np.testing.assert_allclose(values, np.moveaxis(expected[unit], 0, -1), rtol=1e-6)
        assert found["maximum"] == pytest.approx(np.abs(values).max())
        assert found["layer_maximum"] == pytest.approx(np.abs(expected).max())
        levels = 255 * (0.5 + 0.5 * values / found["maximum"])
        assert np.abs(levels - pixels_of(client, found["image"])).max() <= 0.51


def test_the_grid_of_a_layer_has_one_scale(client: TestClient) -> None:
    body = client.get(f"{STEM}?picture=filter").json()
    largest = float(np.abs(planted_filters(24)).max())
    assert {item["filter"]["maximum"] for item in body["items"]} == {largest}
    assert body["filter_maximum"] == pytest.approx(largest)
    shown = pixels_of(client, body["items"][1]["filter"]["image"])
    assert np.abs(shown.astype(float) - 127.5).max() < 120  # its own largest weight is not the layer's
    each = client.get(f"{STEM}?picture=filter_each").json()["items"]
    assert [item["filter"]["maximum"] for item in each] == pytest.approx(np.abs(planted_filters(24)).max(axis=(1, 2, 3)))
    assert "a scale of its own" in client.get("/models/tiny_a/stem?picture=filter_each").text
    plain = client.get(STEM).json()
    assert all(item["filter"] is None for item in plain["items"])
    assert [item["index"] for item in plain["items"]] == [item["index"] for item in body["items"]]


def test_pages_say_the_unit_of_the_colours(client: TestClient) -> None:
    page = client.get("/models/tiny_a/stem/0").text
    assert "in units of pixel value" in page.lower()
    assert "input normalisation" in page
    assert "filter, in true colour" in client.get("/models/tiny_a/stem").text
    assert "in true colour" not in client.get("/models/tiny_a/blocks.0.pw").text
    assert client.get("/api/v1/models/tiny_a/blocks.0.pw/7").json()["filter"] is None


def test_the_scale_of_the_picture_is_the_one_in_its_address(client: TestClient) -> None:
    half = pixels_of(client, "/media/filters/tiny_a/stem/0.png?max=4")
    assert tuple(half[0, 0]) == (191, 128, 128)
    first = client.get("/media/filters/tiny_a/stem/0.png?max=4")
    assert (
        client.get("/media/filters/tiny_a/stem/0.png?max=4", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    )
