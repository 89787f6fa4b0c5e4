"""What people say: by forms and by programs, shown where it belongs, escaped everywhere, and taken elsewhere."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.annotations.document import MAX_BYTES
from precompute.store.annotations import Annotations
from tests.fixture_annotations import GONE_ID, LABEL_ID, LIST_ID, NOTE_ID, SCRIPT
from tests.writers import BEARER, TOKEN, problem

UNIT = "/models/tiny_a/stem/5"
ABOUT: dict[str, Any] = {"model": "tiny_a", "layer": "stem", "unit": 5}
LABEL: dict[str, Any] = {"kind": "label", "about": ABOUT, "text": "curve detector", "author": "A. Reader"}
API = "/api/v1/annotations"


def save(writer: TestClient, **fields: Any) -> dict[str, Any]:
    answer = writer.post(API, json=fields, headers=BEARER)
    assert answer.status_code == 201, answer.text
    return answer.json()


# -- programs ----------------------------------------------------------------------------------------------------------


def test_label_stands_on_every_page_that_shows_the_unit(writer: TestClient) -> None:
    before = writer.get(f"/api/v1{UNIT}").json()
    assert before["labels"] == []
    made = save(writer, **LABEL)
    assert made["links"]["html"] == f"/annotations/{made['id']}"
    unit = writer.get(f"/api/v1{UNIT}").json()
    assert [(one["text"], one["author"]) for one in unit["labels"]] == [("curve detector", "A. Reader")]
    assert {name: unit[name] for name in unit if name not in {"labels", "said"}} == {
        name: before[name] for name in before if name not in {"labels", "said"}
    }
    for address in (UNIT, "/models/tiny_a/stem", "/annotations", made["links"]["html"]):
        assert "curve detector" in writer.get(address).text, address
    summaries = writer.get("/api/v1/models/tiny_a/stem").json()["items"]
    assert [item["index"] for item in summaries if "curve detector" in item["labels"]] == [5]
    assert "curve detector" not in writer.get("/models/tiny_a/stem/6").text


def test_layers_models_and_images_are_spoken_of_too(writer: TestClient) -> None:
    image = writer.get("/api/v1/stimuli/4").json()
    dataset = writer.get(f"/api/v1{UNIT}").json()["provenance"]["dataset"]
    for about, address in (
        ({"model": "tiny_a", "layer": "stem"}, "/models/tiny_a/stem"),
        ({"model": "tiny_a"}, "/models/tiny_a"),
        ({"dataset": dataset, "stimulus": image["key"]}, "/stimuli/4"),
    ):
        save(writer, kind="note", about=about, text=f"About **{address}**", author="B")
        assert f"About <strong>{address}</strong>" in writer.get(address).text
        assert writer.get(f"/api/v1{address}").json()["said"]["notes"][-1]["text"] == f"About **{address}**"


def test_evidence_is_shown_with_pictures_and_led_back_from(client: TestClient) -> None:
    unit = client.get("/api/v1/models/tiny_a/blocks.0.pw/7").json()
    evidence = next(one for one in unit["labels"] if one["id"] == LABEL_ID)["evidence"]
    assert [(one["kind"], one["speaks"], one["exists"]) for one in evidence] == [
        ("unit", "for", True),
        ("stimulus", "against", True),
        ("unit", "for", False),
    ]
    assert evidence[0]["links"]["html"] == "/models/tiny_a/stem/3"
    assert evidence[1]["thumbnail"].startswith("/media/")
    for address in ("/models/tiny_a/stem/3", evidence[1]["links"]["html"]):
        named = client.get(f"/api/v1{address}").json()["said"]["evidence_for"]
        assert [one["id"] for one in named] == [LABEL_ID]
    assert "not in this atlas" in client.get("/models/tiny_a/blocks.0.pw/7").text


def test_other_weights_are_said_plainly(client: TestClient) -> None:
    note = client.get("/api/v1/models/tiny_b").json()["said"]["notes"][0]
    assert note["is_same_weights"] is False
    assert "written on other weights" in client.get("/models/tiny_b").text
    assert client.get(f"/api/v1/annotations/{NOTE_ID}").json()["annotation"]["is_same_weights"] in {True, False}


def test_revisions_follow_each_other_and_the_late_one_is_told(writer: TestClient, atlas: Path) -> None:
    made = save(writer, **LABEL)
    path = f"{API}/{made['id']}"
    changed = LABEL | {"text": "spiral detector"}
    assert writer.put(f"{path}?revision=1", json=changed, headers=BEARER).json()["revision"] == 2
    assert "revision 2" in problem(writer.put(f"{path}?revision=1", json=changed, headers=BEARER), 409)
    assert "revision 2" in problem(writer.delete(f"{path}?revision=1", headers=BEARER), 409)
    assert writer.put(path, json=changed | {"text": "third"}, headers=BEARER).json()["revision"] == 3
    assert "another" in problem(writer.post(API, json=LABEL | {"id": made["id"]}, headers=BEARER), 409)
    assert "Make them the same" in problem(writer.put(path, json=changed | {"id": LABEL_ID}, headers=BEARER), 400)
    assert "is a label" in problem(writer.put(path, json={"kind": "star", "about": ABOUT}, headers=BEARER), 400)
    page = writer.get(path).json()
    assert [state["headline"] for state in page["states"]] == ["curve detector", "spiral detector", "third"]
    assert page["annotation"]["created_at"] == Annotations(atlas).states(made["id"])[0].annotation.created_at
    assert writer.delete(path, headers=BEARER).status_code == 204
    assert "deleted" in problem(writer.get(path), 404)
    problem(writer.delete(path, headers=BEARER), 404)
    assert writer.get(f"/api/v1{UNIT}").json()["labels"] == []
    assert [state.action for state in Annotations(atlas).states(made["id"])] == ["created", "changed", "changed", "deleted"]


def test_same_document_may_come_again(writer: TestClient) -> None:
    document = LABEL | {"id": "label-again-23456789"}
    assert writer.post(API, json=document, headers=BEARER).status_code == 201
    assert writer.post(API, json=document, headers=BEARER).status_code == 200
    assert len(writer.get(f"/api/v1{UNIT}").json()["labels"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (LABEL | {"colour": 1}, 400, "'colour'"),
        (LABEL | {"about": ABOUT | {"unit": 24}}, 404, "0 to 23"),
        (LABEL | {"about": ABOUT | {"layer": "stam"}}, 404, "'stem'"),
        (LABEL | {"about": ABOUT | {"model": "tiny_x"}}, 404, "tiny_a"),
        (LABEL | {"about": ABOUT | {"model": "../../etc"}}, 400, "pattern"),
        (LABEL | {"about": {"dataset": "data-fixture", "stimulus": "../../etc/passwd"}}, 404, "no image"),
        (LABEL | {"about": {"dataset": "data-fixture"}}, 400, "half an image"),
        (LABEL | {"about": {}}, 400, "names nothing"),
        (LABEL | {"about": ABOUT | {"unit": True}}, 400, "about.unit"),
        (LABEL | {"about": ABOUT | {"unit": 1.0}}, 400, "about.unit"),
        (LABEL | {"about": ABOUT | {"unit": 10**30}}, 400, "about.unit"),
        (LABEL | {"id": "../../../user.db"}, 400, "id"),
        (LABEL | {"id": "..%2f..%2fuser.db"}, 400, "id"),
        (LABEL | {"text": "a" * 201}, 400, "200"),
        (LABEL | {"text": "two\nlines"}, 400, "one line"),
        (LABEL | {"text": "\u200b\u2060 \u00ad"}, 400, "nothing to see"),
        (LABEL | {"text": "a\0b"}, 400, "U+0000"),
        (LABEL | {"text": "a\x1b[31m"}, 400, "U+001B"),
        (LABEL | {"author": "a" * 81}, 400, "80"),
        (LABEL | {"author": "a\u2028b"}, 400, "one line"),
        (LABEL | {"evidence": [ABOUT | {"speaks": "loudly"}]}, 400, "for"),
        (LABEL | {"evidence": [ABOUT | {"speaks": "for"}] * 51}, 400, "50"),
        (LABEL | {"evidence": [{"model": "tiny_a", "speaks": "for"}]}, 400, "unit or an image"),
        (LABEL | {"evidence": [ABOUT | {"unit": 99, "speaks": "for"}]}, 404, "0 to 23"),
        (LABEL | {"created_at": "yesterday"}, 400, "no moment"),
        (LABEL | {"created_at": "2026-01-01"}, 400, "time zone"),
        (LABEL | {"updated_at": "9999-12-31T23:59:59+00:00"}, 400, "no year of ours"),
        (LABEL | {"updated_at": "0001-01-01T00:00:00+14:00"}, 400, "no year of ours"),
        (LABEL | {"revision": 0}, 400, "revision"),
        (LABEL | {"weights": {"tiny_a": "nonsense"}}, 400, "weights"),
        (LABEL | {"deleted": True}, 400, "unknown field"),
        ({"kind": "label", "deleted": True}, 400, "DELETE"),
        ({"kind": "note", "about": ABOUT, "text": "a" * 10_001}, 400, "10000"),
        ({"kind": "note", "about": ABOUT, "text": " \n "}, 400, "nothing to see"),
        ({"kind": "star", "about": ABOUT, "text": "a"}, 400, "unknown field"),
        ({"kind": "list", "title": "L", "items": [ABOUT, ABOUT]}, 400, "items[1]"),
        ({"kind": "list", "title": "L", "items": [{"model": "tiny_a"}]}, 400, "units and layers"),
        ({"kind": "list", "title": "L", "items": [ABOUT | {"unit": n} for n in range(501)]}, 400, "500"),
        ({"kind": "poem"}, 400, "label, note, star, list"),
        ({"kind": ["label"]}, 400, "label, note, star, list"),
        ([], 400, "object"),
        (None, 400, "object"),
    ],
    ids=lambda value: json.dumps(value)[:60] if not isinstance(value, int) else "",
)
def test_wrong_document_is_refused_with_words(writer: TestClient, atlas: Path, body: Any, status: int, words: str) -> None:
    before = Annotations(atlas).everything()
    sent: dict[str, Any] = {"content": json.dumps(body), "headers": BEARER | {"Content-Type": "application/json"}}
    assert words in problem(writer.post(API, **sent), status)
    problem(writer.put(f"{API}/{LABEL_ID}", **sent), status)
    assert Annotations(atlas).everything() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"kind": "label", "kind": "note"}',
        b'{"kind": "label", "text": "\\ud800", "about": {"model": "tiny_a"}}',
        b'{"kind": "label", "text": "\\udfff\\ud800", "about": {"model": "tiny_a"}}',
        b'{"kind": NaN}',
        b"9" * 200_000,
        b'{"kind": "label", "about": {"model": "tiny_a", "model": "tiny_b"}, "text": "x"}',
        b'{"kind": "label", "about": {"model": "tiny_a", "layer": "stem", "unit": 1e999}, "text": "x"}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_json_is_refused(writer: TestClient, atlas: Path, body: bytes) -> None:
    before = Annotations(atlas).everything()
    kind = {"Content-Type": "application/json"}
    problem(writer.post(API, content=body, headers=BEARER | kind), 400)
    problem(writer.put(f"{API}/{LABEL_ID}", content=body, headers=BEARER | kind), 400)
    assert Annotations(atlas).everything() == before


@pytest.mark.parametrize("field", ["text", "author", "id", "kind", "created_at"])
def test_value_of_a_million_letters_is_refused(writer: TestClient, field: str) -> None:
    problem(writer.post(API, json=LABEL | {field: "a" * 1_000_000}, headers=BEARER), 413)
    assert problem(writer.post(API, json=LABEL | {field: "a" * (MAX_BYTES - 1000)}, headers=BEARER), 400)
    form = {"about": UNIT, "kind": "label", "text": "x", "token": TOKEN} | ({field: "a" * 1_000_000})
    assert writer.post("/annotations/new", data=form).status_code == 413


def test_list_that_would_be_too_large_for_export_is_refused(writer: TestClient) -> None:
    items = [ABOUT | {"layer": "stem", "unit": n, "remark": "é" * 500} for n in range(24)]
    items += [{"model": "tiny_a", "layer": "blocks.0.pw", "unit": n, "remark": "é" * 500} for n in range(24)]
    assert save(writer, kind="list", title="Large", items=items)
    assert problem(writer.post(API, json={"kind": "list", "title": "L", "items": items * 3}, headers=BEARER), 400)


def test_documentation_names_what_writes(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()["paths"]
    assert set(described[API]) >= {"get", "post"}
    assert set(described[f"{API}/{{annotation}}"]) >= {"get", "put", "delete"}
    assert f"{API}/export.jsonl" in described
    schema = client.get(f"{API}/schema.json")
    assert schema.headers["content-type"] == "application/schema+json"
    exported = json.loads(client.get(f"{API}/export.jsonl?id={LABEL_ID}").text)
    assert set(exported) <= set(schema.json()["$defs"]["Label"]["properties"])
    for path, methods in (
        (API, "GET, HEAD, POST"),
        (f"{API}/{LABEL_ID}", "GET, HEAD, PUT, DELETE"),
        (f"{API}/schema.json", "GET, HEAD"),
        (f"{API}/export.jsonl", "GET, HEAD"),
        ("/annotations/new", "GET, HEAD, POST"),
        (f"/lists/{LIST_ID}", "GET, HEAD, POST"),
    ):
        answer = client.request("PATCH", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_export_is_what_the_command_writes_and_holds_deletions(client: TestClient, fixture_atlas: Path) -> None:
    answer = client.get(f"{API}/export.jsonl")
    assert answer.headers["content-type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == len(Annotations(fixture_atlas).everything())
    gone = next(line for line in lines if line["id"] == GONE_ID)
    assert gone["deleted"] is True
    assert "taken back" not in answer.text
    assert [line["kind"] for line in map(json.loads, client.get(f"{API}/export.jsonl?kind=list").text.splitlines())] == ["list"]
    problem(client.get(f"{API}/export.jsonl?kind=poem"), 400)
    problem(client.get(f"{API}/export.jsonl?id=..%2fx"), 404)


def test_what_people_say_changes_the_etag_of_the_pages_that_show_it(writer: TestClient) -> None:
    pages = (UNIT, "/models/tiny_a/stem", "/models/tiny_a", "/stimuli/4", "/lists", "/annotations")
    before = {address: writer.get(address).headers["etag"] for address in pages}
    untouched = writer.get("/circuits").headers["etag"]
    save(writer, **LABEL)
    for address, etag in before.items():
        assert writer.get(address, headers={"If-None-Match": etag}).status_code == 200, address
    assert writer.get("/circuits").headers["etag"] == untouched


# -- forms -------------------------------------------------------------------------------------------------------------


def test_forms_say_change_and_take_back(writer: TestClient) -> None:
    form = {"about": UNIT, "kind": "label", "text": " curves ", "author": "A", "token": TOKEN}
    evidence = {
        "evidence_for": "/models/tiny_a/stem/1 the same\r\n\r\n/stimuli/4",
        "evidence_against": f"http://x.example{UNIT[:-1]}6?a=b#c",
    }
    answer = writer.post("/annotations/new", data=form | evidence)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{UNIT}#said")
    label = writer.get(f"/api/v1{UNIT}").json()["labels"][0]
    assert label["text"] == "curves"
    assert [(one["speaks"], one["links"]["html"], one["remark"]) for one in label["evidence"]] == [
        ("for", "/models/tiny_a/stem/1", "the same"),
        ("for", "/stimuli/4", None),
        ("against", "/models/tiny_a/stem/6", None),
    ]
    page = writer.get(f"/annotations/{label['id']}").text
    assert "/models/tiny_a/stem/1 the same\n/stimuli/4</textarea>" in page
    changed = form | evidence | {"text": "spirals", "revision": "1"}
    assert writer.post(f"/annotations/{label['id']}", data=changed).headers["location"] == f"/annotations/{label['id']}"
    late = writer.post(f"/annotations/{label['id']}", data=changed | {"text": "too late <b>"})
    assert late.status_code == 409
    assert "too late &lt;b&gt;" in late.text
    assert TOKEN not in late.text
    gone = writer.post(f"/annotations/{label['id']}", data={"token": TOKEN, "revision": "2", "action": "delete"})
    assert gone.headers["location"] == "/annotations"
    assert writer.get(f"/api/v1{UNIT}").json()["labels"] == []


def test_star_is_set_and_taken_away_by_the_same_form(writer: TestClient) -> None:
    form = {"about": UNIT, "kind": "star", "author": "A", "token": TOKEN}
    for expected in (1, 0, 1):
        assert writer.post("/annotations/new", data=form).status_code == 303
        assert len(writer.get(f"/api/v1{UNIT}").json()["said"]["stars"]) == expected
    writer.post("/annotations/new", data=form | {"author": "B"})
    assert [one["author"] for one in writer.get(f"/api/v1{UNIT}").json()["said"]["stars"]] == ["A", "B"]
    assert "★ 2" in writer.get(UNIT).text


@pytest.mark.parametrize(
    "about", ["https://evil.example/models/tiny_a/stem/5", "//evil.example/models/tiny_a/stem/5", f"{UNIT}/weights?x=1"]
)
def test_form_leads_back_to_our_own_page_alone(writer: TestClient, about: str) -> None:
    form = {"about": about, "kind": "label", "text": "x", "token": TOKEN}
    assert writer.post("/annotations/new", data=form).headers["location"] == f"{UNIT}#said"


def test_form_that_is_refused_keeps_what_was_written(writer: TestClient, atlas: Path) -> None:
    before = Annotations(atlas).everything()
    good = {"about": UNIT, "kind": "label", "text": f"kept {SCRIPT}", "author": f"me {SCRIPT}", "token": TOKEN}
    for change, status, words in (
        ({"token": "wrong"}, 401, "token is another one"),
        ({"token": ""}, 401, "needs the token"),
        ({"text": ""}, 400, "text"),
        ({"kind": "list"}, 400, "about"),
        ({"kind": SCRIPT}, 400, "one of"),
        ({"about": f"/models/tiny_a/{SCRIPT}/1"}, 400, "not the address"),
        ({"about": "/models/tiny_a/stem/99"}, 404, "0 to 23"),
        ({"about": ""}, 400, "not the address"),
        ({"evidence_for": "nonsense"}, 400, "nonsense"),
        ({"evidence_for": "/stimuli/99999"}, 404, "99999"),
        ({"evidence_for": "\n".join(["/stimuli/4"] * 51)}, 400, "51 lines"),
    ):
        answer = writer.post("/annotations/new", data=good | change)
        assert answer.status_code == status, answer.text[:500]
        shown = html.unescape(answer.text)
        assert words in shown
        assert "Not saved." in shown
        assert "text" in change or f"kept {SCRIPT}" in shown
        assert "<script>alert" not in answer.text
        assert TOKEN not in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert Annotations(atlas).everything() == before


def test_field_that_is_given_twice_is_refused(writer: TestClient, atlas: Path) -> None:
    before = Annotations(atlas).everything()
    body = f"about={UNIT}&kind=label&text=a&text=b&token={TOKEN}".encode()
    answer = writer.post("/annotations/new", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400
    assert Annotations(atlas).everything() == before


def test_without_a_token_set_pages_show_how_and_no_form(client: TestClient, fixture_atlas: Path) -> None:
    before = Annotations(fixture_atlas).everything()
    for address in (UNIT, "/annotations/new", "/lists/new", f"/annotations/{LABEL_ID}", f"/lists/{LIST_ID}", "/models/tiny_a"):
        text = client.get(address).text
        assert 'method="post"' not in text
    assert "unitscope annotations import" in client.get(UNIT).text
    for address in ("/annotations/new", "/lists/new", f"/annotations/{LABEL_ID}", f"/lists/{LIST_ID}"):
        assert client.post(address, data={"about": UNIT, "kind": "label", "text": "x", "token": ""}).status_code == 403
    assert Annotations(fixture_atlas).everything() == before


# -- lists -------------------------------------------------------------------------------------------------------------


def test_list_of_a_filtered_layer_holds_what_the_page_shows_in_its_order(writer: TestClient) -> None:
    address = "/models/tiny_a/stem?sort=max&min.max=1&limit=3"
    shown = writer.get(f"/api/v1{address.replace('limit=3', 'limit=500')}").json()
    link = writer.get(f"/api/v1{address}").json()["links"]["list"]
    form = writer.get(f"/api/v1{link}").json()
    assert [item["unit"] for item in form["items"]] == [item["index"] for item in shown["items"]]
    assert form["left_out"] == 0
    made = writer.post("/lists/new", data=form["fields"] | {"title": "Strong", "author": "A", "token": TOKEN})
    assert made.status_code == 303, made.text[:500]
    page = writer.get(f"/api/v1{made.headers['location']}").json()
    assert page["title"] == "Strong"
    assert [(one["model"], one["layer"], one["unit"]) for one in page["items"]] == [
        ("tiny_a", "stem", item["index"]) for item in shown["items"]
    ]
    first = page["items"][0]["links"]["html"]
    assert writer.get(f"/api/v1{first}").json()["said"]["lists"][0]["headline"] == "Strong"
    quick = writer.get(f"/api/v1{page['links']['quick']}").json()
    assert [one["links"] for one in quick["items"]] == [one["links"] for one in page["items"]]
    assert quick["id"] is None


def test_list_of_a_search_holds_the_units_that_were_found(writer: TestClient) -> None:
    found = writer.get("/api/v1/search?q=stem%203&limit=200").json()["items"]
    units = [item["link"] for item in found if item["kind"] == "unit"]
    form = writer.get("/api/v1/lists/new?from=/search%3Fq%3Dstem%25203").json()
    assert [item["links"]["html"] for item in form["items"]] == units


def test_list_is_changed_and_deleted_by_its_form(writer: TestClient) -> None:
    fields = {"title": "L", "text": "", "items": f"{UNIT} first\n/models/tiny_b/stem", "author": "A", "token": TOKEN}
    address = writer.post("/lists/new", data=fields).headers["location"]
    page = writer.get(f"/api/v1{address}").json()
    assert [(one["name"], one["remark"]) for one in page["items"]] == [("stem / 5", "first"), ("stem", None)]
    turned = page["fields"] | {"items": "\n".join(reversed(page["fields"]["items"].split("\n"))), "token": TOKEN}
    assert writer.post(address, data=turned).headers["location"] == address
    assert [one["name"] for one in writer.get(f"/api/v1{address}").json()["items"]] == ["stem", "stem / 5"]
    refused = writer.post(address, data=turned | {"revision": "2", "items": "/docs"})
    assert refused.status_code == 400
    assert "/docs</textarea>" in refused.text
    assert writer.post(address, data={"token": TOKEN, "revision": "2", "action": "delete"}).headers["location"] == "/lists"
    assert writer.get(address).status_code == 404


def test_quick_list_needs_no_file_and_makes_none(tmp_path: Path, fixture_atlas: Path) -> None:
    atlas = tmp_path / "atlas"
    atlas.mkdir()
    shutil.copy(fixture_atlas / "atlas.db", atlas / "atlas.db")
    with TestClient(create_app(AppSettings(atlas))) as looker:
        address = "/lists/quick?title=A%20%3Cb%3E&text=*why*&units=tiny_a/stem:1.5-7;tiny_b/head.fc:0;tiny_b/stem"
        page = looker.get(f"/api/v1{address}").json()
        assert [one["name"] for one in page["items"]] == ["stem / 1", "stem / 5", "stem / 6", "stem / 7", "head.fc / 0", "stem"]
        text = looker.get(address).text
        assert "A &lt;b&gt;" in text
        assert "<em>why</em>" in text
        assert looker.get(page["links"]["save"]).status_code == 200
        for other in ("/annotations", "/lists", UNIT, "/api/v1/annotations/export.jsonl"):
            assert looker.get(other).status_code == 200
        assert not list(atlas.glob("user.db*"))


def test_filters_by_label_know_what_people_call_a_unit(writer: TestClient) -> None:
    layer, model = "/api/v1/models/tiny_a/stem", "/api/v1/models/tiny_a/units"
    asked = [f"{layer}?label=DETECTOR", f"{layer}?label=ve%20det&sort=max", f"{model}?label=curve%20detector"]
    assert [writer.get(address).json()["total"] for address in asked] == [0, 0, 0]
    save(writer, **LABEL)
    for address in asked:
        found = writer.get(address).json()
        assert found["total"] == 1
        assert [item["index"] for item in found["items"]] == [5]
    assert writer.get(f"{layer}?label=line").json()["total"] == 0
    save(writer, **{**LABEL, "text": "\u00c4ste"})
    assert writer.get(f"{layer}?label=%C3%A4ST").json()["total"] == 1
    assert writer.get(f"{model}?label=curve%20line").json()["total"] == 0


def test_search_finds_what_people_said_and_leads_to_it(writer: TestClient) -> None:
    assert writer.get("/api/v1/search?q=zebra%20stri").json()["total"] == 0
    save(writer, **LABEL | {"text": "Zebra stripes"})
    save(writer, kind="note", about={"model": "tiny_b"}, text="zebra stripes *everywhere*", author="B")
    made = save(writer, kind="list", title="Zebra stripes", items=[ABOUT])
    found = writer.get("/api/v1/search?q=zebra%20stri").json()["items"]
    assert {(one["kind"], one["link"]) for one in found} == {
        ("label", UNIT),
        ("note", "/models/tiny_b"),
        ("list", made["links"]["list"]),
    }
    assert "Zebra stripes" in writer.get("/search?q=zebra%20stri").text
    for query in ('"', "words:", "NEAR(", "*", "zebra OR", "\x00"):
        assert writer.get("/api/v1/search", params={"q": query}).status_code == 200


# -- hostile -----------------------------------------------------------------------------------------------------------


def test_host_that_was_bound_anew_can_write_nothing_and_leads_nowhere(writer: TestClient, atlas: Path) -> None:
    """A page whose name was pointed to this machine is of the same origin for the browser; it does not know the token."""
    before = Annotations(atlas).everything()
    rebound = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000", "Sec-Fetch-Site": "same-origin"}
    assert writer.post(API, json=LABEL, headers=rebound).status_code == 401
    form = {"about": UNIT, "kind": "label", "text": "x", "token": ""}
    answer = writer.post("/annotations/new", data=form, headers=rebound)
    assert answer.status_code == 401
    assert Annotations(atlas).everything() == before
    for address in (UNIT, "/annotations", f"/lists/{LIST_ID}", f"{API}/{LABEL_ID}"):
        answer = writer.get(address, headers={"Host": "evil.example:8000"})
        assert "evil.example" not in answer.text + str(answer.headers)
    made = writer.post("/annotations/new", data=form | {"token": TOKEN}, headers=rebound)
    assert made.headers["location"] == f"{UNIT}#said"


def test_every_text_is_escaped_on_every_page_that_shows_it(client: TestClient) -> None:
    unit = "/models/tiny_a/blocks.0.pw/7"
    shown: dict[str, list[str]] = {
        unit: ["Label", "Author", "For", "Against", "Note", "List"],
        "/models/tiny_a/blocks.0.pw": ["Label"],
        "/models/tiny_a/stem/3": ["Label"],
        "/annotations": ["Label", "Author", "For", "Against", "Note", "List"],
        f"/annotations/{LABEL_ID}": ["Label", "Author", "For", "Against"],
        f"/annotations/{NOTE_ID}": ["Note"],
        "/lists": ["List", "Note", "Author"],
        f"/lists/{LIST_ID}": ["List", "Note", "Remark", "Author"],
    }
    for address, words in shown.items():
        text = client.get(address).text
        assert "<script>alert" not in text, address
        assert "javascript:" not in "".join(re.findall(r'href="([^"]*)"', text)), address
        assert "<img src=x" not in text, address
        assert "example.org/p.png" not in "".join(re.findall(r'src="([^"]*)"', text)), address
        for word in words:
            assert f"{word} {SCRIPT}" in html.unescape(text), (address, word)


def test_letters_that_turn_the_text_are_kept_apart(client: TestClient) -> None:
    text = client.get("/models/tiny_a/blocks.0.pw/7").text
    assert '<b class="label">turned\u202e round</b>' in text
    assert "<bdi>\u202eABC</bdi>" in text
    assert ".label, .glabel, bdi { unicode-bidi: isolate" in client.get("/static/x/app.css").text
