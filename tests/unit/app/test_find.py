"""Finding: names by index, units by arrays, images and units by example."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.main import create_app
from app.settings import AppSettings
from precompute.appearance import describe, to_text
from precompute.bench.synthetic_atlas import picture
from precompute.store.likeness import chance_scores, drawn, scores_of
from precompute.store.looks import LooksRecord
from tests.fixture_atlas import HOSTILE_LABEL

UNITS = "/api/v1/models/tiny_a/units"
EXAMPLE = "/search/example"


@pytest.fixture(scope="module")
def old_client(fixture_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return a client of an atlas in which nothing was counted or indexed."""
    folder = tmp_path_factory.mktemp("old") / "atlas"
    copytree(fixture_atlas, folder)
    with sqlite3.connect(folder / "atlas.db") as connection:
        for table in ("model_count", "unit_column", "metric_count", "facet_count", "search_entry", "search_word", "dataset_look"):
            connection.execute(f"DROP TABLE {table}")
    with TestClient(create_app(AppSettings(folder)), follow_redirects=False) as found:
        yield found


def links(client: TestClient, q: str) -> list[str]:
    return [item["link"] for item in client.get("/api/v1/search", params={"q": q}).json()["items"]]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "link"),
    [
        ("BLOCKS pw", "/models/tiny_a/blocks.0.pw"),
        ("pw blo", "/models/tiny_a/blocks.0.pw"),
        ("tiny_b stem", "/models/tiny_b/stem"),
        ("clàss 7", "/models/tiny_a/head.fc/7"),
        ("head.fc 7", "/models/tiny_a/head.fc/7"),
        ("made.png", "/stimuli/1"),
        ("stri", "/stimuli/1"),
    ],
)
def test_words_are_found_by_their_beginnings_whatever_their_case_and_marks(client: TestClient, q: str, link: str) -> None:
    assert link in links(client, q)


def test_a_number_is_found_in_every_layer_that_has_it(client: TestClient) -> None:
    found = links(client, "17")
    assert "/models/tiny_a/stem/17" in found
    assert not any("head.fc" in link for link in found)
    assert links(client, "99999999") == []


def test_equal_names_come_before_those_that_begin_so(client: TestClient) -> None:
    found = links(client, "class 1")
    assert found.index("/models/tiny_b/head.fc/10") > found.index("/models/tiny_a/head.fc/10")
    assert links(client, "stem")[0] == "/models/tiny_a/stem"


HOSTILE = [
    '"', "'", '"" OR "', "NEAR(a b)", "words:stem", "stem*", "^stem", "-stem", "stem AND", "(stem", "a AND NOT b", "\0stem",
    "💩", "a" * 200, " ".join("ab" for _ in range(60)), "\ud7ff", "٣", "²", "'; DROP TABLE unit; --", "%", "\\",
]  # fmt: skip


@pytest.mark.parametrize("q", HOSTILE, ids=lambda q: ascii(q[:20]))
def test_no_text_is_an_operator(client: TestClient, q: str) -> None:
    assert client.get("/api/v1/search", params={"q": q}).status_code == 200
    assert client.get("/search", params={"q": q}).status_code == 200
    assert client.get(UNITS, params={"label": q}).status_code == 200


def test_longer_texts_are_refused(client: TestClient) -> None:
    answer = client.get("/api/v1/search", params={"q": "a" * 60_000})
    assert answer.status_code == 400
    assert "at most 200" in answer.json()["detail"]


def test_hostile_labels_are_found_and_shown_as_text(client: TestClient) -> None:
    assert "/models/tiny_a/head.fc/1" in links(client, "script alert")
    page = client.get("/search?q=script").text
    assert HOSTILE_LABEL not in page
    assert "&lt;script&gt;" in page


def test_suggestions_are_the_first_results(client: TestClient) -> None:
    few = client.get("/api/v1/search?q=class&limit=3").json()
    assert [item["link"] for item in few["items"]] == links(client, "class")[:3]
    assert few["total"] > 3


def test_an_older_atlas_says_what_it_lacks_and_finds_the_rest(old_client: TestClient) -> None:
    body = old_client.get("/api/v1/search?q=stem").json()
    assert not body["has_index"]
    assert "/models/tiny_a/stem" in [item["link"] for item in body["items"]]
    assert "/models/tiny_a/stem/3" in links(old_client, "stem 3")
    assert "Any build adds it" in old_client.get("/search?q=stem").text
    assert old_client.get(UNITS).json()["counted_at"] is None
    assert "not counted yet" in old_client.get("/models/tiny_a/units").text
    assert old_client.get("/models/tiny_a/stem?sort=max&min.max=1").status_code == 200
    assert "Any build adds it" in old_client.get(f"{EXAMPLE}?stimulus=3").text


# -- units of a model --------------------------------------------------------------------------------------------------


