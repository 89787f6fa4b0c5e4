"""Circuits as documents: named units and edges of one model with notes and claims, as strict JSON with a published schema.

A document says what its author thinks; numbers are no part of it. They are computed from the weights when somebody looks, so that
a claim can state what it expects and be found wrong.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from precompute.circuits.graph import UnitKey
from precompute.circuits.wording import say_what_is_wrong
from precompute.errors import UnknownName, UsageError

FORMAT_VERSION = 1
MAX_UNITS = 500
MAX_EDGES = 2000
MAX_CLAIMS = 1000
MAX_BYTES = 256 * 1024
_ID = r"^[a-z0-9][a-z0-9-]{6,78}[a-z0-9]$"
_RANDOM_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that look alike
_RANDOM_LENGTH = 8

_FIRST = ("format_version", "id", "model", "weights_sha256", "title", "summary", "author", "created_at")

NumberName = Literal["norm", "sum", "share", "rank", "direction"]


def printable(text: str) -> str:
    """Refuse control characters, but for line breaks and tabs."""
    bad = next((letter for letter in text if unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\t"), None)
    if bad is not None:
        raise ValueError(f"it holds the control character U+{ord(bad):04X}; leave it out")
    return text


def one_line(text: str) -> str:
    """Refuse line breaks, tabs and control characters."""
    if set(text) & {"\n", "\t", "\u2028", "\u2029"}:
        raise ValueError("it is one line of text; leave out line breaks and tabs")
    return printable(text)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; write some words")
    return text


def _moment(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("it is no moment; write it as 2026-01-31T12:00:00+00:00") from error
    if found.tzinfo is None:
        raise ValueError("its time zone is missing; write it as 2026-01-31T12:00:00+00:00")
    return text


Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line), AfterValidator(_not_blank)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(one_line)]
Note = Annotated[str, StringConstraints(max_length=2000), AfterValidator(printable)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(printable), AfterValidator(_not_blank)]
LayerName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)]
UnitIndex = Annotated[int, Field(ge=0, lt=10**9)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
CircuitId = Annotated[str, StringConstraints(pattern=_ID)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]


class _Strict(BaseModel, frozen=True):
    """What is not declared is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class UnitAddress(_Strict, frozen=True):
    """One unit of the model."""

    layer: LayerName = Field(description="Name of the layer, as the model page shows it")
    unit: UnitIndex = Field(description="Index of the unit in the layer, from 0")

    @property
    def key(self) -> UnitKey:
        """Return the unit as layer and index."""
        return (self.layer, self.unit)

    def __str__(self) -> str:
        return f"{self.layer}/{self.unit}"


class Position(_Strict, frozen=True):
    """Where the card of a unit lies on the diagram, in pixels from the upper left; used where every unit has one."""

    x: Finite = Field(ge=0, le=20000)
    y: Finite = Field(ge=0, le=20000)


class CircuitUnit(UnitAddress, frozen=True):
    """A unit that takes part."""

    role: Word | None = Field(None, description="What it does in the circuit, in a few words")
    note: Note | None = Field(None, description="Anything else to say about it")
    position: Position | None = None


class CircuitEdge(_Strict, frozen=True):
    """The weight from one unit to another; its numbers are computed, not written."""

    source: UnitAddress
    target: UnitAddress
    over: list[LayerName] | None = Field(
        None, min_length=1, max_length=100, description="Only paths over no other layers between than these; by default all"
    )
    note: Note | None = None

    @property
    def key(self) -> tuple[UnitKey, UnitKey]:
        """Return both ends."""
        return (self.source.key, self.target.key)


class AboutWhole(_Strict, frozen=True):
    """The claim is about the circuit as a whole."""

    kind: Literal["whole"]


class AboutUnit(_Strict, frozen=True):
    """The claim is about a unit of the circuit."""

    kind: Literal["unit"]
    unit: UnitAddress


class AboutEdge(_Strict, frozen=True):
    """The claim is about an edge of the circuit."""

    kind: Literal["edge"]
    source: UnitAddress
    target: UnitAddress


