"""Circuits that the app's tests look at: one with script in every text, one on other weights, one on a model that is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from precompute.circuits.circuit import complete, parse_circuit
from precompute.store.user_db import UserDb

SCRIPT = '<script>alert("circuit")</script>'
NOW = "2026-01-02T03:04:05+00:00"
STEM, DEPTHWISE, MIDDLE = {"layer": "stem", "unit": 7}, {"layer": "blocks.0.dw", "unit": 7}, {"layer": "blocks.0.pw", "unit": 7}
LAST = {"layer": "head.fc", "unit": 1}

DOCUMENT: dict[str, Any] = {
    "model": "tiny_a",
    "title": f"Title {SCRIPT}",
    "summary": f"Summary {SCRIPT}",
    "author": f"Author {SCRIPT}",
    "units": [STEM | {"role": f"Role {SCRIPT}"}, DEPTHWISE, MIDDLE | {"note": f"Note {SCRIPT}"}, LAST],
    "edges": [
        {"source": STEM, "target": DEPTHWISE, "note": f"Edge {SCRIPT}"},
        {"source": DEPTHWISE, "target": MIDDLE},
        {"source": STEM, "target": LAST},
    ],
    "claims": [
        {"text": f"Whole {SCRIPT}", "about": {"kind": "whole"}},
        {"text": f"Unit {SCRIPT}", "about": {"kind": "unit", "unit": STEM}},
        {
            "text": f"Holds {SCRIPT}",
            "about": {"kind": "edge", "source": DEPTHWISE, "target": MIDDLE},
            "expected": {"number": "norm", "value": 1, "tolerance": 100},
        },
        {
            "text": "Does not hold",
            "about": {"kind": "edge", "source": DEPTHWISE, "target": MIDDLE},
            "expected": {"number": "sum", "value": 100, "tolerance": 0.5},
        },
        {
            "text": "Cannot be checked",
            "about": {"kind": "edge", "source": STEM, "target": LAST},
            "expected": {"number": "sum", "value": 1, "tolerance": 0},
        },
    ],
}


def write_circuits(folder: Path) -> None:
    """Save them; the first has two revisions."""
    users = UserDb(folder)
    first = DOCUMENT | {"id": "hostile-23456789"}
    plain = {"id": "other-weights-23456789", "title": "Other weights", "weights_sha256": "ab" * 32}
    gone = {"id": "no-such-model-23456789", "title": "No such model", "model": "tiny_z"}
    placed = [unit | {"position": {"x": 190.0 * place, "y": 240.0 - 80 * place}} for place, unit in enumerate(DOCUMENT["units"])]
    free = {"id": "placed-23456789", "title": "Placed by hand", "units": placed, "model": "tiny_b"}
    for document in (first, DOCUMENT | plain, DOCUMENT | gone, DOCUMENT | free):
        users.add(complete(parse_circuit(json.dumps(document)), "0" * 64, NOW))
    users.change(complete(parse_circuit(json.dumps(first | {"summary": "Revised"})), "0" * 64, NOW))
