"""What a build counts so that no page has to: arrays of all metrics of a model, their histograms, and numbers of units.

A model is counted whole: about half a second for 21,008 units. A build does it after each of its stages, and once a minute
while pictures are made; pages say when.
"""

from __future__ import annotations

import json
import math
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from precompute.store import schema
from precompute.store.best import DOUBTS, LIKENESS, best_pictured
from precompute.store.example_counts import (
    ExampleOwners,
    LooksOfUnits,
    Row,
    read_examples,
)
from precompute.store.looks import read_looks
from precompute.store.orders import buckets_of, sorted_places
from precompute.store.task_counts import COUNTED_TASKS, tasks_done
from precompute.store.writer import AtlasWriter, utc_now

NUM_BINS = 40
ORDER = " order"
"""Behind the name of a metric: its units in order, see `orders.sorted_places`."""
BUCKETS = " buckets"
"""Behind the name of a metric: see `orders.buckets_of`."""
_STRETCH_BEYOND = 8.0
"""A range this many times wider than its middle nine tenths has its bins stretched."""


@dataclass(frozen=True)
class Bins:
    """How many values lie between each two of some edges, the last edge included."""

    scale: str
    edges: list[float]
    counts: list[int]


def bins_of(values: NDArray[np.float64]) -> Bins | None:
    """Return a histogram of the values that are numbers, or None where there are none.

    Where most values are close together and a few far away, the edges are stretched around the median, so that each bin
    away from it is wider than the one before: a slider that moves from edge to edge can then still tell most units apart.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, near_low, quarter, middle, three, near_high, high = np.quantile(known, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist()
    if low == high:
        return Bins("linear", [low, high], [int(known.size)])
    spread = (three - quarter) / 2 or (near_high - near_low) / 2
    if not spread or high - low <= _STRETCH_BEYOND * (near_high - near_low):
        scale, edges = "linear", [low + (high - low) * place / NUM_BINS for place in range(NUM_BINS + 1)]
    else:
        first, last = math.asinh((low - middle) / spread), math.asinh((high - middle) / spread)
        steps = [first + (last - first) * place / NUM_BINS for place in range(NUM_BINS + 1)]
        scale, edges = "stretched", [middle + spread * math.sinh(step) for step in steps]
    inner = [edge for edge in edges if low < edge < high]
    edges = sorted({low, *inner, high})
    counts = np.histogram(known, np.array(edges))[0]
    return Bins(scale, edges, [int(number) for number in counts])


@dataclass
class _Count:
    """A model as it is counted."""

    layers: list[tuple[int, int]]
    metrics: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    facets: dict[tuple[str, str], NDArray[np.bool_]] = field(default_factory=dict[tuple[str, str], NDArray[np.bool_]])

    def __post_init__(self) -> None:
        self.num_units = sum(number for _, number in self.layers)

    def parts(self) -> Iterator[tuple[int, slice]]:
        """Yield each layer with its part of the arrays, then the whole model."""
        start = 0
        for layer, number in self.layers:
            yield layer, slice(start, start + number)
            start += number
        yield schema.WHOLE_MODEL, slice(0, start)

    def metric(self, name: str) -> NDArray[np.float64]:
        """Return the array of a metric, new where it has not been met."""
        if name not in self.metrics:
            self.metrics[name] = np.full(self.num_units, np.nan)
        return self.metrics[name]

    def facet(self, name: str, value: str) -> NDArray[np.bool_]:
        """Return which units have a value of a facet, new where it has not been met."""
        if (name, value) not in self.facets:
            self.facets[name, value] = np.zeros(self.num_units, dtype=bool)
        return self.facets[name, value]


def count_model(writer: AtlasWriter, model_id: str) -> None:
    """Count everything about a model again, in one transaction."""
    with writer.engine.connect() as connection:
        layer = schema.layer.c
        rows = connection.execute(
            select(layer.id, layer.num_units).where(layer.model_id == model_id).order_by(layer.position, layer.id)
        )
        found = _Count([(int(row.id), int(row.num_units)) for row in rows])
        model = connection.execute(select(schema.model).where(schema.model.c.id == model_id)).mappings().one()
        for number, part in list(found.parts())[:-1]:
            _read_metrics(connection, found, number, part)
            _read_pictures(connection, found, number, part)
        examples, images = _count_examples(connection, found, model)
        columns = _columns(found) | examples | {COUNTED_TASKS: tasks_done(connection, model_id)}
    tables: dict[Any, Sequence[Mapping[str, Any]]] = {
        schema.model_count: [{"stamp": uuid.uuid4().hex, "counted_at": utc_now(), "layers": found.layers}],
        schema.unit_column: [{"name": name, "data": data} for name, data in columns.items()],
        schema.metric_count: list(_metric_counts(found)),
        schema.facet_count: list(_facet_counts(found)),
        schema.example_count: images,
    }
    with writer.changing() as connection:
        for table, new in tables.items():
            connection.execute(delete(table).where(table.c.model_id == model_id))
            if new:
                connection.execute(insert(table), [{"model_id": model_id, **row} for row in new])
        firsts = list(_first_units(found))
        layers = select(schema.layer.c.id).where(schema.layer.c.model_id == model_id)
        connection.execute(delete(schema.first_unit).where(schema.first_unit.c.layer_id.in_(layers)))
        if firsts:
            connection.execute(insert(schema.first_unit), firsts)


def _read_metrics(connection: Connection, found: _Count, layer: int, part: slice) -> None:
    table = schema.unit_metric.c
    query = select(table.metric, table.unit_index, table.value).where(table.layer_id == layer, table.value.is_not(None))
    values: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for metric, unit, value in connection.execute(query):
        values[metric].append((unit, value))
    for metric, pairs in values.items():
        units, numbers = zip(*pairs, strict=True)
        found.metric(metric)[part][list(units)] = numbers


def _read_pictures(connection: Connection, found: _Count, layer: int, part: slice) -> None:
    table = schema.artifact.c
    query = select(
        table.unit_index, func.json_extract(table.payload, "$.status"), func.json_extract(table.payload, "$.flags")
    ).where(table.layer_id == layer, table.unit_index >= 0, table.kind == "visualization")
    for unit, status, flags in connection.execute(query):
        found.facet("visualization", "yes")[part][unit] = True
        if status:
            found.facet("status", status)[part][unit] = True
        for flag in _listed(flags):
            found.facet("flag", flag)[part][unit] = True


def _listed(flags: str | None) -> Sequence[str]:
    return json.loads(flags) if flags and flags != "[]" else ()


def _count_examples(connection: Connection, found: _Count, model: RowMapping) -> tuple[dict[str, bytes], list[Row]]:
    """Return the arrays about the examples of units, and the rows about the images that they are."""
    looks = read_looks(connection, model["dataset_id"], model["input_key"])
    seen = None if looks is None else LooksOfUnits(looks, found.num_units)
    owners = ExampleOwners([layer for layer, _ in found.layers])
    for place, (layer, part) in enumerate(list(found.parts())[:-1]):
        examples = read_examples(connection, layer)
        owners.add(place, part.start, examples)
        if seen is not None:
            seen.add(part, examples)
    return {} if seen is None else seen.columns(), list(owners.rows())


def _columns(found: _Count) -> dict[str, bytes]:
    columns: dict[str, bytes] = {}
    for name, values in found.metrics.items():
        places = sorted_places(values)
        columns |= {name: values.astype("<f8").tobytes(), f"{name}{ORDER}": places.tobytes()}
        columns[f"{name}{BUCKETS}"] = buckets_of(places).tobytes()
    return columns | {f"{facet}={value}": np.packbits(has).tobytes() for (facet, value), has in found.facets.items()}


def _first_units(found: _Count) -> Iterator[Mapping[str, Any]]:
    likeness, doubts = found.metrics.get(LIKENESS), found.metrics.get(DOUBTS)
    is_pictured = found.facet("visualization", "yes")
    for layer, part in list(found.parts())[:-1]:
        best = best_pictured(
            None if likeness is None else likeness[part], None if doubts is None else doubts[part], is_pictured[part]
        )
        yield from ({"layer_id": layer, "rank": rank, "unit_index": unit} for rank, unit in enumerate(best))


def _metric_counts(found: _Count) -> Iterator[Mapping[str, Any]]:
    for name, values in found.metrics.items():
        for layer, part in found.parts():
            bins = bins_of(values[part])
            if bins is not None:
                about = {"layer_id": layer, "metric": name, "num_units": sum(bins.counts)}
                yield about | {"scale": bins.scale, "edges": bins.edges, "counts": bins.counts}


def _facet_counts(found: _Count) -> Iterator[Mapping[str, Any]]:
    for (facet, value), has in found.facets.items():
        for layer, part in found.parts():
            number = int(np.count_nonzero(has[part]))
            if number:
                yield {"layer_id": layer, "facet": facet, "value": value, "num_units": number}
