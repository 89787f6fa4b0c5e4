"""What no page takes: values that cannot be, names that are not there, ways out of the atlas, cursors of other lists."""

from __future__ import annotations

import html

import pytest
from fastapi.testclient import TestClient

from tests.fixture_annotations import GONE_ID, LABEL_ID, LIST_ID

UNIT = "/models/tiny_a/blocks.0.pw/7"


@pytest.mark.parametrize(
    "address",
    [
        "/models/tiny_a/stem?limit=abc",
        "/models/tiny_a/stem?limit=0",
        "/models/tiny_a/stem?limit=-1",
        "/models/tiny_a/stem?limit=99999999999999999999",
        "/models/tiny_a/stem?limit=٣",
        "/models/tiny_a/stem?limit=5&limit=6",
        "/models/tiny_a/stem?sort=beauty",
        "/models/tiny_a/stem?order=up",
        "/models/tiny_a/stem?min.max=much",
        "/models/tiny_a/stem?min.max=nan",
        "/models/tiny_a/stem?min.beauty=1",
        "/models/tiny_a/stem?min.max=2&max.max=1",
        "/models/tiny_a/units?min.max=2&max.max=1",
        "/models/tiny_a/units?kind=neurone",
        "/models/tiny_a/stem?min.=1",
        "/models/tiny_a/stem?status=fine",
        "/models/tiny_a/head.fc?picture=filter",
        "/models/tiny_a/stem?after=forged",
        "/models/tiny_a/stem?after=W10",
        "/models/tiny_a/stem?after=%00%ff",
        f"{UNIT}/weights?direction=up",
        f"{UNIT}/weights?direction=inputs&sign=plus",
        f"{UNIT}/weights?direction=inputs&top=3",
        f"{UNIT}/weights?limit=3",
        f"{UNIT}/weights?direction=inputs&pin=stem/3",
        f"{UNIT}/weights?sign=plus",
        f"{UNIT}/weights?open=nonsense",
        f"{UNIT}/weights?inputs=nonsense",
        f"{UNIT}/weights?inputs={','.join(f'stem/{n}' for n in range(24))}&outputs={','.join(f'stem/{n}' for n in range(17))}",
        f"{UNIT}/weights?hide=blocks.0.pw/7",
        f"{UNIT}/weights?hide=stem/3&pin=stem/3",
        f"{UNIT}/weights?min=2",
        f"{UNIT}/weights?min=nan",
        f"{UNIT}/weights?between=yes",
        f"{UNIT}/weights?top=1000",
        f"{UNIT}/weights?view=kernels",
        f"{UNIT}/weights?direction=inputs&scale=each",
        f"{UNIT}/weights?direction=inputs&kind=circle",
        f"{UNIT}/factors?k=7",
        f"{UNIT}/factors?units=1,,3",
        "/models/tiny_a/stem/3/factors?direction=inputs",
        "/search?q=" + "a" * 300,
        "/search?q=a&after=MTIzNDU2NzhbMV0",
        "/circuits?limit=0",
        "/circuits?after=forged",
        "/circuits/hostile-23456789?revision=one",
        "/circuits/new?units=stem",
        "/circuits/new?edges=stem/1",
        "/annotations?kind=poem",
        "/annotations?limit=201",
        "/annotations?after=forged",
        "/annotations/new?about=stem",
        "/annotations/new?kind=list",
        "/lists?after=forged",
        "/lists/quick?units=stem",
        "/lists/quick?units=tiny_a/stem:7-3",
        "/lists/quick?units=tiny_a/stem:0-999999999",
        "/lists/quick?units=tiny_a/stem:0-499;tiny_a/head.fc:0",
        "/lists/quick?units=tiny_a/stem:-1",
        "/lists/quick?units=a%20b/stem:1",
        "/lists/quick?title=%E2%80%8B&units=tiny_a/stem:1",
        "/lists/quick?title=" + "a" * 201,
        "/lists/quick?title=a%00b",
        "/lists/quick?text=" + "a" * 10_001,
        "/lists/new?from=https://evil.example/",
        "/lists/new?from=/docs",
        "/lists/new?from=/models/tiny_a/stem%3Fcolour=red",
        "/lists/new?from=/lists/new%3Ffrom=/lists/new",
        "/lists/new?units=tiny_a/stem:x",
    ],
)
def test_impossible_value_answers_400(client: TestClient, address: str) -> None:
    for prefix in ("", "/api/v1"):
        assert client.get(prefix + address).status_code == 400


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/models/tiny_x", ["tiny_x", "tiny_a"]),
        ("/models/tiny_a/blocks.0.pv", ["blocks.0.pv", "blocks.0.pw"]),
        ("/models/tiny_a/stem/24", ["24", "0 to 23"]),
        ("/models/tiny_a/stem/007", ["007"]),
        ("/models/tiny_a/stem/-1", ["-1"]),
        ("/models/tiny_a/stem/1e3", ["1e3"]),
        ("/stimuli/4000", ["4000", "40"]),
        ("/circuits/hostile-23456788", ["hostile-23456788", "hostile-23456789"]),
        ("/circuits/hostile-23456789?revision=9", ["9", "1, 2"]),
        ("/circuits?model=tiny_x", ["tiny_x", "tiny_a"]),
        ("/stimuli/four", ["four"]),
        ("/annotations?model=tiny_x", ["tiny_x", "tiny_a"]),
        (f"/annotations/{LABEL_ID[:-1]}8", [LABEL_ID]),
        (f"/annotations/{GONE_ID}", [GONE_ID, "deleted"]),
        (f"/lists/{LIST_ID[:-1]}8", [LIST_ID]),
        (f"/lists/{LABEL_ID}", ["label", f"/annotations/{LABEL_ID}"]),
        ("/annotations/new?about=/stimuli/4000", ["4000"]),
        ("/lists/new?from=/models/tiny_x/stem", ["tiny_x", "tiny_a"]),
        (f"{UNIT}/weights?direction=inputs&layer=stam", ["stam", "stem"]),
        (f"{UNIT}/weights?inputs=stam/3", ["stam", "stem"]),
        (f"{UNIT}/weights?pin=stem/24", ["24", "0 to 23"]),
        (f"{UNIT}/factors?layer=stam", ["stam", "stem"]),
        (f"{UNIT}/factors?units=3,24", ["24", "0 to 23"]),
    ],
)
def test_unknown_name_answers_404_with_the_closest(client: TestClient, address: str, words: list[str]) -> None:
    page, twin = client.get(address), client.get(f"/api/v1{address}")
    assert page.status_code == twin.status_code == 404
    assert set(twin.json()) == {"type", "title", "status", "detail", "instance"}
    for word in words:
        assert word in html.unescape(page.text)
        assert word in twin.json()["detail"]


