"""What docs/circuits.md shows is what the program takes."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from precompute.circuits.circuit import MAX_BYTES, MAX_CLAIMS, MAX_EDGES, MAX_UNITS, circuit_schema, complete, parse_circuit
from precompute.circuits.starting import start_document
from precompute.cli import main
from precompute.store.user_db import UserDb

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "circuits.md").read_text()


def test_example_is_a_circuit_that_shows_every_kind_of_claim() -> None:
    example = parse_circuit(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    assert [claim.about.kind for claim in example.claims] == ["whole", "unit", "edge"]


def test_limits_and_needed_fields_are_those_of_the_program() -> None:
    assert f"At most {MAX_UNITS} units, {MAX_EDGES} edges, {MAX_CLAIMS} claims, {MAX_BYTES // 1024} kB" in TEXT
    assert {f"`{name}`" for name in circuit_schema()["required"]} == {"`model`", "`title`", "`units`"}


def test_backup_command_copies_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "atlas").mkdir()
    circuit = complete(parse_circuit(start_document("m", "T", "a/1", "")), "0" * 64, "2026-01-01T00:00:00+00:00")
    UserDb(tmp_path / "atlas").add(circuit)
    words = shlex.split(next(line for line in TEXT.splitlines() if "annotations backup" in line))
    monkeypatch.chdir(tmp_path)
    assert main(words[1:]) == 0
    with closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        assert copy.execute("SELECT id FROM circuit").fetchall() == [(circuit.id,)]
