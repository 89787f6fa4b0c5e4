"""How people name units, layers and images where they write: by the addresses of pages, and in lists by a short form of them.

The short form is `MODEL/LAYER:1.2.8-11;MODEL/LAYER` for units 1, 2 and 8 to 11 of a layer, and a layer itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from app import urls
from precompute.annotations.document import MAX_ITEMS, Item, Subject, validate
from precompute.errors import UnknownName, UsageError
from precompute.store.reader import AtlasReader

MAX_QUICK_TEXT = 30_000
_UNIT_PAGE = re.compile(r"/models/(?P<model>[^/]+)(?:/(?P<layer>[^/]+)(?:/(?P<unit>0|[1-9]\d{0,8})(?:/[a-z]+)?)?)?/?")
_IMAGE_PAGE = re.compile(r"/stimuli/(?P<id>0|[1-9]\d{0,8})/?")
_RUN = re.compile(r"(0|[1-9]\d{0,8})(?:-(0|[1-9]\d{0,8}))?")


def read_address(reader: AtlasReader, text: str) -> Subject:
    """Return what the address of a page names; a host before it counts for nothing.

    Raises:
        UsageError: It is no address of a model, layer, unit or image.
        UnknownName: The atlas has no such image.
    """
    path = _path_of(text)
    image = _IMAGE_PAGE.fullmatch(path)
    if image is not None:
        stimulus = reader.stimulus(int(image["id"]))
        if stimulus is None:
            raise UnknownName("image", image["id"], (), where="This atlas")
        return subject_of(dataset=stimulus.dataset_id, stimulus=stimulus.key)
    match = _UNIT_PAGE.fullmatch(path)
    if match is None:
        raise UsageError(
            f"{text[:80]!r} is not the address of a model, layer, unit or image. "
            "Write it as /models/MODEL/LAYER/UNIT or /stimuli/ID."
        )
    unit = match["unit"]
    return subject_of(
        model=unquote(match["model"]),
        layer=None if match["layer"] is None else unquote(match["layer"]),
        unit=None if unit is None else int(unit),
    )


def _path_of(text: str) -> str:
    try:
        return urlsplit(text.strip()).path.removeprefix(urls.API)
    except ValueError:
        return ""


def subject_of(**fields: object) -> Subject:
    """Return something that is named.

    Raises:
        UsageError: No such thing can be named.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    found = validate({"kind": "star", "about": given})
    return next(subject for _, subject in found.named()).subject


def read_units(text: str) -> list[Item]:
    """Return the units and layers that the short form names, each once.

    Raises:
        UsageError: It is not the short form, or names more than a list holds.
    """
    if len(text) > MAX_QUICK_TEXT:
        raise UsageError(f"'units' has {len(text):,} characters; at most {MAX_QUICK_TEXT:,} can be read.")
    found: dict[tuple[str, str, int | None], None] = {}
    for group in filter(None, text.split(";")):
        names, _, listed = group.partition(":")
        model, slash, layer = names.partition("/")
        if not (model and slash and layer) or "/" in layer:
            raise _no_units(group)
        for unit in _numbers(group, listed) if listed else [None]:
            found[unquote(model), unquote(layer), unit] = None
            if len(found) > MAX_ITEMS:
                raise UsageError(f"'units' names more than {MAX_ITEMS} units. Make several lists.")
    if not found:
        return []
    items = [{"model": model, "layer": layer} | ({} if unit is None else {"unit": unit}) for model, layer, unit in found]
    checked = validate({"kind": "list", "title": "units", "items": items})
    return list(getattr(checked, "items", []))


def _numbers(group: str, listed: str) -> Iterable[int]:
    for run in listed.split("."):
        match = _RUN.fullmatch(run)
        if match is None:
            raise _no_units(group)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > MAX_ITEMS:
            raise UsageError(f"'units' cannot name {run!r}: a run goes upwards, over at most {MAX_ITEMS} units.")
        yield from range(first, last + 1)


def _no_units(group: str) -> UsageError:
    return UsageError(f"'units' cannot be read at {group[:80]!r}. Write MODEL/LAYER:1.2.8-11;MODEL/LAYER.")


def write_units(items: Iterable[Subject]) -> str:
    """Return units and layers in the short form, in their order."""
    groups: list[tuple[str, list[list[int]]]] = []
    for item in items:
        name = f"{urls.part(item.model or '')}/{urls.part(item.layer or '')}"
        if not groups or groups[-1][0] != name or item.unit is None or not groups[-1][1]:
            groups.append((name, []))
        if item.unit is None:
            continue
        runs = groups[-1][1]
        if runs and item.unit == runs[-1][-1] + 1:
            runs[-1][1:] = [item.unit]
        else:
            runs.append([item.unit])
    return ";".join(f"{name}:{'.'.join('-'.join(map(str, run)) for run in runs)}" if runs else name for name, runs in groups)


def read_lines(reader: AtlasReader, text: str, limit: int) -> list[dict[str, object]]:
    """Return what lines of a form name, each an address and a remark after it, as fields of a document.

    Raises:
        UsageError: A line is none, or there are too many.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) > limit:
        raise UsageError(f"These are {len(lines)} lines; at most {limit} are possible.")
    found: list[dict[str, object]] = []
    for line in lines:
        address, _, remark = line.partition(" ")
        fields: dict[str, object] = read_address(reader, address).model_dump(exclude_none=True)
        found.append(fields | ({"remark": remark.strip()} if remark.strip() else {}))
    return found


def write_lines(named: Iterable[tuple[str, str | None]]) -> str:
    """Return addresses and remarks as the lines of a form."""
    return "\n".join(f"{address} {remark or ''}".strip() for address, remark in named)
