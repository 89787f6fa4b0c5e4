"""Kernels as pictures: what they look like, what they are made of, and what first layers do with pixels."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part


class KernelFacet(Part):
    """How many of a unit's partners have kernels of one kind, and how many would by chance."""

    kind: str = Field(description="uniform, gradient, line, spot, centre-surround, ring; other: none of them says half of it")
    count: int
    share: Number = Field(description="Of the partners, 0 to 1")
    norm_share: Number = Field(description="Of the squared norm of all weights to the partners, 0 to 1")
    chance_share: Number = Field(description="Mean share of the partners where the weights are dealt anew to all their places")
    chance_std: Number = Field(description="Standard deviation of that share over the shuffles")
    chance_norm_share: Number = Field(description="Mean share of the squared norm, likewise")
    link: str


class KernelControl(Part):
    """How the chance shares were found."""

    what: str
    num_kernels: int
    num_shuffles: int
    seed: int
    least_r2: float = Field(
        description="A kernel is of a kind where the ideal one and a constant account for this share of its energy or more, and "
        "the ideal one alone for as much of what the constant leaves; uniform where the constant alone does"
    )


class FactorPartner(Part):
    """A partner and how much it takes part in a pattern."""

    layer: str
    unit: int
    loading: Number = Field(description="positive less negative")
    positive: Number
    negative: Number
    thumbnail: str | None
    links: Links


class Factor(Part):
    """One pattern: these partners, there."""

    colour: str = Field(description="In the pictures")
    share: Number = Field(description="Squared norm of the pattern alone, as a share of that of the weights, 0 to 1")
    positive_share: Number = Field(description="Of the squared loadings, 0 to 1")
    maps: list[list[list[Number]]] = Field(description="[unit][row][column], where each unit has the pattern; never negative")
    partners: list[FactorPartner] = Field(description="The strongest, by both signs together")


class FactorPicture(Part):
    """The patterns of one unit in their colours, `#rrggbb` for each place of the kernel."""

    unit: int
    label: str | None
    thumbnail: str | None
    pixels: list[list[str]]
    adds: list[list[str]] = Field(description="Only what adds to the unit")
    takes: list[list[str]] = Field(description="Only what takes away from it")
    full: Number = Field(
        description="The size in a map that has the full colour here: that of all units, or with scale=each its own"
    )
    links: Links


class FactorControl(Part):
    """The relative error of the same factorization of shuffled weights."""

    what: str
    mean: Number
    std: Number
    num_shuffles: int
    seed: int


class LayerChoice(Part):
    """A layer whose kernels are larger."""

    layer: str
    direction: str
    kernel_shape: list[int]
    link: str


class FactorsPage(Context):
    """The weights of a unit, or of several of one layer, to one other layer, as a sum of a few patterns."""

    template = "pages/factors.html"
    model: str
    layer: str
    unit: int
    direction: str
    partner_layer: str
    num_partners: int
    kernel_shape: list[int] | None
    exact: bool | None
    k: int = Field(description="How many patterns were asked for; there are fewer where the table is smaller")
    units: list[int]
    factors: list[Factor]
    pictures: list[FactorPicture]
    full: Number = Field(description="The largest size of a colour among all units")
    error: Number = Field(description="Norm of what is left over, relative to that of the weights")
    control: FactorControl | None
    seed: int
    notes: list[str] = Field(description="What to know before reading anything into it")
    larger: list[LayerChoice] = Field(description="Where kernels are single numbers: layers where they are not")
    layers: list[str] = Field(description="Layers in that direction")
    query: dict[str, str]
    links: Links


class FilterPicture(Part):
    """What a unit that reads the image does with its pixels."""

    image: str = Field(description="PNG: middle grey is zero, a channel at full is plus `maximum`, at none minus `maximum`")
    values: list[list[list[Number]]] | None = Field(
        description="[row][column][rgb]: change of the pre-activation where that channel of the pixel goes from 0 to 1"
    )
    maximum: Number
    layer_maximum: Number = Field(description="The largest size of a weight among all filters of the layer")
    kernel_shape: list[int]
    input_gain: list[Number] = Field(description="What the input normalisation multiplies each channel by: 1 / std")
    exact: bool
