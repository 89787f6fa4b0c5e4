"""The units of a layer, sorted, filtered and paged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, text
from sqlalchemy.orm import aliased

from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.records import LayerRecord


@dataclass(frozen=True)
class UnitFilter:
    """Which units of a layer to list, and in which order.

    Attributes:
        sort: A metric, or `index`.
        is_descending: Largest first.
        minimum: Smallest value of each metric that is let through.
        maximum: Largest value of each metric that is let through.
        status: Only units with a visualization of this status.
        has_visualization: Only units with, or only units without, a visualization.
        flag: Only units with a picture that has this flag.
        label: Only units whose label contains this text, whatever its case.
        called: Units that pass as well where `label` is given: those that people call so.
    """

    sort: str = "index"
    is_descending: bool = False
    minimum: Mapping[str, float] = field(default_factory=dict[str, float])
    maximum: Mapping[str, float] = field(default_factory=dict[str, float])
    status: str | None = None
    has_visualization: bool | None = None
    flag: str | None = None
    label: str | None = None
    called: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ListedUnit:
    """One unit of a list, with the value that it is sorted by."""

    index: int
    label: str | None
    value: float | None


def list_units(
    reader: AtlasReader, layer: LayerRecord, wanted: UnitFilter, after: tuple[float | None, int] | None, limit: int
) -> list[ListedUnit]:
    """Return units of a layer, after a `(value, index)`; units without the value that is sorted by come last."""
    unit = schema.unit
    metric = aliased(schema.unit_metric)
    value: ColumnElement[Any] = literal(None) if wanted.sort == "index" else metric.c.value
    query = select(unit.c.unit_index, unit.c.label, value.label("value")).where(*_conditions(layer, wanted))
    if wanted.sort == "index":
        query = query.order_by(unit.c.unit_index.desc() if wanted.is_descending else unit.c.unit_index)
    else:
        same = and_(
            metric.c.layer_id == unit.c.layer_id, metric.c.unit_index == unit.c.unit_index, metric.c.metric == wanted.sort
        )
        query = query.outerjoin(metric, same)
        query = query.order_by(value.is_(None), value.desc() if wanted.is_descending else value, unit.c.unit_index)
    if after is not None:
        query = query.where(_later(wanted, value, after))
    return [ListedUnit(row["unit_index"], row["label"], row["value"]) for row in reader.all(query.limit(limit))]


def _later(wanted: UnitFilter, value: ColumnElement[Any], after: tuple[float | None, int]) -> ColumnElement[bool]:
    last, index = after
    number = schema.unit.c.unit_index
    if wanted.sort == "index":
        return number < index if wanted.is_descending else number > index
    if last is None:
        return and_(value.is_(None), number > index)
    beyond = value < last if wanted.is_descending else value > last
    return or_(beyond, and_(value == last, number > index), value.is_(None))


def count_units(reader: AtlasReader, layer: LayerRecord, wanted: UnitFilter) -> int:
    """Return how many units pass the filter."""
    query = select(func.count().label("n")).select_from(schema.unit).where(*_conditions(layer, wanted))
    return int(reader.all(query)[0]["n"])


def count_statuses(reader: AtlasReader, layer: LayerRecord) -> dict[str, int]:
    """Return how many units of a layer have a visualization of each status."""
    table = schema.artifact
    status = func.json_extract(table.c.payload, "$.status").label("status")
    query = (
        select(status, func.count(table.c.unit_index.distinct()).label("n"))
        .where(table.c.layer_id == layer.row, table.c.unit_index >= 0, table.c.kind == "visualization")
        .group_by(status)
        .order_by(func.count(table.c.unit_index.distinct()).desc(), status)
    )
    return {row["status"]: row["n"] for row in reader.all(query) if row["status"]}


_HAVE_METRIC = text(
    "SELECT asked.value AS name FROM json_each(:names) AS asked WHERE EXISTS (SELECT 1 FROM json_each(:layers) AS layer "
    "CROSS JOIN unit_metric ON layer_id = layer.value AND metric = asked.value AND unit_metric.value IS NOT NULL)"
)
# Along the index from one metric to the next: no value is read twice.
_METRIC_NAMES = text(
    "WITH RECURSIVE found(layer, name) AS ("
    "SELECT value, (SELECT min(metric) FROM unit_metric WHERE layer_id = layers.value) FROM json_each(:layers) AS layers "
    "UNION ALL SELECT layer, (SELECT min(metric) FROM unit_metric WHERE layer_id = layer AND metric > name) FROM found "
    "WHERE name IS NOT NULL) "
    "SELECT DISTINCT name FROM found WHERE EXISTS "
    "(SELECT 1 FROM unit_metric WHERE layer_id = layer AND metric = name AND unit_metric.value IS NOT NULL)"
)


def metric_names(reader: AtlasReader, layers: Sequence[LayerRecord], asked: Iterable[str] | None = None) -> set[str]:
    """Return which metrics units of some layers have; where names are given, which of these."""
    rows = json.dumps([layer.row for layer in layers])
    if asked is None:
        return {row["name"] for row in reader.all(_METRIC_NAMES, layers=rows)}
    return {row["name"] for row in reader.all(_HAVE_METRIC, layers=rows, names=json.dumps(sorted(asked)))}


def list_metrics(reader: AtlasReader, layer: LayerRecord) -> dict[str, tuple[float, float]]:
    """Return the metrics that units of a layer have, each with its smallest and largest value."""
    table = schema.unit_metric
    query = (
        select(table.c.metric, func.min(table.c.value).label("low"), func.max(table.c.value).label("high"))
        .where(table.c.layer_id == layer.row)
        .group_by(table.c.metric)
    )
    return {row["metric"]: (row["low"], row["high"]) for row in reader.all(query) if row["low"] is not None}


def _conditions(layer: LayerRecord, wanted: UnitFilter) -> list[ColumnElement[bool]]:
    unit = schema.unit
    conditions: list[ColumnElement[bool]] = [unit.c.layer_id == layer.row]
    for metric in sorted({*wanted.minimum, *wanted.maximum}):
        table = aliased(schema.unit_metric)
        found = select(1).where(
            table.c.layer_id == unit.c.layer_id, table.c.unit_index == unit.c.unit_index, table.c.metric == metric
        )
        if metric in wanted.minimum:
            found = found.where(table.c.value >= wanted.minimum[metric])
        if metric in wanted.maximum:
            found = found.where(table.c.value <= wanted.maximum[metric])
        conditions.append(found.exists())
    picture = aliased(schema.artifact)
    pictured = select(1).where(
        picture.c.layer_id == unit.c.layer_id, picture.c.unit_index == unit.c.unit_index, picture.c.kind == "visualization"
    )
    if wanted.status is not None:
        conditions.append(pictured.where(func.json_extract(picture.c.payload, "$.status") == wanted.status).exists())
    if wanted.flag is not None:
        flags = func.json_extract(picture.c.payload, "$.flags")
        conditions.append(pictured.where(func.instr(flags, json.dumps(wanted.flag)) > 0).exists())
    if wanted.label is not None:
        has_label = func.instr(func.lower(unit.c.label), wanted.label.lower()) > 0
        conditions.append(or_(has_label, unit.c.unit_index.in_(sorted(wanted.called))))
    if wanted.has_visualization is not None:
        conditions.append(pictured.exists() if wanted.has_visualization else ~pictured.exists())
    return conditions
