"""Units side by side; two layers with their units matched."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part
from app.contexts.units import Examples


class ComparedUnit(Part):
    """One of several units side by side."""

    model: str
    layer: str
    unit: int
    label: str | None
    thumbnail: str | None
    metrics: dict[str, Number]
    examples: Examples | None
    input_size: list[int]
    links: Links


class SharedPartner(Part):
    """A unit that feeds all the units that are compared, or that all of them feed."""

    layer: str
    unit: int
    thumbnail: str | None
    score: Number = Field(description="The smallest share that it has among the weights of one of them, 0 to 1")
    sums: list[Number] = Field(description="The signed sum of the weights of each, in the order of the units")
    links: Links


class ComparedLayer(Part):
    """One of two layers that are compared."""

    model: str
    layer: str
    num_units: int
    links: Links


class MatchedUnit(Part):
    """A unit of a pair, or one without a pair."""

    unit: int
    thumbnail: str | None
    links: Links


class MatchedPair(Part):
    """Two units, one of each layer, that are each other's best of those left."""

    left: MatchedUnit
    right: MatchedUnit
    correlation: Number


class Matched(Part):
    """The units of two layers, matched by what they answer to the same images."""

    items: list[MatchedPair] = Field(description="The most alike first: pairs above chance, and as many below as asked for")
    num_matched: int = Field(description="Pairs with a correlation above `threshold`")
    num_pairs: int = Field(description="All pairs, those no better than chance included")
    median: Number = Field(description="Correlation of the middle pair of all")
    control_median: Number = Field(description="The same with the images of the left layer in another order")
    threshold: Number = Field(description="What 99 % of the pairs of that control stay below")
    num_images: int
    left_unmatched: list[MatchedUnit] = Field(description="The first units of the left layer with no pair above chance")
    right_unmatched: list[MatchedUnit]
    num_left_unmatched: int
    num_right_unmatched: int
    num_same_index: int = Field(description="Pairs above chance of units with the same number")


class ComparePage(Context):
    """Units side by side, or two layers with their units matched, as the query says."""

    template = "pages/compare.html"
    units: list[ComparedUnit]
    correlations: list[list[Number]] = Field(description="Of each unit with each, on the images that both models were shown")
    correlation_chance: Number = Field(
        description="Standard deviation of a correlation with the images of one unit in another order: 1 / sqrt(images - 1)"
    )
    shared_inputs: list[SharedPartner] = Field(description="Where all units are of one model")
    shared_outputs: list[SharedPartner]
    left: ComparedLayer | None
    right: ComparedLayer | None
    matched: Matched | None = Field(description="null where there are no two layers, or where they cannot be compared")
    problem: str | None = Field(description="Why the layers cannot be compared, and what to do")
    layers: dict[str, list[str]] = Field(
        description="The layers of each model to choose from: the first, where there are very many"
    )
    num_layers: int = Field(description="How many layers all models have")
    query: dict[str, str]
    links: Links
