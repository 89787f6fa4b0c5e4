"""What people write: made by the first write alone, nothing lost, writers that wait for each other, backups while they write."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from precompute.circuits.circuit import Circuit, complete, parse_circuit, write_circuit
from precompute.errors import AtlasError, Conflict, UnknownName
from precompute.store.user_db import UserDb
from precompute.store.user_file import user_path


def circuit(title: str, circuit_id: str = "lines-23456789", model: str = "tiny_a") -> Circuit:
    document = {"id": circuit_id, "model": model, "title": title, "units": [{"layer": "stem", "unit": 1}]}
    return complete(parse_circuit(json.dumps(document)), "0" * 64, "2026-01-02T03:04:05+00:00")


def test_looking_makes_no_file(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    assert users.circuits() == ([], 0)
    assert users.view("abcdefghij") is None
    assert users.revisions("lines-23456789") == []
    with pytest.raises(UnknownName):
        users.circuit("lines-23456789")
    users.stamp()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_read_back_to_the_byte(tmp_path: Path) -> None:
    first = circuit("Lines")
    record, is_new = UserDb(tmp_path).add(first)
    assert is_new
    assert record.revision == 1
    found = UserDb(tmp_path).circuit(first.id)
    assert found == record
    assert write_circuit(found.circuit) == write_circuit(first)
    with closing(sqlite3.connect(user_path(tmp_path))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_revision_is_kept_even_after_deletion(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    users.add(circuit("One"))
    users.change(circuit("Two"))
    users.delete("lines-23456789")
    with pytest.raises(UnknownName):
        users.circuit("lines-23456789")
    users.add(circuit("Three"))
    kept = users.revisions("lines-23456789")
    assert [(one.revision, one.action) for one in kept] == [(1, "created"), (2, "changed"), (3, "deleted"), (4, "created")]
    assert [json.loads(one.document)["title"] for one in kept] == ["One", "Two", "Two", "Three"]


def test_same_circuit_may_come_again_and_another_with_its_id_may_not(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    users.add(circuit("One"))
    assert users.add(circuit("One"))[1] is False
    with pytest.raises(Conflict, match="PUT"):
        users.add(circuit("Two"))
    assert users.circuit("lines-23456789").circuit.title == "One"
    assert len(users.revisions("lines-23456789")) == 1


def test_change_of_an_older_revision_is_refused(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    users.add(circuit("One"))
    users.change(circuit("Two"), expected_revision=1)
    with pytest.raises(Conflict, match="revision 2"):
        users.change(circuit("Other"), expected_revision=1)
    assert users.circuit("lines-23456789").circuit.title == "Two"


def test_unknown_circuit_is_named_with_the_closest(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    users.add(circuit("One"))
    for act in (users.circuit, users.delete):
        with pytest.raises(UnknownName, match="lines-23456789"):
            act("lines-23456788")


def test_list_is_filtered_and_paged_without_gap(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    for number in range(7):
        users.add(circuit(f"C{number}", f"circuit-{number}", ("tiny_a", "tiny_b")[number % 2]))
    found: list[str] = []
    after = None
    while True:
        records, total = users.circuits(limit=3, after=after)
        assert total == 7
        if not records:
            break
        found += [record.circuit.id for record in records]
        after = (records[-1].updated_at, records[-1].circuit.id)
    assert sorted(found) == [f"circuit-{number}" for number in range(7)]
    records, total = users.circuits("tiny_b")
    assert {record.circuit.model for record in records} == {"tiny_b"}
    assert total == len(records) == 3


def test_stamp_changes_with_every_write_and_no_look(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    stamps = [users.stamp()]
    users.add(circuit("One"))
    stamps.append(users.stamp())
    users.circuits()
    assert users.stamp() == stamps[-1]
    users.save_view("/docs")
    stamps.append(users.stamp())
    assert len(set(stamps)) == 3


def test_writers_of_two_processes_worth_lose_nothing(tmp_path: Path) -> None:
    start = threading.Barrier(4)
    problems: list[Exception] = []

    def write(number: int) -> None:
        try:
            users = UserDb(tmp_path)  # an engine of its own: they share nothing but the file, which none has made yet
            start.wait()
            users.add(circuit(f"{number}", f"circuit-of-{number}"))
            for step in range(10):
                users.change(circuit(f"{number}.{step}", f"circuit-of-{number}"))
                users.save_view(f"/search?q={number}.{step}")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    users = UserDb(tmp_path)
    for number in range(4):
        kept = users.revisions(f"circuit-of-{number}")
        assert [one.revision for one in kept] == list(range(1, 12))
        assert users.circuit(f"circuit-of-{number}").circuit.title == f"{number}.9"


def test_writers_of_one_circuit_get_revisions_of_their_own(tmp_path: Path) -> None:
    UserDb(tmp_path).add(circuit("Start"))
    revisions: list[int] = []

    def write(name: str) -> None:
        users = UserDb(tmp_path)
        revisions.extend(users.change(circuit(f"{name}{step}")).revision for step in range(10))

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revisions) == list(range(2, 22))
    assert len(UserDb(tmp_path).revisions("lines-23456789")) == 21


def test_backup_taken_while_writes_go_on_is_whole(tmp_path: Path) -> None:
    atlas, restored = tmp_path / "atlas", tmp_path / "restored"
    atlas.mkdir()
    restored.mkdir()
    users = UserDb(atlas)
    users.add(circuit("0"))
    is_enough = threading.Event()

    def write() -> None:
        step = 0
        while not is_enough.is_set():
            step += 1
            users.change(circuit(str(step)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while users.circuit("lines-23456789").revision < 20:
            pass
        with (
            closing(sqlite3.connect(user_path(atlas))) as source,
            closing(sqlite3.connect(user_path(restored))) as target,
        ):
            source.backup(target)
        while users.circuit("lines-23456789").revision < 40:
            pass
    finally:
        is_enough.set()
        writer.join()
    copy = UserDb(restored)
    last = copy.circuit("lines-23456789")
    kept = copy.revisions("lines-23456789")
    assert 20 <= last.revision < users.circuit("lines-23456789").revision
    assert kept == users.revisions("lines-23456789")[: last.revision]
    assert last.circuit.title == str(last.revision - 1)


def test_file_put_in_its_place_is_seen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        UserDb(tmp_path / name).add(circuit(name))
    users = UserDb(tmp_path / "a")
    before = users.stamp()
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    os.replace(user_path(tmp_path / "b"), user_path(tmp_path / "a"))
    assert users.circuit("lines-23456789").circuit.title == "b"
    assert users.stamp() != before


def test_one_address_has_one_short_id_that_cannot_be_guessed(tmp_path: Path) -> None:
    users = UserDb(tmp_path)
    first = users.save_view("/models/a?x=1")
    assert users.save_view("/models/a?x=1") == first
    second = users.save_view("/models/a?x=2")
    assert second != first
    assert len(first) >= 8
    assert first.isalnum()
    assert [users.view(first), users.view(second), users.view("nothing")] == ["/models/a?x=1", "/models/a?x=2", None]


def test_file_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    UserDb(tmp_path).add(circuit("One"))
    with closing(sqlite3.connect(user_path(tmp_path))) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
        connection.commit()
    users = UserDb(tmp_path)
    for act in (users.circuits, lambda: users.add(circuit("Two")), users.stamp):
        with pytest.raises(AtlasError, match="schema 99"):
            act()


def test_what_is_no_database_is_said_in_words(tmp_path: Path) -> None:
    user_path(tmp_path).write_bytes(b"not a database, not at all " * 99)
    for act in (UserDb(tmp_path).circuits, lambda: UserDb(tmp_path).add(circuit("One"))):
        with pytest.raises(AtlasError, match=r"user\.db"):
            act()
    with pytest.raises(AtlasError, match="no atlas"):
        UserDb(tmp_path / "nowhere").add(circuit("One"))


def test_empty_file_counts_as_nothing_written(tmp_path: Path) -> None:
    user_path(tmp_path).touch()
    assert UserDb(tmp_path).circuits() == ([], 0)
    assert UserDb(tmp_path).add(circuit("One"))[1]
