"""The fields of the rows of each bulk answer: declared once, for the documentation, for JSON and for Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["string", "integer", "number", "boolean", "metrics"]


@dataclass(frozen=True)
class Column:
    """One field of a row.

    Attributes:
        name: Its name.
        kind: Its JSON type; `metrics` is an object of numbers, in Parquet one column `metrics.NAME` for each.
        summary: What it says, one line.
        is_nullable: Whether it can be null.
    """

    name: str
    kind: Kind
    summary: str
    is_nullable: bool = False


_UNIT = (
    Column("model", "string", "The model"),
    Column("layer", "string", "The layer"),
    Column("index", "integer", "Number of the unit in its layer, from 0"),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "units": (
        *_UNIT,
        Column("kind", "string", "What one unit is: channel, neuron, head, feature or stream"),
        Column("label", "string", "What it is known to be: the class, for units of the classifier", is_nullable=True),
        Column("metrics", "metrics", "As on the page of the unit"),
    ),
    "metrics": (
        *_UNIT,
        Column("metric", "string", "Name of the metric"),
        Column("value", "number", "Its value", is_nullable=True),
    ),
    "examples": (
        *_UNIT,
        Column("group", "string", "top, bottom, quantile or random"),
        Column("q", "number", "Upper end of the part of the range, for quantiles", is_nullable=True),
        Column("rank", "integer", "Place in its group, from 1"),
        Column("activation", "number", "As on the page of the unit", is_nullable=True),
        Column("pre_activation", "number", "Before the nonlinearity", is_nullable=True),
        Column("y", "integer", "Position on the activation map"),
        Column("x", "integer", "Position on the activation map"),
        Column("y0", "integer", "Receptive field there, in pixels of the model input"),
        Column("x0", "integer", "Its left edge"),
        Column("y1", "integer", "Its lower edge, not included"),
        Column("x1", "integer", "Its right edge, not included"),
        Column("stimulus", "integer", "Id of the image"),
        Column("key", "string", "Path of the image in its folder"),
        Column("stimulus_label", "string", "Label of the image", is_nullable=True),
    ),
    "edges": (
        Column("model", "string", "The model"),
        Column("source_layer", "string", "Layer of the earlier unit"),
        Column("source_unit", "integer", "The earlier unit"),
        Column("target_layer", "string", "Layer of the later unit"),
        Column("target_unit", "integer", "The later unit"),
        Column("norm", "number", "L2 norm of the kernel"),
        Column("sum", "number", "Signed sum of the kernel"),
        Column("exact", "boolean", "false: linearised", is_nullable=True),
        Column("kernel_height", "integer", "Rows of the kernel"),
        Column("kernel_width", "integer", "Columns of the kernel"),
    ),
}
SUMMARIES = {
    "units": "Units with their metrics, one row each, by layer and number.",
    "metrics": "Metrics of units, one row for each value.",
    "examples": "Images over the whole range of units, one row for each example.",
    "edges": "Weights between units of directly connected layers, one row for each pair.",
}


def row_schema(table: str) -> dict[str, Any]:
    """Return the JSON Schema of a row."""
    properties: dict[str, Any] = {}
    for column in TABLES[table]:
        found: dict[str, Any] = {"description": column.summary}
        if column.kind == "metrics":
            found |= {"type": "object", "additionalProperties": {"anyOf": [{"type": "number"}, {"type": "null"}]}}
        elif column.is_nullable:
            found["anyOf"] = [{"type": column.kind}, {"type": "null"}]
        else:
            found["type"] = column.kind
        properties[column.name] = found
    return {"type": "object", "title": f"{table} row", "required": list(properties), "properties": properties}
