"""A claim about an edge holds, does not hold, or cannot be checked."""

from __future__ import annotations

import pytest

from app.circuits import judge
from precompute.circuits.circuit import Expected
from precompute.store.circuits import EdgeNumbers


@pytest.mark.parametrize(
    ("number", "value", "verdict"),
    [
        ("norm", 2.04, "holds"),
        ("norm", 2.06, "does not hold"),
        ("sum", -1.0, "holds"),
        ("sum", 1.0, "does not hold"),
    ],
)
def test_numbers_are_judged_within_the_tolerance(number: str, value: float, verdict: str) -> None:
    expected = Expected.model_validate({"number": number, "value": value, "tolerance": 0.05})
    assert judge(expected, EdgeNumbers("direct", norm=2.0, sum=-1.0)) == verdict


def test_a_claim_without_a_number_to_compare_with_cannot_be_checked() -> None:
    expected = Expected.model_validate({"number": "norm", "value": 2.0, "tolerance": 0.05})
    assert judge(expected, EdgeNumbers("not_linked")) == "cannot be checked"
