"""All units of a model with what they are filtered by, and the search by example."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part
from app.contexts.models import ModelSummary
from app.contexts.units import MetricRange, UnitSummary


class LayerShare(Part):
    """How many units of a layer pass the filter."""

    layer: str
    num_units: int
    link: str


class UnitInModel(UnitSummary):
    """A unit in a list of units of many layers."""

    layer: str


class UnitsPage(ModelSummary, Context):
    """All units of a model, of all its layers, sorted and filtered as the query says."""

    template = "pages/units.html"
    model: str
    counted_at: str | None = Field(description="When a build counted the units; null where none has, and then nothing is listed")
    items: list[UnitInModel]
    total: int = Field(description="How many units pass the filter: all of them are counted, none is estimated")
    next: str | None
    metrics: list[MetricRange] = Field(description="With histograms over all units of the model, whatever the filter")
    statuses: dict[str, int] = Field(description="How many units have a visualization of each status")
    flags: dict[str, int] = Field(description="How many units have a picture with each flag")
    kinds: dict[str, int] = Field(description="How many units are of each kind")
    layers: list[LayerShare] = Field(description="Of the units that pass: the layers with most of them, forty at most, in order")
    num_layers_found: int = Field(description="In how many layers there are units that pass")
    query: dict[str, str] = Field(description="The query as it was understood")


class LikeStimulus(Part):
    """An image of the dataset that looks like the one that was asked about."""

    stimulus: int
    key: str
    label: str | None
    similarity: Number
    image: str
    links: Links


class LikeUnit(Part):
    """A unit whose strongest examples look like the image that was asked about."""

    model: str
    layer: str
    index: int
    label: str | None
    score: Number = Field(
        description="Mean similarity of its nine strongest examples to the image, less the mean of that over all images"
    )
    is_own_example: bool = Field(description="Whether the image is itself among them: it is then left out of the mean")
    thumbnail: str | None
    links: Links


class LikeControl(Part):
    """What likeness comes for free."""

    mean_similarity: Number = Field(description="Of the image to all images of the dataset: 0 on average over all pairs")
    high_similarity: Number = Field(description="One image of the dataset in twenty is at least as similar as this")
    num_images: int
    top_score: Number = Field(description="Median of the best unit's score for images drawn by chance from the dataset")
    tenth_score: Number = Field(description="Median of the tenth unit's score for images drawn by chance")
    shuffled_top_score: Number = Field(
        description="The best unit's score for this image where the numbers of its description stand in another order"
    )
    num_random: int
    seed: int


class ExamplePage(Context):
    """Which images, and which units' examples, look like an image."""

    template = "pages/example.html"
    like: str | None = Field(description="The description of the image, as the address carries it; nothing else of it is kept")
    stimulus: int | None
    image: str | None = Field(description="The image, where it is one of the atlas")
    model: str | None
    models: list[str]
    problem: str | None = Field(description="Why there is nothing to compare with, or null")
    stimuli: list[LikeStimulus]
    items: list[LikeUnit] = Field(description="Units, the best score first")
    total: int
    next: str | None
    control: LikeControl | None
    query: dict[str, str]
    links: Links
