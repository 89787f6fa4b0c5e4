"""What units answer to whole images: similar units, labels, classes, the map of a layer."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Links, Number, Part


class SimilarByImages(Part):
    """A unit that answers to the same images."""

    layer: str
    unit: int
    correlation: Number = Field(description="Of the mean activations on the sampled images, -1 to 1")
    thumbnail: str | None
    links: Links


class Similar(Part):
    """The units most like a unit by what they answer to the images."""

    within: list[SimilarByImages] = Field(description="Of the same layer, the most alike first")
    others: list[SimilarByImages] = Field(description="Of the other layers of the model")
    within_chance: Number = Field(description="The best match in the layer with the images of the unit in another order")
    others_chance: Number = Field(description="The same among the other layers")
    is_constant: bool = Field(description="Whether the unit gives the same to all images: then nothing is like it")
    num_images: int
    num_layers: int = Field(description="Layers that were compared, its own included")


class LabelResponse(Part):
    """The answer of a unit to the images of one label."""

    label: str
    mean: Number = Field(description="Of the activation over positions and images")
    num_images: int


class LabelResponses(Part):
    """What a unit answers to the images of each label."""

    items: list[LabelResponse] = Field(description="The strongest first; at most so many as `limit` says")
    total: int = Field(description="How many labels there are")
    limit: int
    overall: Number = Field(description="Mean over all images with a label")
    eta_squared: Number = Field(
        description="Share of the variance over images that lies between labels, 0 to 1; null without any"
    )
    eta_squared_chance: Number = Field(description="What random groups of the same sizes give on average")
    chance_max: Number = Field(description="The largest group mean in one random split into groups of the same sizes")


class LogitWeight(Part):
    """The weight of a unit on one class."""

    label: str | None
    unit: int = Field(description="The unit of the classifier")
    weight: Number = Field(description="Summed over the kernel; above zero the unit speaks for the class")
    links: Links


class LogitWeights(Part):
    """The weights of a unit on the classes of the classifier directly after it."""

    layer: str
    positive: list[LogitWeight] = Field(description="The largest, above zero")
    negative: list[LogitWeight] = Field(description="The smallest, below zero")
    total: int = Field(description="How many classes there are")
    mean: Number = Field(description="Over all classes")
    std: Number = Field(description="Over all classes: what a weight must be held against")


class ExampleHeat(Part):
    """The activation maps of a unit's examples, over the strip of its examples."""

    image: str = Field(
        description="As wide and high as the strip, a quarter of its pixels: clear where active, dark where silent"
    )
    largest: Number = Field(description="The activation that the brightest place means; the darkest is zero and below")
    map_size: list[int] = Field(description="Rows and columns of the stored maps: larger ones keep the largest of each part")
    num_maps: int = Field(description="How many examples have one: the strongest, and those over the range")
    values: str = Field(
        description="The numbers: an array [unit, example, row, column] of the layer, 255 for the unit's `largest`"
    )


class Place(Part):
    """A unit on the map of its layer."""

    index: int
    label: str | None
    x: Number = Field(description="-1 to 1; null where the unit gives the same to all images")
    y: Number
    thumbnail: str | None
    links: Links


class LayerMap(Part):
    """The units of a layer in the plane: those that answer to the same images lie near each other."""

    items: list[Place]
    method: str
    num_images: int
    k: int = Field(description="How many nearest units the two numbers that follow look at")
    neighbours_kept: Number = Field(description="Share of each unit's nearest by correlation that are among its nearest here")
    neighbours_kept_by_chance: Number = Field(description="The same with the units placed at random")
