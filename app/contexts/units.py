"""A layer and its units; one unit with everything about it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.contexts.annotations import AnnotationPart, Said
from app.contexts.base import Context, Links, Number, Part, Stage, Whole
from app.contexts.kernels import FilterPicture
from app.contexts.models import LayerSummary
from app.contexts.responses import ExampleHeat, LabelResponses, LayerMap, LogitWeights, Similar


class UnitSummary(Part):
    """A unit in a list."""

    index: int
    kind: str
    label: str | None
    labels: list[str] = Field(default_factory=list[str], description="What people call it")
    metrics: dict[str, Number]
    thumbnail: str | None = Field(description="Its visualization, else its strongest examples, else null")
    filter: FilterPicture | None = Field(
        default=None, description="With `picture=filter` or `filter_each`, of a layer that reads the image"
    )
    links: Links


class MetricRange(Part):
    """A metric that units can be sorted and filtered by."""

    name: str
    low: Number
    high: Number
    scale: str | None = Field(
        default=None, description="linear, or stretched: bins grow away from the median; null where no build has counted yet"
    )
    edges: list[Number] = Field(default_factory=list[Number], description="Of the histogram over all units, whatever the filter")
    counts: list[int] = Field(default_factory=list[int])


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
    flags: dict[str, int] = Field(description="How many units have a picture with each flag")
    labels: list[AnnotationPart] = Field(description="What people call the layer")
    said: Said = Field(description="What else people say about it")
    query: dict[str, str] = Field(description="The query as it was understood")
    filter_maximum: Number = Field(description="Largest size of a weight on the image; null where the layer has no filters")
    map: LayerMap | None = Field(description="With `view=map`: all units that pass the filter, placed by what they answer to")
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


class Scores(Part):
    """How far a visualization can be believed; a score that was not measured is null."""

    selectivity_rank: Whole = Field(description="Place of the unit among all units of its layer for the picture; 1: the first")
    selectivity_margin: Number = Field(description="How far its answer is ahead of that of the next unit, or behind the first")
    similarity_auc: Number = Field(description="How well likeness to the picture tells the unit's examples from other images")
    path_similarity: Number = Field(description="How alike the layers below answer to the picture and to the unit's examples")
    path_baseline: Number = Field(description="The same between the unit's examples themselves")
    path_chance: Number = Field(description="The same between the unit's examples and images drawn by chance")
    high_frequency_excess: Number = Field(description="Fine detail of the picture beyond that of the images")
    seed_agreement: Number = Field(description="How alike pictures from other seeds are")


class Visualization(Part):
    """A synthetic image that makes a unit respond strongly."""

    objective: str
    parameterization: str
    image: str | None
    activation: Number
    activation_shown: Number
    dataset_max: Number
    reached_ratio: Number = Field(
        description="activation / dataset_max: above 1, the picture excites the unit more than any image"
    )
    robustness: Number
    canvas_px: int | None
    steps: int | None
    seed: int | None
    status: str
    transforms: Any
    sign: str
    quality: str | None
    variant: str | None = Field(description="Objective, sign, quality and, where it is not the first, the seed")
    facet: int | None = Field(description="Which of several pictures that were made together and kept from looking alike; from 0")
    attempt: int | None = Field(description="Which start the picture comes from; from 0")
    trace: list[Number] = Field(description="Values during the ascent, from the first to the last step")
    reached_note: str | None = Field(description="Why there is no reached_ratio")
    scores: Scores | None = Field(description="How far the picture can be believed; null where nothing was measured")
    flags: list[str] = Field(description="What speaks against the picture: names from a fixed list, none where nothing does")
    command: str | None = Field(description="Makes exactly this file again, on a machine like the one that built it")


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
    filter: FilterPicture | None = Field(description="Of a layer that reads the image, once its weights are built")
    similar: Similar | None = Field(description="Units that answer to the same images; null where not built")
    label_responses: LabelResponses | None = Field(description="By label of the images; null where they have none, or not built")
    logit_weights: LogitWeights | None = Field(description="Where the classifier comes directly after the unit's layer")
    heat: ExampleHeat | None = Field(description="Where in its examples the unit is active; null where it has no maps")
    labels: list[AnnotationPart] = Field(description="What people call the unit")
    said: Said = Field(description="What else people say about it")
    provenance: Provenance
    links: Links
    layer_summary: LayerSummary
    input_size: list[int]
    stages: list[Stage] = Field(description="How far each technique is on this layer")
    pending: list[str] = Field(description="Techniques that are planned for its layer and have not reached this unit yet")
