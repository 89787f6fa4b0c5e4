"""The examples of the documentation run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = [
    pytest.param(code, id=f"{path.name}-{number}")
    for path in sorted(DOCS.glob("*.md"))
    if path.name != "api.md"  # its examples ask a server: tests/unit/app/test_client.py
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    runpy.run_path(str(tmp_path / "example.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