HOSTILE = [
    "/media/../atlas.db",
    "/media/%2e%2e/atlas.db",
    "/media/..%2fatlas.db",
    "/media/%2e%2e%2fatlas.db",
    "/media/....//atlas.db",
    "/media/" + "a" * 64 + ".exe",
    "/media/" + "A" * 64 + ".webp",
    "/media/" + "a" * 64 + ".webp%00.png",
    "/media/" + "a" * 64 + ".webp%0a",
    "/static/x/../../pyproject.toml",
    "/static/x/%2e%2e/%2e%2e/pyproject.toml",
    "/static/x/..%2f..%2fapp%2fmain.py",
    "/static/x/%00",
    "/static/x//etc/passwd",
    "/static/x/css",
    "/models/%00",
    "/models/..%2f..%2fetc%2fpasswd",
    "/models/%ff%fe",
    "/models/" + "x" * 5000,
    "/models/tiny_a/%F0%9F%92%A9",
    "/models/tiny_a/stem/" + "9" * 400,
    "/models/tiny_a/stem/%D9%A3",
    "/models/tiny_a/stem/1%20OR%201=1",
    "/models/tiny_a/stem'--/1",
    "/models//stem",
    "/stimuli/99999999999999999999",
    "/stimuli/%00",
    "/media/strips/tiny_a/stem/..%2f1.webp",
    "/media/thumbs/tiny_a/%00/1.webp",
    "/media/sheets/..%2f.webp?units=stem:1",
    "/media/sheets/tiny_a.webp?units=" + "stem:1;" * 4000,
    "/media/sheets/tiny_a.webp?units=stem:-1",
    "/media/sheets/tiny_a.webp?units=stem:0-999999999",
    "/media/sheets/tiny_a.webp?units=stem:1-2-3",
    "/media/pictures/tiny_a/stem/..%2f1.webp",
    "/media/pictures/tiny_a/stem/23.webp",
    "/media/sheets/tiny_a.webp",
    "/media/kernels/tiny_a/stem/1/blocks.0.pw/1.png?max=0",
    "/media/kernels/tiny_a/stem/1/blocks.0.pw/1.png?max=inf",
    "/media/kernels/tiny_a/head.fc/1/stem/1.png",
    "/circuits/..%2fuser.db",
    "/circuits/%2e%2e%2fuser.db",
    "/circuits/%00",
    "/circuits/" + "x" * 5000,
    "/circuits/hostile-23456789%0a",
    "/circuits/..%2f..%2fatlas.db/export.json",
    "/v/..%2f..%2fetc%2fpasswd",
    "/v/%00",
    "/media/graphs/tiny_a/stem/..%2f1.graphml",
    "/media/graphs/tiny_a/stem/24.graphml",
    "/media/graphs/tiny_a/stem/1.graphml?inputs=..%2f..%2fetc/1",
    "/media/filters/tiny_a/stem/1.png?max=-1",
    "/media/filters/tiny_a/stem/..%2f1.png",
    "/media/filters/tiny_a/head.fc/1.png",
    "/annotations/..%2fuser.db",
    "/annotations/%2e%2e%2fatlas.db",
    "/annotations/%00",
    "/annotations/" + "x" * 5000,
    f"/annotations/{LABEL_ID}%0a",
    "/annotations/%ff",
    "/annotations/' OR 1=1 --",
    "/lists/..%2f..%2fuser.db",
    "/lists/%00",
    "/lists/" + "x" * 5000,
    "/lists/quick?units=..%2f..%2fetc/passwd:1",
    "/lists/quick?units=tiny_a/..%252f..:1-%252f",
    "/lists/quick?units=" + "tiny_a/stem:1;" * 4000,
    "/lists/quick?units=" + "9" * 60_000,
    "/lists/new?from=..%2f..%2fetc%2fpasswd",
    "/lists/new?from=/models/..%252f..%252fetc",
    "/lists/new?from=//evil.example/models/tiny_a/stem",
    "/annotations/new?about=file:///etc/passwd",
    "/docs/../etc/passwd",
    "/%2f%2fevil.example/",
    "/%",
    "/%zz",
]


