"""The promises that every page keeps: a twin, a link to it, an ETag, errors of one shape, no way out of the atlas."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.contexts import Context
from app.main import create_app
from app.pages import PAGES
from app.pages.docs import docs_page
from app.settings import AppSettings
from app.templating import Templates
from app.words.markdown import REL
from tests.addresses import ADDRESSES, EXAMPLES, UNIT
from tests.fixture_atlas import HOSTILE_LABEL

TWINNED = [address for address in ADDRESSES if not address.startswith("/fragments")]
ALL_PAGES = (*PAGES, docs_page(PAGES, lambda: {"paths": {}}))


@pytest.mark.parametrize("address", TWINNED)
def test_page_and_twin_link_to_each_other(client: TestClient, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    link = re.fullmatch(r'<([^>]+)>; rel="alternate"; type="application/json"', page.headers["link"])
    assert link is not None
    twin = client.get(link[1])
    assert twin.headers["content-type"] == "application/json"
    back = twin.json()["links"]["html"]
    assert client.get(back).status_code == 200
    assert back.split("?")[0] == address.split("?")[0]


def test_page_about_the_api_tells_of_everything_that_the_description_has(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()["paths"]
    told = client.get("/api/v1/docs").json()
    listed = [("get", item["twin"]) for item in told["items"]]
    listed += [(item["method"].lower(), item["path"]) for item in told["operations"]]
    assert len(set(listed)) == len(listed)
    assert {(method, path) for path, methods in described.items() for method in methods} == set(listed)
    shown = client.get("/docs").text
    assert all(f"<code>{path}</code>" in shown for path in ("/api/v1/models/{model}/edges.parquet", "/models/{model}/{layer}"))


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_every_page_has_an_example_here(page: Any) -> None:
    assert page.name in EXAMPLES


@pytest.mark.parametrize("page", [page for page in ALL_PAGES if not page.is_fragment], ids=lambda page: page.name)
def test_twin_has_exactly_the_documented_fields(client: TestClient, page: Any) -> None:
    body = client.get(f"/api/v1{EXAMPLES[page.name]}").json()
    documented = [set(context.model_fields) for context in page.contexts]
    assert set(body) in documented


def test_html_and_json_are_made_from_one_context(fixture_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Context] = []
    real = Templates.render

    def spy(self: Templates, context: Context, path: str, **more: Any) -> str:
        shown.append(context)
        return real(self, context, path, **more)

    monkeypatch.setattr(Templates, "render", spy)
    with TestClient(create_app(AppSettings(fixture_atlas, max_kept_bytes=0, max_ready_bytes=0))) as client:
        client.get(UNIT)
        twin = client.get(f"/api/v1{UNIT}").json()
    assert json.loads(shown[0].model_dump_json()) == twin


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("prefix", ["", "/api/v1"], ids=["html", "json"])
def test_unknown_parameter_is_refused_by_name(client: TestClient, prefix: str, address: str) -> None:
    if prefix and address.startswith("/fragments"):
        return
    path = address.split("?")[0]
    answer = client.get(f"{prefix}{path}?colour=red")
    assert answer.status_code == 400
    assert "colour" in answer.text
    if prefix:
        assert answer.headers["content-type"] == "application/problem+json"


def test_labels_are_escaped(client: TestClient) -> None:
    for address in (*ADDRESSES, "/models/tiny_a/head.fc", "/models/tiny_a/head.fc/1/weights", "/search?q=%3Cscript"):
        text = client.get(address).text
        assert "<script>alert" not in text
        assert 'alert("label")' not in text
    assert client.get("/api/v1/models/tiny_a/head.fc/1").json()["label"] == HOSTILE_LABEL


@pytest.mark.parametrize("address", ADDRESSES)
def test_etag_saves_the_second_answer(client: TestClient, address: str) -> None:
    first = client.get(address)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(address, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_etag_differs_between_page_and_twin(client: TestClient) -> None:
    assert client.get(UNIT).headers["etag"] != client.get(f"/api/v1{UNIT}").headers["etag"]


@pytest.mark.parametrize("address", [*ADDRESSES, f"/api/v1{UNIT}", "/healthz", "/api/v1/openapi.json"])
def test_head_answers_like_get_without_a_body(client: TestClient, address: str) -> None:
    assert client.head(address).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    for address in ("/", UNIT, f"/api/v1{UNIT}"):
        assert client.request(method, address).status_code == 405


@pytest.mark.parametrize("address", [*ADDRESSES, "/nowhere", f"/api/v1{UNIT}", "/healthz"])
def test_every_answer_has_the_security_headers(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_only_pages_to_embed_may_be_framed_by_others(client: TestClient) -> None:
    framed = [f"{UNIT}/weights?embed=1", f"{UNIT}?embed=1", "/models/tiny_a/stem?embed=1"]
    kept = [f"{UNIT}/weights", f"{UNIT}/weights?embed=0", UNIT, "/models/tiny_a?embed=1", f"{UNIT}/paths?embed=1", "/?embed=1"]
    for address, is_framed in [*((one, True) for one in framed), *((one, False) for one in kept)]:
        headers = client.get(address).headers
        assert ("frame-ancestors *" in headers["content-security-policy"]) is is_framed
        assert ("x-frame-options" in headers) is not is_framed


class _Checker(HTMLParser):
    """Collects what a page must not have, and the heading levels and addresses that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.levels: list[int] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if "style" in names or any(name.startswith("on") for name in names):
            self.problems.append(f"inline style or script on <{tag}>")
        if tag == "style" or (tag == "script" and "src" not in names):
            self.problems.append(f"<{tag}> with content")
        if tag == "img" and not {"width", "height", "alt"} <= names.keys():
            self.problems.append("<img> without width, height or alt")
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "a" and names.get("rel") == REL:
            return  # a link of somebody's note, which may lead to the web
        self.addresses += [value for name in ("href", "src", "action") if (value := names.get(name))]


