"""Names that come with a model and its images, script in all of them: no page and no twin makes more of them than text."""

from __future__ import annotations

import html
import json
import shutil
import sqlite3
from collections.abc import Iterator, MutableMapping
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from app.words.markdown import REL
from tests.contract.test_pages import ADDRESSES
from tests.writers import TOKEN

SCRIPT = '"\'><script>alert("name")</script><img src=x onerror=alert(1)>'
# Each row its own, since keys are unique.
CHANGES = (
    "UPDATE model SET title = ? || rowid",
    "UPDATE model SET weights_source = ? || rowid",
    "UPDATE model SET spec = ? || rowid",
    "UPDATE dataset SET title = ? || rowid",
    "UPDATE stimulus SET key = ? || rowid",
    "UPDATE stimulus SET label = ? || rowid",
    "UPDATE stimulus SET source = ? || rowid",
    "UPDATE unit SET label = ? || rowid",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, fixture_atlas: Path) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("hostile") / "atlas"
    folder.mkdir()
    for name in ("atlas.db", "user.db"):
        shutil.copy(fixture_atlas / name, folder / name)
    (folder / "blobs").symlink_to(fixture_atlas / "blobs")
    with closing(sqlite3.connect(folder / "atlas.db")) as connection:
        for change in CHANGES:
            connection.execute(change, (SCRIPT,))
        connection.execute("UPDATE model SET labels = ?", (json.dumps([SCRIPT] * 12),))
        connection.commit()
    with TestClient(create_app(AppSettings(folder, write_token=TOKEN)), follow_redirects=False) as found:
        yield found


class Elements(HTMLParser):
    """Collects elements and attributes that no page of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if any(name.startswith("on") or "<" in name or '"' in name for name in names):
            self.problems.append(f"<{tag} {names}>")
        if tag == "script" and not (names.get("src") or "").startswith("/static/"):
            self.problems.append("<script> of somebody else")
        if tag == "img" and not (names.get("src") or "").startswith(("/media/", "/static/")):
            self.problems.append(f"<img> of somebody else: {names}")
        link = names.get("href") or ""
        if tag == "a" and names.get("rel") != REL and link and not link.startswith(("/", "#")):
            self.problems.append(f"a link elsewhere: {link}")


@pytest.mark.parametrize("address", [*ADDRESSES, "/search?q=script", "/models/tiny_a/units"])
def test_no_name_becomes_an_element(hostile: TestClient, address: str) -> None:
    answer = hostile.get(address)
    assert answer.status_code == 200, answer.text[:500]
    found = Elements()
    found.feed(answer.text)
    assert found.problems == []
    assert "<script>alert" not in answer.text


def test_names_are_shown_as_they_are(hostile: TestClient) -> None:
    for address in ("/", "/models/tiny_a", "/models/tiny_a/stem/7", "/models/tiny_a/stem", "/stimuli/4"):
        assert '<script>alert("name")</script>' in html.unescape(hostile.get(address).text), address
        twin = hostile.get(f"/api/v1{address}")
        assert twin.headers["content-type"] == "application/json"
        assert SCRIPT in json.dumps(twin.json(), ensure_ascii=False).replace('\\"', '"')


def test_checker_finds_what_is_let_through() -> None:
    for text in (SCRIPT, "<a href=javascript:alert(1)>", "<p onclick=x>", "<script src=https://e.example/x.js></script>"):
        found = Elements()
        found.feed(text)
        assert found.problems != [], text


def test_value_of_a_million_letters_is_refused_before_it_costs_anything(hostile: TestClient) -> None:
    """The test client refuses such addresses itself, so they are sent past it, as a server without a limit would pass them on."""
    import anyio

    async def ask(path: str, query: bytes) -> int:
        sent: list[int] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                sent.append(int(str(message["status"])))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"testserver")],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "state": {},
        }
        await hostile.app(scope, receive, send)
        return sent[0]

    long = b"a" * 1_000_000
    for path, query in (
        ("/lists/quick", b"units=" + long),
        ("/lists/quick", b"title=" + long),
        ("/lists/quick", b"units=" + b"tiny_a/stem:1;" * 70_000),
        ("/lists/new", b"from=" + long),
        ("/lists/new", b"units=" + b"tiny_a/stem:" + b"1." * 500_000),
        ("/annotations", b"after=" + long),
        ("/annotations", b"model=" + long),
        ("/annotations/new", b"about=" + long),
        ("/search", b"q=" + long),
        ("/annotations/" + "a" * 1_000_000, b""),
        ("/lists/" + "a" * 1_000_000, b""),
        ("/models/tiny_a/stem", b"after=" + long),
    ):
        assert 400 <= anyio.run(ask, path, query) < 500, (path[:30], query[:30])
