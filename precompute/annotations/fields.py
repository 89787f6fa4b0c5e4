"""The kinds of text that an annotation holds: lines, Markdown, names and moments, each with what it may not hold."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from precompute.circuits.circuit import Line, one_line, printable

MAX_TEXT = 10_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def _visible(text: str) -> str:
    """Refuse what nobody could see or click on: spaces, and characters without a width, alone."""
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in text):
        raise ValueError("it has nothing to see in it; write some words")
    return text


def _one_ending(text: object) -> object:
    return text.replace("\r\n", "\n") if isinstance(text, str) else text


def _moment(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("it is no moment; write it as 2026-01-31T12:00:00.000+00:00") from error
    if found.tzinfo is None or not _FIRST_YEAR < found.year <= _LAST_YEAR:
        raise ValueError("it lacks its time zone, or is no year of ours; write it as 2026-01-31T12:00:00.000+00:00")
    return _text_of(found)


def _text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def next_moment(after: str = "") -> str:
    """Return the moment in UTC, to the millisecond; never one that is not later than `after`, whatever the clocks say."""
    now = _text_of(datetime.now(UTC))
    return now if now > after else _text_of(datetime.fromisoformat(after) + timedelta(milliseconds=1))


SeenLine = Annotated[Line, AfterValidator(_visible)]
Author = Annotated[str, StringConstraints(max_length=80), AfterValidator(one_line)]
Markdown = Annotated[
    str,
    BeforeValidator(_one_ending),
    StringConstraints(max_length=MAX_TEXT),
    AfterValidator(printable),
    AfterValidator(_visible),
]
Remark = Annotated[str, StringConstraints(max_length=500), AfterValidator(one_line)]
ModelId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
StimulusKey = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(one_line)]
DatasetId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)]
Revision = Annotated[int, Field(ge=1, lt=10**9)]
Moment = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