class Expected(_Strict, frozen=True):
    """The number that a claim states for its edge."""

    number: NumberName = Field(description="share: of all inputs, 0 to 1; direction: where the kernel rises to, in degrees")
    value: Finite
    tolerance: Finite = Field(ge=0, description="The claim holds where the number is at most this far from the value")


class Claim(_Strict, frozen=True):
    """Something that the author holds to be true; about an edge, it may state a number."""

    text: Text
    about: Annotated[AboutWhole | AboutUnit | AboutEdge, Field(discriminator="kind")]
    expected: Expected | None = Field(None, description="Only where the claim is about an edge")


class CircuitBody(_Strict, frozen=True):
    """What every circuit says: units and edges of one model, with notes and claims."""

    format_version: Literal[1] = FORMAT_VERSION
    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(description="Id of the model in the atlas")
    title: Line
    summary: Note = ""
    author: Annotated[str, StringConstraints(max_length=200), AfterValidator(one_line)] = ""
    units: list[CircuitUnit] = Field(min_length=1, max_length=MAX_UNITS)
    edges: list[CircuitEdge] = Field(default_factory=list[CircuitEdge], max_length=MAX_EDGES)
    claims: list[Claim] = Field(default_factory=list[Claim], max_length=MAX_CLAIMS)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        units = {unit.key for unit in self.units}
        _refuse_repeats("units", (str(unit) for unit in self.units))
        _refuse_repeats("edges", (f"{edge.source} to {edge.target}" for edge in self.edges))
        edges = {edge.key for edge in self.edges}
        for place, edge in enumerate(self.edges):
            if edge.source.key == edge.target.key:
                raise ValueError(f"edges[{place}] leads from {edge.source} to itself")
            for end in (edge.source, edge.target):
                if end.key not in units:
                    raise ValueError(f"edges[{place}] names {end}, which is not among the units; add it there")
        for place, claim in enumerate(self.claims):
            _check_claim(place, claim, units, edges)
        return self


class CircuitDraft(CircuitBody, frozen=True):
    """A circuit as it may be written: what is left out is filled in when it is saved."""

    id: CircuitId | None = Field(None, description="Given when it is first saved; keep it to find the circuit again elsewhere")
    weights_sha256: Sha256 | None = Field(None, description="Of the weights that it was made on; by default those in the atlas")
    created_at: Moment | None = None


class Circuit(CircuitBody, frozen=True):
    """A circuit as it is stored and exported: nothing is left open."""

    id: CircuitId
    weights_sha256: Sha256
    created_at: Moment


def _refuse_repeats(what: str, names: Iterable[str]) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in seen:
            raise ValueError(f"{what}[{place}] is {name}, like {what}[{seen[name]}]; name it once")
        seen[name] = place


def _check_claim(place: int, claim: Claim, units: set[UnitKey], edges: set[tuple[UnitKey, UnitKey]]) -> None:
    about = claim.about
    if claim.expected is not None and not isinstance(about, AboutEdge):
        raise ValueError(f"claims[{place}] expects a number, but only an edge has one; let it be about an edge")
    if isinstance(about, AboutUnit) and about.unit.key not in units:
        raise ValueError(f"claims[{place}] is about {about.unit}, which is not among the units; add it there")
    if isinstance(about, AboutEdge) and (about.source.key, about.target.key) not in edges:
        raise ValueError(f"claims[{place}] is about {about.source} to {about.target}, which is not among the edges; add it there")


def parse_circuit(data: bytes | str) -> CircuitDraft:
    """Read a document.

    Args:
        data: JSON, UTF-8, at most `MAX_BYTES`.

    Raises:
        UsageError: It is no such document; the text says where and why.
    """
    _refuse_large(len(data))
    try:
        return CircuitDraft.model_validate(read_json(data))
    except ValidationError as error:
        raise UsageError(say_what_is_wrong(error, CircuitDraft)) from error


