"""What holds for every site of files: each address of it leads to a file of it, and each anchor to a place on the page."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.words.markdown import REL

ATTRIBUTES = {"href", "src", "action", "data-up", "data-previous", "data-next", "data-weights"}
ADDRESSES = {"url", "image", "thumbnail", "crop", "link", "next", "kernel"}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        is_foreign = tag == "a" and dict(attrs).get("rel") == REL  # a link of somebody's note, which may lead to the web
        for name, value in attrs:
            if name in ATTRIBUTES and value and not is_foreign:
                self.addresses.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def files_of(site: Path) -> dict[str, bytes]:
    """Return every file of a site by its path."""
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(site):
        for name in names:
            path = Path(folder) / name
            found[path.relative_to(site).as_posix()] = path.read_bytes()
    return found


def problems_of(files: dict[str, bytes]) -> list[str]:
    """Return every address of a site that leads nowhere."""
    pages = {name: _Page(data.decode()) for name, data in files.items() if name.endswith(".html")}
    found = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in page.addresses
        if not _is_alive(files, pages, name, address)
    ]
    for name, data in files.items():
        if name.endswith(".json"):
            found += [f"{name}: {value}" for value in _addresses(json.loads(data)) if not _is_alive(files, pages, name, value)]
    return found


def _is_alive(files: dict[str, bytes], pages: dict[str, _Page], name: str, address: str) -> bool:
    if ":" in address.split("/")[0] or address.startswith("/"):
        return False
    path, _, fragment = address.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path))) if path else name
    if target not in files:
        return False
    return not fragment or fragment.startswith("xywh=") or fragment in pages[target].anchors


def _addresses(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _addresses(item, "link" if key == "links" else name)
    elif isinstance(value, list):
        for item in value:
            yield from _addresses(item, key)
    elif isinstance(value, str) and key in ADDRESSES:
        yield value
