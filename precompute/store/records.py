"""What the reader returns: rows of an atlas as frozen values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from precompute.domain import LayerSpec, Placement
from precompute.errors import UnknownName
from precompute.store.schema import WHOLE_MODEL

Json = dict[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class ModelRecord:
    """One model of the atlas, with the size of its dataset."""

    id: str
    title: str
    spec: str
    weights_origin: str
    weights_sha256: str
    weights_source: str
    input_size: Sequence[int]
    input_key: str
    preprocessing: Json
    dataset_id: str
    num_layers: int
    num_units: int
    num_parameters: int
    labels: list[str] | None
    checks: list[Json]
    built_at: str
    num_images: int

    @property
    def input_height(self) -> int:
        """Return the height of the model input in pixels."""
        return self.input_size[1]

    @property
    def input_width(self) -> int:
        """Return the width of the model input in pixels."""
        return self.input_size[2]


@dataclass(frozen=True)
class LayerRecord:
    """One layer: its row number and what is known of it."""

    row: int
    model_id: str
    spec: LayerSpec

    @property
    def name(self) -> str:
        """Return the name of the layer."""
        return self.spec.name


@dataclass(frozen=True)
class LinkRecord:
    """Which layer is directly before which, and where the weights between them are."""

    source: str
    target: str
    is_exact: bool | None
    kernel_shape: tuple[int, ...] | None
    layout: str | None
    blob_sha256: str | None
    placement: Placement | None = None


@dataclass(frozen=True)
class Catalog:
    """A model with all its layers and links; small, and kept until the atlas changes.

    Attributes:
        model: The model.
        layers: By name, in order of execution.
        links: In order of execution of their targets.
        held: What was computed from it, kept as long as it is.
    """

    model: ModelRecord
    layers: Mapping[str, LayerRecord]
    links: tuple[LinkRecord, ...]
    held: dict[Any, Any] = field(default_factory=dict[Any, Any], compare=False, repr=False)

    def layer(self, name: str) -> LayerRecord:
        """Return the layer of that name.

        Raises:
            UnknownName: The model has no such layer.
        """
        found = self.layers.get(name)
        if found is None:
            raise UnknownName("layer", name, self.layers, where=self.model.id, hint="The page of the model shows all of them.")
        return found

    @cached_property
    def by_row(self) -> dict[int, LayerRecord]:
        """Return the layers by their row number."""
        return {layer.row: layer for layer in self.layers.values()}

    def link(self, source: str, target: str) -> LinkRecord | None:
        """Return the link between two layers, or None where they are not directly connected."""
        return self._links_by_ends.get((source, target))

    @cached_property
    def links_by_target(self) -> Mapping[str, Sequence[LinkRecord]]:
        """Return the links into each layer, by its name; layers without are left out."""
        return grouped((link.target, link) for link in self.links)

    @cached_property
    def links_by_source(self) -> Mapping[str, Sequence[LinkRecord]]:
        """Return the links out of each layer, by its name; layers without are left out."""
        return grouped((link.source, link) for link in self.links)

    @cached_property
    def _links_by_ends(self) -> dict[tuple[str, str], LinkRecord]:
        return {(link.source, link.target): link for link in self.links}


def grouped(pairs: Iterable[tuple[str, LinkRecord]]) -> dict[str, list[LinkRecord]]:
    """Return links by a name that each is given with; names without are left out."""
    found: dict[str, list[LinkRecord]] = {}
    for name, link in pairs:
        found.setdefault(name, []).append(link)
    return found


@dataclass(frozen=True)
class StimulusRecord:
    """One image that was shown to a model, and the file that holds it."""

    id: int
    dataset_id: str
    index: int
    key: str
    label: str | None
    source: str
    width: int
    height: int
    blob_name: str
    input_key: str


@dataclass(frozen=True)
class DatasetRecord:
    """The images that were shown, where they come from, and those that could not be used."""

    id: str
    title: str
    num_images: int
    num_skipped: int
    credits: list[Json]
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class ArtifactRecord:
    """One stored result of one technique."""

    technique: str
    kind: str
    position: int
    payload: Json
    blob_name: str | None
    run_id: str


@dataclass(frozen=True)
class CoverageRecord:
    """How many units of a layer, or of a whole model (`WHOLE_MODEL`), a technique has done, failed, or still to do."""

    layer: int
    technique: str
    variant: str
    status: str
    num_units: int


def whole_coverage(records: Iterable[CoverageRecord]) -> list[CoverageRecord]:
    """Return how far each technique is on all layers together."""
    found: dict[tuple[str, str, str], int] = {}
    for record in records:
        key = (record.technique, record.variant, record.status)
        found[key] = found.get(key, 0) + record.num_units
    return [CoverageRecord(WHOLE_MODEL, *key, num_units) for key, num_units in found.items()]


@dataclass(frozen=True)
class ThumbRecord:
    """What a unit's small picture is made of: its visualization, or else its strongest examples (`index, y, x`)."""

    blob_name: str | None
    examples: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class TopStimulusRecord:
    """A unit that an image is a top example of."""

    layer: int
    unit: int
    rank: int
    activation: float