@pytest.mark.parametrize("address", HOSTILE, ids=lambda address: address[:48])
def test_hostile_path_is_refused_and_reads_nothing_outside(client: TestClient, address: str) -> None:
    for prefix in ("", "/api/v1"):
        answer = client.get(prefix + address)
        assert 400 <= answer.status_code < 500, answer.text[:300]
        assert "SQLite format" not in answer.text
        assert "root:" not in answer.text
        assert "[build-system]" not in answer.text


@pytest.mark.parametrize("query", ["%25", "_", "%", "'", '"', "\\", "*", "[", "\0", "💩", "' OR 1=1 --", ".", "(", "a" * 200])
def test_search_takes_any_text_literally(client: TestClient, query: str) -> None:
    answer = client.get("/api/v1/search", params={"q": query})
    assert answer.status_code == 200
    if query in ("%25", "%", "*", "'"):
        assert answer.json()["total"] == 0


def test_cursor_of_another_list_is_refused(client: TestClient) -> None:
    following = client.get("/api/v1/models/tiny_a/stem?limit=7&sort=max").json()["next"]
    assert client.get(following).status_code == 200
    assert client.get(following.replace("sort=max", "sort=mean")).status_code == 400
    assert client.get(following.replace("/stem?", "/head.fc?")).status_code == 400
