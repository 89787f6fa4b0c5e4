"""What a bench refuses, in words; what it measures is not timed in tests."""

from __future__ import annotations

import pytest

from precompute.cli import main
from tests import tiny as tiny  # registers the family

SPEC = "tiny:net@random:0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["featurevis", "--model", SPEC], "Give its own with --layer"),
        (["featurevis", "--model", SPEC, "--layer", "deeep"], "Did you mean 'deep'"),
        (["featurevis", "--model", SPEC, "--layer", "stem"], "no channel picture"),
        (["featurevis", "--model", SPEC, "--layer", "head"], "no channel picture"),
        (["pass", "--model", SPEC], "'featurevis'"),
        (["weights", "--flat"], "'featurevis'"),
        (["pass", "--million"], "'weights'"),
    ],
)
def test_what_cannot_be_measured_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    answer = capsys.readouterr()
    assert said in answer.err
    assert "Traceback" not in answer.err
