"""Answers that were made once are given again byte by byte, until anything that they show changes; nobody can fill the room."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.ready import Answer, Basis, Recent, make_answer
from app.settings import AppSettings
from precompute.store.writer import AtlasWriter

UNIT = "/models/tiny_a/stem/5"
ADDRESSES = ("/models/tiny_a", "/models/tiny_a/stem?sort=mean", UNIT, f"{UNIT}/weights?embed=1", "/circuits")
TOKEN = "a-token-of-more-than-enough-letters"


def settle(atlas: Path) -> None:
    """Make a database look as if it had been written a while ago: what was written just now is asked again at each request."""
    for path in atlas.glob("*.db*"):
        moment = path.stat().st_mtime - 60
        os.utime(path, (moment, moment))


@pytest.fixture
def atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    """Return an atlas that no build is writing to."""
    copied = Path(shutil.copytree(fixture_atlas, tmp_path / "atlas", ignore=shutil.ignore_patterns("cache")))
    with sqlite3.connect(copied / "atlas.db") as connection:
        connection.execute("DELETE FROM progress")
    connection.close()
    settle(copied)
    return copied


@pytest.fixture
def client(atlas: Path) -> Iterator[TestClient]:
    with serve(atlas) as found:
        yield found


def serve(atlas: Path, **settings: Any) -> TestClient:
    """Return a client of an app that has opened the atlas some time ago."""
    client = TestClient(create_app(AppSettings(atlas, **settings)), follow_redirects=False)
    for address in ("/models/nobody", "/circuits/nobody"):
        assert client.get(address).status_code == 404
    settle(atlas)
    return client


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the links of the answers that are made from now on."""
    links: list[str] = []

    def make(basis: Basis, headers: Mapping[str, str], media_type: str, body: bytes) -> Answer:
        links.append(headers["Link"])
        return make_answer(basis, headers, media_type, body)

    monkeypatch.setattr("app.twins.make_answer", make)
    return links


@pytest.mark.parametrize("address", ["/", *ADDRESSES, f"/api/v1{UNIT}"])
@pytest.mark.parametrize("coding", ["gzip", "identity", "gzip;q=0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_kept_answer_is_a_fresh_one(client: TestClient, made: list[str], address: str, coding: str, method: str) -> None:
    asked = {"Accept-Encoding": coding}
    with client.stream("GET", address, headers=asked) as answer:
        fresh = b"".join(answer.iter_raw())
    assert len(made) == 1
    with client.stream(method, address, headers=asked) as again:
        kept = b"".join(again.iter_raw())
    assert len(made) == 1
    assert again.status_code == 200
    assert sorted(again.headers.multi_items()) == sorted(answer.headers.multi_items())
    assert kept == (fresh if method == "GET" else b"")
    assert answer.headers.get("content-encoding") == ("gzip" if coding == "gzip" else None)


@pytest.mark.parametrize("address", [UNIT, f"/api/v1{UNIT}"])
def test_who_has_the_answer_gets_304(client: TestClient, made: list[str], address: str) -> None:
    etag = client.get(address).headers["etag"]
    kept = client.get(address, headers={"If-None-Match": f'"other", {etag}'})
    assert len(made) == 1
    fresh = client.get(f"{address}?", headers={"If-None-Match": etag, "X": "1"})
    assert (kept.status_code, kept.content) == (304, b"")
    assert kept.headers["content-security-policy"] == fresh.headers["content-security-policy"]
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_answers_outlive_the_process(atlas: Path, made: list[str]) -> None:
    with serve(atlas) as first:
        before = first.get(UNIT)
    with serve(atlas) as second:
        del made[:]
        after = second.get(UNIT)
    assert made == []
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])


@pytest.mark.parametrize("damage", [b"", b"no head", b"{}\n", b"[1]\n", None])
def test_a_damaged_file_is_made_again(atlas: Path, made: list[str], damage: bytes | None) -> None:
    with serve(atlas) as first:
        before = first.get(UNIT).content
    (path,) = (atlas / "cache" / "pages").rglob("*.page")
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    with serve(atlas) as second:
        del made[:]
        assert second.get(UNIT).content == before
    assert len(made) == 1


def test_a_change_of_the_atlas_is_seen_at_once(client: TestClient, atlas: Path) -> None:
    def label(text: str) -> None:
        with sqlite3.connect(atlas / "atlas.db") as connection:
            connection.execute("UPDATE unit SET label = ? WHERE unit_index = 5", (text,))
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
        connection.close()

    for round_number in range(3):
        for _ in range(2):
            client.get(UNIT)
        label(f"another name {round_number}")
        for _ in range(2):
            assert f"another name {round_number}" in client.get(UNIT).text
            assert client.get(f"/api/v1{UNIT}").json()["label"] == f"another name {round_number}"
        settle(atlas)


