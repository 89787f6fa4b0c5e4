"""The proxy of the documentation names files as the store does, believes no client, and leaves the rest to the server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from precompute.domain import BlobData
from precompute.store.blobs import MEDIA_TYPES, BlobStore

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")


@pytest.fixture
def configuration() -> str:
    found = re.findall(r"```nginx\n(.*?)```", TEXT, re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("extension", MEDIA_TYPES)
def test_the_proxy_finds_every_kind_of_file(configuration: str, tmp_path: Path, extension: str) -> None:
    pattern = re.search(r'location ~ "(.*)" {', configuration)
    alias = re.search(r"alias /srv/unitscope/atlas/blobs(.*);", configuration)
    assert pattern is not None
    assert alias is not None
    sha256 = BlobStore(tmp_path).put(BlobData(b"data", extension))
    match = re.match(pattern[1], f"/media/{sha256}.{extension}")
    assert match is not None
    named = alias[1].replace("$1", match[1]).replace("$2", match[2])
    assert Path(f"{tmp_path}{named}").read_bytes() == b"data"
    for other in (f"/media/{sha256}.db", f"/media/../{sha256}.{extension}", f"/media/{sha256[:-1]}.{extension}"):
        assert re.match(pattern[1], other) is None


def test_what_a_client_says_of_itself_is_thrown_away(configuration: str) -> None:
    assert "X-Forwarded-For $remote_addr;" in configuration
    assert "proxy_add_x_forwarded_for" not in configuration


def test_files_stay_immutable_behind_the_proxy(configuration: str) -> None:
    from app.ready_blobs import IMMUTABLE

    assert f'Cache-Control "{IMMUTABLE}"' in configuration
