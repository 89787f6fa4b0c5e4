"""Files of the store that are sent before anything else looks: the same answer as the framework's, and nothing but blobs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.ready_blobs import ReadyBlobs
from app.settings import AppSettings


@pytest.fixture
def atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fixture_atlas, tmp_path / "atlas", ignore=shutil.ignore_patterns("cache")))


@pytest.fixture
def client(atlas: Path) -> TestClient:
    found = TestClient(create_app(AppSettings(atlas)), follow_redirects=False)
    found.get("/models/nobody")  # opens the atlas
    return found


def first_blob(atlas: Path, extension: str = "webp") -> Path:
    return next(iter(sorted((atlas / "blobs").rglob(f"*.{extension}"))))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("extension", ["webp", "npy"])
def test_the_answer_is_that_of_the_framework(
    client: TestClient, atlas: Path, monkeypatch: pytest.MonkeyPatch, method: str, extension: str
) -> None:
    address = f"/media/{first_blob(atlas, extension).name}"
    quick = [client.request(method, address) for _ in range(2)]
    monkeypatch.setattr(ReadyBlobs, "find", lambda *_: None)
    slow = client.request(method, address)
    for found in quick:
        assert (found.status_code, found.content) == (200, slow.content)
        assert sorted(found.headers.multi_items()) == sorted(slow.headers.multi_items())
    assert "immutable" in slow.headers["cache-control"]


def test_who_has_a_file_gets_304(client: TestClient, atlas: Path) -> None:
    blob = first_blob(atlas)
    found = client.get(f"/media/{blob.name}", headers={"If-None-Match": f'"{blob.stem}"'})
    assert (found.status_code, found.content) == (304, b"")
    assert "immutable" in found.headers["cache-control"]
    assert client.get(f"/media/{blob.name}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_part_of_a_file_is_still_given(client: TestClient, atlas: Path) -> None:
    blob = first_blob(atlas)
    for _ in range(2):
        found = client.get(f"/media/{blob.name}", headers={"Range": "bytes=2-5"})
        assert (found.status_code, found.content) == (206, blob.read_bytes()[2:6])


def test_a_file_that_is_gone_or_another_is_not_given_from_memory(client: TestClient, atlas: Path) -> None:
    blob = first_blob(atlas)
    address = f"/media/{blob.name}"
    assert client.get(address).content == blob.read_bytes()
    blob.write_bytes(b"mended")
    assert client.get(address).content == b"mended"
    blob.unlink()
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../atlas.db",
        "..%2f..%2fatlas.db",
        "%2e%2e/atlas.db",
        "a" * 64 + ".db",
        "A" * 64 + ".webp",
        "a" * 64 + ".webp/..",
        "a" * 64,
    ],
)
def test_nothing_but_blobs_is_given(client: TestClient, name: str) -> None:
    assert client.get(f"/media/{name}").status_code == 404


def test_a_query_is_refused_as_before(client: TestClient, atlas: Path) -> None:
    assert client.get(f"/media/{first_blob(atlas).name}?x=1").status_code == 400
