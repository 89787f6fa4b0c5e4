"""The explorer past bottlenecks: the next layers that are shown, with the numbers that the list of partners has."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.explorer.graph import weight_source
from app.explorer.state import ExplorerState
from app.main import create_app
from app.settings import AppSettings
from precompute.store.arrays import weights_of
from precompute.store.reader import AtlasReader
from tests.waist_atlas import make_waist_atlas

BASE = "/api/v1/models/waist"
ENDS = ("source_layer", "source_unit", "target_layer", "target_unit")
NUMBERS = ("norm", "sum", "contribution")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waist_atlas(tmp_path_factory.mktemp("waist") / "atlas")


@pytest.fixture(scope="module")
def visitor(atlas: Path) -> Iterator[TestClient]:
    with TestClient(create_app(AppSettings(atlas))) as found:
        yield found


def get(visitor: TestClient, address: str, **query: str) -> dict[str, Any]:
    answer = visitor.get(f"{BASE}/{address}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def layers(page: dict[str, Any]) -> list[str]:
    return [column["layer"] for column in page["columns"]]


def listed(visitor: TestClient, edge: dict[str, Any], **query: str) -> dict[str, Any]:
    """Return the weight of an edge from the list of all partners of its target."""
    target = f"{edge['target_layer']}/{edge['target_unit']}/weights"
    items = get(visitor, target, direction="inputs", layer=edge["source_layer"], limit="500", **query)["items"]
    return next(item for item in items if item["unit"] == edge["source_unit"])


def test_only_layers_that_are_no_bottlenecks_have_columns(visitor: TestClient) -> None:
    plain = get(visitor, "b.pw/3/weights")
    assert layers(plain) == ["a.pwl", "b.pw", "b.dw"]
    assert (plain["bypassed"], plain["bypass_words"]) == ([], None)
    assert {tuple(edge["over"]) for edge in plain["edges"]} == {()}
    page = get(visitor, "b.pw/3/weights", bypass="1")
    assert layers(page) == ["a.pw", "b.pw", "c.pw"]
    assert page["bypassed"] == ["a.dw", "a.pwl", "b.dw", "b.pwl"]
    assert page["bypass_words"].startswith("4 layers are bottlenecks")
    assert {tuple(edge["over"]) for edge in page["edges"]} == {("a.dw", "a.pwl"), ("b.dw", "b.pwl")}
    depthwise = get(visitor, "b.pw/3/weights", bypass="depthwise")
    assert layers(depthwise) == ["a.pwl", "b.pw", "b.pwl"]
    assert {tuple(edge["over"]) for edge in depthwise["edges"]} == {(), ("b.dw",)}


def test_layer_of_the_page_is_shown_though_it_is_a_bottleneck(visitor: TestClient) -> None:
    page = get(visitor, "a.pwl/2/weights", bypass="1")
    assert layers(page) == ["a.pw", "a.pwl", "b.pw", "c.pw"]
    assert "a.pwl" not in page["bypassed"]


@pytest.mark.parametrize("bypass", ["1", "depthwise"])
@pytest.mark.parametrize("address", ["b.pw/3/weights", "c.pw/0/weights", "a.pw/4/weights", "a.dw/4/weights"])
def test_numbers_are_those_of_the_list_of_partners(visitor: TestClient, address: str, bypass: str) -> None:
    page = get(visitor, address, bypass=bypass, top="4")
    assert page["edges"]
    for edge in page["edges"]:
        route = {"route": ",".join(edge["over"])} if edge["over"] else {}
        item = listed(visitor, edge, **route)
        for number in NUMBERS:
            assert (edge[number] is None) == (item[number] is None)
            assert (edge[number] or 0.0) == pytest.approx(item[number] or 0.0, rel=1e-9), number
        assert edge["exact"] == item["exact"]
        assert np.allclose(edge["kernel"], item["kernel"], rtol=1e-6)
        if not edge["over"]:
            continue
        other = edge | {"target_unit": edge["target_unit"] ^ 1}
        assert listed(visitor, other, **route)["norm"] != pytest.approx(edge["norm"], rel=1e-6)


def test_where_no_other_way_leads_the_numbers_are_those_of_all_paths(visitor: TestClient) -> None:
    found = get(visitor, "b.pw/3/weights", bypass="1", outputs="none")["edges"][-1]
    assert listed(visitor, found)["norm"] == pytest.approx(found["norm"], rel=1e-9)
    page = get(visitor, "c.pw/0/weights", bypass="1", outputs="none", top="20")
    skipping = next(edge for edge in page["edges"] if edge["source_layer"] == "a.pw")
    # Some paths lead over `b.pw`, which has a column of its own: they are not counted twice.
    assert listed(visitor, skipping)["norm"] != pytest.approx(skipping["norm"], rel=1e-3)


def test_numbers_are_those_of_composed_arrays(visitor: TestClient, atlas: Path) -> None:
    reader = AtlasReader(atlas)
    catalog = reader.catalog("waist", reader.revision())

    def array(source: str, target: str) -> Any:
        link = catalog.link(source, target)
        assert link is not None
        return np.array(weights_of(reader, link), np.float64)

    depthwise, narrow, wide = array("a.pw", "a.dw"), array("a.dw", "a.pwl"), array("a.pwl", "b.pw")
    whole = np.einsum("tn,nd,dyx->tdyx", wide[:, :, 0, 0], narrow[:, :, 0, 0], depthwise)
    for edge in get(visitor, "b.pw/3/weights", bypass="1", outputs="none")["edges"]:
        kernel = whole[3, edge["source_unit"]]
        assert np.allclose(edge["kernel"], kernel, rtol=1e-5)
        assert edge["sum"] == pytest.approx(kernel.sum(), rel=1e-9)
        assert edge["share"] == pytest.approx((kernel**2).sum() / (whole[3] ** 2).sum(), rel=1e-9)
        flipped = kernel * np.where(np.arange(9) == 4, -1, 1).reshape(3, 3)
        assert edge["sum"] != pytest.approx(flipped.sum(), rel=1e-6)


def test_exact_where_all_between_is_linear(visitor: TestClient) -> None:
    page = get(visitor, "a.dw/4/weights", bypass="1", inputs="none")
    assert {(tuple(edge["over"]), edge["target_layer"], edge["exact"]) for edge in page["edges"]} >= {(("a.pwl",), "b.pw", True)}
    page = get(visitor, "a.pw/4/weights", bypass="1")
    assert {edge["exact"] for edge in page["edges"]} == {False}


def test_both_ends_tell_the_same_weight(visitor: TestClient) -> None:
    from_target = get(visitor, "c.pw/0/weights", bypass="1", outputs="none", top="3")["edges"]
    for edge in from_target:
        page = get(
            visitor, f"{edge['source_layer']}/{edge['source_unit']}/weights", bypass="1", inputs="none", pin="c.pw/0", between="1"
        )
        back = next(one for one in page["edges"] if all(one[end] == edge[end] for end in ENDS))
        for number in (*NUMBERS, "share"):
            assert back[number] == pytest.approx(edge[number], rel=1e-9), number
        assert back["over"] == edge["over"]


@pytest.mark.parametrize("layer", ["b.pw", "c.pw"])
def test_shares_of_all_inputs_make_a_whole(atlas: Path, layer: str) -> None:
    reader = AtlasReader(atlas)
    state = ExplorerState((layer, 3), ((layer, 3),), (), bypass="1")
    source = weight_source(reader, reader.catalog("waist", reader.revision()), state)
    inputs = source.partners((layer, 3), "inputs", 1000)
    assert sum(weight.share or 0.0 for weight in inputs) == pytest.approx(1)
    assert len(inputs) == {"b.pw": 20, "c.pw": 44}[layer]


def test_weights_between_are_all_and_only_those_between_cards(visitor: TestClient) -> None:
    plain = get(visitor, "b.pw/3/weights", bypass="1", top="5")
    between = get(visitor, "b.pw/3/weights", bypass="1", top="5", between="1")
    counts = {column["layer"]: len(column["units"]) for column in between["columns"]}
    expected = sum(counts[a] * counts[b] for a, b in (("a.pw", "b.pw"), ("b.pw", "c.pw"), ("a.pw", "c.pw")))
    assert len(between["edges"]) == expected > len(plain["edges"])
    for edge in between["edges"][::7]:
        assert edge["norm"] == pytest.approx(listed(visitor, edge, route=",".join(edge["over"]))["norm"], rel=1e-9)


def test_pinned_bottleneck_can_be_unfolded_and_has_shares_of_its_own(visitor: TestClient) -> None:
    page = get(visitor, "c.pw/0/weights", bypass="1", pin="b.pwl/2", inputs="none", outputs="b.pwl/2", between="1")
    edges = [edge for edge in page["edges"] if edge["source_layer"] == "b.pwl"]
    assert edges
    assert all(0 < edge["share"] <= 1 and edge["over"] == [] for edge in edges)
    inputs = get(visitor, "c.pw/0/weights", bypass="1", pin="b.pwl/2", inputs="b.pwl/2")["edges"]
    assert {(edge["source_layer"], tuple(edge["over"])) for edge in inputs} == {("b.pw", ("b.dw",))}


def test_files_and_pages_say_the_same_graph(visitor: TestClient) -> None:
    page = get(visitor, "b.pw/3/weights", bypass="1")
    graph = ElementTree.fromstring(visitor.get(page["links"]["graphml"]).content)  # noqa: S314 - our own file
    edges = graph.findall(".//{*}edge")
    assert len(edges) == len(page["edges"])
    over = [edge.findtext("{*}data[@key='over']") for edge in edges]
    assert over == [", ".join(edge["over"]) or None for edge in page["edges"]]
    assert any(over)
    direct = get(visitor, "b.pw/3/weights")
    graph = ElementTree.fromstring(visitor.get(direct["links"]["graphml"]).content)  # noqa: S314 - our own file
    assert direct["edges"]
    assert not graph.findall(".//{*}data[@key='over']")
    assert "bypass=1" in page["links"]["whole"]
    html = visitor.get("/models/waist/b.pw/3/weights?bypass=1").text
    assert "4 layers are bottlenecks and have no column here" in html
    assert "bypass=1&amp;" in html or "&amp;bypass=1" in html  # every action keeps it
    assert "over a.dw, a.pwl" in html
    assert "bottlenecks and have" not in visitor.get("/models/waist/b.pw/3/weights").text


def test_kernel_over_some_layers_is_drawn(visitor: TestClient) -> None:
    address = "/media/kernels/waist/a.pw/1/c.pw/0.png?max=1"
    over = visitor.get(f"{address}&over=a.dw,a.pwl")
    assert over.status_code == 200
    pixels = [np.asarray(Image.open(io.BytesIO(answer.content))) for answer in (over, visitor.get(address))]
    assert pixels[0].shape != pixels[1].shape or (pixels[0] != pixels[1]).any()
    assert visitor.get(f"{address}&over=nowhere").status_code == 404
    assert visitor.get(f"{address}&over=a.dw").status_code == 404  # no path goes over this one alone
    both = visitor.get(f"{address}&over=a.dw,a.pwl&route=a.dw,a.pwl")
    assert "one of them" in both.json()["detail"]


def test_impossible_value_says_what_is_possible(visitor: TestClient) -> None:
    answer = visitor.get(f"{BASE}/b.pw/3/weights?bypass=2")
    assert answer.status_code == 400
    assert "0, depthwise, 1" in answer.json()["detail"]
