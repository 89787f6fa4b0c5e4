"""Writing: off by default, with a token and from our own pages only, never more than a document, and nothing but circuits."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.server import create_app_from_environment
from app.settings import AppSettings
from precompute.circuits.circuit import MAX_BYTES, parse_stored
from precompute.errors import UsageError
from precompute.store.annotations import Annotations
from precompute.store.user_db import UserDb
from precompute.write_token import make_token_file, read_token
from tests.fixture_annotations import LABEL_ID, LIST_ID
from tests.fixture_circuits import DOCUMENT, SCRIPT
from tests.writers import BEARER, TOKEN, problem

HOSTILE = "hostile-23456789"
STAR = {"kind": "star", "about": {"model": "tiny_a", "layer": "stem", "unit": 1}}
WRITES = [
    ("POST", "/api/v1/circuits", DOCUMENT),
    ("PUT", f"/api/v1/circuits/{HOSTILE}", DOCUMENT),
    ("DELETE", f"/api/v1/circuits/{HOSTILE}", None),
    ("POST", "/api/v1/views", {"address": "/docs"}),
    ("POST", "/api/v1/annotations", STAR),
    ("PUT", f"/api/v1/annotations/{LABEL_ID}", STAR),
    ("DELETE", f"/api/v1/annotations/{LABEL_ID}", None),
]
FORMS = (
    "/circuits/new",
    "/annotations/new",
    "/lists/new",
    f"/annotations/{LABEL_ID}",
    f"/lists/{LIST_ID}",
)


def snapshot(atlas: Path) -> list[Any]:
    users = UserDb(atlas)
    said = Annotations(atlas)
    return [users.circuits(), users.revisions(HOSTILE), users.stamp(), said.everything(), said.stamp()]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: value if isinstance(value, str) else "")
def test_without_a_token_set_nobody_writes_and_the_next_step_is_named(
    client: TestClient, fixture_atlas: Path, method: str, path: str, body: Any
) -> None:
    before = snapshot(fixture_atlas)
    for headers in ({}, BEARER, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        detail = problem(client.request(method, path, json=body, headers=headers), 403)
        assert "--write" in detail
    assert client.post("/circuits/new", data={"document": "{}", "token": ""}).status_code == 403
    assert snapshot(fixture_atlas) == before


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer \u00fc"],
    ids=lambda given: repr(given),
)
def test_wrong_token_is_refused(writer: TestClient, atlas: Path, method: str, path: str, body: Any, given: str | None) -> None:
    before = snapshot(atlas)
    headers: Any = {} if given is None else {"Authorization": given.encode("latin-1")}
    answer = writer.request(method, path, json=body, headers=headers)
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text
    assert snapshot(atlas) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:81"},
        {"Origin": "http://["},
        {"Origin": "file://testserver"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_page_of_another_site_is_refused_even_with_the_token(writer: TestClient, atlas: Path, headers: dict[str, str]) -> None:
    before = snapshot(atlas)
    for method, path, body in WRITES:
        assert "Another site" in writer.request(method, path, json=body, headers=BEARER | headers).text
    form = {"document": json.dumps(DOCUMENT), "about": "/models/tiny_a/stem/1", "kind": "star", "title": "L", "token": TOKEN}
    for address in FORMS:
        assert writer.post(address, data=form, headers=headers).status_code == 403, address
    assert snapshot(atlas) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver"},
        {"Origin": "https://TESTSERVER"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_own_page_and_program_may_write(writer: TestClient, headers: dict[str, str]) -> None:
    assert writer.post("/api/v1/circuits", json=DOCUMENT, headers=BEARER | headers).status_code == 201


def test_body_of_another_kind_is_refused(writer: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        for path, body in (("circuits", DOCUMENT), ("annotations", STAR)):
            answer = writer.post(f"/api/v1/{path}", content=json.dumps(body), headers=BEARER | {"Content-Type": kind})
            assert "application/json" in problem(answer, 415)


def test_large_body_is_refused_before_it_is_read(writer: TestClient, atlas: Path) -> None:
    before = snapshot(atlas)
    kind = {"Content-Type": "application/json"}
    large = b" " * (MAX_BYTES + 1)
    problem(writer.post("/api/v1/circuits", content=large, headers=BEARER | kind), 413)
    said = {"Content-Length": "99999999999999999999"}
    problem(writer.post("/api/v1/circuits", content=b"{}", headers=BEARER | kind | said), 413)
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 65536

    problem(writer.post("/api/v1/circuits", content=endless(), headers=BEARER | kind), 413)
    problem(writer.post("/api/v1/views", content=large, headers=BEARER | kind), 413)
    problem(writer.post("/api/v1/annotations", content=endless(), headers=BEARER | kind), 413)
    problem(writer.put(f"/api/v1/annotations/{LABEL_ID}", content=large, headers=BEARER | kind), 413)
    for address in FORMS:
        assert writer.post(address, content=large * 3, headers={"Content-Type": "multipart/form-data"}).status_code == 413, (
            address
        )
    assert snapshot(atlas) == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(DOCUMENT | {"colour": 1}, ["'colour'", "Known fields"], id="unknown field"),
        pytest.param(DOCUMENT | {"units": [{"layer": "sten", "unit": 1}], "edges": [], "claims": []}, ["'stem'"], id="layer"),
        pytest.param(DOCUMENT | {"model": "tiny_x"}, ["'tiny_x'", "'tiny_a'"], id="model"),
        pytest.param(DOCUMENT | {"id": "../../../etc/x"}, ["id"], id="traversal in the id"),
        pytest.param(DOCUMENT | {"id": "..%2f..%2fuser.db"}, ["id"], id="coded traversal in the id"),
        pytest.param([], ["object"], id="list"),
        pytest.param({}, ["'title'"], id="empty"),
    ],
)
def test_wrong_document_answers_4xx_with_words(writer: TestClient, atlas: Path, body: Any, words: list[str]) -> None:
    before = snapshot(atlas)
    answer = writer.post("/api/v1/circuits", json=body, headers=BEARER)
    detail = problem(answer, answer.status_code)
    assert answer.status_code in {400, 404}
    assert [word for word in words if word not in detail] == []
    assert snapshot(atlas) == before


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'{"title": NaN}', b'{"a":1,"a":2}', b"9" * 9000])
def test_what_is_no_json_answers_400(writer: TestClient, body: bytes) -> None:
    for path in ("/api/v1/circuits", "/api/v1/views"):
        problem(writer.post(path, content=body, headers=BEARER | {"Content-Type": "application/json"}), 400)


def test_circuit_goes_round_by_export_and_import(writer: TestClient, tmp_path: Path, fixture_atlas: Path) -> None:
    made = writer.post("/api/v1/circuits", json=DOCUMENT, headers=BEARER)
    assert made.headers["location"] == f"/api/v1/circuits/{made.json()['id']}"
    document = writer.get(made.json()["links"]["export"])
    assert document.headers["content-disposition"] == f'attachment; filename="{made.json()["id"]}.json"'
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(fixture_atlas / "atlas.db", elsewhere / "atlas.db")
    with TestClient(create_app(AppSettings(elsewhere, write_token=TOKEN))) as other:
        kind = {"Content-Type": "application/json"}
        assert other.post("/api/v1/circuits", content=document.content, headers=BEARER | kind).status_code == 201
        assert other.post("/api/v1/circuits", content=document.content, headers=BEARER | kind).status_code == 200
        again = other.get(made.json()["links"]["export"])
        assert again.content == document.content
        assert other.get("/api/v1/circuits").json()["total"] == 1
    changed = document.json() | {"title": "Another"}
    assert "PUT" in problem(writer.post("/api/v1/circuits", json=changed, headers=BEARER), 409)


def test_revisions_follow_each_other_and_the_earlier_stay(writer: TestClient) -> None:
    path = f"/api/v1/circuits/{HOSTILE}"
    assert writer.get(path).json()["revision"] == 2
    changed = DOCUMENT | {"summary": "Third"}
    assert writer.put(f"{path}?revision=2", json=changed, headers=BEARER).json()["revision"] == 3
    assert "revision 3" in problem(writer.put(f"{path}?revision=2", json=changed, headers=BEARER), 409)
    assert writer.get(path).json()["summary"] == "Third"
    assert writer.get(path).json()["created_at"] == "2026-01-02T03:04:05+00:00"
    assert SCRIPT in writer.get(f"{path}?revision=1").json()["summary"]
    assert writer.get(f"{path}/export.json?revision=2").json()["summary"] == "Revised"
    assert "same" in problem(writer.put(path, json=changed | {"id": "other-23456789"}, headers=BEARER), 400)
    problem(writer.put("/api/v1/circuits/nobody-23456789", json=changed, headers=BEARER), 404)


def test_deleted_circuit_is_gone_from_the_list_alone(writer: TestClient, atlas: Path) -> None:
    path = f"/api/v1/circuits/{HOSTILE}"
    assert writer.delete(path, headers=BEARER).status_code == 204
    problem(writer.get(path), 404)
    problem(writer.delete(path, headers=BEARER), 404)
    assert [one.action for one in UserDb(atlas).revisions(HOSTILE)] == ["created", "changed", "deleted"]


def test_page_begins_with_how_many_claims_hold(client: TestClient, writer: TestClient) -> None:
    assert "Of 3 numbers that its claims state: 1 holding, 2 not." in client.get(f"/circuits/{HOSTILE}").text
    gone = "Of 3 numbers that its claims state: 0 holding, 0 not, 3 not to be checked."
    assert gone in client.get("/circuits/no-such-model-23456789").text
    for claims, words in (
        (DOCUMENT["claims"][:3], "The number that its claims state holds."),
        ([DOCUMENT["claims"][2]] * 2, "All 2 numbers that its claims state hold."),
        (DOCUMENT["claims"][:2], None),
    ):
        made = writer.post("/api/v1/circuits", json=DOCUMENT | {"claims": claims}, headers=BEARER).json()
        text = writer.get(f"/circuits/{made['id']}").text
        assert words in text if words else "that its claims state" not in text


def test_numbers_of_the_page_are_those_of_the_partner_list(client: TestClient) -> None:
    page = client.get(f"/api/v1/circuits/{HOSTILE}").json()
    edge = page["edges"][1]
    listed = client.get("/api/v1/models/tiny_a/blocks.0.pw/7/weights?direction=inputs&limit=500").json()["items"]
    partner = next(item for item in listed if (item["layer"], item["unit"]) == ("blocks.0.dw", 7))
    for name in ("norm", "sum", "share", "rank", "exact", "kernel"):
        assert edge[name] == partner[name], name
    assert edge["num_inputs"] == len(listed)
    verdicts = [claim["verdict"] for claim in page["claims"]]
    assert verdicts == [None, None, "holds", "does not hold", "does not hold"]
    assert {claim["sum"] for claim in page["claims"][2:4]} == {edge["sum"]}
    distant = page["edges"][2]
    assert distant["status"] == "expanded"
    ends = distant["source"], distant["target"]
    address = (
        f"/api/v1/models/tiny_a/{ends[1]['layer']}/{ends[1]['unit']}/weights?direction=inputs&layer={ends[0]['layer']}&limit=500"
    )
    expanded = next(item for item in client.get(address).json()["items"] if item["unit"] == ends[0]["unit"])
    for name in ("norm", "sum", "share", "rank", "exact"):
        assert distant[name] == expanded[name], name
    text = html.unescape(client.get(f"/circuits/{HOSTILE}").text)
    assert re.search(r"Says sum 100 ± 0\.5, is [−0-9.]+: does not hold\.", text)
    assert "These layers are not next to each other" not in text


@pytest.mark.parametrize("name", ["norm", "sum"])
def test_verdict_turns_at_the_tolerance(writer: TestClient, name: str) -> None:
    edge = writer.get(f"/api/v1/circuits/{HOSTILE}").json()["edges"][1]
    for shift, verdict in ((0.009, "holds"), (0.011, "does not hold"), (-0.011, "does not hold")):
        expected = {"number": name, "value": edge[name] + shift, "tolerance": 0.01}
        claim = DOCUMENT["claims"][2] | {"expected": expected}
        made = writer.post("/api/v1/circuits", json=DOCUMENT | {"claims": [claim]}, headers=BEARER).json()
        assert writer.get(made["links"]["self"]).json()["claims"][0]["verdict"] == verdict


def test_other_weights_and_a_missing_model_are_said_plainly(client: TestClient) -> None:
    other, gone, own = ("other-weights-23456789", "no-such-model-23456789", HOSTILE)
    assert [client.get(f"/api/v1/circuits/{name}").json()["is_same_weights"] for name in (other, gone, own)] == [
        False,
        None,
        True,
    ]
    assert "Made on other weights" in client.get(f"/circuits/{other}").text
    assert "This atlas has no model tiny_z" in client.get(f"/circuits/{gone}").text
    assert "other-weights" not in client.get(f"/circuits/{own}").text
    assert client.get(f"/api/v1/circuits/{gone}").json()["edges"][0]["status"] == "unknown"


def test_every_text_is_escaped(client: TestClient) -> None:
    for address in (f"/circuits/{HOSTILE}?revision=1", "/circuits", f"/circuits/new?revise={HOSTILE}"):
        text = client.get(address).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    shown = html.unescape(client.get(f"/circuits/{HOSTILE}?revision=1").text)
    for word in ("Title", "Summary", "Author", "Role", "Note", "Edge", "Whole", "Unit", "Holds"):
        assert f"{word} {SCRIPT}" in shown


def test_list_changes_its_etag_with_a_write(writer: TestClient) -> None:
    before = writer.get("/circuits").headers["etag"]
    assert writer.get("/circuits", headers={"If-None-Match": before}).status_code == 304
    unit = writer.get("/models/tiny_a/stem/1").headers["etag"]
    writer.post("/api/v1/circuits", json=DOCUMENT, headers=BEARER)
    assert writer.get("/circuits", headers={"If-None-Match": before}).status_code == 200
    assert writer.get("/models/tiny_a/stem/1").headers["etag"] == unit


# -- the form ----------------------------------------------------------------------------------------------------------


def test_form_saves_text_and_files(writer: TestClient) -> None:
    posted: list[dict[str, Any]] = [
        {"data": {"document": json.dumps(DOCUMENT), "token": TOKEN}},
        {"data": {"document": json.dumps(DOCUMENT), "token": TOKEN}, "files": {"file": ("", b"", "application/octet-stream")}},
        {"data": {"document": "{", "token": TOKEN}, "files": {"file": (f"../{SCRIPT}.json", json.dumps(DOCUMENT).encode())}},
    ]
    for given in posted:
        answer = writer.post("/circuits/new", **given)
        assert answer.status_code == 303, answer.text[:2000]
        assert writer.get(answer.headers["location"]).status_code == 200


def test_form_that_is_refused_keeps_what_was_written(writer: TestClient, atlas: Path) -> None:
    before = snapshot(atlas)
    for document, token, status, words in (
        (json.dumps(DOCUMENT), "wrong", 401, "token is another one"),
        (f'{{"title": "{SCRIPT}"', TOKEN, 400, "no JSON"),
        (json.dumps(DOCUMENT | {"model": SCRIPT}), TOKEN, 404, "has no model"),
    ):
        answer = writer.post("/circuits/new", data={"document": document, "token": token})
        assert answer.status_code == status
        assert words in html.unescape(answer.text)
        assert html.escape(document, quote=False)[:40] in answer.text.replace("&#34;", '"')
        assert "<script>alert" not in answer.text
        assert TOKEN not in answer.text
    assert snapshot(atlas) == before


def test_form_revises_and_notices_who_was_faster(writer: TestClient) -> None:
    page = writer.get(f"/circuits/new?revise={HOSTILE}").text
    assert 'name="revision" value="2"' in page
    document = writer.get(f"/api/v1/circuits/{HOSTILE}/export.json").json() | {"title": "By form"}
    fields = {"document": json.dumps(document), "token": TOKEN, "revision": "2"}
    assert writer.post("/circuits/new", data=fields).headers["location"] == f"/circuits/{HOSTILE}"
    assert writer.get(f"/api/v1/circuits/{HOSTILE}").json()["title"] == "By form"
    late = writer.post("/circuits/new", data=fields)
    assert late.status_code == 409
    assert 'name="revision" value="2"' in late.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"a"),
        ("multipart/form-data", b"a"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\xff\r\n--x--"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n\xff\r\n--x--'),
        ("multipart/form-data; boundary=\u00fc", b"--x--"),
        ("application/x-www-form-urlencoded", b"\xff"),
        ("application/x-www-form-urlencoded", b"a=1&" * 20),
        ("application/x-www-form-urlencoded", b"document=a&document=b"),
        ("application/x-www-form-urlencoded", b"nonsense"),
        ("application/x-www-form-urlencoded; charset=utf-7", b"a"),
    ],
)
def test_forged_form_answers_400(writer: TestClient, kind: str, body: bytes) -> None:
    headers: Any = {"Content-Type": kind.encode("latin-1")}
    for address in FORMS:
        answer = writer.post(address, content=body, headers=headers)
        assert answer.status_code == 400, address


# -- the file, the token, the build ------------------------------------------------------------------------------------


def test_looking_never_makes_the_file(atlas: Path) -> None:
    (atlas / "user.db").unlink()
    with TestClient(create_app(AppSettings(atlas, write_token=TOKEN))) as looker:
        for address in ("/circuits", "/api/v1/circuits", "/circuits/new", "/"):
            assert looker.get(address).status_code == 200
        assert looker.get(f"/circuits/{HOSTILE}").status_code == 404
        assert not list(atlas.glob("user.db*"))
        looker.post("/api/v1/circuits", json=DOCUMENT, headers=BEARER)
        assert (atlas / "user.db").is_file()


def test_stored_text_is_the_exported_text(writer: TestClient, atlas: Path) -> None:
    found = UserDb(atlas).circuit(HOSTILE).circuit
    assert parse_stored(writer.get(f"/api/v1/circuits/{HOSTILE}/export.json").text) == found


def test_token_comes_from_a_file_and_never_shows(tmp_path: Path, atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, path = make_token_file()
    try:
        assert read_token(path) == token
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        monkeypatch.setenv("UNITSCOPE_ATLAS", str(atlas))
        monkeypatch.setenv("UNITSCOPE_WRITE_TOKEN_FILE", str(path))
        with TestClient(create_app_from_environment()) as served:
            made = served.post("/api/v1/circuits", json=DOCUMENT, headers={"Authorization": f"Bearer {token}"})
            assert made.status_code == 201
        assert token not in repr(AppSettings(atlas, write_token=token))
    finally:
        path.unlink()


@pytest.mark.parametrize("content", [b"", b"short", b"two words that are long enough", b"\xff" * 20, None], ids=repr)
def test_token_that_is_easy_to_guess_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="token_urlsafe"):
        read_token(path)


def test_schema_is_served_and_an_export_names_only_its_fields(client: TestClient) -> None:
    answer = client.get("/api/v1/circuits/schema.json")
    assert answer.headers["content-type"] == "application/schema+json"
    exported = client.get(f"/api/v1/circuits/{HOSTILE}/export.json").json()
    assert set(exported) <= set(answer.json()["properties"])
    assert set(answer.json()["required"]) <= set(exported)


def test_other_methods_are_named_in_allow(client: TestClient) -> None:
    for path, methods in (
        ("/api/v1/circuits", "GET, HEAD, POST"),
        (f"/api/v1/circuits/{HOSTILE}", "GET, HEAD, PUT, DELETE"),
        ("/api/v1/circuits/schema.json", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ):
        answer = client.request("PATCH", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
