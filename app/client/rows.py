"""The rows of bulk answers, as types."""

from __future__ import annotations

from typing import TypedDict


class UnitRow(TypedDict):
    """A unit with its metrics."""

    model: str
    layer: str
    index: int
    kind: str
    label: str | None
    metrics: dict[str, float | None]


class MetricRow(TypedDict):
    """One metric of one unit."""

    model: str
    layer: str
    index: int
    metric: str
    value: float | None


class ExampleRow(TypedDict):
    """An image as an example for a unit; the box is in pixels of the model input, its end not included."""

    model: str
    layer: str
    index: int
    group: str
    q: float | None
    rank: int
    activation: float | None
    pre_activation: float | None
    y: int
    x: int
    y0: int
    x0: int
    y1: int
    x1: int
    stimulus: int
    key: str
    stimulus_label: str | None


class EdgeRow(TypedDict):
    """The weight between two units."""

    model: str
    source_layer: str
    source_unit: int
    target_layer: str
    target_unit: int
    norm: float
    sum: float
    exact: bool | None
    kernel_height: int
    kernel_width: int
