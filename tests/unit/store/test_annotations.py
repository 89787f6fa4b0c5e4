"""Annotations in the store: every state kept, looked up by what they name, found by their words, merged to the same."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from precompute.annotations.document import (
    Annotation,
    Deleted,
    Subject,
    complete,
    parse_annotation,
    validate,
    write_annotation,
)
from precompute.annotations.lines import read_lines, write_lines
from precompute.circuits.circuit import complete as complete_circuit
from precompute.circuits.circuit import parse_circuit
from precompute.errors import Conflict, UnknownName, UsageError
from precompute.store.annotations import Annotations
from precompute.store.user_db import UserDb
from precompute.store.user_file import user_path

UNIT: dict[str, Any] = {"model": "tiny_a", "layer": "stem", "unit": 7}


def make(kind: str = "label", **fields: Any) -> Annotation:
    body: dict[str, Any] = {"kind": kind} | ({} if kind == "list" else {"about": UNIT})
    body |= {"text": "curve detector"} if kind in {"label", "note"} else {}
    body |= {"title": "Curves", "items": [UNIT | {"remark": "the clearest"}]} if kind == "list" else {}
    return complete(parse_annotation(json.dumps(body | fields)), {"tiny_a": "0" * 64})


def changed(before: Annotation, **fields: Any) -> Annotation:
    return complete(before.model_copy(update=fields), {}, before.id, before)


def deleted(before: Annotation) -> Deleted:
    gone = complete(validate({"kind": before.kind, "deleted": True}), {}, before.id, before)
    assert isinstance(gone, Deleted)
    return gone


def test_looking_makes_no_file(tmp_path: Path) -> None:
    store = Annotations(tmp_path)
    assert store.recent() == ([], 0)
    assert (
        store.naming(Subject.model_validate(UNIT))
        == store.everything()
        == store.find_written("curve", 9)
        == store.states("a")
        == []
    )
    assert store.labels_of("tiny_a", "stem") == {}
    with pytest.raises(UnknownName):
        store.annotation("label-23456789")
    store.stamp()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["label", "note", "star", "list"])
def test_what_was_said_is_read_back_to_the_byte_and_found_where_it_belongs(tmp_path: Path, kind: str) -> None:
    store, one = Annotations(tmp_path), make(kind, author="A. Reader")
    assert store.add(one) == (one, True)
    assert store.add(one) == (one, False)
    assert one.id is not None
    found = Annotations(tmp_path).annotation(one.id)
    assert found == one
    assert write_annotation(found) == write_annotation(one)
    assert [(m.part, m.annotation) for m in store.naming(Subject.model_validate(UNIT))] == [
        ("item" if kind == "list" else "about", one)
    ]
    assert (
        store.naming(Subject.model_validate(UNIT | {"unit": 8}))
        == store.naming(Subject.model_validate({"model": "tiny_a", "layer": "stem"}))
        == []
    )
    assert store.labels_of("tiny_a", "stem") == ({7: ["curve detector"]} if kind == "label" else {})
    assert [record.action for record in store.states(one.id)] == ["created"]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "list", "items": []},
        {"kind": "list", "items": [], "text": None, "author": "", "weights": {}},
        {"kind": "label", "evidence": [], "author": ""},
        {"kind": "note", "weights": {}},
        {"kind": "star", "author": ""},
    ],
    ids=lambda fields: f"{fields['kind']}-{len(fields)}",
)
def test_what_is_empty_is_read_back(tmp_path: Path, fields: dict[str, Any]) -> None:
    said = Annotations(tmp_path)
    made, _ = said.add(make(**fields))
    assert write_annotation(said.annotation(made.id or "")) == write_annotation(made)
    assert [one.id for one in said.recent()[0]] == [made.id]


def test_every_state_is_kept_and_a_deletion_is_one(tmp_path: Path) -> None:
    store, one = Annotations(tmp_path), make()
    store.add(one)
    two = changed(one, text="spiral detector")
    store.change(two, 1)
    with pytest.raises(Conflict, match="revision 2"):
        store.change(changed(one, text="late"), 1)
    with pytest.raises(Conflict):
        store.delete(deleted(one), 1)
    store.delete(deleted(two), 2)
    assert one.id is not None
    with pytest.raises(UnknownName, match="deleted"):
        store.annotation(one.id)
    assert store.naming(Subject.model_validate(UNIT)) == store.find_written("spiral", 9) == []
    assert [(s.action, s.annotation.headline) for s in store.states(one.id)] == [
        ("created", "curve detector"),
        ("changed", "spiral detector"),
        ("deleted", ""),
    ]
    assert [found.is_deleted for found in store.everything()] == [True]


def test_one_author_has_one_star_on_one_thing_in_every_atlas(tmp_path: Path) -> None:
    store = Annotations(tmp_path)
    first, again, other = make("star", author="A"), make("star", author="A"), make("star", author="B")
    assert first.id == again.id != other.id
    assert [store.add(one)[1] for one in (first, again, other)] == [True, False, True]
    store.delete(deleted(first), 1)
    back, is_new = store.add(make("star", author="A"))
    assert (is_new, back.revision) == (True, 3)


def test_words_are_found_by_their_beginnings_and_kept_in_step(tmp_path: Path) -> None:
    store = Annotations(tmp_path)
    label = make(text="Curve détector, high-low", author="Zoë")
    store.add(label)
    note = make("note", text="# Notes\n\nAlso answers to *spirals*.")
    store.add(note)
    store.add(make("list", text="About fur"))

    def ids(text: str) -> list[str | None]:
        return [found.annotation.id for found in store.find_written(text, 10)]

    assert ids("cur det") == ids("DETECTOR") == ids("zoe") == ids("high") == [label.id]
    assert ids("spir") == [note.id]
    assert {found.headline for found in store.find_written("fur", 10)} == {"Curves"}
    assert ids("detector missing") == ids("etector") == ids("") == ids("...") == []
    store.change(changed(label, text="Ring detector"), 1)
    assert (ids("curve detector"), ids("ring")) == ([], [label.id])
    assert len(store.find_written("a", 1)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '"',
        '"" OR ""',
        "a AND",
        "NEAR(a b)",
        "words:a",
        "a*",
        "^a",
        "-a",
        "(",
        "{a b}: c",
        "\0",
        "\ud800",
        "'; DROP TABLE annotation; --",
        "a" * 1_000_000,
        "a " * 100_000,
        "💩",
        "\u202e",
        "%",
        "_",
        "a\0b",
        "rowid:1",
        "+",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_no_query_breaks_the_search(tmp_path: Path, text: str) -> None:
    store = Annotations(tmp_path)
    store.add(make(text="a plain label"))
    assert len(store.find_written(text, 10)) <= 1
    assert store.find_written("plain", 10)


def test_file_of_the_first_version_is_read_and_grows_with_the_first_write(tmp_path: Path) -> None:
    circuit = complete_circuit(
        parse_circuit(json.dumps({"model": "tiny_a", "title": "Old", "units": [{"layer": "stem", "unit": 1}]})),
        "0" * 64,
        "2026-01-02T03:04:05+00:00",
    )
    UserDb(tmp_path).add(circuit)
    with closing(sqlite3.connect(user_path(tmp_path))) as connection:  # as the first version left it
        for table in ("annotation", "annotation_revision", "annotation_mention", "annotation_words"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM meta WHERE key = 'annotation_changes'")
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'schema_version'")
        connection.commit()
    store = Annotations(tmp_path)
    before = store.stamp()
    assert store.recent() == ([], 0)
    assert UserDb(tmp_path).circuit(circuit.id).circuit == circuit
    store.add(make())
    assert store.recent()[1] == 1
    assert store.stamp() != before
    assert UserDb(tmp_path).circuit(circuit.id).circuit == circuit


def test_stamp_follows_annotations_and_not_circuits(tmp_path: Path) -> None:
    store, users = Annotations(tmp_path), UserDb(tmp_path)
    store.add(make())
    stamps = [(store.stamp(), users.stamp())]
    users.save_view("/docs")
    stamps.append((store.stamp(), users.stamp()))
    assert stamps[0][0] == stamps[1][0]
    assert stamps[0][1] != stamps[1][1]
    seen = {store.stamp()}
    for number in range(12):  # faster than the clock of a file ticks
        store.add(make(text=f"label {number}"))
        seen.add(store.stamp())
    assert len(seen) == 13


def test_recent_is_filtered_and_paged_without_gap(tmp_path: Path) -> None:
    store = Annotations(tmp_path)
    for number in range(7):
        about = UNIT | {"model": ("tiny_a", "tiny_b")[number % 2]}
        store.add(make(text=f"label {number}", author="AB"[number % 2], about=about))
    store.add(make("star"))
    found: list[str | None] = []
    after = None
    while True:
        page, total = store.recent(limit=3, after=after)
        assert total == 8
        if not page:
            break
        found += [one.id for one in page]
        after = (page[-1].updated_at or "", page[-1].id or "")
    assert len(found) == len(set(found)) == 8
    assert store.recent("star")[1] == 1
    assert store.recent("label", "tiny_b")[1] == store.recent(author="B")[1] == 3


# -- taking it elsewhere -----------------------------------------------------------------------------------------------


def test_same_file_twice_changes_nothing(tmp_path: Path) -> None:
    source = Annotations(tmp_path / "a")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for one in (make(), make("note"), make("star"), make("list")):
        source.add(one)
    gone = make(text="gone")
    source.add(gone)
    source.delete(deleted(gone), 1)
    data = write_lines(source.everything())
    target = Annotations(tmp_path / "b")
    assert [one.outcome for one in target.merge(read_lines(data.encode()))].count("new") == 4
    stored = target.everything()
    assert write_lines(stored) == data
    assert {one.outcome for one in target.merge(read_lines(data.encode()))} == {"unchanged"}
    assert target.everything() == stored
    assert all(len(target.states(one.id or "")) == 1 for one in stored)


def test_atlases_come_to_say_the_same_in_whatever_order_they_are_merged(tmp_path: Path) -> None:
    draw = random.Random(7)
    base = [make(text=f"label {number}") for number in range(6)]
    files: list[bytes] = []
    for _ in range(3):
        state = list(base)
        for place in range(len(state)):
            for step in range(draw.randrange(3)):
                is_last = draw.random() < 0.3
                state[place] = deleted(state[place]) if is_last else changed(state[place], text=f"edit {draw.random()} {step}")
                if is_last:
                    break
        files.append(write_lines(state).encode())
    results: set[str] = set()
    for number, order in enumerate(itertools.permutations(files)):
        (tmp_path / str(number)).mkdir()
        store = Annotations(tmp_path / str(number))
        for data in order:
            store.merge(read_lines(data))
        results.add(write_lines(store.everything()))
    assert len(results) == 1
    assert results.pop() not in {data.decode() for data in files}


def test_older_state_does_not_undo_a_newer_one(tmp_path: Path) -> None:
    store, one = Annotations(tmp_path), make()
    store.add(one)
    before = write_lines(store.everything()).encode()
    two = changed(one, text="better")
    store.change(two, 1)
    assert [found.outcome for found in store.merge(read_lines(before))] == ["older"]
    store.delete(deleted(two), 2)
    assert [found.outcome for found in store.merge(read_lines(before))] == ["older"]
    assert store.recent() == ([], 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "no JSON"),
        ('{"kind": "label"}', "'about'"),
        ('{"kind": "label", "about": {"model": "m"}, "text": "x"}', "lacks one of"),
        ('{"kind": "poem"}', "one of: label"),
        ("[" * 5000, "no JSON"),
        ('{"kind": "star", "kind": "star"}', "twice"),
        ('"\\ud800"', "no JSON"),
        ("\xff", "UTF-8"),
        (None, "id of line 1"),
    ],
    ids=str,
)
def test_bad_line_is_named_and_nothing_is_read(line: str | None, words: str) -> None:
    good = [make(text="one"), make(text="two")]
    lines = [write_annotation(one) for one in good]
    bad = lines[0] if line is None else line
    data = "\n".join([lines[0], "", lines[1], bad]).encode("latin-1")
    with pytest.raises(UsageError, match="Line 4") as caught:
        read_lines(data)
    assert words in caught.value.detail
    assert "Nothing was imported" in caught.value.detail
    assert len(read_lines("\n".join(lines).encode())) == 2


def test_file_keeps_its_order_when_something_is_added_or_changed(tmp_path: Path) -> None:
    store = Annotations(tmp_path)
    annotations = [make(text=f"label {number}") for number in range(5)]
    for one in annotations:
        store.add(one)
    before = write_lines(store.everything()).splitlines()
    store.change(changed(annotations[1], text="other"), 1)
    store.add(make(text="later"))
    after = write_lines(store.everything()).splitlines()
    assert len(after) == 6
    assert [line for line in before if line not in after] == [line for line in before if "label 1" in line]
    assert [line for line in after if line in before] == [line for line in before if line in after]


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    start = threading.Barrier(4)
    problems: list[Exception] = []

    def write(name: str) -> None:
        try:
            store = Annotations(tmp_path)
            start.wait()
            for step in range(8):
                one = make(text=f"{name} {step}")
                store.add(one)
                store.change(changed(one, text=f"{name} {step} again"), 1)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    store = Annotations(tmp_path)
    texts = {one.headline for one in store.recent(limit=99)[0]}
    assert texts == {f"{name} {step} again" for name in "abcd" for step in range(8)}
    assert len(store.find_written("again", 99)) == 32
