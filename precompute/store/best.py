"""Which units of a layer to show first: those whose pictures can be believed most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

LIKENESS = "picture_similarity_auc"
DOUBTS = "picture_num_flags"
_LOOKED_AT = 4
"""Units looked at for each that is wanted, the likest first."""
_LIKEST = (
    select(schema.unit_metric.c.unit_index)
    .where(schema.unit_metric.c.layer_id == bindparam("layer"), schema.unit_metric.c.metric == LIKENESS)
    .order_by(schema.unit_metric.c.value.desc())
    .limit(bindparam("limit"))
)


def best_pictured(reader: AtlasReader, catalog: Catalog, per_layer: int) -> dict[int, list[int]]:
    """Return, for each layer row, the units whose pictures have the fewest doubts and are most like the units' examples.

    Units with a picture and without scores come after those with scores.
    """
    pictured = reader.pictured_units(catalog, per_layer)
    found: dict[int, list[int]] = {}
    for row, layer in catalog.by_row.items():
        if not pictured[row]:
            found[row] = []
            continue
        likest = [int(item["unit_index"]) for item in reader.all(_LIKEST, layer=row, limit=_LOOKED_AT * per_layer)]
        scores: dict[int, dict[str, Any]] = reader.metrics(layer, likest)
        likest.sort(key=lambda unit: (scores[unit].get(DOUBTS) or 0, -(scores[unit].get(LIKENESS) or 0)))
        found[row] = _unique([*likest, *pictured[row]])[:per_layer]
    return found


def _unique(units: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(units))
