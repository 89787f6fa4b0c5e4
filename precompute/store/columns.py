"""All units of a model as arrays: filtered, counted and sorted without a query for each unit.

A metric of a million units is eight megabytes, and a comparison of all of them takes half a millisecond; the same filter as a
query takes seconds. The arrays are what a build counted last, and are read when somebody first asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from precompute.store import schema
from precompute.store.bounds import Bounds
from precompute.store.counting import BUCKETS, ORDER, Bins
from precompute.store.example_counts import LOOKS, LOOKS_BOUNDS, LOOKS_CONTROL, SHUFFLED_BOUNDS
from precompute.store.likeness import ChanceScores
from precompute.store.looks import LooksRecord, read_looks
from precompute.store.orders import Mask, Order, buckets_of, sorted_places
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord

_Held = TypeVar("_Held")
_KEPT_COLUMNS = 24
_SMALLEST_STEP = 2048
_FEW = 4096
"""Where no more units pass a filter, they are sorted, and not all units walked through in order."""


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

    def units_at(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """Return layer row and index of the unit at each of some places."""
        asked = np.asarray(places, np.int64)
        layers = np.searchsorted(self.starts, asked, side="right") - 1
        return list(zip(self.layer_rows[layers].tolist(), (asked - self.starts[layers]).tolist(), strict=True))

    def metric(self, name: str) -> NDArray[np.float64]:
        """Return a metric of all units; not a number where a unit has none."""
        return self._held(name, lambda: np.frombuffer(self._counted(name) or b"", "<f8"))

    def order(self, name: str) -> Order:
        """Return a metric of all units in order; sorted here only where an older version counted the units."""

        def read() -> Order:
            values = self.metric(name)
            data = self._counted(f"{name}{ORDER}"), self._counted(f"{name}{BUCKETS}")
            places = sorted_places(values) if data[0] is None else np.frombuffer(data[0], "<i4")
            buckets = buckets_of(places) if data[1] is None else np.frombuffer(data[1], np.uint8)
            return Order(values, places, buckets, int(np.count_nonzero(~np.isnan(values))))

        return self._held(f"{name}{ORDER}", read)

    def facet(self, name: str) -> Mask:
        """Return which units have a facet, given as `flag=fragile`; none where the atlas has it nowhere."""
        return self._held(name, lambda: _bits(self._counted(name), self.num_units))

    def looks(self) -> NDArray[np.float32]:
        """Return the mean direction of the strongest examples of every unit `[unit, number]`, empty where it was not counted."""
        found = self._held(LOOKS, lambda: np.frombuffer(self._counted(LOOKS) or b"", "<f4"))
        return found.reshape(self.num_units, -1) if found.size else np.zeros((0, 0), dtype=np.float32)

    def looks_control(self) -> ChanceScores | None:
        """Return what images drawn by chance find, or None where it was not counted."""
        data = self._held(LOOKS_CONTROL, lambda: self._counted(LOOKS_CONTROL) or b"")
        return ChanceScores(**json.loads(data)) if data else None

    def looks_bounds(self) -> tuple[Bounds, Bounds] | None:
        """Return what a search among the looks begins with, as they are and shuffled; None where no build has made it."""
        return self._held(LOOKS_BOUNDS, self._read_bounds)

    def _read_bounds(self) -> tuple[Bounds, Bounds] | None:
        near, far = self._counted(LOOKS_BOUNDS), self._counted(SHUFFLED_BOUNDS)
        return None if near is None or far is None else (Bounds.from_bytes(near), Bounds.from_bytes(far))

    def _counted(self, name: str) -> bytes | None:
        """Return a column as a build counted it, or None where it has not."""
        table = schema.unit_column.c
        rows = self._reader.all(select(table.data).where(table.model_id == self.model_id, table.name == name))
        return rows[0]["data"] if rows else None

    def _held(self, name: str, make: Callable[[], _Held]) -> _Held:
        """Return what is kept under a name, made where it is not; what was not asked for longest goes."""
        found: _Held = self._kept.pop(name) if name in self._kept else make()
        self._kept[name] = found
        while len(self._kept) > _KEPT_COLUMNS:
            self._kept.pop(next(iter(self._kept)), None)
        return found

    # -- filters ---------------------------------------------------------------------------------------------------

    def passing(self, wanted: ColumnFilter) -> Mask | None:
        """Return which units pass a filter, or None where all do."""
        found: Mask | None = None
        for metric in sorted({*wanted.minimum, *wanted.maximum}):
            found = _both(found, self.order(metric).between(wanted.minimum.get(metric), wanted.maximum.get(metric)))
        for facet in wanted.has:
            found = _both(found, self.facet(facet))
        for facet in wanted.lacks:
            found = _both(found, ~self.facet(facet))
        if wanted.layers is not None:
            found = _both(found, self._in_layers(wanted.layers))
        if wanted.units is not None:
            found = _both(found, self._of_units(wanted.units))
        return found

    def _in_layers(self, rows: Iterable[int]) -> Mask:
        places = sorted(place for row in rows if (place := self._place_of_layer.get(row)) is not None)
        found = np.zeros(self.num_units, dtype=bool)
        for place in places:
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

    def count_by_layer(self, mask: Mask | None) -> NDArray[np.int64]:
        """Return how many units of each layer pass, in the order of `layer_rows`."""
        sizes = np.diff(self.starts)
        if mask is None:
            return sizes
        found = np.zeros(len(sizes), np.int64)
        filled = np.flatnonzero(sizes)  # the sum between two equal places would be that of one unit
        if filled.size:
            found[filled] = np.add.reduceat(mask.view(np.uint8), self.starts[filled], dtype=np.int64)
        return found

    def page(self, wanted: ColumnFilter, mask: Mask | None, after: tuple[float | None, int] | None, limit: int) -> list[int]:
        """Return the places of the first units that pass, after a `(value, place)`, in order; those without a value come last."""
        if wanted.sort == "index":
            return self._by_place(mask, None if after is None else after[1], limit, is_descending=wanted.is_descending)
        if mask is not None and np.count_nonzero(mask) <= _FEW:
            return self._sorted(np.flatnonzero(mask), wanted, after)[:limit]
        # What is beyond the range of the very metric that is sorted by need not be walked through.
        bound = (wanted.maximum if wanted.is_descending else wanted.minimum).get(wanted.sort)
        if after is None and bound is not None:
            after = (bound, -1)
        found: list[int] = []
        size = max(4 * limit, _SMALLEST_STEP)
        for places in self.order(wanted.sort).walk(after, is_descending=wanted.is_descending, size=size):
            found += (places if mask is None else places[mask[places]])[: limit - len(found)].tolist()
            if len(found) == limit:
                break
        return found

    def _by_place(self, mask: Mask | None, after: int | None, limit: int, *, is_descending: bool) -> list[int]:
        start, stop = (
            (0, self.num_units if after is None else after)
            if is_descending
            else (0 if after is None else after + 1, self.num_units)
        )
        found: list[int] = []
        size = max(4 * limit, _SMALLEST_STEP)
        while start < stop and len(found) < limit:
            low, high = (max(start, stop - size), stop) if is_descending else (start, min(stop, start + size))
            places = np.arange(low, high) if mask is None else low + np.flatnonzero(mask[low:high])
            found += (places[::-1] if is_descending else places)[: limit - len(found)].tolist()
            start, stop = (start, low) if is_descending else (high, stop)
            size *= 2
        return found

    def _sorted(self, places: NDArray[np.int64], wanted: ColumnFilter, after: tuple[float | None, int] | None) -> list[int]:
        """Return a few places in order, those after a `(value, place)`."""
        values = self.metric(wanted.sort)[places]
        keys = -values if wanted.is_descending else values
        order = np.lexsort((places, keys))  # what is no number comes last
        if after is not None:
            is_known = keys == keys
            if after[0] is None:
                later = ~is_known & (places > after[1])
            else:
                last = -after[0] if wanted.is_descending else after[0]
                later = ~is_known | (keys > last) | ((keys == last) & (places > after[1]))
            order = order[later[order]]
        return places[order].tolist()


def _bits(data: bytes | None, count: int) -> Mask:
    if data is None:
        return np.zeros(count, dtype=bool)
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).view(bool)


def _both(first: Mask | None, second: Mask) -> Mask:
    return second if first is None else first & second


def unit_columns(reader: AtlasReader, model_id: str) -> UnitColumns | None:
    """Return the units of a model as arrays, or None where no build has counted them."""
    if not reader.has_table("model_count"):
        return None
    table = schema.model_count
    stamps = reader.all(select(table.c.stamp).where(table.c.model_id == model_id))
    if not stamps:
        return None
    known = reader.counted.get(model_id)
    if not isinstance(known, UnitColumns) or known.stamp != stamps[0]["stamp"]:
        row = reader.all(select(table).where(table.c.model_id == model_id))[0]
        known = reader.counted[model_id] = UnitColumns(reader, model_id, row)
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
