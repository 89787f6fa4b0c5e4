"""Schemathesis against a server of the small atlas: no 500, no answer that the description of the API does not tell of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.openapi import openapi_text
from tests.served import served

pytestmark = pytest.mark.slow
SECONDS = 60
NAMES = {
    "model": ["tiny_a", "tiny_b", "tiny_x"],
    "layer": ["stem", "blocks.0.dw", "blocks.0.pw", "head.fc", "stam"],
    "unit": [*map(str, range(25)), "-1"],
    "id": [*map(str, range(1, 42)), "x"],
    "circuit": ["hostile-23456789", "other-weights-23456789", "no-such-model-23456789", "x"],
}
# Which names exist is the atlas's affair: a description cannot tell it, so values that fit it may be refused.
LEFT_OUT = "positive_data_acceptance"

UNDESCRIBED = "/api/v1/search/example"
"""It takes an image by POST, which the description does not tell of yet."""


def narrowed() -> dict[str, Any]:
    """Return the description with names that mostly exist, so that answers are reached and not only refusals."""
    document = json.loads(openapi_text())
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in NAMES:
                    parameter["schema"]["enum"] = NAMES[parameter["name"]]
    return document


def test_no_answer_is_a_defect_or_undocumented(fixture_atlas: Path, tmp_path: Path) -> None:
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(narrowed()))
    with served(fixture_atlas) as address:
        words = ["-m", "schemathesis.cli", "run", str(description), "--url", address, "--max-time", str(SECONDS)]
        words += [
            "--phases",
            "coverage,fuzzing",
            "--exclude-checks",
            LEFT_OUT,
            "--exclude-path",
            UNDESCRIBED,
            "--continue-on-failure",
            "--no-color",
        ]
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    generated = re.search(r"([\d,]+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1].replace(",", "")) > 100
