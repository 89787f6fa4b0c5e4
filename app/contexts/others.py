"""The list of partners, images, search, the API, errors."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.contexts.annotations import AnnotationPart, Said
from app.contexts.base import Context, Links, Number, Part
from app.contexts.kernels import KernelControl, KernelFacet
from app.contexts.units import Box, Partner, Position


class KernelLabel(Part):
    """The ideal kernel that one is most like."""

    shape: str = Field(description="uniform, gradient, line, spot, centre-surround or ring")
    angle_deg: Number = Field(description="Of a gradient, where it rises to (0 right, 90 up); of a line, how it lies; else null")
    sign: int
    r2: Number = Field(description="Share of the kernel's energy that it and a constant account for together, 0 to 1")
    is_clear: bool = Field(description="Whether it says half of the kernel: of the whole, and of what the constant leaves")


class ListedPartner(Partner):
    """A partner with what only the list of all of them tells."""

    share: Number = Field(description="Of the squared norm of all weights on this side, 0 to 1")
    contribution: Number = Field(description="norm times the standard deviation of the source's activation over the images")
    gross: Number = Field(description="Sum of the absolute weights of all paths: where it is far above the norm, paths cancel")
    kernel_label: KernelLabel | None = Field(description="null for kernels of less than 3 x 3, or not square")


class RouteRow(Part):
    """One way that paths between two layers take."""

    layers: list[str] = Field(description="The layers between, in order of execution")
    norm: Number = Field(description="L2 norm of all weights of the unit along it")
    exact: bool
    is_chosen: bool
    links: Links


class Routes(Part):
    """The ways between two layers, the strongest first."""

    items: list[RouteRow]
    total: int = Field(description="How many there are; the shortest are listed")
    is_all: bool = Field(description="Whether the partners are those of all ways together")
    links: Links = Field(description="All ways together")


class PartnersPage(Context):
    """Every partner of a unit in one direction."""

    template = "pages/partners.html"
    model: str
    layer: str
    unit: int
    direction: str
    items: list[ListedPartner]
    total: int
    next: str | None
    query: dict[str, str]
    layers: list[str] = Field(description="Layers directly before or after")
    reach: list[str] = Field(description="Layers in that direction that weights lead to: the nearest 200, and the one asked for")
    is_expanded: bool = Field(description="Whether the weights are composed over the layers between")
    is_cut: bool | None = Field(
        description="Where the weights are composed: whether kernels grew larger than the maps, and were cut to them"
    )
    routes: Routes | None = Field(description="The ways that the paths take, where the weights are composed")
    num_for_90_percent: int | None = Field(
        description="So many partners hold 90 % of the squared norm of all in that direction, without those in `repeating_layers`"
    )
    repeating_layers: list[str] = Field(
        description="Streams and concatenations among `layers`: their units repeat partners in other layers, and have shares of "
        "a whole of their own"
    )
    maximum: Number = Field(
        description="The weight with the full colour: the largest among the items; with `view=kernels`, among all partners"
    )
    view: str
    thumbnail: str | None = Field(description="Of the unit")
    facets: list[KernelFacet] = Field(description="With `view=kernels` or `kind`: kinds of kernels among all partners in view")
    control: KernelControl | None = Field(description="How the chance shares of the facets were found")
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
    layers: list[LayerCount] = Field(description="The layers with most of these units, at most sixty, in order of execution")
    num_layers: int = Field(description="How many layers have such units")
    labels: list[AnnotationPart] = Field(description="What people call the image")
    said: Said = Field(description="What else people say about it")
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
    is_cut: bool = Field(description="Whether there may be more than `total`: of each kind, the first sixty are looked at")
    has_index: bool = Field(
        description="False until a build has made the index of names; before, only models, layers and numbers are found"
    )
    links: Links


class ExportSearchPage(Context):
    """The search of an exported site, which a script does."""

    template = "pages/export_search.html"
    total: int
    links: Links


class EndpointPart(Part):
    """One page and its twin."""

    path: str
    twin: str
    summary: str
    parameters: list[dict[str, Any]]
    fields: list[dict[str, str]]


class OperationPart(Part):
    """What the API can do at an address that is no twin of a page."""

    method: str
    path: str
    summary: str
    parameters: list[dict[str, str]] = Field(description="Of the query")


class DocsPage(Context):
    """The addresses of the app and the fields of their answers."""

    template = "pages/docs.html"
    items: list[EndpointPart]
    total: int
    next: str | None
    operations: list[OperationPart] = Field(description="What is no twin of a page: tables as a whole, and what writes")
    links: Links


class ErrorPage(Context):
    """What went wrong, and the next step (RFC 9457)."""

    template = "pages/error.html"
    type: str
    title: str
    status: int
    detail: str
    instance: str
