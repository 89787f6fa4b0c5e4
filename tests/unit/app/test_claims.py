"""A claim about an edge holds, does not hold, or cannot be checked."""

from __future__ import annotations

import numpy as np
import pytest

from app.parts.circuits import judge
from precompute.circuits.circuit import Expected
from precompute.store.circuits import EdgeNumbers

EDGE = np.array([[-1.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("number", "value", "verdict"),
    [
        ("norm", 2.04, "holds"),
        ("norm", 2.06, "does not hold"),
        ("sum", -1.0, "holds"),
        ("sum", 1.0, "does not hold"),
        ("share", 0.22, "holds"),
        ("share", 0.31, "does not hold"),
        ("rank", 3, "holds"),
        ("rank", 2, "does not hold"),
        ("direction", 0.01, "holds"),  # the short way round
        ("direction", 359.96, "holds"),
        ("direction", 719.99, "holds"),
        ("direction", 180, "does not hold"),
        ("direction", 0.1, "does not hold"),
    ],
)
def test_numbers_are_judged_within_the_tolerance(number: str, value: float, verdict: str) -> None:
    expected = Expected.model_validate({"number": number, "value": value, "tolerance": 0.05})
    assert judge(expected, EdgeNumbers("direct", 2.0, -1.0, share=0.25, rank=3, kernel=EDGE)) == verdict


def test_a_claim_without_a_number_to_compare_with_cannot_be_checked() -> None:
    for number in ("norm", "direction"):
        expected = Expected.model_validate({"number": number, "value": 2.0, "tolerance": 0.05})
        assert judge(expected, EdgeNumbers("not_linked")) == "cannot be checked"
