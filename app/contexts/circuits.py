"""Circuits: the list of them, one of them, and the form that saves one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.contexts.base import Context, Links, Number, Part, UnitSample

Verdict = Literal["holds", "does not hold", "cannot be checked"]


class CircuitCard(Part):
    """A circuit in the list."""

    id: str
    title: str
    summary: str
    model: str
    author: str
    num_units: int
    num_edges: int
    num_claims: int
    revision: int
    created_at: str = Field(description="When its author made it")
    updated_at: str = Field(description="When it was changed here last")
    is_same_weights: bool | None = Field(description="Whether the atlas has the weights that it was made on; null: no such model")
    samples: list[UnitSample]
    links: Links


class CircuitsPage(Context):
    """The circuits that people saved, those changed last first."""

    template = "pages/circuits.html"
    items: list[CircuitCard]
    total: int
    next: str | None
    query: dict[str, str]
    models: list[str] = Field(description="The models of the atlas")
    is_writable: bool = Field(description="Whether this server takes new circuits")
    links: Links


class UnitPlace(Part):
    """One end of something."""

    layer: str
    unit: int


class CircuitPosition(Part):
    """Where its author put a unit on the diagram, in pixels."""

    x: float
    y: float


class CircuitUnitPart(Part):
    """A unit of a circuit."""

    layer: str
    unit: int
    label: str | None
    role: str | None
    note: str | None
    position: CircuitPosition | None
    exists: bool = Field(description="Whether the atlas has this unit")
    thumbnail: str | None
    links: Links


class CircuitEdgePart(Part):
    """An edge of a circuit, with the numbers that the weights give."""

    source: UnitPlace
    target: UnitPlace
    note: str | None
    status: str = Field(
        description="direct; expanded: composed over the layers between; not_linked: no path of weights; "
        "left_out: too many to compose; not_built: the weights are not in the atlas yet; "
        "unknown: an end is no unit of the model"
    )
    norm: Number = Field(description="L2 norm of the kernel")
    sum: Number = Field(description="Signed sum of the kernel")
    share: Number = Field(description="Of the squared norm over all direct inputs of the target, 0 to 1")
    rank: int | None = Field(description="Among all direct inputs of the target by norm, from 1")
    num_inputs: int | None = Field(description="How many direct inputs the target has")
    exact: bool | None = Field(description="false: linearised")
    over: list[str] = Field(description="Where given, only paths over no other layers than these count")
    direction: Number = Field(description="Where the kernel rises to, in degrees, from the right (0) over the top (90)")
    kernel_shape: list[int] | None
    kernel: list[list[Number]] | str | None = Field(description="Nested lists where small, else the address of its picture")
    scale: Number = Field(description="The weight with the full colour: the largest of all edges between the same two layers")
    links: Links


class ExpectedNumber(Part):
    """The number that a claim states."""

    number: str
    value: float
    tolerance: float


class ClaimPart(Part):
    """A claim of a circuit, and whether the weights agree."""

    text: str
    about: str = Field(description="whole, unit or edge")
    unit: UnitPlace | None
    source: UnitPlace | None
    target: UnitPlace | None
    norm: Number = Field(description="Of the edge that it is about")
    sum: Number = Field(description="Of the edge that it is about")
    expected: ExpectedNumber | None
    found: Number = Field(description="The number that it states, as the weights have it; null where there is none")
    verdict: Verdict | None = Field(description="null where the claim states no number")


class CircuitRevision(Part):
    """One revision of a circuit."""

    revision: int
    action: str
    at: str
    link: str | None


class CircuitPage(Context):
    """One circuit: its units and edges, what the weights say about them, and whether its claims hold."""

    template = "pages/circuit.html"
    id: str
    title: str
    summary: str
    author: str
    model: str
    weights_sha256: str = Field(description="Of the weights that it was made on")
    created_at: str
    updated_at: str
    revision: int
    format_version: int
    units: list[CircuitUnitPart]
    edges: list[CircuitEdgePart]
    claims: list[ClaimPart]
    layers: list[str] = Field(description="Layers of its units, in the order of execution")
    is_same_weights: bool | None = Field(description="Whether the atlas has the weights that it was made on; null: no such model")
    atlas_weights_sha256: str | None = Field(
        description="Of the model of that id in this atlas: the numbers are of these weights"
    )
    revisions: list[CircuitRevision]
    citation: str
    links: Links


class NewCircuitPage(Context):
    """The form that saves a circuit."""

    template = "pages/circuit_new.html"
    is_writable: bool
    max_bytes: int
    document: str = Field(description="What is in the form, as text")
    revision: int | None = Field(description="The revision that it would follow, where a circuit is revised")
    problem: str | None = Field(description="Why it was not saved")
    links: Links
