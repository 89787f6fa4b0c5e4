"""Everything about many units at once, chunk by chunk: memory stays the same however large the atlas is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select

from precompute.circuits.graph import squares_and_sums
from precompute.store import schema
from precompute.store.arrays import weights_of
from precompute.store.listing import UnitFilter, list_units
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, Json, LayerRecord, LinkRecord, StimulusRecord

UNITS_AT_ONCE = 256
EDGES_AT_ONCE = 65_536
_EXAMPLES = (
    select(schema.artifact.c.unit_index, schema.artifact.c.payload)
    .where(
        schema.artifact.c.layer_id == bindparam("layer"),
        schema.artifact.c.unit_index.in_(bindparam("units", expanding=True)),
        schema.artifact.c.kind == "examples",
    )
    .order_by(schema.artifact.c.unit_index)
)


@dataclass(frozen=True)
class UnitChunk:
    """Some units of one layer, by index.

    Attributes:
        layer: The layer.
        units: Their indices.
        labels: By index.
        metrics: By index.
    """

    layer: LayerRecord
    units: Sequence[int]
    labels: Mapping[int, str | None] = field(default_factory=dict[int, str | None])
    metrics: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict[int, Mapping[str, float | None]])


@dataclass(frozen=True)
class EdgeChunk:
    """Weights into some units of one layer from the units of another; arrays are `[edge]`.

    Attributes:
        link: Between the layers.
        sources: Indices of the earlier units.
        targets: Of the later units.
        norms: L2 norms of the kernels.
        sums: Signed sums of the kernels.
    """

    link: LinkRecord
    sources: NDArray[np.intp]
    targets: NDArray[np.intp]
    norms: NDArray[np.float64]
    sums: NDArray[np.float64]


def unit_chunks(reader: AtlasReader, layers: Sequence[LayerRecord], wanted: UnitFilter) -> Iterator[UnitChunk]:
    """Yield the units of some layers that pass a filter, in the order of the atlas.

    Args:
        reader: The atlas.
        layers: The layers.
        wanted: The filter, sorted by index.
    """
    for layer in layers:
        after: tuple[float | None, int] | None = None
        while found := list_units(reader, layer, wanted, after, UNITS_AT_ONCE):
            units = [unit.index for unit in found]
            after = (None, units[-1])
            labels = {unit.index: unit.label for unit in found}
            yield UnitChunk(layer, units, labels, reader.metrics(layer, units))
            if len(found) < UNITS_AT_ONCE:
                break


def example_payloads(reader: AtlasReader, layer: LayerRecord, units: Sequence[int]) -> Iterator[tuple[int, Json]]:
    """Yield the `examples` payload of each of some units of a layer that has one, by index."""
    for row in reader.all(_EXAMPLES, layer=layer.row, units=list(units)):
        yield row["unit_index"], row["payload"]


def stimuli_of_payloads(reader: AtlasReader, catalog: Catalog, payloads: Sequence[Json]) -> dict[int, StimulusRecord]:
    """Return the images that some `examples` payloads name, by their index in the dataset."""
    wanted: set[int] = set()
    for payload in payloads:
        rows: list[Any] = [*payload.get("top", []), *payload.get("bottom", []), *payload.get("random", [])]
        for part in payload.get("quantiles", []):
            rows += part["items"]
        wanted.update(int(row[0]) for row in rows)
    return reader.stimuli(catalog.model, wanted)


def edge_chunks(
    reader: AtlasReader, links: Sequence[LinkRecord], *, top: int | None = None, min_norm: float = 0.0
) -> Iterator[EdgeChunk]:
    """Yield the weights over some links, by target, then by source.

    Args:
        reader: The atlas.
        links: The links; those without weights yet give none.
        top: Only the strongest so many into each target over each link, by norm; ties by source.
        min_norm: Only those of at least this norm.
    """
    for link in links:
        array = weights_of(reader, link)
        if array is None:
            continue
        is_diagonal = link.layout == "diagonal"
        num_sources = 1 if is_diagonal else array.shape[1]
        step = max(1, EDGES_AT_ONCE // num_sources)
        for start in range(0, len(array), step):
            block = np.asarray(array[start : start + step], np.float64)
            squares, sums = squares_and_sums(block)
            norms = np.sqrt(squares)
            if is_diagonal:
                targets = sources = np.arange(start, start + len(block), dtype=np.intp)
                keep = norms >= min_norm
                yield EdgeChunk(link, sources[keep], targets[keep], norms[keep], sums[keep])
                continue
            keep_table = norms >= min_norm
            if top is not None and top < num_sources:
                order = np.argsort(-norms, axis=1, kind="stable")[:, :top]
                strongest = np.zeros_like(keep_table)
                np.put_along_axis(strongest, order, True, axis=1)
                keep_table &= strongest
            places, sources = np.nonzero(keep_table)
            yield EdgeChunk(link, sources, places + start, norms[keep_table], sums[keep_table])
