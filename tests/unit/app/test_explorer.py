"""The graph of the weight explorer: the address says the state, the state says the cards, the weights are those of the arrays."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app import urls
from app.explorer import graph as explorer
from app.explorer.files import NAMESPACE, graphml
from app.explorer.graph import Explorer
from app.explorer.order import count_crossings, order_columns
from app.explorer.query import query_of, toggled
from app.explorer.state import SHARED_PARAMETERS, STATE_PARAMETERS, ExplorerState, read_state
from app.query import Query
from precompute.errors import UsageError
from precompute.store.arrays import weights_of
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

START = ("blocks.0.pw", 7)
ADDRESS = "/api/v1/models/tiny_a/blocks.0.pw/7/weights"
KNOWN = (*STATE_PARAMETERS, *SHARED_PARAMETERS)


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> AtlasReader:
    return AtlasReader(fixture_atlas)


@pytest.fixture(scope="module")
def catalog(reader: AtlasReader) -> Catalog:
    return reader.catalog("tiny_a", reader.revision())


def read(catalog: Catalog, **query: str) -> ExplorerState:
    return read_state(Query(query.items(), KNOWN), catalog, START)


def cards(page: dict[str, Any]) -> set[str]:
    return {f"{card['layer']}/{card['unit']}" for column in page["columns"] for card in column["units"]}


def ends(page: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (f"{edge['source_layer']}/{edge['source_unit']}", f"{edge['target_layer']}/{edge['target_unit']}"): edge
        for edge in page["edges"]
    }


def get(client: TestClient, **query: str) -> dict[str, Any]:
    answer = client.get(ADDRESS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


STATES: list[dict[str, str]] = [
    {},
    {"inputs": "none", "outputs": "none"},
    {"inputs": "stem/3,blocks.0.dw/2,blocks.0.pw/7", "outputs": "none"},
    {"hide": "stem/3", "pin": "blocks.0.dw/2,head.fc/1", "top": "9", "min": "0.015", "between": "1"},
    {"sort": "contribution", "sign": "+", "embed": "1"},
    {"sort": "sum", "sign": "-"},
    {"bypass": "1"},
    {"camera": "-120.5,40,0.8", "top": "3"},
    {"bypass": "depthwise", "embed": "1"},
]


@pytest.mark.parametrize("query", STATES, ids=str)
def test_state_survives_its_address(catalog: Catalog, query: dict[str, str]) -> None:
    state = read(catalog, **query)
    assert query_of(state.told()) == query
    assert read(catalog, **query_of(state.told())) == state


def test_address_does_not_depend_on_the_order_of_what_it_lists(catalog: Catalog) -> None:
    listed = ["head.fc/1", "stem/3", "blocks.0.dw/2"]
    told = {query_of(read(catalog, pin=",".join(some)).told())["pin"] for some in permutations(listed)}
    assert told == {"stem/3,blocks.0.dw/2,head.fc/1"}


def test_names_of_layers_may_hold_slashes_and_commas(catalog: Catalog) -> None:
    spec = replace(catalog.layers["stem"].spec, name="a/b,c%2C")
    odd = Catalog(catalog.model, {**catalog.layers, spec.name: replace(catalog.layers["stem"], spec=spec)}, catalog.links)
    state = ExplorerState(START, ((spec.name, 3),), (START,))
    query = query_of(state.told())
    assert query == {"inputs": "a/b%2Cc%252C/3"}
    assert read(odd, **query) == state
    assert "inputs=a/b%252Cc%25252C/3" in urls.weights("tiny_a", *START, **query)


def test_addresses_of_older_versions_still_unfold(client: TestClient) -> None:
    old = get(client, open="blocks.0.dw/7,head.fc/1", top="12")
    assert old["state"]["inputs"] == ["blocks.0.dw/7", "blocks.0.pw/7"]
    assert old["state"]["outputs"] == ["blocks.0.pw/7", "head.fc/1"]


def test_toggling_twice_is_nothing_and_hiding_folds(catalog: Catalog) -> None:
    told = read(catalog, inputs="stem/3,blocks.0.pw/7", pin="stem/3").told()
    once = toggled(told, "outputs", "stem/3")
    assert once is not None
    assert once["outputs"] == "blocks.0.pw/7,stem/3"
    assert toggled(read(catalog, **once).told(), "outputs", "stem/3") == query_of(told)
    assert toggled(told, "hide", "stem/3") == {"hide": "stem/3"}


@pytest.mark.parametrize("camera", ["1,2", "a,b,c", "1,2,9", "1,2,0", "999999,2,1", "1,2,nan", "1,2,1,", "1e3,2,1", " 1,2,1"])
def test_camera_that_is_none_says_what_is(client: TestClient, camera: str) -> None:
    answer = client.get(ADDRESS, params={"camera": camera})
    assert answer.status_code == 400
    assert "120,-40,0.8" in answer.json()["detail"]


def test_no_link_unfolds_more_than_can_be(catalog: Catalog) -> None:
    full = read(
        catalog, inputs=",".join(f"stem/{unit}" for unit in range(24)), outputs=",".join(f"stem/{unit}" for unit in range(16))
    )
    assert toggled(full.told(), "inputs", "blocks.0.dw/1") is None
    assert toggled(full.told(), "inputs", "stem/1") is not None
    with pytest.raises(UsageError, match="at most 40"):
        read(
            catalog, inputs=",".join(f"stem/{unit}" for unit in range(24)), outputs=",".join(f"stem/{unit}" for unit in range(17))
        )


@pytest.mark.parametrize(("sort", "sign"), [("norm", ""), ("sum", ""), ("sum", "-"), ("norm", "+"), ("contribution", "")])
def test_unfolding_shows_the_first_of_the_whole_list(client: TestClient, sort: str, sign: str) -> None:
    page = get(client, outputs="none", top="7", sort=sort, sign=sign)
    everyone = get(client, direction="inputs", sort=sort, sign=sign, limit="7")["items"]
    assert cards(page) == {"blocks.0.pw/7", *(f"{item['layer']}/{item['unit']}" for item in everyone)}
    for item in everyone:
        edge = ends(page)[f"{item['layer']}/{item['unit']}", "blocks.0.pw/7"]
        for name in ("norm", "sum", "share"):
            assert edge[name] == pytest.approx(item[name], rel=1e-9), name
        if item["contribution"] is not None:
            assert edge["contribution"] == pytest.approx(item["contribution"], rel=1e-9)
        assert (edge["contribution"] is None) is (item["contribution"] is None)
        assert edge["exact"] == item["exact"]
        assert edge["kernel"] == item["kernel"]


def test_a_weight_is_the_same_from_both_ends(client: TestClient) -> None:
    forward = ends(client.get("/api/v1/models/tiny_a/stem/3/weights?inputs=none&top=20").json())
    for (source, target), edge in forward.items():
        layer, unit = target.rsplit("/", 1)
        backward = client.get(f"/api/v1/models/tiny_a/{layer}/{unit}/weights?outputs=none&top=20&pin={source}&between=1").json()
        assert ends(backward)[source, target] == edge
    assert forward


def test_share_is_of_all_that_feeds_the_target(reader: AtlasReader, catalog: Catalog, client: TestClient) -> None:
    links = [link for link in catalog.links if link.target == "blocks.0.pw"]
    arrays = [array for link in links if (array := weights_of(reader, link)) is not None]
    assert len(arrays) == len(links)
    total = sum(float(np.square(np.asarray(array[7], np.float64)).sum()) for array in arrays)
    assert len(links) == 2
    edges = get(client, outputs="none", top="20")["edges"]
    for edge in edges:
        assert edge["share"] == pytest.approx(edge["norm"] ** 2 / total, rel=1e-9)
    assert [edge["share"] for edge in edges] == sorted(edge["share"] for edge in edges)


def test_columns_are_layers_in_order_of_execution_and_cards_appear_once(client: TestClient, catalog: Catalog) -> None:
    page = get(client, inputs="blocks.0.pw/7,blocks.0.dw/7,blocks.0.dw/3,head.fc/1", outputs="blocks.0.pw/7,stem/3", top="12")
    layers = [column["layer"] for column in page["columns"]]
    assert layers == sorted(layers, key=lambda name: catalog.layers[name].spec.position)
    assert page["columns"][layers.index("blocks.0.pw")]["depth"] == 0
    listed = [(card["layer"], card["unit"]) for column in page["columns"] for card in column["units"]]
    assert len(listed) == len(set(listed))
    assert all(card["layer"] == column["layer"] for column in page["columns"] for card in column["units"])
    assert {end for pair in ends(page) for end in pair} <= cards(page)


def test_hidden_cards_are_gone_with_what_only_they_had_brought(client: TestClient) -> None:
    plain = get(client, outputs="none")
    parent = next(f"{card['layer']}/{card['unit']}" for card in plain["columns"][1]["units"] if card["layer"] == "blocks.0.dw")
    query = {"inputs": f"blocks.0.pw/7,{parent}", "outputs": "none"}
    whole = get(client, **query)
    assert len(cards(whole)) > len(cards(plain))
    hidden = get(client, **query, hide=parent)
    assert not [pair for pair in ends(hidden) if parent in pair]
    assert cards(hidden) == cards(plain) - {parent}


def test_folded_cards_keep_what_was_unfolded_behind_them(client: TestClient) -> None:
    deep = {"inputs": "blocks.0.pw/7,head.fc/1", "outputs": "blocks.0.pw/7", "top": "12"}
    folded = deep | {"outputs": "none"}
    assert "head.fc/1" in cards(get(client, **deep))
    assert "head.fc/1" not in cards(get(client, **folded))
    assert cards(get(client, **folded)) < cards(get(client, **deep))


def test_pinned_cards_stay_under_the_threshold_and_without_a_way(client: TestClient) -> None:
    nothing = get(client, min="1")
    assert cards(nothing) == {"blocks.0.pw/7"}
    assert cards(get(client, min="1", pin="stem/3,head.fc/1")) == {"blocks.0.pw/7", "stem/3", "head.fc/1"}
    assert cards(get(client, inputs="none", outputs="none", pin="stem/3")) == {"blocks.0.pw/7", "stem/3"}
    more = get(client, inputs="none", outputs="stem/3", pin="stem/3")
    assert len(cards(more)) > 2


def test_threshold_hides_exactly_the_weights_below_it(client: TestClient) -> None:
    whole = get(client, top="20", outputs="none")
    shares = sorted(edge["share"] for edge in whole["edges"])
    limit = (shares[9] + shares[10]) / 2
    kept = get(client, top="20", outputs="none", min=f"{limit:.6g}")
    assert ends(kept).keys() == {pair for pair, edge in ends(whole).items() if edge["share"] >= limit}
    assert len(kept["edges"]) == len(shares) - 10


def test_weights_between_are_all_and_only_those_between_cards(client: TestClient, reader: AtlasReader, catalog: Catalog) -> None:
    plain, between = get(client, top="20"), get(client, top="20", between="1")
    assert cards(plain) == cards(between)
    assert ends(plain).keys() < ends(between).keys()
    shown = [(card["layer"], card["unit"]) for column in between["columns"] for card in column["units"]]
    expected = set()
    for link in catalog.links:
        array = weights_of(reader, link)
        if array is None:
            continue
        for source in (unit for layer, unit in shown if layer == link.source):
            for target in (unit for layer, unit in shown if layer == link.target):
                if link.layout == "diagonal":
                    kernel = np.asarray(array[target]) if source == target else np.zeros(1)
                else:
                    kernel = np.asarray(array[target, source])
                if np.abs(kernel).sum() > 0:
                    expected.add((f"{link.source}/{source}", f"{link.target}/{target}"))
    assert ends(between).keys() == expected


@pytest.mark.parametrize(("sign", "factor"), [("+", 1), ("-", -1)])
def test_sign_leaves_weights_of_one_sign(client: TestClient, sign: str, factor: int) -> None:
    page = get(client, sign=sign, between="1", top="12")
    assert page["edges"]
    assert all(factor * edge["sum"] > 0 for edge in page["edges"])


def test_what_does_not_fit_is_said_and_is_no_error(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(client, top="20")["notes"] == []
    monkeypatch.setattr(explorer, "MAX_CARDS", 9)
    few = get(client, top="19")  # not an address that was asked before: its answer is kept
    assert len(cards(few)) == 9
    assert "9 cards are shown" in few["notes"][0]
    assert "raise the threshold" in few["notes"][0]
    assert {end for pair in ends(few) for end in pair} <= cards(few)
    monkeypatch.undo()
    monkeypatch.setattr(explorer, "MAX_EDGES", 20)
    drawn = get(client, top="10", between="1")
    assert len(drawn["edges"]) <= 20
    assert "Raise the threshold" in drawn["notes"][0]


def test_every_action_of_the_page_has_a_link_that_works_without_scripts(client: TestClient) -> None:
    page = client.get("/models/tiny_a/blocks.0.pw/7/weights").text
    for name in ("inputs", "outputs", "hide", "pin"):
        assert f'data-action="{name}"' in page
    assert page.count("<tr>") == 1 + len(get(client)["edges"])


def test_order_of_cards_lessens_crossings() -> None:
    columns = [[("a", row) for row in range(6)], [("b", row) for row in range(6)]]
    edges = [(("a", row), ("b", 5 - row)) for row in range(6)]
    assert count_crossings(columns, edges) == 15
    ordered = order_columns(columns, edges)
    assert count_crossings(ordered, edges) == 0
    assert [sorted(column) for column in ordered] == columns
    assert order_columns(columns, edges) == ordered
    assert columns[0] == [("a", row) for row in range(6)]


def test_crossings_are_counted_pair_by_pair() -> None:
    generator = np.random.default_rng(3)
    columns = [[("a", row) for row in range(7)], [("b", row) for row in range(9)]]
    edges = [
        (("a", int(a)), ("b", int(b))) for a, b in zip(generator.integers(0, 7, 20), generator.integers(0, 9, 20), strict=True)
    ]
    by_hand = sum((a[0][1] - b[0][1]) * (a[1][1] - b[1][1]) < 0 for place, a in enumerate(edges) for b in edges[place + 1 :])
    assert count_crossings(columns, edges) == by_hand > 0


def test_graphml_says_the_same_graph(client: TestClient) -> None:
    page = get(client, inputs="blocks.0.pw/7,blocks.0.dw/7", top="8")
    answer = client.get(page["links"]["graphml"])
    assert answer.headers["content-type"] == "application/graphml+xml"
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own file
    name = f"{{{NAMESPACE}}}"
    declared = {key.get("id") for key in root.findall(f"{name}key")}
    nodes = root.findall(f"{name}graph/{name}node")
    assert {node.get("id") for node in nodes} == cards(page)
    found = ends(page)
    edges = root.findall(f"{name}graph/{name}edge")
    assert {(edge.get("source"), edge.get("target")) for edge in edges} == found.keys()
    for edge in edges:
        data = {part.get("key"): part.text for part in edge.findall(f"{name}data")}
        assert data.keys() <= declared
        known = found[edge.get("source", ""), edge.get("target", "")]
        assert float(data["norm"] or "nan") == known["norm"]
        assert float(data["sum"] or "nan") == known["sum"]
        assert data["exact"] == str(known["exact"]).lower()


def test_graphml_stays_valid_with_hostile_labels(client: TestClient, reader: AtlasReader, catalog: Catalog) -> None:
    state = ExplorerState(("head.fc", 1), (("head.fc", 1),), ())
    columns = Explorer(reader, catalog, state).columns()
    for forbidden in (*map(chr, range(9)), "\x0b", "\x0c", "\x1b", "\ud800", "\udfff", "\ufffe", "\uffff"):
        hostile = columns[-1].units[0].model_copy(update={"label": f"{forbidden}<x a='1'>&\"]]>\t\ufffd\U0001f600{forbidden}"})
        root = ElementTree.fromstring(graphml([columns[-1].model_copy(update={"units": [hostile]})], []))  # noqa: S314
        labels = [part.text for part in root.iter(f"{{{NAMESPACE}}}data") if part.get("key") == "label"]
        assert labels == ["<x a='1'>&\"]]>\t\ufffd\U0001f600"]
