"""Which units an image is an example of: what was counted is what the rows say, and new rows are seen at once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from precompute.store import schema
from precompute.store.columns import unit_columns
from precompute.store.like_units import strongest_owners
from precompute.store.looks import NUM_EXAMPLES
from precompute.store.owners import count_owners, count_owners_in, list_owners, positions_in
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, StimulusRecord
from precompute.store.task_counts import EXAMPLES_FROM
from precompute.store.writer import AtlasWriter

MODELS = ("tiny_a", "tiny_b")
Rows = list[tuple[int, int, int, float]]


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> Iterator[AtlasReader]:
    found = AtlasReader(fixture_atlas)
    yield found
    found.close()


def rows_of(atlas: Path, stimulus: StimulusRecord, catalog: Catalog) -> Rows:
    """Return `(layer row, rank, unit, activation)` of the units of a model, in order."""
    with closing(sqlite3.connect(atlas / "atlas.db")) as connection:
        query = "SELECT layer_id, rank, unit_index, activation FROM top_stimulus WHERE stimulus_index = ? ORDER BY 1, 2, 3"
        return [row for row in connection.execute(query, (stimulus.index,)) if row[0] in catalog.by_row]


def stimuli_of(reader: AtlasReader, catalog: Catalog) -> list[StimulusRecord]:
    return list(reader.stimuli(catalog.model, range(200)).values())


@pytest.mark.parametrize("name", MODELS)
def test_counts_are_those_of_the_rows(reader: AtlasReader, name: str) -> None:
    catalog = reader.catalog(name, reader.revision())
    columns = unit_columns(reader, name)
    assert columns is not None
    num_owned = 0
    for stimulus in stimuli_of(reader, catalog):
        rows = rows_of(reader.atlas, stimulus, catalog)
        by_layer = Counter(row[0] for row in rows)
        for is_counted in (True, False):
            catalog.held["is counted", EXAMPLES_FROM] = is_counted
            found = count_owners(reader, stimulus, [catalog])
            assert (found.num_units, found.num_layers, found.by_layer) == (len(rows), len(by_layer), by_layer)
        few = list(catalog.by_row)[:2]
        assert count_owners_in(reader, stimulus, few) == {row: by_layer[row] for row in few if by_layer[row]}
        strongest = [(row[0], row[2]) for row in rows if row[1] < NUM_EXAMPLES]
        assert sorted(columns.units_at(strongest_owners(reader, columns, stimulus).tolist())) == sorted(strongest)
        num_owned += len(rows)
    assert num_owned > 50


def test_list_is_that_of_the_rows_page_by_page(reader: AtlasReader) -> None:
    catalogs = [reader.catalog(name, reader.revision()) for name in MODELS]
    for stimulus in stimuli_of(reader, catalogs[0]):
        for chosen in (catalogs, catalogs[:1], catalogs[1:]):
            expected = sorted(row for catalog in chosen for row in rows_of(reader.atlas, stimulus, catalog))
            listed: Rows = []
            after = None
            while page := list_owners(reader, stimulus, [catalog.model.id for catalog in chosen], None, after, 7):
                listed += [(row.layer, row.rank, row.unit, row.activation) for row in page]
                after = listed[-1][:3]
            assert listed == expected
            layers = list(chosen[0].by_row)[1:3]
            few = list_owners(reader, stimulus, [chosen[0].model.id], layers, None, 1000)
            assert [(row.layer, row.rank, row.unit) for row in few] == [row[:3] for row in expected if row[0] in layers]


def test_positions_are_those_of_the_examples(reader: AtlasReader) -> None:
    catalog = reader.catalog("tiny_a", reader.revision())
    num_found = 0
    for stimulus in stimuli_of(reader, catalog):
        units = [(row[0], row[2]) for row in rows_of(reader.atlas, stimulus, catalog)]
        found = positions_in(reader, stimulus, units)
        for row, unit in units:
            top = next(item.payload["top"] for item in reader.artifacts(catalog.by_row[row], unit) if item.kind == "examples")
            expected = next(((y, x) for index, _, y, x, *_ in top if index == stimulus.index), None)
            assert found.get((row, unit)) == expected
            num_found += expected is not None
    assert num_found > 20


def test_examples_that_came_after_the_count_are_counted_at_once(atlas: Path) -> None:
    reader = AtlasReader(atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    stimulus = stimuli_of(reader, catalog)[0]
    before = count_owners(reader, stimulus, [catalog])
    writer = AtlasWriter(atlas)
    layer = list(catalog.by_row)[-1]
    task = {"model_id": "tiny_a", "technique": EXAMPLES_FROM, "layer_id": layer, "unit_start": 900, "unit_stop": 901}
    writer.upsert(
        schema.top_stimulus,
        [{"stimulus_index": stimulus.index, "layer_id": layer, "unit_index": 900, "rank": 0, "activation": 1.0}],
    )
    writer.insert_missing(schema.task, [task | {"variant": "", "status": "done"}])
    writer.close()
    after = count_owners(reader, stimulus, [reader.catalog("tiny_a", reader.revision())])
    assert after.num_units == before.num_units + 1
    assert after.by_layer[layer] == before.by_layer.get(layer, 0) + 1
