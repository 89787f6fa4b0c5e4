"""What the reader returns: rows of an atlas as frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from precompute.domain import LayerSpec
from precompute.errors import UnknownName

Json = dict[str, Any]


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


@dataclass(frozen=True)
class Catalog:
    """A model with all its layers and links; small, and kept until the atlas changes."""

    model: ModelRecord
    layers: Mapping[str, LayerRecord]
    links: tuple[LinkRecord, ...]

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
        return next((link for link in self.links if link.source == source and link.target == target), None)


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
class EdgeRecord:
    """The weight between a unit and one of its strongest partners."""

    unit: int
    direction: str
    partner_layer: int
    partner_unit: int
    norm: float
    sum: float


@dataclass(frozen=True)
class CoverageRecord:
    """How many units of a layer a technique has done, failed, or still to do."""

    layer: int
    technique: str
    variant: str
    status: str
    num_units: int


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
