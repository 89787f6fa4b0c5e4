"""Circuits that come with the program are saved once, into the model that has their weights, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from precompute.circuits.circuit import Circuit, complete, parse_circuit
from precompute.cli import main
from precompute.store import shipped
from precompute.store.shipped import save_shipped, shipped_circuits
from precompute.store.user_db import UserDb
from precompute.store.user_file import user_path
from tests.fixture_circuits import DOCUMENT, NOW

WEIGHTS = "0" * 64  # of tiny_a


@pytest.fixture
def atlas(tmp_path: Path, fixture_atlas: Path) -> Path:
    folder = tmp_path / "atlas"
    folder.mkdir()
    (folder / "atlas.db").write_bytes((fixture_atlas / "atlas.db").read_bytes())
    return folder


def circuit(weights_sha256: str, **changes: object) -> Circuit:
    document = DOCUMENT | {"id": "shipped-23456789", "model": "called-otherwise"} | changes
    return complete(parse_circuit(json.dumps(document)), weights_sha256, NOW)


def test_shipped_circuits_state_numbers_of_edges_that_they_have() -> None:
    found = shipped_circuits()
    assert len({circuit.id for circuit in found}) == len(found) >= 3
    for one in found:
        assert 4 <= len(one.units) <= 12
        assert len({unit.layer for unit in one.units}) >= 3
        stated = {(claim.about.source.key, claim.about.target.key) for claim in one.claims if claim.about.kind == "edge"}
        assert stated == {edge.key for edge in one.edges}
        assert "Control:" in one.summary
        assert "What it does not show:" in one.summary


def test_nothing_is_saved_where_no_model_has_the_weights(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["circuits", "import", "--shipped", "--atlas", str(atlas)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(shipped_circuits())
    assert all("no model of this atlas has the weights" in line for line in printed)
    assert not user_path(atlas).exists()


def test_circuit_is_saved_once_whatever_its_model_is_called(atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "shipped_circuits", lambda: [circuit(WEIGHTS), circuit("ab" * 32, id="others-23456789")])
    outcomes = dict(save_shipped(atlas))
    assert outcomes["shipped-23456789"] == "saved, on tiny_a"
    assert outcomes["others-23456789"].startswith("left out: no model")
    saved = UserDb(atlas).circuit("shipped-23456789").circuit
    assert (saved.model, saved.weights_sha256) == ("tiny_a", WEIGHTS)
    UserDb(atlas).delete("shipped-23456789")
    assert dict(save_shipped(atlas))["shipped-23456789"].startswith("left as it is")
    assert UserDb(atlas).circuits()[1] == 0


def test_circuit_of_layers_that_are_not_built_yet_waits(atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"layer": "not.built", "unit": 3}
    later = circuit(WEIGHTS, units=[missing], edges=[], claims=[])
    monkeypatch.setattr(shipped, "shipped_circuits", lambda: [later])
    assert "left out: " in dict(save_shipped(atlas))["shipped-23456789"]
    assert "'not.built'" in dict(save_shipped(atlas))["shipped-23456789"]
    assert UserDb(atlas).revisions("shipped-23456789") == []


def test_files_or_those_that_come_with_the_program(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["c.json", "--shipped"]):
        assert main(["circuits", "import", *words, "--atlas", str(atlas)]) == 2
        assert "--shipped" in capsys.readouterr().err
