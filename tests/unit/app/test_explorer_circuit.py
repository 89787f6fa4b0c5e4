"""From the explorer to a circuit: the same units and weights, the same numbers, and a document that can be imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.explorer import graph as explorer
from app.main import create_app
from app.settings import AppSettings
from precompute.circuits.circuit import parse_circuit
from precompute.errors import UsageError
from precompute.store.circuits import admit, edge_numbers
from precompute.store.reader import AtlasReader
from precompute.store.user_db import UserDb
from tests.waist_atlas import make_waist_atlas
from tests.writers import TOKEN

ADDRESS = "/models/waist/c.pw/3/weights"
STATES = ["", "?bypass=1&top=4", "?bypass=depthwise&inputs=c.pw/3,b.pwl/2", "?bypass=1&between=1&pin=b.pwl/2&sign=-"]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waist_atlas(tmp_path_factory.mktemp("waist") / "atlas")


@pytest.fixture(scope="module")
def visitor(atlas: Path) -> Iterator[TestClient]:
    with TestClient(create_app(AppSettings(atlas))) as found:
        yield found


@pytest.fixture(scope="module")
def writer(atlas: Path) -> Iterator[TestClient]:
    with TestClient(create_app(AppSettings(atlas, write_token=TOKEN))) as found:
        yield found


def explored(visitor: TestClient, state: str) -> dict[str, Any]:
    answer = visitor.get(f"/api/v1{ADDRESS}{state}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ends(edge: dict[str, Any]) -> tuple[tuple[str, int], tuple[str, int]]:
    return (edge["source"]["layer"], edge["source"]["unit"]), (edge["target"]["layer"], edge["target"]["unit"])


@pytest.mark.parametrize("state", STATES)
def test_saved_circuit_has_the_units_weights_and_numbers_of_the_explorer(
    visitor: TestClient, writer: TestClient, state: str
) -> None:
    page = explored(visitor, state)
    document = visitor.get(page["links"]["circuit_file"]).text
    answer = writer.post("/circuits/new", data={"document": document, "token": TOKEN}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    circuit = writer.get(f"/api/v1{answer.headers['location']}").json()
    cards = [(card["layer"], card["unit"]) for column in page["columns"] for card in column["units"]]
    assert [(unit["layer"], unit["unit"]) for unit in circuit["units"]] == cards
    found = {ends(edge): edge for edge in circuit["edges"]}
    assert len(found) == len(page["edges"]) > 3
    assert circuit["is_same_weights"]
    for edge in page["edges"]:
        saved = found[(edge["source_layer"], edge["source_unit"]), (edge["target_layer"], edge["target_unit"])]
        for number in ("norm", "sum"):
            assert saved[number] == pytest.approx(edge[number], rel=1e-9), number
        assert (saved["exact"], saved["over"]) == (edge["exact"], edge["over"])
        assert saved["status"] == ("expanded" if edge["over"] else "direct")
        assert writer.get(saved["links"]["picture"]).status_code == 200


def test_without_the_layers_it_leads_over_an_edge_has_other_numbers(visitor: TestClient, atlas: Path) -> None:
    page = explored(visitor, "?bypass=1&top=20")
    document = json.loads(visitor.get(page["links"]["circuit_file"]).text)
    reader = AtlasReader(atlas)
    catalog = reader.catalog("waist", reader.revision())
    whole = edge_numbers(reader, catalog, parse_circuit(json.dumps(document)).edges)
    for edge in document["edges"]:
        edge.pop("over")
    other = edge_numbers(reader, catalog, parse_circuit(json.dumps(document)).edges)
    skipping = [key for key in whole if key[0][0] == "a.pw"]
    assert skipping
    for key in skipping:  # other paths lead over b.pw
        assert whole[key].norm != pytest.approx(other[key].norm, rel=1e-3)
    for key in whole.keys() - set(skipping):
        assert whole[key].norm == pytest.approx(other[key].norm, rel=1e-9)
        assert (whole[key].share, whole[key].rank) == (pytest.approx(other[key].share), other[key].rank)


def test_file_is_what_the_import_accepts(visitor: TestClient, atlas: Path) -> None:
    text = visitor.get(explored(visitor, "?bypass=1")["links"]["circuit_file"]).text
    reader = AtlasReader(atlas)
    circuit = admit(reader, parse_circuit(text))
    assert circuit.weights_sha256 == reader.catalog("waist", reader.revision()).model.weights_sha256
    record, is_new = UserDb(atlas).add(circuit)
    assert is_new
    assert record.circuit == circuit
    assert circuit.title == "Around c.pw 3"


def test_form_is_filled_in_and_a_reading_server_offers_the_file(visitor: TestClient, writer: TestClient) -> None:
    links = explored(visitor, "?bypass=1&top=2")["links"]
    for one, is_writable in ((visitor, False), (writer, True)):
        page = one.get(links["circuit"]).text
        assert ("<textarea" in page) == is_writable
        assert "&#34;over&#34;:[&#34;b.dw&#34;,&#34;b.pwl&#34;]" in page
        assert "download>Download the document</a>" in page
        twin = one.get(f"/api/v1{links['circuit']}").json()
        assert twin["document"] == one.get(twin["links"]["file"]).text
        assert twin["links"]["explorer"] == f"{ADDRESS}?top=2&bypass=1"
    titled = visitor.get(f"/api/v1{links['circuit']}&title=Mine").json()
    assert json.loads(titled["document"])["title"] == "Mine"


def test_page_leads_to_the_form_without_scripts(visitor: TestClient) -> None:
    html = visitor.get(f"{ADDRESS}?bypass=1").text
    assert ">Save as circuit</a>" in html
    assert ">Circuit (JSON)</a>" in html


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/models/waist/c.pw/3", 400, "not the address of a weight explorer"),
        ("http://elsewhere/models/waist/c.pw/3/weights", 400, "not the address of a weight explorer"),
        ("/models/waist/c.pw/99/weights", 404, "99"),
        ("/models/waist/c.pv/3/weights", 404, "c.pw"),
        ("/models/waist/c.pw/3/weights?tip=4", 400, "top"),
    ],
)
def test_impossible_explorers_are_told(visitor: TestClient, address: str, status: int, words: str) -> None:
    answer = visitor.get("/api/v1/circuits/new", params={"explorer": address})
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_too_much_for_a_circuit_says_how_to_have_less(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("precompute.circuits.circuit.MAX_BYTES", 256)
    answer = visitor.get(f"/api/v1{explored(visitor, '?bypass=1')['links']['circuit']}")
    assert answer.status_code == 400
    assert "raise the threshold" in answer.json()["detail"]


def test_edge_over_layers_that_do_not_lie_between_is_refused(atlas: Path) -> None:
    ends = [{"layer": "a.pw", "unit": 1}, {"layer": "b.pw", "unit": 2}]
    document = {
        "model": "waist",
        "title": "T",
        "units": ends,
        "edges": [{"source": ends[0], "target": ends[1], "over": ["b.dw"]}],
    }
    with pytest.raises(UsageError, match="does not come between"):
        admit(AtlasReader(atlas), parse_circuit(json.dumps(document)))


def test_way_that_does_not_lead_there_has_no_numbers(atlas: Path) -> None:
    ends = [{"layer": "a.pw", "unit": 1}, {"layer": "c.pw", "unit": 2}]
    document = {
        "model": "waist",
        "title": "T",
        "units": ends,
        "edges": [{"source": ends[0], "target": ends[1], "over": ["b.dw"]}],
    }
    reader = AtlasReader(atlas)
    edges = admit(reader, parse_circuit(json.dumps(document))).edges
    (found,) = edge_numbers(reader, reader.catalog("waist", reader.revision()), edges).values()
    assert (found.status, found.norm) == ("not_linked", None)


def test_limits_of_the_explorer_are_within_those_of_a_circuit() -> None:
    from precompute.circuits.circuit import MAX_EDGES, MAX_UNITS

    assert explorer.MAX_CARDS <= MAX_UNITS
    assert explorer.MAX_EDGES <= MAX_EDGES
