"""One model for each page: it is the body of the JSON twin and the context of the template."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Links = dict[str, str | None]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class Part(BaseModel):
    """A piece of a page."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Context(Part):
    """A page."""

    template: ClassVar[str]


class Stage(Part):
    """How far one technique is."""

    technique: str
    done: int = Field(description="Units done; a unit counts once for each variant (objective, sign, quality)")
    failed: int
    todo: int


class Progress(Part):
    """What a running build is doing."""

    stage: str
    num_done: int
    num_total: int
    per_second: Number
    seconds_left: Number
    is_running: bool = Field(description="False where the build has said nothing for 30 s: it was stopped")


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


class UnitSample(Part):
    """A unit as a picture."""

    layer: str
    index: int
    thumbnail: str | None
    links: Links


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
    layers: list[LayerOnModel]
    coverage: list[CoverageRow]
    stages: list[Stage] = Field(description="The coverage summed over layers")
    progress: Progress | None
    failures: list[Failure]
    provenance: ModelProvenance
    dataset: Dataset


class ProgressFragment(Context):
    """The part of a model's page that tells how far a build is."""

    template = "partials/_progress.html"
    id: str
    stages: list[Stage]
    progress: Progress | None
    links: Links


class UnitSummary(Part):
    """A unit in a list."""

    index: int
    kind: str
    label: str | None
    metrics: dict[str, Number]
    thumbnail: str | None = Field(description="Its visualization, else its strongest examples, else null")
    links: Links


class MetricRange(Part):
    """A metric that units can be sorted and filtered by."""

    name: str
    low: Number
    high: Number


class LayerPage(LayerSummary, Context):
    """All units of one layer, sorted and filtered as the query says."""

    template = "pages/layer.html"
    model: str
    layer: str
    items: list[UnitSummary]
    total: int
    next: str | None
    metrics: list[MetricRange]
    statuses: dict[str, int] = Field(description="How many units have a visualization of each status")
    query: dict[str, str] = Field(description="The query as it was understood")
    stages: list[Stage]


class Position(Part):
    """A position of an activation map."""

    y: int
    x: int


class Box(Part):
    """A part of the model input in pixels; the end is not included."""

    y0: int
    x0: int
    y1: int
    x1: int


class StimulusLink(Part):
    """An image."""

    id: int
    key: str
    label: str | None
    url: str


class Example(Part):
    """An image as an example for a unit."""

    rank: int
    activation: Number
    pre_activation: Number
    position: Position
    box: Box
    stimulus: StimulusLink
    crop: str = Field(description="The strip with all examples of the unit; the fragment #xywh= is this example's tile")


class QuantileBin(Part):
    """Examples from one part of the range of activations."""

    q: Number
    q_low: Number
    items: list[Example]


class Strip(Part):
    """The picture that holds the tiles of all examples of a unit."""

    url: str
    width: int
    height: int


class Examples(Part):
    """Images over the whole range of a unit's activation."""

    top: list[Example]
    bottom: list[Example]
    quantiles: list[QuantileBin]
    random: list[Example]
    num_images: int
    strip: Strip | None


class Visualization(Part):
    """A synthetic image that makes a unit respond strongly."""

    objective: str
    parameterization: str
    image: str | None
    activation: Number
    activation_shown: Number
    dataset_max: Number
    reached_ratio: Number = Field(description="activation / dataset_max: above 1, the picture excites the unit more than any image")
    robustness: Number
    canvas_px: int | None
    steps: int | None
    seed: int | None
    status: str
    transforms: Any
    sign: str
    quality: str | None


class Histogram(Part):
    """How often each pre-activation occurred."""

    edges: list[Number]
    counts: list[int]


class Partner(Part):
    """A unit of a layer directly before or after, and the weight to it."""

    layer: str
    unit: int
    norm: Number
    sum: Number
    exact: bool | None
    kernel_shape: list[int] | None
    kernel: list[list[Number]] | str | None
    image: str | None = Field(description="The kernel as a picture: red positive, blue negative")
    thumbnail: str | None
    rank: int
    links: Links


class Weights(Part):
    """The strongest partners of a unit."""

    inputs: list[Partner]
    outputs: list[Partner]


