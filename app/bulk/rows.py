"""The rows of bulk answers, chunk by chunk as columns, in a stable order: as the atlas lists layers, then by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from precompute.store.bulk import edge_chunks, example_payloads, stimuli_of_payloads, unit_chunks
from precompute.store.listing import UnitFilter
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, Json, LayerRecord, LinkRecord, StimulusRecord

Columns = dict[str, list[Any]]
GROUPS = ("top", "bottom", "quantile", "random")


@dataclass(frozen=True)
class Wanted:
    """What a bulk answer is about.

    Attributes:
        reader: The atlas.
        catalog: The model.
        layers: The layers; for edges, those of the targets.
        units: Which units of them.
        metrics: Only these metrics; empty for all.
        group: Only examples of this group; None for all.
        links: The links, for edges.
        top: Only the strongest so many weights into each target over each link.
        min_norm: Only weights of at least this norm.
    """

    reader: AtlasReader
    catalog: Catalog
    layers: Sequence[LayerRecord]
    units: UnitFilter
    metrics: tuple[str, ...] = ()
    group: str | None = None
    links: Sequence[LinkRecord] = ()
    top: int | None = None
    min_norm: float = 0.0


def unit_rows(wanted: Wanted) -> Iterator[Columns]:
    """Yield units with their metrics."""
    for chunk in unit_chunks(wanted.reader, wanted.layers, wanted.units):
        count = len(chunk.units)
        yield {
            "model": [wanted.catalog.model.id] * count,
            "layer": [chunk.layer.name] * count,
            "index": list(chunk.units),
            "kind": [chunk.layer.spec.kind] * count,
            "label": [chunk.labels.get(unit) for unit in chunk.units],
            "metrics": [dict(chunk.metrics.get(unit, {})) for unit in chunk.units],
        }


def metric_rows(wanted: Wanted) -> Iterator[Columns]:
    """Yield metrics, one row for each value."""
    for chunk in unit_chunks(wanted.reader, wanted.layers, wanted.units):
        rows = [
            (unit, name, value)
            for unit in chunk.units
            for name, value in sorted(chunk.metrics.get(unit, {}).items())
            if not wanted.metrics or name in wanted.metrics
        ]
        yield {
            "model": [wanted.catalog.model.id] * len(rows),
            "layer": [chunk.layer.name] * len(rows),
            "index": [row[0] for row in rows],
            "metric": [row[1] for row in rows],
            "value": [row[2] for row in rows],
        }


def example_rows(wanted: Wanted) -> Iterator[Columns]:
    """Yield examples, one row for each."""
    for chunk in unit_chunks(wanted.reader, wanted.layers, wanted.units):
        payloads = list(example_payloads(wanted.reader, chunk.layer, chunk.units))
        stimuli = stimuli_of_payloads(wanted.reader, wanted.catalog, [payload for _, payload in payloads])
        rows: list[dict[str, Any]] = []
        for unit, payload in payloads:
            rows += _examples(wanted, chunk.layer, unit, payload, stimuli)
        if rows:
            yield {name: [row[name] for row in rows] for name in rows[0]}


def _examples(
    wanted: Wanted, layer: LayerRecord, unit: int, payload: Json, stimuli: dict[int, StimulusRecord]
) -> Iterator[dict[str, Any]]:
    model = wanted.catalog.model
    groups: list[tuple[str, float | None, list[Any]]] = [
        ("top", None, payload.get("top", [])),
        ("bottom", None, payload.get("bottom", [])),
        *(("quantile", part["q"], part["items"]) for part in payload.get("quantiles", [])),
        ("random", None, payload.get("random", [])),
    ]
    for group, q, items in groups:
        if wanted.group not in (None, group):
            continue
        for rank, row in enumerate(items, start=1):
            stimulus = stimuli.get(int(row[0]))
            if stimulus is None:
                continue
            y, x = int(row[2]), int(row[3])
            y0, x0, y1, x1 = layer.spec.box_at(y, x, model.input_height, model.input_width)
            yield {
                "model": model.id,
                "layer": layer.name,
                "index": unit,
                "group": group,
                "q": q,
                "rank": rank,
                "activation": row[1],
                "pre_activation": row[4] if len(row) > 4 else None,
                "y": y,
                "x": x,
                "y0": y0,
                "x0": x0,
                "y1": y1,
                "x1": x1,
                "stimulus": stimulus.id,
                "key": stimulus.key,
                "stimulus_label": stimulus.label,
            }


def edge_rows(wanted: Wanted) -> Iterator[Columns]:
    """Yield weights, one row for each pair of units."""
    for chunk in edge_chunks(wanted.reader, wanted.links, top=wanted.top, min_norm=wanted.min_norm):
        count = len(chunk.norms)
        height, width = (chunk.link.kernel_shape or (1, 1))[-2:]
        yield {
            "model": [wanted.catalog.model.id] * count,
            "source_layer": [chunk.link.source] * count,
            "source_unit": chunk.sources.tolist(),
            "target_layer": [chunk.link.target] * count,
            "target_unit": chunk.targets.tolist(),
            "norm": chunk.norms.tolist(),
            "sum": chunk.sums.tolist(),
            "exact": [chunk.link.is_exact] * count,
            "kernel_height": [height] * count,
            "kernel_width": [width] * count,
        }


ROWS = {"units": unit_rows, "metrics": metric_rows, "examples": example_rows, "edges": edge_rows}