def read_json(data: bytes | str) -> Any:
    """Read JSON without what JSON does not have: NaN, a name given twice, half a character.

    Raises:
        UsageError: It is no JSON.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UsageError(f"This is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except UnicodeError as error:
        raise UsageError("This is no JSON: its text is not valid UTF-8. Save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise UsageError(f"This is no JSON that can be read: {reason[:200]}.") from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice[:80]!r} is given twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON has")


def parse_stored(text: str) -> Circuit:
    """Read a complete document, as it was stored or exported.

    Raises:
        UsageError: It is none.
    """
    try:
        return Circuit.model_validate(read_json(text))
    except ValidationError as error:
        raise UsageError(say_what_is_wrong(error, Circuit)) from error


def check_units(draft: CircuitDraft, layers: Mapping[str, int]) -> None:
    """Check that all units exist and that edges lead forward.

    Args:
        draft: The document.
        layers: Number of units of every layer of the model, in the order of execution.

    Raises:
        UnknownName: A layer or a unit does not exist.
        UsageError: An edge leads from a later layer to an earlier one.
    """
    for unit in draft.units:
        if unit.layer not in layers:
            raise UnknownName("layer", unit.layer, layers, where=draft.model, hint="The page of the model shows all of them.")
        if unit.unit >= layers[unit.layer]:
            hint = f"Its units are numbered 0 to {layers[unit.layer] - 1}."
            raise UnknownName("unit", str(unit.unit), (), where=f"{draft.model} {unit.layer}", hint=hint)
    order = {name: place for place, name in enumerate(layers)}
    for place, edge in enumerate(draft.edges):
        if order[edge.source.layer] >= order[edge.target.layer]:
            raise UsageError(
                f"edges[{place}] leads from {edge.source} to {edge.target}, but {edge.source.layer} does not come before "
                f"{edge.target.layer}. Weights lead from earlier layers to later ones: turn the edge round."
            )


def complete(draft: CircuitDraft, weights_sha256: str, now: str, circuit_id: str | None = None) -> Circuit:
    """Return a circuit in which nothing is left open.

    Args:
        draft: What was written.
        weights_sha256: Of the model in the atlas; taken where the draft names none.
        now: The moment, taken where the draft names none.
        circuit_id: The id to give it; by default its own, or else a new one.

    Raises:
        UsageError: It would be too large to be imported again.
    """
    circuit = Circuit.model_validate(
        draft.model_dump()
        | {
            "id": circuit_id or draft.id or new_id(draft.title),
            "weights_sha256": draft.weights_sha256 or weights_sha256,
            "created_at": draft.created_at or now,
        }
    )
    _refuse_large(len(write_circuit(circuit).encode()))
    return circuit


def _refuse_large(num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise UsageError(
            f"A circuit has at most {MAX_BYTES // 1024} kB, and this one has {num_bytes / 1024:.0f} kB. Split it into several."
        )


def write_circuit(circuit: CircuitDraft | Circuit) -> str:
    """Return a document as JSON, each unit, edge and claim on a line of its own: the same circuit gives the same text."""
    dumped = circuit.model_dump(exclude_none=True)
    fields = {name: dumped[name] for name in (*_FIRST, *dumped) if name in dumped}
    return "{\n" + ",\n".join(f"{_json(name)}: {_json_lines(value)}" for name, value in fields.items()) + "\n}\n"


def _json_lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _json(value)
    return "[\n" + ",\n".join(map(_json, value)) + "\n]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def new_id(title: str) -> str:
    """Return an id that begins like the title and ends at random."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "-", plain)[:40].strip("-")
    return f"{slug or 'circuit'}-{random_letters(_RANDOM_LENGTH)}"


def random_letters(length: int) -> str:
    """Return letters and digits that nobody can guess, five bits each."""
    return "".join(secrets.choice(_RANDOM_LETTERS) for _ in range(length))


def circuit_schema() -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "/api/v1/circuits/schema.json",
        **CircuitDraft.model_json_schema(),
        "title": "unitscope circuit",
    }
