"""All units of a model as arrays: filtered, counted and sorted without a query for each unit.

A metric of a million units is eight megabytes, and a comparison of all of them takes half a millisecond; the same filter as a
query takes seconds. The arrays are what a build counted last, and are read when somebody first asks for them.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from precompute.store import schema
from precompute.store.counting import LOOKS, LOOKS_CONTROL, Bins
from precompute.store.likeness import ChanceScores
from precompute.store.looks import LooksRecord, read_looks
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord

Mask = NDArray[np.bool_]
_KEPT_COLUMNS = 24
_SMALLEST_STEP = 2048


@dataclass(frozen=True)
class ColumnFilter:
    """Which units of a model to list, and in which order.

    Attributes:
        sort: A metric, or `index`: in the order of execution, then by number.
        is_descending: Largest first.
        minimum: Smallest value of each metric that is let through.
        maximum: Largest value of each metric that is let through.
        has: Facets that a unit must have, as `flag=fragile`.
        lacks: Facets that it must not have.
        layers: Rows of the only layers to look at, or None for all.
        units: Only these `(layer row, unit)`, or None for all.
    """

    sort: str = "index"
    is_descending: bool = False
    minimum: Mapping[str, float] = field(default_factory=dict[str, float])
    maximum: Mapping[str, float] = field(default_factory=dict[str, float])
    has: Sequence[str] = ()
    lacks: Sequence[str] = ()
    layers: frozenset[int] | None = None
    units: Sequence[tuple[int, int]] | None = None


class UnitColumns:
    """The units of one model, as a build counted them.

    Args:
        reader: Of the atlas.
        model_id: The model.
        row: What says when they were counted, and in which order the units stand.
    """

    def __init__(self, reader: AtlasReader, model_id: str, row: Mapping[str, Any]) -> None:
        self._reader = reader
        self.model_id = model_id
        self.stamp: str = row["stamp"]
        self.counted_at: str = row["counted_at"]
        layers = np.array(row["layers"], dtype=np.int64).reshape(-1, 2)
        self.layer_rows = layers[:, 0]
        self.starts = np.concatenate([[0], np.cumsum(layers[:, 1])])
        self.num_units = int(self.starts[-1])
        self._place_of_layer = {int(layer): place for place, layer in enumerate(self.layer_rows)}
        self._kept: dict[str, Any] = {}

    def layer_start(self, row: int) -> int | None:
        """Return the place of the first unit of a layer, or None where the layer was not counted."""
        place = self._place_of_layer.get(row)
        return None if place is None else int(self.starts[place])

    def at(self, place: int) -> tuple[int, int]:
        """Return layer row and index of the unit at a place."""
        layer = int(np.searchsorted(self.starts, place, side="right")) - 1
        return int(self.layer_rows[layer]), place - int(self.starts[layer])

    def metric(self, name: str) -> NDArray[np.float64]:
        """Return a metric of all units; not a number where a unit has none."""
        return self._column(name, _floats)

    def facet(self, name: str) -> Mask:
        """Return which units have a facet, given as `flag=fragile`; none where the atlas has it nowhere."""
        found = self._column(name, lambda data: _bits(data, self.num_units))
        return found if found.size else np.zeros(self.num_units, dtype=bool)

    def looks(self) -> NDArray[np.float32]:
        """Return the mean direction of the strongest examples of every unit `[unit, number]`, empty where it was not counted."""
        found = self._column(LOOKS, _singles)
        return found.reshape(self.num_units, -1) if found.size else np.zeros((0, 0), dtype=np.float32)

    def looks_control(self) -> ChanceScores | None:
        """Return what images drawn by chance find, or None where it was not counted."""
        found = self._column(LOOKS_CONTROL, lambda data: [ChanceScores(**json.loads(data))])
        return found[0] if len(found) else None

    def _column(self, name: str, read: Callable[[bytes], Any]) -> Any:
        found = self._kept.pop(name, None)
        if found is None:
            table = schema.unit_column.c
            rows = self._reader.all(select(table.data).where(table.model_id == self.model_id, table.name == name))
            found = read(rows[0]["data"]) if rows else np.zeros(0)
        self._keep(name, found)
        return found

    def _keep(self, name: str, found: Any) -> None:
        self._kept[name] = found  # the one asked for last is the last to go
        while len(self._kept) > _KEPT_COLUMNS:
            self._kept.pop(next(iter(self._kept)), None)

    # -- filters ---------------------------------------------------------------------------------------------------

    def passing(self, wanted: ColumnFilter) -> Mask | None:
        """Return which units pass a filter, or None where all do."""
        found: Mask | None = None
        for metric in sorted({*wanted.minimum, *wanted.maximum}):
            values = self.metric(metric)
            if metric in wanted.minimum:
                found = _both(found, values >= wanted.minimum[metric])
            if metric in wanted.maximum:
                found = _both(found, values <= wanted.maximum[metric])
        for facet in wanted.has:
            found = _both(found, self.facet(facet))
        for facet in wanted.lacks:
            found = _both(found, ~self.facet(facet))
        if wanted.layers is not None:
            found = _both(found, self._in_layers(wanted.layers))
        if wanted.units is not None:
            found = _both(found, self._of_units(wanted.units))
        return found

    def _in_layers(self, rows: frozenset[int]) -> Mask:
        found = np.zeros(self.num_units, dtype=bool)
        for row in rows:
            place = self._place_of_layer.get(row)
            if place is not None:
                found[self.starts[place] : self.starts[place + 1]] = True
        return found

    def _of_units(self, units: Sequence[tuple[int, int]]) -> Mask:
        found = np.zeros(self.num_units, dtype=bool)
        for row, unit in units:
            start = self.layer_start(row)
            if start is not None:
                found[start + unit] = True
        return found

    def count(self, mask: Mask | None) -> int:
        """Return how many units pass."""
        return self.num_units if mask is None else int(np.count_nonzero(mask))

    def count_by_layer(self, mask: Mask | None) -> dict[int, int]:
        """Return how many units of each layer row pass; layers with none are left out."""
        if mask is None:
            numbers = np.diff(self.starts)
        else:
            numbers = [np.count_nonzero(mask[start:stop]) for start, stop in pairwise(self.starts.tolist())]
        return {int(row): int(number) for row, number in zip(self.layer_rows, numbers, strict=True) if number}

    def page(self, wanted: ColumnFilter, mask: Mask | None, after: tuple[float | None, int] | None, limit: int) -> list[int]:
        """Return the places of the first units that pass, after a `(value, place)`, in order; those without a value come last."""
        if wanted.sort == "index":
            return self._by_place(wanted.is_descending, mask, None if after is None else after[1], limit)
        order = self._order(wanted.sort, is_descending=wanted.is_descending)
        start = 0 if after is None else self._rank(wanted, order, after)
        found: list[int] = []
        size = max(4 * limit, _SMALLEST_STEP)
        while start < len(order) and len(found) < limit:
            places = order[start : start + size]
            found += (places if mask is None else places[mask[places]])[: limit - len(found)].tolist()
            start, size = start + size, 2 * size
        return found

    def _order(self, metric: str, *, is_descending: bool) -> NDArray[np.int32]:
        """Return all places in the order of a metric, equal ones by place, those without a value last; sorted once."""
        name = f"{metric} {'down' if is_descending else 'up'}"
        found = self._kept.pop(name, None)
        if found is None:
            keys = self.metric(metric)
            found = np.argsort(-keys if is_descending else keys, kind="stable").astype(np.int32)
        self._keep(name, found)
        return found

    def _rank(self, wanted: ColumnFilter, order: NDArray[np.int32], after: tuple[float | None, int]) -> int:
        """Return how many units come before what follows a `(value, place)` in an order."""
        values, direction = self.metric(wanted.sort), -1 if wanted.is_descending else 1

        def key(place: int) -> tuple[bool, float, int]:
            value = float(values[place])
            return (True, 0.0, int(place)) if math.isnan(value) else (False, direction * value, int(place))

        last = (True, 0.0, after[1]) if after[0] is None else (False, direction * after[0], after[1])
        return bisect_right(order, last, key=key)

    def _by_place(self, is_descending: bool, mask: Mask | None, after: int | None, limit: int) -> list[int]:
        if mask is None and is_descending:
            first = self.num_units - 1 if after is None else after - 1
            return list(range(first, max(-1, first - limit), -1))
        if mask is None:
            first = 0 if after is None else after + 1
            return list(range(first, min(self.num_units, first + limit)))
        places = np.flatnonzero(mask)
        if is_descending:
            places = places[::-1]
        if after is not None:
            places = places[places < after] if is_descending else places[places > after]
        return places[:limit].tolist()


def _floats(data: bytes) -> NDArray[np.float64]:
    return np.frombuffer(data, "<f8")


def _singles(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4")


def _bits(data: bytes, count: int) -> Mask:
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).view(bool)


def _both(first: Mask | None, second: Mask) -> Mask:
    return second if first is None else first & second


def unit_columns(reader: AtlasReader, model_id: str) -> UnitColumns | None:
    """Return the units of a model as arrays, or None where no build has counted them."""
    if not reader.has_table("model_count"):
        return None
    rows = reader.all(select(schema.model_count).where(schema.model_count.c.model_id == model_id))
    if not rows:
        return None
    known = reader.counted.get(model_id)
    if not isinstance(known, UnitColumns) or known.stamp != rows[0]["stamp"]:
        known = reader.counted[model_id] = UnitColumns(reader, model_id, rows[0])
    return known


@dataclass(frozen=True)
class MetricBins:
    """A metric of the units of a layer or of a model, with its histogram."""

    metric: str
    num_units: int
    bins: Bins


def metric_bins(reader: AtlasReader, model_id: str, layer: LayerRecord | None) -> list[MetricBins]:
    """Return the histograms of all metrics of a layer, or of a model; none where no build has counted them."""
    if not reader.has_table("metric_count"):
        return []
    table = schema.metric_count.c
    number = schema.WHOLE_MODEL if layer is None else layer.row
    query = select(schema.metric_count).where(table.model_id == model_id, table.layer_id == number).order_by(table.metric)
    return [
        MetricBins(row["metric"], row["num_units"], Bins(row["scale"], row["edges"], row["counts"])) for row in reader.all(query)
    ]


def facet_counts(reader: AtlasReader, model_id: str, layer: LayerRecord | None) -> dict[str, dict[str, int]] | None:
    """Return how many units of a layer, or of a model, have each value of each facet, the commonest first."""
    if not reader.has_table("facet_count"):
        return None
    table = schema.facet_count.c
    number = schema.WHOLE_MODEL if layer is None else layer.row
    query = select(table.facet, table.value, table.num_units).where(table.model_id == model_id, table.layer_id == number)
    found: dict[str, dict[str, int]] = {}
    for row in reader.all(query.order_by(table.num_units.desc(), table.value)):
        found.setdefault(row["facet"], {})[row["value"]] = row["num_units"]
    return found


def dataset_looks(reader: AtlasReader, catalog: Catalog) -> LooksRecord | None:
    """Return what the images of a model look like, or None where no build has described them."""
    if not reader.has_table("dataset_look"):
        return None
    key = ("looks", catalog.model.dataset_id, catalog.model.input_key)
    if key not in reader.counted:
        with reader.connect() as connection:
            found = read_looks(connection, catalog.model.dataset_id, catalog.model.input_key)
        if found is None:
            return None
        reader.counted[key] = found
    return reader.counted[key]
