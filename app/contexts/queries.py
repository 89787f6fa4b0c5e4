"""Questions about weights: paths, common partners, similar units, motifs."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part


class UnitRef(Part):
    """A unit, as it is referred to."""

    layer: str
    unit: int
    thumbnail: str | None
    links: Links


class PathStep(Part):
    """The weight from one unit of a path to the next."""

    norm: Number = Field(description="L2 norm of the kernel")
    sum: Number = Field(description="Signed sum of the kernel")
    exact: bool | None


class PathItem(Part):
    """A chain of units."""

    units: list[UnitRef]
    steps: list[PathStep]
    strength: Number = Field(description="Product of the norms of the steps, or of their shares where so asked")
    sign: int = Field(description="1 where the chain excites, -1 where it inhibits, 0 where a step has no sum")


class PathsPage(Context):
    """The paths of weights between two units."""

    template = "pages/paths.html"
    model: str
    layer: str
    unit: int
    to: UnitRef | None = Field(description="The other unit, or null where none was named")
    kind: str
    by: str
    items: list[PathItem]
    total: int
    next: str | None
    reach: list[str] = Field(description="Layers that weights join to this unit's, the nearest 200 before and after")
    links: Links


class CommonItem(Part):
    """A partner that all units of a set have."""

    layer: str
    unit: int
    thumbnail: str | None
    score: Number = Field(description="The smallest of the shares")
    norms: list[Number]
    sums: list[Number]
    shares: list[Number] = Field(description="Of the squared norm of all weights between each unit and this layer")
    links: Links


class CommonPage(Context):
    """What feeds all units of a set, or what all of them feed."""

    template = "pages/in_common.html"
    model: str
    layer: str
    unit: int
    units: list[UnitRef] = Field(description="The set, this page's unit first")
    direction: str
    items: list[CommonItem]
    total: int
    next: str | None
    links: Links


class SimilarItem(Part):
    """A unit whose weights are like those of another."""

    layer: str
    unit: int
    thumbnail: str | None
    cosine: Number
    links: Links


class SimilarPage(Context):
    """The units of a layer whose weights are most like those of one."""

    template = "pages/similar.html"
    model: str
    layer: str
    unit: int
    by: str
    items: list[SimilarItem]
    total: int
    next: str | None
    control: Number = Field(description="The highest cosine by chance: mean over shuffles of the kernels among the partners")
    num_shuffles: int
    seed: int
    links: Links


class MotifItem(Part):
    """One place where a motif is."""

    units: list[UnitRef]
    score: Number
    links: Links = Field(
        description="`circuit`; `explorer` where all its weights are stored, so that the explorer shows them; of an opponent "
        "pair, `common`: what the two share"
    )


class MotifGroup(Part):
    """How often a motif is there, beside shuffled weights."""

    kind: str
    count: int
    null_mean: Number
    null_std: Number
    z: Number = Field(
        description="(count - null mean) / null standard deviation, which counts as no less than 1 / sqrt(num_shuffles): where "
        "null_std is 0, z says no more than p does; null where all shuffles give the count itself"
    )
    p: float = Field(description="(1 + number of shuffles with a count at least as high) / (num_shuffles + 1)")
    null: str = Field(description="What is shuffled")
    num_shuffles: int
    seed: int
    items: list[MotifItem] = Field(description="The clearest")
    links: Links


class MotifsPage(Context):
    """The motifs in the weights from one layer to another."""

    template = "pages/motifs.html"
    model: str
    layer: str
    source: str | None
    sources: list[str] = Field(description="Layers that motifs can be looked for from, the nearest first")
    groups: list[MotifGroup]
    impossible: list[str] = Field(description="Kinds that these layers cannot have")
    weights_origin: str
    links: Links