@dataclass(frozen=True)
class ProgressRecord:
    """What a running build said last."""

    stage: str
    num_done: int
    num_total: int
    per_second: float | None
    seconds_left: float | None
    updated_at: float


@dataclass(frozen=True)
class RunRecord:
    """The pipeline execution that made a result."""

    id: str
    code_version: str
    settings: Json
    seed: int
    device: str
    started_at: str
    finished_at: str | None


def layer_of_row(row: Row, inputs: Iterable[LinkRecord], outputs: Iterable[LinkRecord]) -> LayerRecord:
    """Return a layer from its row, with the links into it and those out of it."""
    spec = LayerSpec(
        name=row["name"],
        kind=row["kind"],
        num_units=row["num_units"],
        position=row["position"],
        unit_axis=row["unit_axis"],
        map_size=tuple(row["map_size"]),
        operation=row["operation"],
        nonlinearity=row["nonlinearity"],
        receptive_field_px=row["receptive_field_px"],
        stride_px=row["stride_px"],
        offset_px=(row["offset_px"][0], row["offset_px"][1]),
        inputs=tuple(link.source for link in inputs),
        outputs=tuple(link.target for link in outputs),
    )
    return LayerRecord(row["id"], row["model_id"], spec)


def link_of_row(row: Row, names: Mapping[int, str]) -> LinkRecord:
    """Return a link from its row."""
    return LinkRecord(
        source=names[row["source_layer_id"]],
        target=names[row["target_layer_id"]],
        is_exact=None if row["is_exact"] is None else bool(row["is_exact"]),
        kernel_shape=None if row["kernel_shape"] is None else tuple(row["kernel_shape"]),
        layout=row["layout"],
        blob_sha256=row["blob_sha256"],
        placement=None if row["placement"] is None else placement_of(row["placement"]),
    )


def placement_of(found: Json) -> Placement:
    """Return where kernels lie, from its JSON."""
    y, x = found["start"]
    return Placement(found["stride"], (y, x), found["is_mean"])


def stimulus_of_row(row: Row) -> StimulusRecord:
    """Return an image from its row."""
    return StimulusRecord(
        id=row["id"],
        dataset_id=row["dataset_id"],
        index=row["stimulus_index"],
        key=row["key"],
        label=row["label"],
        source=row["source"],
        width=row["width"],
        height=row["height"],
        blob_name=f"{row['blob_sha256']}.{row['extension']}",
        input_key=row["input_key"],
    )


def artifact_of_row(row: Row) -> ArtifactRecord:
    """Return an artifact from its row."""
    name = f"{row['blob_sha256']}.{row['extension']}" if row["blob_sha256"] else None
    return ArtifactRecord(row["technique"], row["kind"], row["position"], row["payload"], name, row["run_id"])


def positions_of_text(text: str | None) -> tuple[tuple[int, int, int], ...]:
    """Return `(stimulus index, y, x)` of some rows of examples, from their JSON."""
    rows: list[list[int] | None] = json.loads(text) if text else []
    return tuple((row[0], row[2], row[3]) for row in rows if row)
