"""A part of an atlas as a site of files: whole, alive, the same each time, and safe to unpack anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.export.addresses import MAX_NAME, SiteMap, relative, safe_name
from app.export.rewrite import rewrite_html, rewrite_json
from app.export.selection import parse_list, read_list, select
from app.export.site import write_site
from precompute.annotations.document import complete, validate
from precompute.cli import main
from precompute.errors import UnknownName, UsageError
from precompute.store.annotations import Annotations
from precompute.store.reader import AtlasReader
from tests.fixture_atlas import HOSTILE_LABEL
from tests.site_checks import files_of, problems_of

LISTED = "tiny_a/stem:1.4.7-9;tiny_a/blocks.0.pw:3.7.23;tiny_b/head.fc:1"


@pytest.fixture(scope="module")
def site(fixture_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "site"
    assert main(["export", str(folder), "--atlas", str(fixture_atlas), "--list", LISTED]) == 0
    return folder


@pytest.fixture(scope="module")
def files(site: Path) -> dict[str, bytes]:
    return files_of(site)


def test_every_address_of_the_site_is_a_file_of_it(files: dict[str, bytes]) -> None:
    assert problems_of(files) == []
    assert len([name for name in files if name.endswith(".html")]) > 40


def test_the_check_of_addresses_sees_what_is_dead(files: dict[str, bytes]) -> None:
    name = "models/tiny_a/stem/7.html"
    broken = files | {name: files[name].replace(b"6.html", b"66.html").replace(b"#main", b"#mein")}
    assert any("stem/8" in problem or "stem/7" in problem for problem in problems_of(broken))
    assert any("#mein" in problem for problem in problems_of(broken))
    gone = next(path for path in files if path.endswith(".webp"))
    assert problems_of({path: data for path, data in files.items() if path != gone})


def test_pages_are_those_of_the_chosen_units(files: dict[str, bytes]) -> None:
    units = {name for name in files if re.fullmatch(r"models/[^/]+/[^/]+/\d+\.html", name)}
    assert units == {
        *(f"models/tiny_a/stem/{unit}.html" for unit in (1, 4, 7, 8, 9)),
        *(f"models/tiny_a/blocks.0.pw/{unit}.html" for unit in (3, 7, 23)),
        "models/tiny_b/head.fc/1.html",
    }
    assert "models/tiny_b/stem/index.html" not in files
    assert "models/tiny_a/stem/7.outputs.html" in files
    assert "models/tiny_a/stem/7.inputs.html" not in files, "it reads the image itself"


def test_each_page_says_what_part_it_is(files: dict[str, bytes]) -> None:
    pages = [data.decode() for name, data in files.items() if name.endswith(".html")]
    assert all("Part of an atlas: 9 of 168 units." in page for page in pages)


def test_layer_model_and_start_pages_list_the_chosen_units_alone(files: dict[str, bytes]) -> None:
    layer = json.loads(files["models/tiny_a/stem/index.json"])
    assert [item["index"] for item in layer["items"]] == [1, 4, 7, 8, 9]
    assert (layer["total"], layer["next"]) == (5, None)
    model = json.loads(files["models/tiny_a/index.json"])
    assert [len(row["samples"]) for row in model["layers"]] == [5, 0, 3, 0]
    home = json.loads(files["index.json"])
    assert [card["id"] for card in home["items"]] == ["tiny_b", "tiny_a"]
    assert home["items"][0]["progress"] is None


def test_numbers_are_those_that_the_server_tells(files: dict[str, bytes], client: TestClient) -> None:
    def without_addresses(text: str) -> str:
        return re.sub(r'"[^"]*(\.html|\.json|\.webp|\.png|/)[^"]*"|null', "", text)

    for name, address in (
        ("models/tiny_a/stem/7.json", "/api/v1/models/tiny_a/stem/7"),
        ("models/tiny_a/blocks.0.pw/3.inputs.json", "/api/v1/models/tiny_a/blocks.0.pw/3/weights?direction=inputs"),
    ):
        mine, theirs = json.loads(files[name]), client.get(address).json()
        for key in ("metrics", "histogram", "total", "provenance"):
            assert mine.get(key) == theirs.get(key)
        for partner, other in zip(mine.get("items", []), theirs.get("items", []), strict=True):
            assert (partner["norm"], partner["kernel"], partner["rank"]) == (other["norm"], other["kernel"], other["rank"])
    assert without_addresses("null") == ""


def test_images_list_the_chosen_units_that_they_are_examples_of(files: dict[str, bytes], client: TestClient) -> None:
    name = next(name for name in files if name.startswith("stimuli/") and json.loads(files[name[:-5] + ".json"])["items"])
    page = json.loads(files[name.replace(".html", ".json")])
    chosen = {"stem": (1, 4, 7, 8, 9), "blocks.0.pw": (3, 7, 23)}
    theirs: list[dict[str, object]] = []
    address = f"/api/v1/stimuli/{page['id']}?limit=200"
    theirs += [item for item in client.get(address).json()["items"] if item["model"] == "tiny_a"]
    expected = {
        (u["layer"], u["unit"], u["rank"], u["activation"]) for u in theirs if u["unit"] in chosen.get(str(u["layer"]), ())
    }
    mine = {(u["layer"], u["unit"], u["rank"], u["activation"]) for u in page["items"] if u["model"] == "tiny_a"}
    assert mine == expected


def test_no_page_needs_a_server_or_a_module(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        if name.endswith(".html"):
            text = data.decode()
            assert 'type="module"' not in text
            assert "hx-get" not in text
            assert re.findall(r"<form[^>]*>", text) in (
                [form for form in re.findall(r"<form[^>]*>", text) if "search.html" in form or 'method="dialog"' in form],
            )
    assert HOSTILE_LABEL.encode() not in b"".join(data for name, data in files.items() if name.endswith(".html"))


def test_search_index_has_every_unit_with_its_page(files: dict[str, bytes]) -> None:
    text = files["search-index.js"].decode()
    rows = json.loads(text.removeprefix("window.unitscopeIndex=").removesuffix(";\n"))
    assert len(rows) == 9 + 3 + 2
    assert all(address in files for _, _, address in rows)


def test_the_same_atlas_makes_the_same_bytes(fixture_atlas: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    assert main(["export", str(tmp_path / "again"), "--atlas", str(fixture_atlas), "--list", LISTED]) == 0
    assert files_of(tmp_path / "again") == files


def test_what_is_there_is_not_written_over(fixture_atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    assert main(["export", str(tmp_path / "site"), "--atlas", str(fixture_atlas)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert files_of(tmp_path) == {"site/mine.txt": b"mine"}


def test_a_stop_leaves_nothing_behind(fixture_atlas: Path, tmp_path: Path) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    def choose(door: object) -> object:
        return select(AtlasReader(fixture_atlas), "tiny_a/stem:1", (), ())

    with pytest.raises(KeyboardInterrupt):
        write_site(fixture_atlas, tmp_path / "site", choose, stop)  # pyright: ignore[reportArgumentType]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--list", "tiny_x/stem:1"], "tiny_a"),
        (["--list", "tiny_a/stam:1"], "stem"),
        (["--list", "tiny_a/stem:24"], "0 to 23"),
        (["--list", "nowhere"], "is no file, no list of units"),
        (["--list", "tiny_a/stem:1", "--model", "tiny_b"], "leave none"),
        (["--model", "tiny_x"], "tiny_a"),
        (["--layers", "nothing*"], "leave none"),
    ],
)
def test_wrong_choices_are_refused(
    fixture_atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["export", str(tmp_path / "site"), "--atlas", str(fixture_atlas), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_lists_are_read_from_files_and_patterns_choose_layers(fixture_atlas: Path, tmp_path: Path) -> None:
    path = tmp_path / "units.txt"
    path.write_text("# mine\ntiny_a/stem:1.2\ntiny_b/stem:3-4 # and these\n")
    reader = AtlasReader(fixture_atlas)
    chosen = select(reader, read_list(str(path), Annotations(fixture_atlas)), (), ())
    assert chosen.units == {"tiny_a": {"stem": [1, 2]}, "tiny_b": {"stem": [3, 4]}}
    chosen = select(reader, None, ["tiny_a"], ["blocks.*"])
    assert list(chosen.units["tiny_a"]) == ["blocks.0.dw", "blocks.0.pw"]
    assert chosen.num_units == 48
    assert select(reader, None, (), ()).words.startswith("A whole atlas")
    with pytest.raises(UsageError, match="does not name units"):
        parse_list({}, "stem:1")
    with pytest.raises(UnknownName):
        parse_list({}, "m/stem:1")
    reader.close()


def test_list_of_people_is_exported_by_id_and_by_address(atlas: Path) -> None:
    said = Annotations(atlas)
    items = [{"model": "tiny_a", "layer": "stem", "unit": 4}, {"model": "tiny_b", "layer": "head.fc"}]
    bodies: list[dict[str, Any]] = [
        {"kind": "list", "title": "Lines", "items": items},
        {"kind": "list", "title": "Nothing", "items": []},
        {"kind": "note", "text": "Lines.", "about": items[0]},
    ]
    weights = {"tiny_a": "0" * 64, "tiny_b": "0" * 64}
    shown, empty, note = (said.add(complete(validate(body), weights))[0].id or "" for body in bodies)
    reader = AtlasReader(atlas)
    for name in (shown, f"/lists/{shown}", f"http://127.0.0.1:8000/lists/{shown}?build=1"):
        chosen = select(reader, read_list(name, said), (), ())
        assert chosen.units == {
            "tiny_a": {"stem": [4]},
            "tiny_b": {"head.fc": list(range(reader.catalog("tiny_b", reader.revision()).layer("head.fc").spec.num_units))},
        }
    for name, why in ((empty, "is empty"), (note, "is a note"), ("lines-23456789", f"Lists of this atlas: .*{shown}")):
        with pytest.raises(UsageError, match=why):
            read_list(name, said)
    reader.close()


def test_file_names_are_safe_and_distinct_everywhere() -> None:
    names = [
        "Conv",
        "conv",
        "CONV",
        "aux",
        "AUX.1",
        "con.weight",
        "nul",
        "com1",
        "a:b",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        " ",
        "a ",
        "a.",
    ]
    names += ["index.html", "x" * 300, "x" * 299, "ü", "\u202e", "a?b", "a*b", 'a"b', "-a", "~", "\0"]
    names += [safe_name(name) for name in names]
    made = [safe_name(name) for name in dict.fromkeys(names)]
    assert len({name.lower() for name in made}) == len(made)
    for name in made:
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*|-?[a-z0-9_-]+", name)
        assert len(name) <= MAX_NAME
        assert name.partition(".")[0] not in {"con", "aux", "nul", "prn", "com1", "lpt1"}
        assert not name.endswith((".", " "))


def test_relative_addresses_are_quoted() -> None:
    assert relative("a b/c.html#d", "x/y.html") == "../a%20b/c.html#d"
    assert relative("index.html", "index.html") == "index.html"


def test_site_has_no_file_outside(tmp_path: Path) -> None:
    known = SiteMap()
    assert known.find("/media/../../etc/passwd", may_add=True) is not None
    assert all(".." not in file for file in known.files.values())


def test_links_to_what_is_not_there_become_text() -> None:
    page = (
        '<head></head><main id="main"><a class="who" href="/gone"><b>1</b></a> <a class="button" href="/gone">Go</a> '
        '<form method="get"><a href="/here">x</a></form><a href="/here" title="/gone">y</a>'
        "<p data-needs-server>z<p>q</p></p></main>"
    )
    made = rewrite_html(page, lambda address: "here.html" if address != "/gone" else None, "Part")
    assert '<span class="who unlinked"><b>1</b></span>' in made
    assert '<a href="here.html" title="/gone">y</a>' in made
    assert "Go" not in made
    assert "<form" not in made
    assert ">z" not in made
    body = rewrite_json(
        {"label": "/gone", "links": {"html": "/gone", "self": "/here"}, "url": "/here"}, lambda a: a[1:] if a != "/gone" else None
    )
    assert body == {"label": "/gone", "links": {"html": None, "self": "here"}, "url": "here"}
