"""The start page, a model, its layers and how far they are."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.contexts.annotations import AnnotationPart, Said
from app.contexts.base import Context, Links, Part, Progress, Stage, UnitSample


class ModelSummary(Part):
    """A model."""

    id: str
    title: str
    spec: str = Field(description="What was built, as given on the command line: SOURCE:NAME@WEIGHTS")
    weights_origin: str = Field(description="pretrained, trained-here, hand-coded or random")
    weights_sha256: str
    num_layers: int
    num_units: int
    input_size: list[int] = Field(description="Channels, height, width")
    num_images: int
    built_at: str
    links: Links


class ModelCard(ModelSummary):
    """A model on the start page, with a few of its units."""

    stages: list[Stage]
    progress: Progress | None
    samples: list[UnitSample]


class HomePage(Context):
    """The models of the atlas."""

    template = "pages/home.html"
    items: list[ModelCard]
    total: int
    next: str | None
    problem: str | None = Field(description="Why there is nothing to show, or null")
    build_commands: list[str] = Field(description="What to type to fill the atlas")
    links: Links


class LayerSummary(Part):
    """A layer."""

    name: str
    kind: str = Field(description="What one unit is: channel, neuron, head, feature or stream")
    num_units: int
    map_size: list[int] = Field(description="Height and width of the activation map; tokens; or empty")
    receptive_field_px: int | None = Field(description="Side of the part of the image that one position sees; null: all of it")
    stride_px: int | None
    inputs: list[str] = Field(description="Layers directly before")
    outputs: list[str] = Field(description="Layers directly after")
    links: Links
    operation: str
    nonlinearity: str | None
    position: int


class LayerOnModel(LayerSummary):
    """A layer on the page of its model, with how far it is and a few units."""

    coverage: list[Stage]
    samples: list[UnitSample]


class CoverageRow(Part):
    """How far one technique is on one layer."""

    layer: str
    technique: str
    variant: str
    done: int
    failed: int
    todo: int


class ModelProvenance(Part):
    """Where a model and its images come from, and the proof that the right one was loaded."""

    weights_source: str
    num_parameters: int
    preprocessing: dict[str, Any]
    checks: list[dict[str, Any]] = Field(description="The strongest classes on known photographs")
    num_classes: int | None


class Dataset(Part):
    """The images that were shown to a model."""

    id: str
    title: str
    num_images: int
    num_skipped: int
    credits: list[dict[str, Any]]
    skipped: list[dict[str, str]]


class Failure(Part):
    """A task that failed; a later build tries it again."""

    layer: str
    technique: str
    units: str
    error: str


class ModelPage(ModelSummary, Context):
    """One model: its graph of layers, how far it is, where it comes from."""

    template = "pages/model.html"
    layers: list[LayerOnModel] = Field(description="In order of execution; all of them, unless there are more than a thousand")
    start: int = Field(description="How many layers come before these")
    next: str | None = Field(description="The page with the layers after these, or null")
    coverage: list[CoverageRow] = Field(description="Of these layers")
    stages: list[Stage] = Field(description="The coverage summed over all layers of the model")
    progress: Progress | None
    failures: list[Failure]
    provenance: ModelProvenance
    dataset: Dataset
    labels: list[AnnotationPart] = Field(description="What people call the model")
    said: Said = Field(description="What else people say about it")


class ProgressFragment(Context):
    """The part of a model's page that tells how far a build is."""

    template = "partials/_progress.html"
    id: str
    stages: list[Stage]
    progress: Progress | None
    links: Links
