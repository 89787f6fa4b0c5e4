"""What `unitscope demo` builds, and in which order."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from precompute.cli import make_parser
from precompute.commands import demo


@pytest.mark.parametrize("is_quick", [False, True])
def test_demo_builds_numbers_then_the_teaching_network_then_pictures(is_quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, str | None, int | None]] = []

    def note(arguments: argparse.Namespace) -> int:
        assert isinstance(arguments.atlas, Path)
        ran.append((arguments.spec, arguments.techniques, arguments.end_with))
        return len(ran) % 2  # the first and the last fail

    monkeypatch.setattr("precompute.commands.build.run_build", note)
    words = ["demo", "--no-serve", "--atlas", "somewhere", "--end-with", "7", *(["--quick"] if is_quick else [])]
    assert demo.run_demo(make_parser().parse_args(words)) == 1
    assert ran == [
        (demo.SPEC, demo.NUMBERS, 7),
        (demo.TEACHING_SPEC, None, None),
        (demo.SPEC, None, None),
    ]
