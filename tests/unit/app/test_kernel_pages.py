"""Kernels as pictures and as patterns: what the pages say of planted weights is what was planted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from tests.kernel_atlas import LINE_DEG, NUM_LINES, PATTERNS, make_kernel_atlas

TOP, MID = "/api/v1/models/planted/top/3", "/api/v1/models/planted/mid/5"
KERNELS = f"{TOP}/weights?direction=inputs&view=kernels"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    atlas = make_kernel_atlas(tmp_path_factory.mktemp("kernels") / "atlas")
    with TestClient(create_app(AppSettings(atlas))) as found:
        yield found


def facet_of(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(facet for facet in body["facets"] if facet["kind"] == kind)


def test_kinds_are_counted_over_all_partners_with_their_chance(planted: TestClient) -> None:
    body = planted.get(f"{KERNELS}&limit=4").json()
    lines = facet_of(body, "line")
    assert NUM_LINES <= lines["count"] <= NUM_LINES + 2
    assert lines["share"] > 0.5 > 0.1 > lines["chance_share"] + 3 * lines["chance_std"]
    assert lines["norm_share"] > lines["chance_norm_share"]
    assert sum(facet["count"] for facet in body["facets"]) == body["total"] == 32
    assert sum(facet["share"] for facet in body["facets"]) == pytest.approx(1)
    assert sum(facet["chance_share"] for facet in body["facets"]) == pytest.approx(1)
    assert sum(facet["norm_share"] for facet in body["facets"]) == pytest.approx(1)
    assert body["control"]["num_shuffles"] >= 10
    assert planted.get(f"{KERNELS}&limit=4").json()["facets"] == body["facets"]


def test_a_kind_lists_its_partners_and_keeps_the_counts(planted: TestClient) -> None:
    everyone = planted.get(f"{KERNELS}&limit=500").json()
    lines = planted.get(facet_of(everyone, "line")["link"]).json()
    assert {item["kernel_label"]["shape"] for item in lines["items"]} == {"line"}
    assert lines["total"] == facet_of(everyone, "line")["count"]
    assert [facet["count"] for facet in lines["facets"]] == [facet["count"] for facet in everyone["facets"]]
    angles = [item["kernel_label"]["angle_deg"] for item in lines["items"] if item["unit"] < NUM_LINES]
    assert np.allclose(angles, LINE_DEG, atol=7.5)
    others = planted.get(facet_of(everyone, "other")["link"]).json()
    assert not any(item["kernel_label"]["is_clear"] for item in others["items"])
    back = planted.get(facet_of(lines, "line")["link"]).json()
    assert back["total"] == 32


def test_one_scale_holds_on_every_page_of_the_view(planted: TestClient) -> None:
    first = planted.get(f"{KERNELS}&limit=4").json()
    second = planted.get(first["next"]).json()
    everyone = planted.get(f"{KERNELS}&limit=500").json()
    largest = max(np.abs(item["kernel"]).max() for item in everyone["items"])
    assert first["maximum"] == second["maximum"] == everyone["maximum"] == pytest.approx(largest)
    # The twin: the list scales each of its pages.
    listed = planted.get(f"{TOP}/weights?direction=inputs&limit=4").json()
    assert planted.get(listed["next"]).json()["maximum"] < largest
    assert listed["facets"] == []


def test_the_scale_is_said_and_a_scale_of_its_own_is_said_too(planted: TestClient) -> None:
    page = planted.get(KERNELS.removeprefix("/api/v1")).text
    assert "one scale for all kernels" in page
    assert page.count('class="kernel"') > 30
    opacities = [float(found) for found in re.findall(r'fill-opacity="([\d.]+)"', page.split("kernel-grid")[1])]
    own = planted.get(f"{KERNELS}&scale=each".removeprefix("/api/v1")).text
    assert "a scale of its own" in own
    assert "one scale for all kernels" not in own
    own_opacities = [float(found) for found in re.findall(r'fill-opacity="([\d.]+)"', own.split("kernel-grid")[1])]
    assert own_opacities.count(1.0) >= 32 > opacities.count(1.0)


@pytest.mark.parametrize("units", ["", "&units=0,7-9"])
def test_planted_patterns_are_found_where_they_are(planted: TestClient, units: str) -> None:
    body = planted.get(f"{MID}/factors?direction=inputs{units}").json()
    assert body["units"] == ([5, 0, 7, 8, 9] if units else [5])
    assert len(body["factors"]) == 3
    for place, factor in enumerate(body["factors"]):
        assert np.shape(factor["maps"]) == (len(body["units"]), 3, 3)
        for grid in np.array(factor["maps"]):
            assert np.unravel_index(grid.argmax(), (3, 3)) == PATTERNS[place]
        for partner in factor["partners"]:
            assert partner["unit"] % 3 == place
            assert np.sign(partner["loading"]) == (1 if partner["unit"] % 2 else -1)
            assert partner["loading"] == pytest.approx(partner["positive"] - partner["negative"])
    assert body["error"] < 0.05 < 0.4 < body["control"]["mean"]
    shares = [factor["share"] for factor in body["factors"]]
    assert shares == sorted(shares, reverse=True)


def test_colours_are_those_of_the_maps(planted: TestClient) -> None:
    body = planted.get(f"{MID}/factors?direction=inputs&units=0").json()
    for place, picture in enumerate(body["pictures"]):
        made = sum(
            np.array(factor["maps"])[place][..., None] * [int(factor["colour"][at : at + 2], 16) for at in (1, 3, 5)]
            for factor in body["factors"]
        )
        levels = np.round(np.clip(made / body["full"], 0, 255)).astype(int)
        shown = [[[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in row] for row in picture["pixels"]]
        assert np.abs(levels - shown).max() <= 1
    assert body["pictures"][0]["pixels"] != body["pictures"][0]["adds"]
    page = planted.get(f"{MID}/factors?direction=inputs&units=0".removeprefix("/api/v1")).text
    for colour in {colour for row in body["pictures"][1]["takes"] for colour in row}:
        assert f'fill="{colour}"' in page


def test_noise_is_not_told_from_its_control(planted: TestClient, client: TestClient) -> None:
    noise = client.get("/api/v1/models/tiny_a/blocks.0.pw/7/factors?layer=stem&units=0-15").json()
    assert noise["error"] / noise["control"]["mean"] == pytest.approx(1, abs=0.1)
    assert any("single numbers" in note for note in noise["notes"])
    planted_body = planted.get(f"{MID}/factors?direction=inputs").json()
    assert planted_body["error"] / planted_body["control"]["mean"] < 0.2
    assert planted_body["notes"] == []


def test_single_numbers_point_to_larger_kernels_and_depthwise_is_said(client: TestClient, planted: TestClient) -> None:
    single = client.get("/api/v1/models/tiny_a/blocks.0.pw/7/factors").json()
    assert len(single["factors"]) == 1
    assert any("nothing is left over" in note for note in single["notes"])
    depthwise = client.get("/api/v1/models/tiny_a/blocks.0.dw/7/factors").json()
    assert any("depthwise" in note for note in depthwise["notes"])
    assert depthwise["num_partners"] == 1
    outputs = planted.get(f"{MID}/factors?direction=outputs").json()
    assert outputs["kernel_shape"] == [5, 5]
    assert outputs["larger"] == []


def test_other_seeds_are_other_shuffles_and_the_same_seed_the_same(planted: TestClient) -> None:
    address = f"{TOP}/factors?direction=inputs&seed="
    first, other = planted.get(f"{address}1").json(), planted.get(f"{address}2").json()
    assert first["control"]["mean"] != other["control"]["mean"]
    again = planted.get(f"{address}1").json()
    assert first == again


def test_layers_farther_away_are_factored_by_their_composed_kernels(planted: TestClient) -> None:
    body = planted.get(f"{TOP}/factors?direction=inputs&layer=stem").json()
    assert body["kernel_shape"] == [7, 7]
    assert body["num_partners"] == 60
    assert "stem" in body["layers"]
    weights = planted.get(f"{TOP}/weights?direction=inputs&layer=stem&limit=500").json()["items"]
    kernels = {item["unit"]: np.array(item["kernel"]) for item in weights}
    whole = sum(float(np.square(kernel).sum()) for kernel in kernels.values())
    # What the strongest pattern holds of all composed weights, from the page of the weights alone.
    factor = body["factors"][0]
    assert np.square(factor["maps"]).sum() / whole == pytest.approx(factor["share"], rel=1e-4)
    assert body["error"] < body["control"]["mean"]
    assert planted.get(f"{TOP}/factors?direction=inputs&layer=nowhere").status_code == 404


def test_single_numbers_point_to_farther_layers_whose_kernels_are_larger(client: TestClient) -> None:
    body = client.get("/api/v1/models/tiny_a/head.fc/3/factors").json()
    assert [choice["layer"] for choice in body["larger"]] == ["stem"]
    linked = client.get(f"/api/v1{body['larger'][0]['link']}").json()
    assert linked["kernel_shape"] == body["larger"][0]["kernel_shape"]


def test_pictures_of_a_family_share_a_scale_unless_each_is_asked_for(planted: TestClient) -> None:
    address = f"{TOP}/factors?direction=inputs&units=0-5"
    shared, each = planted.get(address).json(), planted.get(f"{address}&scale=each").json()
    assert {picture["full"] for picture in shared["pictures"]} == {shared["full"]}
    assert len({picture["full"] for picture in each["pictures"]}) == 6
    assert max(picture["full"] for picture in each["pictures"]) == shared["full"]
    brightest = [
        max(int(pixel[at : at + 2], 16) for row in picture["pixels"] for pixel in row for at in (1, 3, 5))
        for picture in each["pictures"]
    ]
    assert brightest == [255] * 6
    assert "a scale of its own" in planted.get(f"{address}&scale=each".removeprefix("/api/v1")).text
