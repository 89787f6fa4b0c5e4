"""Annotations as documents: a label, a note, a star or a list, as strict JSON that fits on one line.

An annotation is what a person says about a model, a layer, a unit or a stimulus. It names what it is about by the names that the
pages show, and the weights that it was written on by their sha256, so that it can be taken to another atlas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from precompute.annotations.fields import (
    Author,
    DatasetId,
    Markdown,
    ModelId,
    Moment,
    Remark,
    Revision,
    SeenLine,
    StimulusKey,
    next_moment,
)
from precompute.circuits.circuit import CircuitId, LayerName, Sha256, UnitIndex, new_id, random_letters, read_json
from precompute.circuits.wording import say_what_is_wrong
from precompute.errors import UsageError

FORMAT_VERSION = 1
MAX_BYTES = 256 * 1024
MAX_ITEMS = 500
MAX_EVIDENCE = 50
Kind = Literal["label", "note", "star", "list"]
SubjectKind = Literal["model", "layer", "unit", "stimulus"]
KINDS: tuple[Kind, ...] = ("label", "note", "star", "list")
_ORDER = (
    "format_version",
    "kind",
    "id",
    "revision",
    "deleted",
    "about",
    "title",
    "text",
    "author",
    "evidence",
    "items",
    "weights",
)


class _Strict(BaseModel, frozen=True):
    """What is not declared is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Subject(_Strict, frozen=True):
    """What an annotation is about: a model, a layer or a unit of it, or an image of a dataset."""

    model: ModelId | None = None
    layer: LayerName | None = None
    unit: UnitIndex | None = None
    dataset: DatasetId | None = Field(None, description="Id of the dataset; belongs to `stimulus`")
    stimulus: StimulusKey | None = Field(None, description="Key of an image, as its page shows it")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        is_image = self.dataset is not None and self.stimulus is not None
        of_model = (self.model is not None, self.layer is not None, self.unit is not None)
        names_image = self.dataset is not None or self.stimulus is not None
        if names_image and (any(of_model) or not is_image):
            raise ValueError(
                "it names half an image, or more than one; give `dataset` and `stimulus`, and nothing else, for an image"
            )
        if not is_image and of_model not in {(True, False, False), (True, True, False), (True, True, True)}:
            raise ValueError("it names nothing; give `model`, `model` and `layer`, or `model`, `layer` and `unit`")
        return self

    @property
    def what(self) -> SubjectKind:
        """Return whether it is a model, a layer, a unit or a stimulus."""
        if self.stimulus is not None:
            return "stimulus"
        return "model" if self.layer is None else "layer" if self.unit is None else "unit"

    @property
    def subject(self) -> Subject:
        """Return what is named, without what is said about it."""
        return Subject(model=self.model, layer=self.layer, unit=self.unit, dataset=self.dataset, stimulus=self.stimulus)

    def __str__(self) -> str:
        parts = [str(part) for part in (self.model, self.layer, self.unit, self.dataset, self.stimulus) if part is not None]
        return "/".join(parts)


class Evidence(Subject, frozen=True):
    """A unit or a stimulus that speaks for or against a label."""

    speaks: Literal["for", "against"]
    remark: Remark | None = None

    @model_validator(mode="after")
    def _can_speak(self) -> Self:
        if self.what not in {"unit", "stimulus"}:
            raise ValueError("evidence is a unit or an image")
        return self


class Item(Subject, frozen=True):
    """A unit or a layer of a list, with a remark."""

    remark: Remark | None = None

    @model_validator(mode="after")
    def _can_be_listed(self) -> Self:
        if self.what not in {"unit", "layer"}:
            raise ValueError("a list holds units and layers")
        return self


class Document(_Strict, frozen=True):
    """What every annotation has; what is left out is filled in when it is saved first."""

    format_version: Literal[1] = FORMAT_VERSION
    kind: Kind
    id: CircuitId | None = Field(None, description="Given when it is saved first; keep it to find the annotation again elsewhere")
    revision: Revision | None = Field(None, description="1, and one more with every change")
    author: Author = Field("", description="A free name; nobody checks it")
    weights: dict[ModelId, Sha256] | None = Field(
        None, max_length=MAX_ITEMS, description="sha256 of the weights of each model that is named, as they were"
    )
    created_at: Moment | None = None
    updated_at: Moment | None = None

    is_deleted: ClassVar[bool] = False

    def named(self) -> Iterator[tuple[str, Subject]]:
        """Yield everything that it names, with the part that it has: `about`, `evidence` or `item`."""
        yield from ()

    @property
    def headline(self) -> str:
        """Return what stands for it in a list."""
        return ""

    @property
    def words(self) -> str:
        """Return everything in it that can be searched for."""
        return self.author


class Label(Document, frozen=True):
    """A short hypothesis: what the unit is for."""

    kind: Literal["label"]
    about: Subject
    text: SeenLine
    evidence: list[Evidence] = Field(default_factory=list[Evidence], max_length=MAX_EVIDENCE)

    def named(self) -> Iterator[tuple[str, Subject]]:
        """Yield what it is about, and what speaks for and against it."""
        yield "about", self.about
        for one in self.evidence:
            yield "evidence", one

    @property
    def headline(self) -> str:
        """Return the label."""
        return self.text

    @property
    def words(self) -> str:
        """Return the label, the remarks and the author."""
        return "\n".join([self.text, *(one.remark or "" for one in self.evidence), self.author])


class Note(Document, frozen=True):
    """Anything else to say, as Markdown."""

    kind: Literal["note"]
    about: Subject
    text: Markdown

    def named(self) -> Iterator[tuple[str, Subject]]:
        """Yield what it is about."""
        yield "about", self.about

    @property
    def headline(self) -> str:
        """Return its first line."""
        return next(line for line in self.text.split("\n") if line.strip())[:200]

    @property
    def words(self) -> str:
        """Return the note and its author."""
        return f"{self.text}\n{self.author}"