def test_what_people_write_is_seen_at_once(atlas: Path) -> None:
    with serve(atlas, write_token=TOKEN) as client:
        circuit = client.get("/api/v1/circuits").json()["items"][0]["id"]
        for _ in range(2):
            assert client.get(f"/api/v1/circuits/{circuit}").status_code == 200
        settle(atlas)
        client.get("/api/v1/circuits")
        total = client.get("/api/v1/circuits").json()["total"]
        gone = client.delete(f"/api/v1/circuits/{circuit}", headers={"Authorization": f"Bearer {TOKEN}", "If-Match": '"1"'})
        assert gone.status_code < 300, gone.text
        assert client.get("/api/v1/circuits").json()["total"] == total - 1
        assert client.get(f"/api/v1/circuits/{circuit}").status_code == 404


def test_nothing_is_kept_while_a_build_runs(atlas: Path, made: list[str]) -> None:
    writer = AtlasWriter(atlas)
    writer.set_progress("tiny_a", "statistics", 1, 2, 1.0)
    with serve(atlas) as client:
        for _ in range(3):
            client.get(UNIT)
    writer.close()
    assert len(made) == 3
    assert not (atlas / "cache" / "pages").exists()


def test_another_atlas_in_its_place_is_seen_at_once(client: TestClient, atlas: Path, tmp_path: Path) -> None:
    before = client.get(UNIT).headers["etag"]
    assert client.get(UNIT).headers["etag"] == before
    shutil.copy(atlas / "atlas.db", tmp_path / "other.db")
    os.replace(tmp_path / "other.db", atlas / "atlas.db")
    settle(atlas)
    assert client.get(UNIT).headers["etag"] != before


HOSTILE = (
    "/models/nobody",
    f"{UNIT}?colour=1",
    "/models/tiny_a/stem?after=forged",
    "/models/tiny_a/stem?min.mean=x",
    "/models/%74iny_a/stem/5",
    "/models/tiny_a/stem?limit=%35",
    "/../../etc/passwd",
    "/models/tiny_a/stem/5/",
    "/media/../atlas.db",
)


def test_errors_and_other_spellings_fill_nothing(atlas: Path) -> None:
    with serve(atlas) as client:
        for address in HOSTILE:
            for _ in range(2):
                client.get(address)
    assert not (atlas / "cache" / "pages").exists()


def test_queries_stay_in_memory_and_do_not_push_out_units(atlas: Path, made: list[str]) -> None:
    with serve(atlas, max_ready_bytes=400_000) as client:
        client.get(UNIT)
        for limit in range(1, 60):
            client.get(f"/api/v1/models/tiny_a/stem?limit={limit}")
        assert len(list((atlas / "cache" / "pages").rglob("*.page"))) == 1
        shutil.rmtree(atlas / "cache")
        del made[:]
        client.get(UNIT)
    assert made == []


def test_an_atlas_that_can_only_be_read_still_answers(atlas: Path, made: list[str]) -> None:
    (atlas / "cache").write_text("a file where the folder would be")
    with serve(atlas) as client:
        assert [client.get(UNIT).status_code for _ in range(2)] == [200, 200]
    assert len(made) == 1


def test_room_is_bounded_and_the_longest_unasked_goes_first() -> None:
    kept: Recent[int] = Recent(1000)
    for number in range(10):
        kept.put(number, number, 100)
    assert kept.get(0) == 0
    kept.put(10, 10, 100)
    assert [number for number in range(11) if kept.get(number) is not None] == [0, *range(2, 11)]
    kept.put(0, 0, 101)  # too large for a tenth of the room, and what was there no longer holds
    assert kept.get(0) is None
    assert len(kept) == 9


def test_a_second_is_no_time_to_trust_a_clock(atlas: Path, made: list[str]) -> None:
    """What is written within the tick of a clock that a file was stamped with is seen, though the stamp stays."""
    with serve(atlas) as client:
        soon = time.time() + 60
        for revision in ("1000001", "1000001", "1000002"):
            with sqlite3.connect(atlas / "atlas.db") as connection:
                connection.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (revision,))
            connection.close()
            for path in atlas.glob("atlas.db*"):
                os.utime(path, (soon, soon))
            assert client.get(UNIT).status_code == 200
    assert len(made) == 2
