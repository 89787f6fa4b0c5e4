"""What the command that serves says to the process that it becomes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from precompute.commands import serve as command


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("4", "4")])
def test_small_products_get_one_thread_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.setenv(command.ATLAS_VARIABLE, "")
    monkeypatch.setenv(command.RATE_VARIABLE, "")
    monkeypatch.setenv(command.THREADS_VARIABLE, given or "")
    if given is None:
        monkeypatch.delenv(command.THREADS_VARIABLE)
    seen: list[str | None] = []

    def run(*_: Any, **__: Any) -> None:
        seen.append(command.os.environ.get(command.THREADS_VARIABLE))

    monkeypatch.setattr(uvicorn, "run", run)
    monkeypatch.setattr(command, "refuse_taken_port", lambda *_: None)
    command.serve(Path("atlas"), command.ServeOptions())
    assert seen == [expected]


def test_numpy_is_not_loaded_before_the_number_of_threads_is_set() -> None:
    code = "import sys, precompute.cli, precompute.commands.serve; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
