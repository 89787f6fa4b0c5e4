"""What people say: labels, notes, stars and lists, as parts of pages and on pages of their own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.contexts.base import Context, Links, Part


class SubjectPart(Part):
    """What an annotation names: a model, a layer, a unit or an image."""

    kind: str = Field(description="model, layer, unit or stimulus")
    name: str = Field(description="In words, for people")
    model: str | None
    layer: str | None
    unit: int | None
    dataset: str | None
    stimulus: str | None
    exists: bool = Field(description="Whether this atlas has it")
    label: str | None = Field(description="The class label of a unit or an image")
    thumbnail: str | None = Field(description="The picture of a unit, or the image itself")
    links: Links


class EvidencePart(SubjectPart):
    """A unit or an image that speaks for or against a label."""

    speaks: str = Field(description="for or against")
    remark: str | None


class AnnotationPart(Part):
    """A label, a note, a star or a list."""

    id: str
    kind: str
    headline: str = Field(description="The label, the title of a list, the first line of a note; empty for a star")
    text: str | None = Field(description="The label, or Markdown as it was written")
    author: str
    about: SubjectPart | None = Field(description="null for a list")
    evidence: list[EvidencePart]
    num_items: int = Field(description="Of a list")
    revision: int
    created_at: str
    updated_at: str
    is_same_weights: bool | None = Field(
        description="Whether the atlas has the weights that it was written on; null where it has no such model, or none is named"
    )
    links: Links


class Said(Part):
    """What people say about something, beside its labels."""

    about: str = Field(description="The address of its page, which names it where something is written")
    notes: list[AnnotationPart]
    stars: list[AnnotationPart]
    lists: list[AnnotationPart] = Field(description="Lists that it is in")
    evidence_for: list[AnnotationPart] = Field(description="Labels of others that name it as evidence")
    is_writable: bool = Field(description="Whether this server takes what people write")
    links: Links


class AnnotationsPage(Context):
    """What people said, what was changed last first."""

    template = "pages/annotations.html"
    items: list[AnnotationPart]
    total: int
    next: str | None
    query: dict[str, str]
    models: list[str] = Field(description="The models of the atlas")
    is_writable: bool
    links: Links


class StatePart(Part):
    """A state that an annotation had."""

    number: int
    action: str = Field(description="created, changed, deleted, or merged from another atlas")
    at: str
    headline: str


class AnnotationPage(Context):
    """One annotation, with every state that it had here."""

    template = "pages/annotation.html"
    annotation: AnnotationPart
    document: dict[str, Any] = Field(description="As it is exported")
    states: list[StatePart]
    is_writable: bool
    fields: dict[str, str] = Field(description="What is in the form")
    problem: str | None = Field(description="Why it was not saved")
    links: Links


class NewAnnotationPage(Context):
    """The form that says something."""

    template = "pages/annotation_new.html"
    about: SubjectPart | None
    is_writable: bool
    fields: dict[str, str] = Field(description="What is in the form")
    problem: str | None = Field(description="Why it was not saved")
    links: Links


class ListItemPart(SubjectPart):
    """A unit or a layer of a list."""

    position: int = Field(description="From 1")
    labels: list[str] = Field(description="What people call it")
    remark: str | None


class ListPage(Context):
    """A list of units and layers; one that is kept nowhere has no id."""

    template = "pages/list.html"
    id: str | None
    title: str
    text: str | None = Field(description="Markdown")
    author: str
    items: list[ListItemPart]
    total: int
    next: str | None
    revision: int | None
    created_at: str | None
    updated_at: str | None
    is_same_weights: bool | None
    is_writable: bool
    fields: dict[str, str] = Field(description="What is in the form")
    problem: str | None = Field(description="Why it was not saved")
    links: Links


class ListCard(Part):
    """A list among others."""

    id: str
    title: str
    text: str | None
    author: str
    num_items: int
    created_at: str
    updated_at: str
    is_same_weights: bool | None
    samples: list[SubjectPart]
    links: Links


class ListsPage(Context):
    """The lists that people saved, those changed last first."""

    template = "pages/lists.html"
    items: list[ListCard]
    total: int
    next: str | None
    query: dict[str, str]
    is_writable: bool
    links: Links


class NewListPage(Context):
    """The form that saves a list, with the units that it begins with."""

    template = "pages/list_new.html"
    items: list[ListItemPart]
    total: int
    next: str | None
    source: str | None = Field(description="The address of the page whose units these are")
    left_out: int = Field(description="Units of that page beyond those that a list holds")
    is_writable: bool
    fields: dict[str, str] = Field(description="What is in the form")
    problem: str | None = Field(description="Why it was not saved")
    links: Links
