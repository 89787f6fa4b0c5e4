"""The weight explorer."""

from __future__ import annotations

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part, Stage


class Sprite(Part):
    """Where a small picture is on a sheet that holds many, in pixels."""

    url: str
    x: int
    y: int
    width: int
    height: int
    full_width: int
    full_height: int


class ExplorerUnit(Part):
    """A card: a unit in the explorer. It appears once, however it was reached."""

    layer: str
    unit: int
    label: str | None
    thumbnail: str | None
    sprite: Sprite | None = Field(description="The same picture on a sheet that many cards share")
    is_start: bool
    is_pinned: bool
    has_inputs: bool = Field(description="Whether there are inputs to unfold")
    has_outputs: bool
    inputs_unfolded: bool
    outputs_unfolded: bool
    links: Links


class ExplorerColumn(Part):
    """The cards of one layer."""

    layer: str
    depth: int = Field(description="Columns before the unit of the page where negative, after it where positive")
    units: list[ExplorerUnit]


class ExplorerEdge(Part):
    """The weight between two cards."""

    source_layer: str
    source_unit: int
    target_layer: str
    target_unit: int
    norm: Number
    sum: Number
    share: Number = Field(description="Of the squared norm of all weights into the target, 0 to 1")
    contribution: Number = Field(description="norm times the standard deviation of the source's activation over the images")
    exact: bool | None = Field(description="false: linearised")
    over: list[str] = Field(
        description="Bottlenecks that the weight is composed over, in order of execution; of paths over these alone"
    )
    kernel: list[list[Number]] | None
    image: str | None = Field(description="Address of the kernel's picture, where it is too large to be listed")


class ExplorerQuery(Part):
    """What the query string says, with what it leaves out; units are written `LAYER/UNIT`."""

    start: str
    inputs: list[str]
    outputs: list[str]
    hide: list[str]
    pin: list[str]
    top: int
    min: float
    between: bool
    sort: str
    sign: str | None
    bypass: str
    camera: str | None
    embed: bool


class ExplorerPage(Context):
    """A unit, the units that feed it and that it feeds, unfolded as the query says, and the weights between them."""

    template = "pages/weights.html"
    model: str
    layer: str
    unit: int
    label: str | None
    state: ExplorerQuery = Field(description="What is unfolded, hidden and pinned, and how partners are chosen")
    columns: list[ExplorerColumn] = Field(description="Layers in order of execution, each with its cards")
    edges: list[ExplorerEdge] = Field(description="The weights between cards, weakest first")
    maximum: Number = Field(description="The largest single weight shown")
    max_unfolded: int = Field(description="So many lists of partners can be unfolded at once")
    bypassed: list[str] = Field(description="Layers of the model that are not shown, since `bypass` leads past them")
    bypass_words: str | None = Field(description="The same in one line")
    notes: list[str] = Field(description="What could not be shown, and how to go on")
    layer_inputs: list[str]
    layer_outputs: list[str]
    passed_over: list[str] = Field(
        description="Streams and concatenations next to this layer without cards here: they hold units of other layers again"
    )
    stages: list[Stage]
    links: Links
