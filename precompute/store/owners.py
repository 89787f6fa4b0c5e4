"""Which units an image is one of the strongest examples of: counted and listed along an index, in the order of layers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from precompute.store.example_counts import MAX_LAYERS
from precompute.store.many import Pair
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, StimulusRecord, TopStimulusRecord
from precompute.store.task_counts import EXAMPLES_FROM

_COUNTED = text(
    "SELECT num_units, num_layers, layers FROM example_count "
    "WHERE stimulus_index = :stimulus AND model_id IN (SELECT value FROM json_each(:models))"
)
_COUNTS = text(
    "SELECT layer_id, n, sum(n) OVER () AS num_units, count(*) OVER () AS num_layers FROM "
    "(SELECT layer_id, count(*) AS n FROM top_stimulus WHERE stimulus_index = :stimulus GROUP BY layer_id) AS counted "
    "CROSS JOIN layer ON layer.id = counted.layer_id "
    "WHERE layer.model_id IN (SELECT value FROM json_each(:models)) ORDER BY n DESC, layer_id LIMIT :limit"
)
_COUNTS_OF_LAYERS = text(
    "SELECT layer_id, count(*) AS n FROM top_stimulus "
    "WHERE stimulus_index = :stimulus AND layer_id IN (SELECT value FROM json_each(:layers)) GROUP BY layer_id"
)
# CROSS JOIN keeps the order of the tables: along the index of the image, which is the order wanted, up to the limit.
_LISTED = text(
    "SELECT layer_id, rank, unit_index, activation FROM top_stimulus CROSS JOIN layer ON layer.id = layer_id "
    "WHERE stimulus_index = :stimulus AND (layer_id, rank, unit_index) > (:layer, :rank, :unit) "
    "AND model_id IN (SELECT value FROM json_each(:models)) ORDER BY layer_id, rank, unit_index LIMIT :limit"
)
_LISTED_OF_LAYERS = text(
    "SELECT layer_id, rank, unit_index, activation FROM top_stimulus "
    "WHERE stimulus_index = :stimulus AND layer_id IN (SELECT value FROM json_each(:layers)) "
    "AND (layer_id, rank, unit_index) > (:layer, :rank, :unit) ORDER BY layer_id, rank, unit_index LIMIT :limit"
)
_POSITIONS = text(
    "SELECT layer_id, unit_index, json_extract(example.value, '$[2]') AS y, json_extract(example.value, '$[3]') AS x "
    "FROM json_each(:pairs) AS wanted CROSS JOIN artifact "
    "ON layer_id = json_extract(wanted.value, '$[0]') AND unit_index = json_extract(wanted.value, '$[1]') AND kind = 'examples' "
    "CROSS JOIN json_each(payload, '$.top') AS example WHERE json_extract(example.value, '$[0]') = :stimulus "
    "ORDER BY example.key DESC"
)


@dataclass(frozen=True)
class OwnerCounts:
    """Of how many units an image is a top example.

    Attributes:
        num_units: In all layers.
        num_layers: With at least one.
        by_layer: By layer row, those with most.
    """

    num_units: int
    num_layers: int
    by_layer: dict[int, int]


def count_owners(reader: AtlasReader, stimulus: StimulusRecord, catalogs: Sequence[Catalog]) -> OwnerCounts:
    """Return of how many units of some models an image is a top example, and the layers with most of them."""
    models = json.dumps([catalog.model.id for catalog in catalogs])
    if all(reader.is_counted(catalog, EXAMPLES_FROM) for catalog in catalogs):
        found = reader.all(_COUNTED, stimulus=stimulus.index, models=models)
        most = sorted((pair for row in found for pair in json.loads(row["layers"])), key=lambda pair: -pair[1])[:MAX_LAYERS]
        return OwnerCounts(sum(row["num_units"] for row in found), sum(row["num_layers"] for row in found), dict(most))
    # While a build finds examples, or where an older version counted: along the index of the image.
    rows = reader.all(_COUNTS, stimulus=stimulus.index, models=models, limit=MAX_LAYERS)
    by_layer = {int(row["layer_id"]): int(row["n"]) for row in rows}
    return OwnerCounts(int(rows[0]["num_units"]), int(rows[0]["num_layers"]), by_layer) if rows else OwnerCounts(0, 0, {})


def count_owners_in(reader: AtlasReader, stimulus: StimulusRecord, layers: Iterable[int]) -> dict[int, int]:
    """Return the same by row of some layers; those with none are left out."""
    rows = reader.all(_COUNTS_OF_LAYERS, stimulus=stimulus.index, layers=json.dumps(list(layers)))
    return {int(row["layer_id"]): int(row["n"]) for row in rows}


def list_owners(
    reader: AtlasReader,
    stimulus: StimulusRecord,
    models: Sequence[str],
    layers: Sequence[int] | None,
    after: tuple[int, int, int] | None,
    limit: int,
) -> list[TopStimulusRecord]:
    """Return the units that an image is a top example of, by layer and rank.

    Args:
        reader: The atlas.
        stimulus: The image.
        models: Only of these models.
        layers: Only of these layers, by row; None for all.
        after: `(layer row, rank, unit)` of the one before the first.
        limit: How many at most.
    """
    layer, rank, unit = after or (-1, -1, -1)
    values = {"stimulus": stimulus.index, "layer": layer, "rank": rank, "unit": unit, "limit": limit}
    if layers is None:
        rows = reader.all(_LISTED, models=json.dumps(list(models)), **values)
    else:
        rows = reader.all(_LISTED_OF_LAYERS, layers=json.dumps(list(layers)), **values)
    return [TopStimulusRecord(row["layer_id"], row["unit_index"], row["rank"], row["activation"]) for row in rows]


def positions_in(reader: AtlasReader, stimulus: StimulusRecord, units: Sequence[Pair]) -> dict[Pair, tuple[int, int]]:
    """Return where `(y, x)` in an image units of any layers respond most; units whose examples lack it are left out."""
    rows = reader.all(_POSITIONS, pairs=json.dumps(units), stimulus=stimulus.index)
    return {(row["layer_id"], row["unit_index"]): (row["y"], row["x"]) for row in rows}
