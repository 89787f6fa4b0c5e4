"""Arrays of all units: filters, order and counts are those of the rows they were counted from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from precompute.store import columns as columns_module
from precompute.store.columns import ColumnFilter, UnitColumns, facet_counts, metric_bins, unit_columns
from precompute.store.counting import bins_of
from precompute.store.likeness import first_places
from precompute.store.listing import UnitFilter, count_statuses, count_units, list_metrics, list_units, metric_names
from precompute.store.reader import AtlasReader


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> AtlasReader:
    return AtlasReader(fixture_atlas)


@pytest.fixture(scope="module")
def columns(reader: AtlasReader) -> UnitColumns:
    found = unit_columns(reader, "tiny_a")
    assert found is not None
    return found


@pytest.mark.parametrize("ties", [0, 1, 3])
@pytest.mark.parametrize("limit", [1, 7, 600, 50_000])
def test_first_places_are_those_of_a_whole_sort(ties: int, limit: int) -> None:
    generator = np.random.default_rng(ties)
    keys = np.round(generator.exponential(1, 40_000), ties)
    expected = np.lexsort((np.arange(len(keys)), keys))[:limit]
    assert first_places(keys, limit).tolist() == expected.tolist()
    assert first_places(-keys, limit).tolist() != expected.tolist()


@pytest.mark.parametrize("is_walked", [False, True])
@pytest.mark.parametrize("maximum", [{}, {"max": 3.0}, {"sparsity": 7.9, "max": 3.1}], ids=["open", "one", "two"])
@pytest.mark.parametrize("sort", ["index", "max", "sparsity"])
@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_of_arrays_join_to_the_list_of_the_rows(
    reader: AtlasReader,
    columns: UnitColumns,
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
    is_descending: bool,
    maximum: dict[str, float],
    is_walked: bool,
) -> None:
    monkeypatch.setattr(columns_module, "_FEW", 0 if is_walked else 4096)
    wanted = ColumnFilter(sort=sort, is_descending=is_descending, minimum={"std": 0.4, "max": 2.5}, maximum=maximum)
    mask = columns.passing(wanted)
    assert columns.count(mask) > 14
    places: list[int] = []
    after = None
    while part := columns.page(wanted, mask, after, 7):
        places += part
        value = None if sort == "index" else float(columns.metric(sort)[part[-1]])
        after = (None if value is None or np.isnan(value) else value, part[-1])
    assert len(places) == len(set(places)) == columns.count(mask)
    counts = dict(zip(columns.layer_rows.tolist(), columns.count_by_layer(mask).tolist(), strict=True))
    catalog = reader.catalog("tiny_a", reader.revision())
    for layer in catalog.layers.values():
        same = UnitFilter(sort=sort, is_descending=is_descending, minimum=wanted.minimum, maximum=maximum)
        rows = [unit.index for unit in list_units(reader, layer, same, None, 100)]
        ours = [unit for row, unit in columns.units_at(places) if row == layer.row]
        assert ours == rows
        assert counts[layer.row] == count_units(reader, layer, same)


def test_counts_are_those_of_the_rows(reader: AtlasReader, columns: UnitColumns) -> None:
    catalog = reader.catalog("tiny_a", reader.revision())
    total = 0
    for layer in catalog.layers.values():
        facets = facet_counts(reader, "tiny_a", layer)
        assert facets is not None
        assert facets["status"] == count_statuses(reader, layer)
        total += facets["visualization"]["yes"]
    whole = facet_counts(reader, "tiny_a", None)
    assert whole is not None
    assert whole["visualization"]["yes"] == total == columns.count(columns.facet("visualization=yes"))
    for found in metric_bins(reader, "tiny_a", None):
        values = columns.metric(found.metric)
        assert sum(found.bins.counts) == found.num_units == np.isfinite(values).sum()
        assert found.bins.edges[0] == np.nanmin(values)
        assert found.bins.edges[-1] == np.nanmax(values)


def test_metrics_are_named_without_reading_their_values(reader: AtlasReader) -> None:
    layers = list(reader.catalog("tiny_a", reader.revision()).layers.values())
    everything: set[str] = set()
    for layer in layers:
        known = set(list_metrics(reader, layer))
        assert metric_names(reader, [layer]) == known
        assert metric_names(reader, [layer], ["max", "sparsity", "nothing"]) == known & {"max", "sparsity"}
        everything |= known
    assert metric_names(reader, layers) == everything
    assert {found.metric for found in metric_bins(reader, "tiny_a", None)} == everything
    assert len(everything) > 6


def test_filters_combine(columns: UnitColumns) -> None:
    status = columns.passing(ColumnFilter(has=("status=ok",)))
    without = columns.passing(ColumnFilter(lacks=("status=ok",)))
    assert columns.count(status) + columns.count(without) == columns.num_units
    first = int(columns.layer_rows[0])
    layer = columns.passing(ColumnFilter(has=("status=ok",), layers=frozenset([first])))
    assert 0 < columns.count(layer) < columns.count(status)
    assert columns.layer_rows[columns.count_by_layer(layer) > 0].tolist() == [first]
    assert columns.count(columns.passing(ColumnFilter(units=[(first, 3), (-5, 0)]))) == 1
    assert columns.count(columns.passing(ColumnFilter(has=("flag=no_such",)))) == 0


def test_bins_are_stretched_where_few_values_are_far_away() -> None:
    generator = np.random.default_rng(0)
    plain = bins_of(generator.normal(0, 1, 5000))
    assert plain is not None
    assert plain.scale == "linear"
    assert np.ptp(np.diff(plain.edges)) < 1e-9
    heavy = bins_of(np.concatenate([generator.normal(0, 1, 5000), [1e5, np.nan]]))
    assert heavy is not None
    assert heavy.scale == "stretched"
    assert sum(heavy.counts) == 5001
    assert np.count_nonzero(heavy.counts) > 8
    assert np.count_nonzero(np.histogram(np.append(generator.normal(0, 1, 5000), 1e5), 40)[0]) == 2
    assert bins_of(np.array([np.nan])) is None
    assert bins_of(np.full(4, 2.0)) is not None
