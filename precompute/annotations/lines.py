"""Annotations as a file: JSON Lines, one annotation a line, in an order that stays when others are added."""

from __future__ import annotations

from collections.abc import Iterable

from precompute.annotations.document import Annotation, is_complete, parse_annotation, write_annotation
from precompute.errors import UsageError

MAX_FILE_BYTES = 256 << 20


def write_lines(annotations: Iterable[Annotation]) -> str:
    """Return annotations as JSON Lines, in the order of their creation: new ones come at the end."""
    ordered = sorted(annotations, key=lambda one: (one.created_at or "", one.id or ""))
    return "".join(f"{write_annotation(one)}\n" for one in ordered)


def read_lines(data: bytes) -> list[Annotation]:
    """Read annotations from JSON Lines; empty lines count for nothing.

    Raises:
        UsageError: A line is no annotation, is not complete, or has the id of an earlier one; the text names the line.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"The file has more than {MAX_FILE_BYTES >> 20} MB. Split it into several.")
    found: list[Annotation] = []
    lines: dict[str | None, int] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            annotation = parse_annotation(line)
        except UsageError as error:
            raise UsageError(f"Line {number}: {error.detail} Nothing was imported.") from error
        if not is_complete(annotation):
            raise UsageError(f"Line {number}: it lacks one of id, revision, created_at, updated_at. Nothing was imported.")
        if annotation.id in lines:
            raise UsageError(f"Line {number}: it has the id of line {lines[annotation.id]}. Nothing was imported.")
        lines[annotation.id] = number
        found.append(annotation)
    return found
