"""What a list of units from many layers shows: a query for each kind of thing, not for each layer."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import text

from precompute.store.reader import AtlasReader
from precompute.store.records import ThumbRecord, positions_of_text

Pair = tuple[int, int]
"""Layer row and index of a unit."""

_METRICS = text(
    "SELECT layer_id, unit_index, metric, unit_metric.value FROM json_each(:pairs) AS wanted CROSS JOIN unit_metric "
    "ON layer_id = json_extract(wanted.value, '$[0]') AND unit_index = json_extract(wanted.value, '$[1]')"
)
_LABELS = text(
    "SELECT layer_id, unit_index, label FROM json_each(:pairs) AS wanted CROSS JOIN unit "
    "ON layer_id = json_extract(wanted.value, '$[0]') AND unit_index = json_extract(wanted.value, '$[1]') "
    "WHERE label IS NOT NULL"
)
_PICTURES = text(
    "SELECT layer_id, unit_index, sha256, extension FROM json_each(:pairs) AS wanted CROSS JOIN artifact "
    "ON layer_id = json_extract(wanted.value, '$[0]') AND unit_index = json_extract(wanted.value, '$[1]') "
    "AND kind = 'visualization' JOIN blob ON sha256 = blob_sha256 "
    "WHERE coalesce(json_extract(payload, '$.sign'), 'positive') = 'positive' ORDER BY position DESC"
)
_EXAMPLES = text(
    "SELECT layer_id, unit_index, json_extract(payload, '$.top[0]', '$.top[1]', '$.top[2]', '$.top[3]') AS top "
    "FROM json_each(:pairs) AS wanted CROSS JOIN artifact "
    "ON layer_id = json_extract(wanted.value, '$[0]') AND unit_index = json_extract(wanted.value, '$[1]') "
    "AND kind = 'examples'"
)


def metrics_of(reader: AtlasReader, units: Sequence[Pair]) -> dict[Pair, dict[str, float | None]]:
    """Return the metrics of units of any layers."""
    found: dict[Pair, dict[str, float | None]] = {}
    for row in reader.all(_METRICS, pairs=json.dumps(units)):
        found.setdefault((row["layer_id"], row["unit_index"]), {})[row["metric"]] = row["value"]
    return found


def labels_of(reader: AtlasReader, units: Sequence[Pair]) -> dict[Pair, str]:
    """Return the labels of units of any layers; units without one are left out."""
    return {(row["layer_id"], row["unit_index"]): row["label"] for row in reader.all(_LABELS, pairs=json.dumps(units))}


def thumbs_of(reader: AtlasReader, units: Sequence[Pair]) -> dict[Pair, ThumbRecord]:
    """Return what the small pictures of units of any layers are made of; units with nothing yet are left out."""
    found: dict[Pair, ThumbRecord] = {}
    for row in reader.all(_PICTURES, pairs=json.dumps(units)):
        found[row["layer_id"], row["unit_index"]] = ThumbRecord(f"{row['sha256']}.{row['extension']}", ())
    missing = [unit for unit in units if unit not in found]
    if missing:
        for row in reader.all(_EXAMPLES, pairs=json.dumps(missing)):
            found[row["layer_id"], row["unit_index"]] = ThumbRecord(None, positions_of_text(row["top"]))
    return {unit: thumb for unit, thumb in found.items() if thumb.blob_name or thumb.examples}


_OWNERS = text("SELECT layer_id, unit_index FROM top_stimulus WHERE stimulus_index = :stimulus AND rank < :below")


def owners_of(reader: AtlasReader, stimulus_index: int, num_examples: int) -> list[Pair]:
    """Return the units that have an image among their first examples."""
    rows = reader.all(_OWNERS, stimulus=stimulus_index, below=num_examples)
    return [(row["layer_id"], row["unit_index"]) for row in rows]