class Star(Document, frozen=True):
    """A mark: worth a second look. Each author has at most one on one thing."""

    kind: Literal["star"]
    about: Subject

    def named(self) -> Iterator[tuple[str, Subject]]:
        """Yield what it is about."""
        yield "about", self.about


class UnitList(Document, frozen=True):
    """An ordered set of units and layers."""

    kind: Literal["list"]
    title: SeenLine
    text: Markdown | None = Field(None, description="What the list is about, as Markdown")
    items: list[Item] = Field(default_factory=list[Item], max_length=MAX_ITEMS)

    @model_validator(mode="after")
    def _is_a_set(self) -> Self:
        seen: dict[Subject, int] = {}
        for place, item in enumerate(self.items):
            first = seen.setdefault(item.subject, place)
            if first != place:
                raise ValueError(f"items[{place}] is {item}, like items[{first}]; name it once")
        return self

    def named(self) -> Iterator[tuple[str, Subject]]:
        """Yield its items in their order."""
        for item in self.items:
            yield "item", item

    @property
    def headline(self) -> str:
        """Return the title."""
        return self.title

    @property
    def words(self) -> str:
        """Return title, description, remarks and author."""
        return "\n".join([self.title, self.text or "", *(item.remark or "" for item in self.items), self.author])


class Deleted(Document, frozen=True):
    """What is left of an annotation that was deleted: enough to delete it elsewhere too."""

    deleted: Literal[True]
    is_deleted: ClassVar[bool] = True


Annotation = Label | Note | Star | UnitList | Deleted
_CLASSES: dict[object, type[Annotation]] = {"label": Label, "note": Note, "star": Star, "list": UnitList}


def parse_annotation(data: bytes | str) -> Annotation:
    """Read an annotation, complete or not.

    Args:
        data: One JSON object, UTF-8, at most `MAX_BYTES`.

    Raises:
        UsageError: It is none; the text says where and why.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"An annotation has at most {MAX_BYTES // 1024} kB, and this one has {len(data) / 1024:.0f} kB.")
    return validate(read_json(data))


def validate(value: Any) -> Annotation:
    """Return a JSON value as an annotation.

    Raises:
        UsageError: It is none.
    """
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    kind = Deleted if fields.get("deleted") is True else _CLASSES.get(str(fields.get("kind")))
    if kind is None:
        raise UsageError(f"An annotation is an object with the field 'kind', one of: {', '.join(KINDS)}.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise UsageError(say_what_is_wrong(error, kind)) from error


def write_annotation(annotation: Annotation) -> str:
    """Return an annotation as one line of JSON, without the line's end: the same annotation gives the same text."""
    dumped = annotation.model_dump(exclude_none=True)
    names = [name for name in (*_ORDER, *dumped) if dumped.get(name) not in (None, "", [], {})]
    text = json.dumps({name: dumped[name] for name in dict.fromkeys(names)}, ensure_ascii=False, separators=(", ", ": "))
    # Some readers take these for the end of a line.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\u0085", "\\u0085")


def is_complete(annotation: Annotation) -> bool:
    """Return whether nothing is left open, so that it can be merged."""
    return None not in (annotation.id, annotation.revision, annotation.created_at, annotation.updated_at)


def complete(
    draft: Annotation, weights: dict[str, str], annotation_id: str | None = None, before: Annotation | None = None
) -> Annotation:
    """Return an annotation in which nothing is left open.

    Args:
        draft: What was written.
        weights: The sha256 of the weights of each model that it names, taken where the draft says none.
        annotation_id: The id to give it; by default its own, or else a new one.
        before: What it follows, where it is the next revision of something.
    """
    after = "" if before is None else before.updated_at or ""
    moment = next_moment(after)
    filled: dict[str, Any] = {
        "id": annotation_id or draft.id or _id_of(draft),
        "revision": 1 if before is None else (before.revision or 0) + 1,
        "weights": draft.weights or weights or None,
        "created_at": (None if before is None else before.created_at) or draft.created_at or moment,
        "updated_at": moment,
    }
    return draft.model_copy(update=filled)


def _id_of(draft: Annotation) -> str:
    if isinstance(draft, UnitList):
        return new_id(draft.title)
    if isinstance(draft, Star):  # the same star has the same id in every atlas
        mark = hashlib.sha256(f"{draft.author}\0{write_subject(draft.about)}".encode()).hexdigest()
        return f"star-{mark[:16]}"
    return f"{draft.kind}-{random_letters(14)}"


def write_subject(subject: Subject) -> str:
    """Return what an annotation is about as JSON: the same thing gives the same text."""
    return json.dumps(subject.subject.model_dump(exclude_none=True), ensure_ascii=False, sort_keys=True)


def models_of(annotation: Annotation) -> Sequence[str]:
    """Return the models that an annotation names."""
    return list(dict.fromkeys(one.model for _, one in annotation.named() if one.model is not None))


def annotation_schema() -> dict[str, Any]:
    """Return the JSON Schema of an annotation."""
    kinds = (*_CLASSES.values(), Deleted)
    definitions: dict[str, Any] = {}
    choices: list[dict[str, str]] = []
    for kind in kinds:
        schema = kind.model_json_schema()
        definitions |= schema.pop("$defs", {})
        definitions[kind.__name__] = schema
        choices.append({"$ref": f"#/$defs/{kind.__name__}"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "/api/v1/annotations/schema.json",
        "title": "unitscope annotation",
        "oneOf": choices,
        "$defs": definitions,
    }
