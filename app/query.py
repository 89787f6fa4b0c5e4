"""Query parameters: declared once per page, checked, documented, and read from there. What is not declared answers 400."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from precompute.errors import UsageError, closest_names


@dataclass(frozen=True)
class Parameter:
    """One query parameter of a page.

    Attributes:
        name: Its name; one that ends in `.` stands for all names that begin so (`min.mean`).
        summary: What it does, one line.
        kind: Its JSON type.
        choices: The values it may have, or empty for any.
        default: Its value where it is not given, as a text for the documentation.
        is_list: Whether it may be given more than once, as the boxes of a form give it: the values are joined by commas.
    """

    name: str
    summary: str
    kind: str = "string"
    choices: tuple[str, ...] = ()
    default: str | None = None
    is_list: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """Return its JSON schema; an empty value counts as not given."""
        if self.choices:
            return {"type": self.kind, "enum": [*self.choices, ""]}
        if self.kind == "string":
            return {"type": "string"}
        return {"anyOf": [{"type": self.kind}, {"type": "string", "maxLength": 0}]}

    def covers(self, name: str) -> bool:
        """Return whether a name that was given is this parameter."""
        return name == self.name or (self.name.endswith(".") and name.startswith(self.name) and len(name) > len(self.name))


class Query:
    """The query parameters of one request.

    Args:
        given: Names and values, in their order.
        known: What the page declares.

    Raises:
        UsageError: A parameter is unknown, or given twice though it is no list.
    """

    def __init__(self, given: Iterable[tuple[str, str]], known: Sequence[Parameter]) -> None:
        self._values: dict[str, str] = {}
        for name, value in given:
            parameter = next((one for one in known if one.covers(name)), None)
            if parameter is None:
                raise UsageError(_unknown(name, known))
            if name in self._values and not parameter.is_list:
                raise UsageError(f"The query parameter {name!r} is given twice. Give it once.")
            self._values[name] = f"{self._values[name]},{value}" if name in self._values else value
        self._known = {parameter.name: parameter for parameter in known}

    @property
    def values(self) -> dict[str, str]:
        """Return what was given."""
        return dict(self._values)

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as it was given; an empty value counts as not given."""
        return self._values.get(name, "") or default

    def choice(self, name: str, default: str | None = None) -> str | None:
        """Return a parameter that has declared choices.

        Raises:
            UsageError: It is none of them.
        """
        value = self.text(name)
        if not value:
            return default
        choices = self._known[name].choices
        if value == " " and "+" in choices:  # what a plus in an address means to forms
            value = "+"
        if value not in choices:
            raise UsageError(f"{name}={value!r} is not possible. Possible values of {name!r}: {', '.join(choices)}.")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a parameter that is a whole number.

        Raises:
            UsageError: It is not one, or not between `low` and `high`.
        """
        value = self.text(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
            raise UsageError(f"{name}={value!r} is not possible. Give a whole number from {low} to {high}.")
        return int(value)

    def numbers(self, prefix: str) -> dict[str, float]:
        """Return all numbers of the parameters that begin with a prefix, by the rest of their name.

        Raises:
            UsageError: A value is not a finite number.
        """
        found: dict[str, float] = {}
        for name, value in self._values.items():
            if name.startswith(prefix) and value:
                found[name.removeprefix(prefix)] = finite_number(name, value)
        return found

    def bounds(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the smallest and the largest values that `min.NAME` and `max.NAME` let through, by name.

        Raises:
            UsageError: A value is not a finite number, or a range holds nothing.
        """
        minimum, maximum = self.numbers("min."), self.numbers("max.")
        for name in sorted(minimum.keys() & maximum.keys()):
            if minimum[name] > maximum[name]:
                low, high = f"min.{name}={minimum[name]:g}", f"max.{name}={maximum[name]:g}"
                raise UsageError(f"{low} is above {high}: no number is in that range. Give the smaller one as min.{name}.")
        return minimum, maximum


def finite_number(name: str, value: str) -> float:
    """Return the number that a parameter says.

    Raises:
        UsageError: It is not a finite number.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name}={value!r} is not a number. Give a number such as 0.5.")
    return number


def _unknown(name: str, known: Sequence[Parameter]) -> str:
    names = [parameter.name + ("METRIC" if parameter.name.endswith(".") else "") for parameter in known]
    text = f"There is no query parameter {name!r} here."
    close = closest_names(name, names, count=1)
    if close:
        text += f" Did you mean {close[0]!r}?"
    return f"{text} Known ones: {', '.join(names)}." if names else f"{text} This page takes none."


def encode_cursor(scope: Mapping[str, Any], place: Sequence[Any]) -> str:
    """Return an opaque text for a place in a list; `scope` is what the place is valid for (sort, filters)."""
    body = json.dumps(list(place), separators=(",", ":"))
    return base64.urlsafe_b64encode(f"{_checksum(scope, body)}{body}".encode()).decode().rstrip("=")


def decode_cursor(scope: Mapping[str, Any], text: str, kinds: Sequence[type | tuple[type, ...]]) -> list[Any] | None:
    """Return the place that a cursor stands for, or None where none was given.

    Raises:
        UsageError: The text was not made by `encode_cursor` for this list.
    """
    if not text:
        return None
    wrong = UsageError(
        f"after={text[:80]!r} is not a place in this list. Take `next` from an answer as it is, or leave `after` out."
    )
    try:
        plain = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        place: Any = json.loads(plain[8:])
    except (binascii.Error, UnicodeError, ValueError, RecursionError) as error:
        raise wrong from error
    if plain[:8] != _checksum(scope, plain[8:]) or not isinstance(place, list):
        raise wrong
    values: list[Any] = place  # pyright: ignore[reportUnknownVariableType]
    if len(values) != len(kinds) or not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise wrong
    if any(isinstance(value, int | float) and not abs(value) < 2**53 for value in values):  # nor what is not a number
        raise wrong
    return values


def _checksum(scope: Mapping[str, Any], body: str) -> str:
    return hashlib.sha256(f"{json.dumps(scope, sort_keys=True)}|{body}".encode()).hexdigest()[:8]
