"""The circuits that come with the program hold on the real weights, and on no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute.circuits.circuit import Circuit, complete, parse_circuit, write_circuit
from precompute.circuits.labels import label_kernels
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


def test_network_does_what_the_circuits_say_of_it() -> None:
    """Bars, plain colours and edges between colours, shown to the network: the numbers in the summaries."""
    model: Any = load_model(REAL)

    def seen(images: np.ndarray, layer: str, part: slice) -> np.ndarray:
        batch = model.normalise(torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2))
        with torch.no_grad():
            return model.pre_activations(batch, [layer])[layer][:, :, part, part].mean((2, 3)).numpy()

    places = np.mgrid[:224, :224]
    for period in (4, 6, 8, 12):
        waves = [np.sign(np.sin(2 * np.pi * places[axis] / period + phase)) for axis in (1, 0) for phase in (0.1, 1.7, 3.2, 4.8)]
        bars = (128 + 100 * np.repeat(np.stack(waves)[..., None], 3, 3)).astype(np.uint8) / 255
        hair = seen(bars, "blocks.1.0.conv_pwl", slice(20, 36))[:, 2]
        assert (hair[:4] > 8.5).all()
        assert (hair[4:] < -10.5).all()
    plain = np.array([[220, 60, 60], [60, 220, 220], [128, 128, 128]]) / 255
    colours = np.broadcast_to(plain[:, None, None], (3, 224, 224, 3))
    for layer, unit, expected in (
        ("blocks.0.0.conv_pw", 11, (-18, 12, -2)),
        ("blocks.1.0.conv_pw", 33, (3.7, -3.2, 0)),
        ("blocks.1.0.conv_pw", 87, (-3.1, 4.2, 0.7)),
        ("blocks.1.0.conv_pwl", 15, (-19, 2, 4)),
        ("blocks.1.0.conv_pwl", 11, (7, 21, 5)),
    ):
        middle = seen(colours, layer, slice(28, 29))[:, unit]
        np.testing.assert_allclose(middle, expected, atol=0.5 if abs(expected[0]) > 5 else 0.06)
    pairs = np.random.default_rng(0).random((200, 2, 3)).astype(np.float32)
    edges = np.repeat(np.repeat(pairs[:, :, None], 112, axis=1).reshape(200, 224, 1, 3), 224, axis=2)
    answers = np.concatenate([seen(part, "blocks.1.0.conv_pwl", slice(26, 30)) for part in np.array_split(edges, 10)])
    correlations = np.corrcoef(answers.T)
    assert correlations[16, 17] == pytest.approx(-0.89, abs=0.01)
    assert correlations.min() == correlations[16, 17]


def test_kernels_are_the_lines_that_the_notes_name() -> None:
    kernels = load_model(REAL).weights_between("blocks.1.0.conv_pw", "blocks.1.0.conv_dw").array
    (circuit,) = [circuit for circuit in shipped_circuits() if circuit.id == "lite0-hair-both-polarities"]
    notes = {edge.target.unit: edge.note or "" for edge in circuit.edges if edge.target.layer == "blocks.1.0.conv_dw"}
    for unit, sign, word in ((60, -1, "Dark along the vertical"), (94, 1, "Bright along 105°")):
        (label,) = label_kernels(kernels[unit][None])
        assert label is not None
        assert (label.shape, label.sign) == ("line", sign)
        assert notes[unit].startswith(word)
        assert f"{label.r2:.0%}".replace("%", " %") in notes[unit]
        assert label.angle_deg == (90 if sign < 0 else 105)


def circuit_is_distant(source: str, target: str) -> bool:
    return source == "blocks.0.0.conv_pw" and target == "blocks.1.0.conv_pwl"


def _sums(circuit: Circuit) -> list[tuple[tuple[str, int], tuple[str, int], float, float]]:
    return [
        (claim.about.source.key, claim.about.target.key, claim.expected.value, claim.expected.tolerance)
        for claim in circuit.claims
        if claim.about.kind == "edge" and claim.expected is not None and claim.expected.number == "sum"
    ]