class Provenance(Part):
    """What made the results on a page."""

    weights_origin: str
    weights_sha256: str
    weights_source: str
    spec: str
    dataset: str
    dataset_title: str
    num_images: int
    runs: list[dict[str, Any]]


class UnitPage(Context):
    """Everything about one unit."""

    template = "pages/unit.html"
    model: str
    layer: str
    index: int
    kind: str
    label: str | None
    receptive_field_px: int | None
    metrics: dict[str, Number]
    histogram: Histogram | None
    examples: Examples | None
    visualizations: list[Visualization]
    weights: Weights
    labels: list[dict[str, Any]] = Field(description="What people call the unit")
    provenance: Provenance
    links: Links
    layer_summary: LayerSummary
    input_size: list[int]
    stages: list[Stage] = Field(description="How far each technique is on this layer")
    pending: list[str] = Field(description="Techniques that have not reached this unit yet")


class PartnersPage(Context):
    """Every partner of a unit in one direction."""

    template = "pages/partners.html"
    model: str
    layer: str
    unit: int
    direction: str
    items: list[Partner]
    total: int
    next: str | None
    query: dict[str, str]
    layers: list[str] = Field(description="Layers in that direction")
    maximum: Number = Field(description="The largest single weight among the items: the scale of their pictures")
    links: Links


class ExplorerUnit(Part):
    """A unit in the explorer."""

    layer: str
    unit: int
    label: str | None
    thumbnail: str | None
    is_open: bool
    links: Links


class ExplorerColumn(Part):
    """Units at one distance from the unit in the middle: before it where negative, after it where positive."""

    depth: int
    units: list[ExplorerUnit]


class ExplorerEdge(Part):
    """The weight between two units of the explorer."""

    source_layer: str
    source_unit: int
    target_layer: str
    target_unit: int
    source_depth: int
    norm: Number
    sum: Number
    exact: bool | None
    kernel: list[list[Number]] | None


class ExplorerPage(Context):
    """A unit with the units that feed it and that it feeds, unfolded as the query says."""

    template = "pages/weights.html"
    model: str
    layer: str
    unit: int
    label: str | None
    top: int
    open: list[str]
    columns: list[ExplorerColumn]
    edges: list[ExplorerEdge]
    maximum: Number = Field(description="The largest single weight shown")
    layer_inputs: list[str]
    layer_outputs: list[str]
    stages: list[Stage]
    links: Links


class StimulusUnit(Part):
    """A unit that an image is a top example of."""

    model: str
    layer: str
    unit: int
    rank: int
    activation: Number
    position: Position | None
    box: Box | None
    thumbnail: str | None
    links: Links


class LayerCount(Part):
    """How many units of a layer an image is a top example of."""

    model: str
    layer: str
    num_units: int
    link: str


class StimulusPage(Context):
    """One image: which units it is an example for, and where in it they look."""

    template = "pages/stimulus.html"
    id: int
    key: str
    label: str | None
    source: str
    width: int
    height: int
    image: str
    credit: dict[str, Any] | None
    items: list[StimulusUnit]
    total: int
    next: str | None
    layers: list[LayerCount]
    query: dict[str, str]
    links: Links


class Found(Part):
    """Something that a search found."""

    kind: str
    title: str
    detail: str
    model: str | None
    thumbnail: str | None
    link: str


class SearchPage(Context):
    """What a search found, best first."""

    template = "pages/search.html"
    q: str
    items: list[Found]
    total: int
    next: str | None
    suggestions: list[str]
    links: Links


class EndpointPart(Part):
    """One page and its twin."""

    path: str
    twin: str
    summary: str
    parameters: list[dict[str, Any]]
    fields: list[dict[str, str]]


class DocsPage(Context):
    """The addresses of the app and the fields of their answers."""

    template = "pages/docs.html"
    items: list[EndpointPart]
    total: int
    next: str | None
    links: Links


class ErrorPage(Context):
    """What went wrong, and the next step (RFC 9457)."""

    template = "pages/error.html"
    type: str
    title: str
    status: int
    detail: str
    instance: str


ModelCard.model_rebuild()
