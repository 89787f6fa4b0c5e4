"""What the atlas already holds that a second look at the images starts from, and which work is out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from precompute.activations.example_maps import ExampleMaps, map_side
from precompute.activations.responses import ResponsePlan
from precompute.domain import PROFILE, LayerSpec, StimulusRef
from precompute.ledger import TASK_KEY
from precompute.planning import Plan
from precompute.store import schema
from precompute.store.writer import AtlasWriter
from precompute.techniques.activation_maps import MAPS_PER_UNIT

MAX_MAP_BYTES = 1 << 28
Examples = dict[int, list[tuple[int, float] | None]]


def response_plan(plan: Plan) -> ResponsePlan:
    """Return which images enter the profiles: it depends on the dataset alone."""
    return ResponsePlan.make(plan.source.id, {ref.index: ref.label for ref in plan.source.refs()})


def in_groups(layers: Sequence[LayerSpec], limit: int = MAX_MAP_BYTES) -> list[list[LayerSpec]]:
    """Return layers in groups whose maps fit in memory; each group is one look at the images, and is stored before the next."""
    groups: list[list[LayerSpec]] = []
    size = 0
    for layer in layers:
        height, width = map_side(layer)
        mine = layer.num_units * MAPS_PER_UNIT * height * width
        if not groups or size + mine > limit:
            groups.append([])
            size = 0
        groups[-1].append(layer)
        size += mine
    return groups


def begin_maps(plan: Plan, writer: AtlasWriter, layers: Sequence[LayerSpec]) -> dict[str, ExampleMaps]:
    """Return the maps of the examples of some layers, still empty."""
    return {
        layer.name: ExampleMaps.begin(
            layer, plan.adapter.nonlinearity(layer.name), stored_examples(writer, plan.layer_ids[layer.name])
        )
        for layer in layers
    }


def wanted_of(maps: dict[str, ExampleMaps], refs: Sequence[StimulusRef]) -> list[StimulusRef]:
    """Return the images that are an example of some unit."""
    indices = np.unique(np.concatenate([np.zeros(0, np.int32), *(found.stimulus for found in maps.values())]))
    wanted = set(indices.tolist())
    return [ref for ref in refs if ref.index in wanted]


def stored_examples(writer: AtlasWriter, layer_id: int) -> Examples:
    """Return stimulus and activation of the strongest examples of every unit, then of those over the range, by place."""
    table = schema.artifact
    rows = writer.rows(table, table.c.layer_id == layer_id, table.c.unit_index >= 0, table.c.kind == "examples")
    num_top = max((len(row["payload"]["top"]) for row in rows), default=0)
    found: Examples = {}
    for row in rows:
        top = [(example[0], example[1]) for example in row["payload"]["top"]]
        over = [(example[0], example[1]) for part in row["payload"]["quantiles"] for example in part["items"]]
        found[row["unit_index"]] = [*top, *[None] * (num_top - len(top)), *over]
    return found


def stored_array(plan: Plan, writer: AtlasWriter, layer: str, kind: str) -> np.ndarray | None:
    """Return the array of an artifact about a layer, or None where there is none."""
    table = schema.artifact
    rows = writer.rows(table, table.c.layer_id == plan.layer_ids[layer], table.c.unit_index == -1, table.c.kind == kind)
    if not rows or rows[0]["blob_sha256"] is None:
        return None
    return np.load(writer.blobs.path(rows[0]["blob_sha256"], "npy"), mmap_mode="r", allow_pickle=False)


def open_again(plan: Plan, writer: AtlasWriter, technique: str) -> None:
    """Open the done tasks of a technique about all layers again whose results were made when the model had fewer layers."""
    kind = plan.techniques[technique].relates_every_layer
    table = schema.artifact
    mine = table.c.layer_id.in_(list(plan.layer_ids.values()))
    num_layers = len(writer.rows(table, mine, table.c.unit_index == -1, table.c.kind == PROFILE))
    made = {row["layer_id"]: row["payload"]["num_layers"] for row in writer.rows(table, mine, table.c.kind == kind)}
    tasks: list[dict[str, Any]] = writer.rows(
        schema.task,
        schema.task.c.model_id == plan.model_id,
        schema.task.c.technique == technique,
        schema.task.c.status == "done",
    )
    for row in tasks:
        if made.get(row["layer_id"], num_layers) != num_layers:
            writer.update(schema.task, {name: row[name] for name in TASK_KEY}, {"status": "todo"})