@pytest.mark.parametrize("address", [address for address in ADDRESSES if not address.startswith("/fragments")])
def test_markup_is_strict_and_stays_at_home(client: TestClient, address: str) -> None:
    checker = _Checker()
    checker.feed(client.get(address).text)
    assert checker.problems == []
    assert checker.levels[0] == 1
    assert checker.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(checker.levels, checker.levels[1:], strict=False))
    assert all(found.startswith(("/", "#")) and not found.startswith("//") for found in checker.addresses)


def test_lists_are_paged_to_the_end_without_gap_or_repeat(client: TestClient) -> None:
    for start in (
        "/api/v1/models/tiny_a/stem?limit=7",
        "/api/v1/models/tiny_a/stem?limit=7&sort=sparsity",
        "/api/v1/models/tiny_a/stem?limit=7&sort=sparsity&order=asc",
        "/api/v1/models/tiny_a/stem?limit=7&order=desc",
        "/api/v1/stimuli/4?limit=5",
        f"/api/v1{UNIT}/weights?direction=inputs&limit=9",
        "/api/v1/search?q=3&limit=3",
        "/api/v1/circuits?limit=2",
        "/api/v1/annotations?limit=3",
        "/api/v1/annotations?limit=1&model=tiny_a&kind=label",
        "/api/v1/lists?limit=1",
    ):
        address: str | None = start
        found: list[str] = []
        while address:
            body = client.get(address).json()
            found += [json.dumps(item.get("links", {}).get("html") or item.get("link")) for item in body["items"]]
            address = body["next"]
        assert len(found) == len(set(found)) == body["total"], start


def test_start_page_without_an_atlas_tells_how_to_build(tmp_path: Path) -> None:
    with TestClient(create_app(AppSettings(tmp_path / "missing"))) as lone:
        page = lone.get("/")
        assert page.status_code == 200
        assert "unitscope demo" in page.text
        assert lone.get("/docs").status_code == 200
        assert lone.get("/healthz").status_code == 200
        assert lone.get("/models/any").status_code == 503
        twin = lone.get("/api/v1/")
        assert twin.json()["total"] == 0
        (tmp_path / "missing").mkdir()
        (tmp_path / "missing" / "atlas.db").write_bytes(b"not a database, not at all " * 99)
        assert lone.get("/").status_code == 200
        assert lone.get("/models/any").status_code == 503


def test_atlas_that_appears_later_is_shown(tmp_path: Path, fixture_atlas: Path) -> None:
    with TestClient(create_app(AppSettings(tmp_path / "late"))) as lone:
        assert "tiny_a" not in lone.get("/").text
        shutil.copytree(fixture_atlas, tmp_path / "late")
        assert "tiny_a" in lone.get("/").text


def test_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, fixture_atlas: Path) -> None:
    atlas = tmp_path / "atlas"
    shutil.copytree(fixture_atlas, atlas)
    shutil.rmtree(atlas / "cache", ignore_errors=True)
    (atlas / "cache").write_text("a file where the folder would be")
    with TestClient(create_app(AppSettings(atlas))) as lone:
        crop = lone.get(f"/api/v1{UNIT}").json()["examples"]["top"][0]["crop"]
        assert lone.get(crop.split("#")[0]).headers["content-type"] == "image/webp"


def test_web_process_never_needs_torch(fixture_atlas: Path) -> None:
    script = f"""
import sys
for name in ("torch", "torchvision", "timm"):
    sys.modules[name] = None
from pathlib import Path
from fastapi.testclient import TestClient
from app.main import create_app
from app.settings import AppSettings
from app.templating import Templates
client = TestClient(create_app(AppSettings(Path({str(fixture_atlas)!r}))))
for address in {[*TWINNED]!r}:
    assert client.get(address).status_code == 200, address
print("ok")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert run.stdout.strip() == "ok", run.stderr[-2000:]


def test_openapi_lists_every_twin_with_its_parameters(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()["paths"]
    for page in ALL_PAGES:
        if page.is_fragment:
            continue
        names = {parameter["name"] for parameter in described[f"/api/v1{page.path}"]["get"].get("parameters", [])}
        assert {*page.path_names, *(parameter.name for parameter in page.parameters)} == names
