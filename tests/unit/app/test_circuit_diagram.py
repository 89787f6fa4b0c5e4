"""A line of a circuit's diagram has the colour of what its kernel does, and a card says what its unit is for."""

from __future__ import annotations

import pytest

from app.contexts import CircuitEdgePart, CircuitPage, CircuitUnitPart, UnitPlace
from app.drawing.circuits import draw_circuit, tone_of


def edge(total: float | None, norm: float | None, shape: list[int] | None) -> CircuitEdgePart:
    return CircuitEdgePart.model_construct(
        source=UnitPlace(layer="a", unit=0), target=UnitPlace(layer="b", unit=1), sum=total, norm=norm, kernel_shape=shape
    )


@pytest.mark.parametrize(
    ("total", "norm", "shape", "tone"),
    [
        pytest.param(3.0, 1.0, [3, 3], "positive", id="even"),
        pytest.param(-0.2, 0.2, [1, 1], "negative", id="one element"),
        pytest.param(-0.2, 0.2, None, "negative", id="fully connected"),
        pytest.param(0.02, 1.0, [3, 3], "mixed", id="an edge"),
        pytest.param(-0.7, 1.0, [3, 3], "mixed", id="a little more is taken away than added"),
        pytest.param(-0.8, 1.0, [3, 3], "negative", id="mostly taken away"),
        pytest.param(0.0, 0.0, [1, 1], "mixed", id="no weight"),
        pytest.param(None, None, None, "unknown", id="not built"),
    ],
)
def test_line_has_the_colour_of_its_kernel(total: float | None, norm: float | None, shape: list[int] | None, tone: str) -> None:
    assert tone_of(edge(total, norm, shape)) == tone


def test_role_is_written_in_two_rows_before_it_is_cut() -> None:
    def words(role: str | None) -> list[str]:
        parts = {
            "layer": "a.layer.with.a.very.long.name",
            "unit": 3,
            "label": None,
            "role": role,
            "position": None,
            "thumbnail": None,
        }
        unit = CircuitUnitPart.model_construct(**parts, note=None, exists=False, links={})
        page = CircuitPage.model_construct(model="m", units=[unit], edges=[], layers=[unit.layer])
        return draw_circuit(page).cards[0].words

    assert words("edge, bright below") == ["edge, bright below"]
    assert words("edge, bright at the right") == ["edge, bright at the", "right"]
    long = words("an edge that is bright at the right and dark at the left")
    assert len(long) == 2
    assert long[1].endswith("…")
    assert all(len(row) <= 21 for row in [*long, *words(None), *words("x" * 80)])