def pages_of(client: TestClient, address: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    following: str | None = address
    while following:
        body = client.get(following).json()
        found += body["items"]
        following = body["next"]
    return found


@pytest.mark.parametrize("query", ["", "sort=max", "sort=sparsity&order=asc", "order=desc", "sort=std&status=ok&layer=blocks.*"])
def test_pages_join_to_the_whole_list(client: TestClient, query: str) -> None:
    small = pages_of(client, f"{UNITS}?limit=7&{query}")
    whole = client.get(f"{UNITS}?limit=4096&{query}").json()
    assert small == whole["items"]
    assert len(small) == whole["total"] > 0
    assert sum(row["num_units"] for row in whole["layers"]) == whole["total"]


def test_filters_of_the_model_are_those_of_its_layers(client: TestClient) -> None:
    query = "min.max=1.5&max.std=0.6&flag=fragile"
    body = client.get(f"{UNITS}?{query}&limit=4096").json()
    per_layer = {
        name: client.get(f"/api/v1/models/tiny_a/{name}?{query}").json()["total"]
        for name in ("stem", "blocks.0.dw", "blocks.0.pw", "head.fc")
    }
    assert 0 < body["total"] == sum(per_layer.values()) < client.get(f"{UNITS}?min.max=1.5").json()["total"]
    assert {row["layer"]: row["num_units"] for row in body["layers"]} == {k: n for k, n in per_layer.items() if n}
    labelled = client.get(f"{UNITS}?label=class+7").json()
    assert [(item["layer"], item["index"]) for item in labelled["items"]] == [("head.fc", 7)]
    assert client.get("/api/v1/models/tiny_a/head.fc?label=LASS+7").json()["total"] == 1
    assert client.get(f"{UNITS}?kind=neuron").json()["total"] == 12


@pytest.mark.parametrize(
    "query", ["sort=mex", "min.mean=x", "layer=nothing.*", "after=abc", "limit=0", "status=lost", "size=xl", "stat=ok", "min.=1"]
)
def test_impossible_filters_are_refused_with_what_exists(client: TestClient, query: str) -> None:
    answer = client.get(f"{UNITS}?{query}")
    assert answer.status_code in (400, 404)
    assert len(answer.json()["detail"]) > 20


def test_sliders_and_fields_say_the_same_range(client: TestClient) -> None:
    for address in ("/models/tiny_a/units", "/models/tiny_a/stem"):
        metrics = client.get(f"/api/v1{address}").json()["metrics"]
        sparsity = next(metric for metric in metrics if metric["name"] == "sparsity")
        assert len(sparsity["edges"]) == len(sparsity["counts"]) + 1
        low = sparsity["edges"][7]
        page = client.get(f"{address}?min.sparsity={low!r}").text
        assert f'name="min.sparsity" value="{low!r}"' in page
        assert 'value="7" data-end="min" aria-label="Least Sparsity"' in page


# -- by example --------------------------------------------------------------------------------------------------------


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_given_image_becomes_an_address_and_finds_itself(client: TestClient, fixture_atlas: Path) -> None:
    body = client.get(f"/api/v1{EXAMPLE}?stimulus=7").json()
    data = client.get(body["image"]).content
    for prefix in ("", "/api/v1"):
        answer = client.post(f"{prefix}{EXAMPLE}", files={"image": ("x.webp", data, "image/webp")})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{prefix}{EXAMPLE}?like=")
    raw = client.post(f"/api/v1{EXAMPLE}", content=data, headers={"content-type": "image/webp"})
    assert raw.headers["location"] == answer.headers["location"]
    found = client.get(raw.headers["location"]).json()
    assert found["stimuli"][0]["stimulus"] == 7
    assert found["stimuli"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert found["stimuli"][1]["similarity"] < 0.999
    assert 7 not in [item["stimulus"] for item in body["stimuli"]]
    assert "7" not in {item["stimulus"] for item in body["stimuli"]}
    assert any(item["is_own_example"] for item in body["items"])
    assert not any(item["is_own_example"] for item in found["items"])
    scores = [item["score"] for item in body["items"]]
    assert scores == sorted(scores, reverse=True)
    assert client.get(raw.headers["location"].removeprefix("/api/v1")).status_code == 200


def bomb() -> bytes:
    """Return a small PNG that says it is 30,000 pixels wide and high."""
    head = bytearray(png(np.zeros((4, 4, 3), dtype=np.uint8)))
    head[16:24] = (30_000).to_bytes(4, "big") * 2
    return bytes(head)


GOOD = png(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
BAD_IMAGES = {
    "empty": b"",
    "text": b"<svg onload=alert(1)>",
    "cut": GOOD[: len(GOOD) // 2],
    "bomb": bomb(),
    "html": b"<html><script>alert(1)</script>",
    "gif": b"GIF89a" + bytes(40),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n",
    "narrow": png(np.zeros((2, 400, 3), dtype=np.uint8)),
    "broken": GOOD[:60] + bytes(60) + GOOD[120:],
    "tiff": b"II*\0" + bytes(200),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_hostile_images_are_refused_in_words(client: TestClient, name: str) -> None:
    answer = client.post(f"/api/v1{EXAMPLE}", files={"image": (f"../../{name}.png", BAD_IMAGES[name], "image/png")})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text


def test_what_is_no_image_of_ours_is_refused(client: TestClient) -> None:
    assert client.post(EXAMPLE, content=bytes(13 * 2**20), headers={"content-type": "image/png"}).status_code == 413
    assert client.post(EXAMPLE, data={"image": "words"}).status_code == 400
    assert client.post(EXAMPLE, content=GOOD, headers={"content-type": "multipart/form-data"}).status_code == 400
    assert client.post(EXAMPLE, files={"other": ("x.png", GOOD, "image/png")}).status_code == 400
    assert (
        client.post(
            EXAMPLE, files={"image": ("x.png", GOOD, "image/png")}, headers={"origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert client.post(f"{EXAMPLE}?x=1", files={"image": ("x.png", GOOD, "image/png")}).status_code == 400


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_uncommon_images_are_taken(client: TestClient, mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (50, 70), dtype=np.uint8)).convert(mode).save(
        buffer, "JPEG" if mode == "CMYK" else "PNG"
    )
    answer = client.post(EXAMPLE, files={"image": ("x", buffer.getvalue(), "image/png")})
    assert answer.status_code == 303, answer.text[-300:]


@pytest.mark.parametrize(
    "query",
    [
        "like=abc",
        "like=" + "A" * 10_000,
        "stimulus=0",
        "stimulus=-1",
        "stimulus=99999",
        "stimulus=1&model=x",
        "like=%00",
        "limit=0&stimulus=1",
    ],
)
def test_impossible_examples_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1{EXAMPLE}?{query}").status_code in (400, 404)
    assert client.get(f"{EXAMPLE}?{query}").status_code in (400, 404)


def test_like_and_stimulus_exclude_each_other(client: TestClient) -> None:
    like = to_text(describe(picture(np.random.default_rng(0), 50)))
    assert client.get(f"/api/v1{EXAMPLE}?like={like}&stimulus=1").status_code == 400
    assert client.get(f"/api/v1{EXAMPLE}?like={like}").status_code == 200
    assert client.get(f"/api/v1{EXAMPLE}").json()["control"] is None


def planted(seed: int, *, is_permuted: bool) -> tuple[float, float, list[int]]:
    """Return the best score, what chance finds, and the best nine of 300 units; the first nine have one group as examples.

    Args:
        seed: Of everything that is drawn.
        is_permuted: Whether the units' examples are dealt out anew.
    """
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (400, 34))
    values[:40] += 1.5 * generator.normal(0, 1, 34)
    values = (values - values.mean(0)) / values.std(0)
    looks = LooksRecord(np.zeros(34), np.ones(34), np.arange(400), values.astype(np.float32))
    examples = np.stack([generator.permutation(400)[:9] for _ in range(300)])
    examples[:9] = np.stack([1 + generator.permutation(39)[:9] for _ in range(9)])
    if is_permuted:
        examples = generator.permutation(examples.ravel()).reshape(examples.shape)
    means = looks.directions[examples].mean(1)
    owners = {int(place): np.flatnonzero((examples == place).any(1)) for place in drawn(looks)}
    chance = chance_scores(looks, means, owners, np.full(300, 9))
    scores = scores_of(looks, means, looks.directions[0])[0]
    order = np.argsort(-scores)
    return float(scores[order[0]]), chance.top, order[:9].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_planted_units_are_found_and_permuted_ones_are_not(seed: int) -> None:
    best, chance, order = planted(seed, is_permuted=False)
    assert sorted(order) == list(range(9))
    assert best > 2 * chance
    permuted_best, _, permuted_order = planted(seed, is_permuted=True)
    assert len(set(permuted_order) & set(range(9))) < 4
    assert permuted_best < 0.7 * best


@pytest.mark.parametrize("query", ["", "?min.std=0.4&sort=max", "?layer=blocks.*&status=ok&after="])
def test_each_layer_of_a_list_leads_to_its_units_of_the_same_list(client: TestClient, query: str) -> None:
    page = client.get(f"/api/v1/models/tiny_a/units{query}").json()
    assert page["num_layers_found"] == len(page["layers"]) > 1
    assert sum(layer["num_units"] for layer in page["layers"]) == page["total"]
    for layer in page["layers"]:
        own = client.get(f"/api/v1{layer['link']}").json()
        assert own["total"] == layer["num_units"] > 0
        assert {item["layer"] for item in own["items"]} == {layer["layer"]}
