"""Links that keep their meaning, and what other sites are told: whole addresses only where the owner said them."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.main import create_app
from app.openapi import openapi_text
from app.server import create_app_from_environment
from app.settings import AppSettings
from precompute.cli import main
from precompute.errors import UsageError
from precompute.public_address import check_public_url
from tests.fixture_atlas import HOSTILE_LABEL

UNIT = "/models/tiny_a/blocks.0.pw/7"
PUBLIC = "https://units.example.org"


@pytest.fixture(scope="module")
def public(fixture_atlas: Path) -> Iterator[TestClient]:
    with TestClient(create_app(AppSettings(fixture_atlas, public_url=PUBLIC)), follow_redirects=False) as found:
        yield found


def pinned(client: TestClient, address: str = UNIT) -> str:
    found = re.search(r"\?build=([0-9a-f]{8}-[0-9a-f]{6})", client.get(address).text)
    assert found is not None
    return found[1]


def panel(client: TestClient, address: str) -> dict[str, str]:
    text = client.get(address).text
    rows = re.findall(r"<b>([^<]+)</b>(?:(?!<b>).)*?<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
    return {name: html.unescape(value) for name, value in rows}


def test_pinned_link_answers_while_the_build_is_the_same(client: TestClient, fixture_atlas: Path, tmp_path: Path) -> None:
    build = pinned(client)
    for prefix in ("", "/api/v1"):
        answer = client.get(f"{prefix}{UNIT}?build={build}")
        assert answer.status_code == 200
        assert "latest-version" not in answer.headers["link"]
    assert "Results were added" not in client.get(f"{UNIT}?build={build}").text
    copy = tmp_path / "copy"
    shutil.copytree(fixture_atlas, copy)
    with TestClient(create_app(AppSettings(copy))) as other:
        assert pinned(other) == build, "a copy of an atlas holds the same build"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("UPDATE model SET weights_sha256 = 'f' || substr(weights_sha256, 2) WHERE id = 'tiny_a'", 410),
        ("UPDATE model SET input_key = 'other' WHERE id = 'tiny_a'", 410),
        (
            "INSERT INTO run SELECT 'run-later', model_id, code_version, settings, 0, device, started_at, NULL FROM run LIMIT 1",
            200,
        ),
        ("UPDATE model SET title = 'Another title' WHERE id = 'tiny_a'", None),
        ("UPDATE model SET weights_sha256 = 'f' || substr(weights_sha256, 2) WHERE id = 'tiny_b'", None),
    ],
)
def test_pinned_link_says_what_changed(
    client: TestClient, fixture_atlas: Path, tmp_path: Path, change: str, status: int | None
) -> None:
    build = pinned(client)
    copy = tmp_path / "copy"
    shutil.copytree(fixture_atlas, copy)
    with closing(sqlite3.connect(copy / "atlas.db")) as database:
        database.execute(change)
        database.commit()
    with TestClient(create_app(AppSettings(copy))) as other:
        page, twin = other.get(f"{UNIT}?build={build}"), other.get(f"/api/v1{UNIT}?build={build}")
    assert page.status_code == twin.status_code == (status or 200)
    if status == 410:
        assert twin.json()["title"] == "Another build"
        assert twin.json()["detail"].endswith(UNIT)
    else:
        assert ("Results were added" in page.text) == (status == 200)
        assert (f'<{UNIT}>; rel="latest-version"' in page.headers["link"]) == (status == 200)
        assert (f'</api/v1{UNIT}>; rel="latest-version"' in twin.headers["link"]) == (status == 200)


def test_what_is_no_build_is_refused(client: TestClient) -> None:
    for text in ("nope", "0", "G" * 15, "00000000-0000000"):
        assert client.get(f"/api/v1{UNIT}?build={text}").status_code == 400
    assert client.get("/api/v1/stimuli/4?build=00000000-000000").status_code == 400, "an image belongs to no model"


@pytest.mark.parametrize(
    "address", [UNIT, f"{UNIT}/weights?inputs=blocks.0.dw/7&top=3", "/models/tiny_a/stem?sort=max", "/stimuli/4"]
)
def test_panel_offers_addresses_that_answer(public: TestClient, address: str) -> None:
    offered = panel(public, address)
    wanted = {"Link", "Citation", "BibTeX", "Markdown", "JSON", "Command"}
    assert wanted <= set(offered)
    assert ("Pinned link" in offered) == ("Embed" in offered) == (address != "/stimuli/4")
    for name in ("Link", "Pinned link", "JSON"):
        if name in offered:
            assert offered[name].startswith(f"{PUBLIC}/")
            assert public.get(offered[name].removeprefix(PUBLIC)).status_code == 200
    if "Embed" in offered:
        source = re.search(r'src="([^"]+)"', offered["Embed"])
        assert source is not None
        frame = public.get(html.unescape(source[1]).removeprefix(PUBLIC))
        assert "frame-ancestors *" in frame.headers["content-security-policy"]
        assert "x-frame-options" not in frame.headers
        assert 'class="embed"' in frame.text
    assert offered["Link"] == PUBLIC + address.replace("&amp;", "&")


def test_embedded_pages_lead_out_of_the_frame(client: TestClient) -> None:
    for address in (f"{UNIT}?embed=1", "/models/tiny_a/stem?embed=1"):
        text = client.get(address).text
        links = re.findall(r"<a [^>]*>", text)
        assert links
        assert all('target="_blank"' in link and 'rel="noopener"' in link for link in links)
    for address in (UNIT, "/models/tiny_a", "/models/tiny_a?embed=1", f"{UNIT}?embed=0", "/stimuli/4"):
        assert "frame-ancestors 'self'" in client.get(address).headers["content-security-policy"]
    assert client.get("/models/tiny_a/stem/7?embed=2").status_code == 400


def test_other_sites_are_told_whole_addresses_only_where_they_are_known(public: TestClient, client: TestClient) -> None:
    text = public.get(UNIT, headers={"Host": "evil.example"}).text
    assert f'property="og:url" content="{PUBLIC}{UNIT}"' in text
    card = re.search(r'property="og:image" content="([^"]+)"', text)
    assert card is not None
    assert card[1].startswith(f"{PUBLIC}/media/cards/")
    assert "evil.example" not in text
    plain = client.get(UNIT, headers={"Host": "evil.example"}).text
    assert 'property="og:title"' in plain
    assert "og:url" not in plain
    assert "og:image" not in plain
    assert "oembed" not in plain
    assert "evil.example" not in plain
    assert panel(client, UNIT)["Link"] == f"http://SERVER{UNIT}"


def test_cards_are_pictures_that_say_what_they_show(public: TestClient) -> None:
    seen: list[bytes] = []
    for address in ("blocks.0.pw/7.png", "stem/0.png", "head.fc/11.png", "stem.png"):
        answer = public.get(f"/media/cards/tiny_a/{address}")
        with Image.open(io.BytesIO(answer.content)) as image:
            assert (image.format, image.size) == ("PNG", (1200, 630))
        assert answer.headers["cache-control"] == "no-cache"
        seen.append(answer.content)
    assert len(set(seen)) == 4
    current = re.search(r"/media/cards/[^\"]+", public.get(UNIT).text)
    assert current is not None
    answer = public.get(current[0])
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == seen[0]
    assert public.get("/media/cards/tiny_a/stem/24.png").status_code == 404
    assert public.get("/media/cards/tiny_a/..%2f..%2fatlas.db/1.png").status_code == 404


def test_oembed_answers_for_pages_of_this_server_alone(public: TestClient, client: TestClient) -> None:
    def ask(**query: Any) -> Any:
        return public.get("/oembed", params=query)

    body = ask(url=PUBLIC + UNIT, maxwidth=600).json()
    assert (body["version"], body["type"], body["width"]) == ("1.0", "rich", 600)
    assert f'src="{PUBLIC}{UNIT}?embed=1"' in body["html"]
    assert public.get(body["thumbnail_url"].removeprefix(PUBLIC)).status_code == 200
    assert ask(url=f"{PUBLIC}{UNIT}/weights?top=3").json()["html"].count("top=3") == 1
    assert ask(url=f"{PUBLIC}/models/tiny_a/stem").json()["title"] == "Layer stem, Tiny network A"
    for address, status in (
        (f"https://evil.example{UNIT}", 404),
        (f"{PUBLIC}.evil.example{UNIT}", 404),
        (f"//evil.example{UNIT}", 404),
        (f"{PUBLIC}/models/tiny_a/stem/99", 404),
        (f"{PUBLIC}/", 404),
        ("", 400),
    ):
        answer = ask(url=address)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    hostile = ask(url=f'{PUBLIC}{UNIT}?a="><script>alert(1)</script>').json()["html"]
    assert "<script>" not in hostile
    assert ask(url=PUBLIC + UNIT, format="xml").status_code == 501
    assert client.get("/oembed", params={"url": UNIT}).status_code == 501


def test_texts_to_copy_are_safe_where_they_go(public: TestClient, fixture_atlas: Path, tmp_path: Path) -> None:
    offered = panel(public, "/stimuli/4")
    assert HOSTILE_LABEL in offered["Citation"]
    assert HOSTILE_LABEL not in public.get("/stimuli/4").text
    assert "\\<script" in offered["Markdown"]
    copy = tmp_path / "copy"
    shutil.copytree(fixture_atlas, copy)
    with closing(sqlite3.connect(copy / "atlas.db")) as database:
        database.execute("UPDATE model SET title = '50% {a_b} $x & \\input' WHERE id = 'tiny_a'")
        database.commit()
    with TestClient(create_app(AppSettings(copy))) as other:
        assert r"50\% \{a\_b\} \$x \& \textbackslash{}input" in panel(other, UNIT)["BibTeX"]


@pytest.mark.parametrize(
    "text", ["units.example.org", "https://a/b", "https://a?x", "javascript:alert(1)", "https://a b", "https://a@b", ""]
)
def test_public_address_is_scheme_and_host_alone(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_public_url(text)
    assert main(["serve", "--atlas", str(tmp_path), "--public-url", text, "--port", "1"]) == 2
    if text:
        monkeypatch.setenv("UNITSCOPE_ATLAS", str(tmp_path))
        monkeypatch.setenv("UNITSCOPE_PUBLIC_URL", text)
        with pytest.raises(UsageError):
            create_app_from_environment()


def test_description_of_the_api_is_the_one_that_is_committed(repository: Path) -> None:
    committed = (repository / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert committed == openapi_text(), "write it anew: python -m app.openapi docs/openapi.json"
    document = json.loads(committed)
    assert {"/api/v1/models/{model}/units.jsonl", "/api/v1/models/{model}/edges.parquet"} <= set(document["paths"])
