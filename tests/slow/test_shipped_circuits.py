"""The circuits that come with the program hold on the real weights, and on no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.circuits.circuit import Circuit, complete, parse_circuit, write_circuit
from precompute.models.base import load_model
from precompute.models.modules import TracedModel
from precompute.store.shipped import save_shipped, shipped_circuits
from precompute.store.user_db import UserDb

pytestmark = pytest.mark.slow

REAL, RANDOM = "timm:tf_efficientnet_lite0@pip", "timm:tf_efficientnet_lite0@random:0"
LAYERS = ("conv_stem", "blocks.0.*", "blocks.1.*", "blocks.2.0.conv_pw")


def built(spec: str, atlas: Path) -> TestClient:
    words = ["build", spec, "--images", "embedded-small", "--atlas", str(atlas), "--quiet", "--techniques", "weights"]
    words += [word for layer in LAYERS for word in ("--layers", layer)]
    subprocess.run([sys.executable, "-m", "precompute.cli", *words], check=True, stderr=subprocess.DEVNULL)
    return TestClient(create_app(AppSettings(atlas=atlas)))


def verdicts(client: TestClient, circuit_id: str) -> list[str]:
    page = client.get(f"/api/v1/circuits/{circuit_id}").json()
    return [claim["verdict"] for claim in page["claims"] if claim["expected"]]


def test_every_claim_holds_on_the_real_weights(tmp_path: Path) -> None:
    client = built(REAL, tmp_path / "atlas")
    outcomes = save_shipped(tmp_path / "atlas")
    assert {outcome for _, outcome in outcomes} == {"saved, on tf_efficientnet_lite0"}
    for circuit in shipped_circuits():
        found = verdicts(client, circuit.id)
        assert len(found) >= 15
        assert set(found) == {"holds"}, circuit.id
        page = client.get(f"/api/v1/circuits/{circuit.id}").json()
        assert page["is_same_weights"]
        assert all(edge["status"] in ("direct", "expanded") for edge in page["edges"])


def test_random_weights_are_not_taken_for_the_real_ones(tmp_path: Path) -> None:
    client = built(RANDOM, tmp_path / "atlas")
    assert all("no model of this atlas has the weights" in outcome for _, outcome in save_shipped(tmp_path / "atlas"))
    for circuit in shipped_circuits():
        document = json.loads(write_circuit(circuit))
        del document["weights_sha256"]
        moved = complete(parse_circuit(json.dumps(document)), "0" * 64, "2026-01-01T00:00:00+00:00")
        UserDb(tmp_path / "atlas").add(moved)
        found = verdicts(client, circuit.id)
        # A depthwise unit has but one input, and one rank; what is left holds no more often than chance lets it.
        assert found.count("holds") < 0.25 * len(found), circuit.id


def test_stated_sums_are_those_of_the_layers_themselves() -> None:
    """Each 1 x 1 convolution, times what its normalisation multiplies by: no code of ours in between."""
    model: Any = load_model(REAL)
    assert isinstance(model, TracedModel)
    norms = {"conv_pwl": "bn3", "conv_pw": "bn1"}
    checked = 0
    for circuit in shipped_circuits():
        for source, target, value, tolerance in _sums(circuit):
            block, _, kind = target[0].rpartition(".")
            conv: Any = model.module.get_submodule(target[0])
            if conv.kernel_size != (1, 1) or circuit_is_distant(source[0], target[0]):
                continue
            norm: Any = model.module.get_submodule(f"{block}.{'bn2' if block == 'blocks.0.0' else norms[kind]}")
            gain = norm.weight[target[1]] / torch.sqrt(norm.running_var[target[1]] + norm.eps)
            assert float(gain * conv.weight[target[1], source[1], 0, 0]) == pytest.approx(value, abs=tolerance * 1.01)
            checked += 1
    assert checked >= 20


def circuit_is_distant(source: str, target: str) -> bool:
    return source == "blocks.0.0.conv_pw" and target == "blocks.1.0.conv_pwl"


def _sums(circuit: Circuit) -> list[tuple[tuple[str, int], tuple[str, int], float, float]]:
    return [
        (claim.about.source.key, claim.about.target.key, claim.expected.value, claim.expected.tolerance)
        for claim in circuit.claims
        if claim.about.kind == "edge" and claim.expected is not None and claim.expected.number == "sum"
    ]
