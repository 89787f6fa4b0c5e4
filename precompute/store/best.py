"""Which units of a layer to show first: those whose pictures can be believed most. A build counts them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select

from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord

LIKENESS = "picture_similarity_auc"
DOUBTS = "picture_num_flags"
NUM_FIRST = 8
"""Units of each layer that are counted out."""
_LOOKED_AT = 4
"""Units looked at for each that is wanted, the likest first."""
Numbers = NDArray[np.float64]
_PICTURED = (
    select(schema.facet_count.c.layer_id)
    .where(
        schema.facet_count.c.model_id == bindparam("model"),
        schema.facet_count.c.layer_id != schema.WHOLE_MODEL,
        schema.facet_count.c.facet == "visualization",
        schema.facet_count.c.value == "yes",
    )
    .order_by(schema.facet_count.c.layer_id)
)


def best_pictured(likeness: Numbers | None, doubts: Numbers | None, is_pictured: NDArray[np.bool_]) -> list[int]:
    """Return the units of a layer whose pictures have the fewest doubts and are most like the units' examples.

    Units with a picture and without scores come after those with scores.

    Args:
        likeness: `LIKENESS` of each unit, not a number where it has none; None where no unit has.
        doubts: `DOUBTS`, likewise.
        is_pictured: Which units have a visualization.
    """
    pictured = np.flatnonzero(is_pictured)[:NUM_FIRST]
    if likeness is None or not pictured.size:
        return pictured.tolist()
    scored = np.flatnonzero(np.isfinite(likeness))
    likest = scored[np.argsort(-likeness[scored], kind="stable")][: _LOOKED_AT * NUM_FIRST]
    flags = np.zeros(len(likest)) if doubts is None else np.nan_to_num(doubts[likest])
    best = likest[np.lexsort((-likeness[likest], flags))]
    return list(dict.fromkeys([*best.tolist(), *pictured.tolist()]))[:NUM_FIRST]


def first_units(reader: AtlasReader, layers: Sequence[LayerRecord], per_layer: int) -> dict[int, list[int]]:
    """Return the units of each of some layers, by its row, that are shown first; where none were counted out, the first ones."""
    found: dict[int, list[int]] = {layer.row: [] for layer in layers}
    if reader.has_table("first_unit"):
        table = schema.first_unit.c
        query = select(table.layer_id, table.unit_index).where(table.layer_id.in_(list(found)), table.rank < per_layer)
        for row in reader.all(query.order_by(table.layer_id, table.rank)):
            found[row["layer_id"]].append(row["unit_index"])
    for layer in layers:
        chosen = found[layer.row]
        others = range(min(layer.spec.num_units, per_layer + len(chosen)))
        found[layer.row] = list(dict.fromkeys([*chosen, *others]))[:per_layer]
    return found


def pictured_layers(reader: AtlasReader, catalog: Catalog) -> list[LayerRecord]:
    """Return the layers of a model that have units with a visualization, as a build counted them."""
    found: list[LayerRecord] | None = catalog.held.get("pictured layers")
    if found is None:
        found = catalog.held["pictured layers"] = []
        if reader.has_table("facet_count"):
            found += [catalog.by_row[row["layer_id"]] for row in reader.all(_PICTURED, model=catalog.model.id)]
    return found
