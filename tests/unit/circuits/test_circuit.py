"""Circuit documents: what is refused and with which words, and that nothing changes on the way through a file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from precompute.circuits.circuit import (
    MAX_BYTES,
    MAX_EDGES,
    MAX_UNITS,
    CircuitDraft,
    check_units,
    circuit_schema,
    complete,
    new_id,
    parse_circuit,
    parse_stored,
    write_circuit,
)
from precompute.errors import UnknownName, UsageError

SHA256 = "0" * 64
NOW = "2026-01-02T03:04:05+00:00"
FIRST, SECOND = {"layer": "stem", "unit": 3}, {"layer": "pw", "unit": 7}
EXAMPLE: dict[str, Any] = {
    "model": "tiny_a",
    "title": "Curves from lines",
    "units": [FIRST | {"role": "line", "position": {"x": 0, "y": 4.5}}, SECOND | {"note": "ü <b>\n"}],
    "edges": [{"source": FIRST, "target": SECOND, "note": "the tangent"}],
    "claims": [
        {"text": "It detects curves.", "about": {"kind": "whole"}},
        {"text": "A line.", "about": {"kind": "unit", "unit": FIRST}},
        {
            "text": "Inhibits.",
            "about": {"kind": "edge", "source": FIRST, "target": SECOND},
            "expected": {"number": "sum", "value": -0.42, "tolerance": 0.01},
        },
    ],
}


def parse(document: Any) -> CircuitDraft:
    return parse_circuit(json.dumps(document))


def test_document_is_the_same_after_writing_and_reading() -> None:
    circuit = complete(parse(EXAMPLE), SHA256, NOW)
    text = write_circuit(circuit)
    assert parse_stored(text) == circuit
    assert write_circuit(parse_stored(text)) == text
    assert complete(parse_circuit(text), "1" * 64, "2027-01-01T00:00:00+00:00") == circuit


def test_written_document_says_what_was_given_and_what_was_filled_in() -> None:
    written = json.loads(write_circuit(complete(parse(EXAMPLE), SHA256, NOW)))
    filled_in = {"id", "weights_sha256", "created_at", "format_version", "summary", "author"}
    assert {name: value for name, value in written.items() if name not in filled_in} == EXAMPLE
    assert written["weights_sha256"] == SHA256
    assert written["created_at"] == NOW


def changed(change: Callable[[Any], object]) -> Any:
    document = copy.deepcopy(EXAMPLE)
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda d: d.update(sumary="x"), ["'sumary'", "'summary'"], id="unknown field"),
        pytest.param(lambda d: d["units"][1].update(rol="x"), ["units[1]", "'rol'", "'role'"], id="unknown field of a unit"),
        pytest.param(lambda d: d["claims"][2]["about"]["source"].update(layr="x"), ["about.source", "'layer'"], id="deep field"),
        pytest.param(lambda d: d.pop("title"), ["lacks", "'title'"], id="missing"),
        pytest.param(lambda d: d["units"][0].update(unit="3"), ["units[0].unit", "'3'"], id="text for a number"),
        pytest.param(lambda d: d["units"][0].update(unit=True), ["units[0].unit"], id="truth for a number"),
        pytest.param(lambda d: d["units"][0].update(unit=-1), ["units[0].unit", "-1"], id="negative unit"),
        pytest.param(lambda d: d.update(title=" "), ["title", "empty"], id="blank title"),
        pytest.param(lambda d: d.update(title="t" * 201), ["title", "200"], id="long title"),
        pytest.param(lambda d: d.update(summary="t" * 2001), ["summary", "2000"], id="long summary"),
        pytest.param(lambda d: d.update(author="a\0b"), ["author", "U+0000"], id="control character"),
        pytest.param(lambda d: d.update(units=[]), ["units", "at least 1"], id="no unit"),
        pytest.param(lambda d: d.update(format_version=2), ["format_version", "1"], id="format of the future"),
        pytest.param(lambda d: d.update(id="../../etc"), ["id"], id="id that leads elsewhere"),
        pytest.param(lambda d: d.update(id="new"), ["id"], id="id that is an address of ours"),
        pytest.param(lambda d: d.update(weights_sha256="abc"), ["weights_sha256"], id="no hash"),
        pytest.param(lambda d: d.update(created_at="yesterday"), ["created_at", "2026-"], id="no moment"),
        pytest.param(lambda d: d.update(created_at="2026-01-01"), ["created_at", "time zone"], id="no time zone"),
        pytest.param(lambda d: d["units"].append(dict(FIRST)), ["units[2]", "stem/3", "units[0]"], id="unit twice"),
        pytest.param(lambda d: d["edges"].append(d["edges"][0]), ["edges[1]", "edges[0]"], id="edge twice"),
        pytest.param(lambda d: d["edges"][0].update(target=FIRST), ["edges[0]", "itself"], id="edge to itself"),
        pytest.param(lambda d: d["units"].pop(1), ["edges[0]", "pw/7", "among the units"], id="edge of no unit"),
        pytest.param(lambda d: d["edges"].clear(), ["claims[2]", "among the edges"], id="claim about no edge"),
        pytest.param(lambda d: d["claims"][1]["about"].update(unit={"layer": "a", "unit": 1}), ["a/1"], id="claim about no unit"),
        pytest.param(lambda d: d["claims"][2].update(about={"kind": "whole"}), ["only an edge"], id="number of no edge"),
        pytest.param(lambda d: d["claims"][2]["expected"].update(tolerance=-1), ["tolerance"], id="negative tolerance"),
        pytest.param(
            lambda d: d["claims"][2]["expected"].update(number="median"), ["number", "'norm', 'sum'"], id="other number"
        ),
        pytest.param(lambda d: d.update(title="\ud800"), ["UTF-8"], id="half a character"),
        pytest.param(
            lambda d: d.update(units=[{"layer": "a", "unit": n} for n in range(MAX_UNITS + 1)], edges=[], claims=[]),
            ["units", str(MAX_UNITS)],
            id="many units",
        ),
    ],
)
def test_wrong_document_is_refused_with_place_and_next_step(change: Callable[[Any], object], words: list[str]) -> None:
    parse(EXAMPLE)
    with pytest.raises(UsageError) as caught:
        parse(changed(change))
    assert [word for word in words if word not in caught.value.detail] == []


def test_many_edges_are_refused() -> None:
    units = [{"layer": layer, "unit": unit} for layer in "ab" for unit in range(50)]
    edges = [{"source": source, "target": target} for source in units[:50] for target in units[50:]]
    short = {"model": "m", "title": "t", "units": units}
    assert len(parse(short | {"edges": edges[:MAX_EDGES]}).edges) == MAX_EDGES
    with pytest.raises(UsageError, match=str(MAX_EDGES)):
        parse(short | {"edges": edges[: MAX_EDGES + 1]})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"title": 1e999}',
        '{"title": "a", "title": "b"}',
        "[" * 100_000,
        "9" * 5000,
        "",
        "[]",
        "null",
        "{",
        b"\xff\xfe",
        "{" + " " * MAX_BYTES + "}",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(UsageError):
        parse_circuit(text)


def test_byte_order_mark_is_no_obstacle() -> None:
    assert parse_circuit(b"\xef\xbb\xbf" + json.dumps(EXAMPLE).encode()) == parse(EXAMPLE)


def test_what_would_be_too_large_to_import_again_is_refused() -> None:
    claims = [{"text": "c" * 3000, "about": {"kind": "whole"}} for _ in range(86)]
    draft = EXAMPLE | {"claims": claims, "summary": ""}
    while (spare := MAX_BYTES - len(json.dumps(draft, separators=(",", ":")))) < 0:
        claims.pop()
    draft["summary"] = "s" * min(spare, 2000)
    claims[0]["text"] += "c" * min(spare - len(draft["summary"]), 1000)
    claims[1]["text"] += "c" * max(0, min(spare - len(draft["summary"]) - 1000, 1000))
    parsed = parse_circuit(json.dumps(draft, separators=(",", ":")))  # fits, as long as it has neither id nor hash
    with pytest.raises(UsageError, match="256 kB"):
        complete(parsed, SHA256, NOW)


LAYERS = {"stem": 24, "dw": 24, "pw": 24}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda d: d["units"].append({"layer": "sten", "unit": 0}), ["'sten'", "'stem'"], id="layer"),
        pytest.param(lambda d: d["units"].append({"layer": "stem", "unit": 24}), ["'24'", "0 to 23"], id="unit"),
    ],
)
def test_unit_that_the_model_does_not_have_is_refused_with_the_closest(change: Any, words: list[str]) -> None:
    check_units(parse(EXAMPLE), LAYERS)
    with pytest.raises(UnknownName) as caught:
        check_units(parse(changed(change)), LAYERS)
    assert [word for word in words if word not in caught.value.detail] == []


def test_edge_that_leads_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="turn the edge round"):
        check_units(parse(EXAMPLE), {"pw": 24, "stem": 24})


def test_ids_begin_like_the_title_and_differ() -> None:
    assert new_id("Ümlaut & <script>").startswith("umlaut-script-")
    assert new_id("…").startswith("circuit-")
    assert len({new_id("T") for _ in range(100)}) == 100
    for title in ("x" * 200, "-", "a" * 39 + " b", "日本"):
        parse(EXAMPLE | {"id": new_id(title)})


def test_schema_names_every_field_and_forbids_others() -> None:
    schema = circuit_schema()
    assert set(schema["properties"]) >= set(EXAMPLE) | {"id", "weights_sha256", "created_at", "format_version"}
    assert set(schema["required"]) == {"model", "title", "units"}
    objects = [schema, *schema["$defs"].values()]
    assert [part["title"] for part in objects if part["additionalProperties"] is not False] == []
    assert schema["properties"]["units"]["maxItems"] == MAX_UNITS
