"""Pages for a site of files: addresses become relative, links to what is not there become text, what needs a server goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any

from app import urls

Resolve = Callable[[str], str | None]
Attributes = dict[str, str | None]
# What the app makes is well-formed: everything that is not a tag is escaped, and values are in quotes.
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*)(?P<given>(?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_GIVEN = re.compile(r"(?P<name>[^\s=/\"']+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+)))?")
_WATCHED = {"a", "form", "script", "meta", "main", "head"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_ACTIONS = {"button", "gtoggle", "gword", "gchip", "site-link"}
"""Classes of links that do something: where that needs a server they are left out, and not turned into text."""
_NAMES = {"href", "src", "srcset", "action", "poster", "content"}
_ADDRESSES = {"url", "image", "thumbnail", "crop", "link", "next", "kernel"}
_SCRIPT = "/static/export/js/export.js"
_STYLE = "/static/export/css/export.css"


def rewrite_html(text: str, resolve: Resolve, note: str) -> str:
    """Return a page for the site.

    Args:
        text: The page as the app makes it.
        resolve: Gives the address of a page or file as this page is to say it, or None where the site does not have it.
        note: What part of the atlas the site holds; it is said at the top of the page.
    """
    return _Rewriter(resolve, note).rewrite(text)


def rewrite_json(value: Any, resolve: Resolve, key: str = "") -> Any:
    """Return the body of a twin for the site: an address of what is not there becomes null."""
    if isinstance(value, dict):
        known: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        inside = key == "links"
        return {name: rewrite_json(item, resolve, "link" if inside else name) for name, item in known.items()}
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [rewrite_json(item, resolve, key) for item in items]
    if isinstance(value, str) and key in _ADDRESSES and value.startswith("/"):
        return resolve(value)
    return value


class _Rewriter:
    """Copies a page tag by tag."""

    def __init__(self, resolve: Resolve, note: str) -> None:
        self._out: list[str] = []
        self._resolve = resolve
        self._note = note
        self._dropping: tuple[str, int] | None = None  # the element that is left out, and how deep we are in it
        self._links: list[str] = []  # what each open link became

    def rewrite(self, text: str) -> str:
        place = 0
        for match in _TAG.finditer(text):
            if self._dropping is None:
                self._out.append(text[place : match.start()])
            place = match.end()
            if match["end"]:
                self._end(match["name"])
            else:
                self._start(match["name"], match[0], match["given"])
        self._out.append(text[place:])
        return "".join(self._out)

    def _end(self, name: str) -> None:
        if self._dropping is not None:
            dropped, depth = self._dropping
            if name == dropped:
                self._dropping = (dropped, depth - 1) if depth > 1 else None
            return
        if name == "head":
            self._out.append(f'<link rel="stylesheet" href="{self._resolve(_STYLE)}">')
            self._out.append(f'<script defer src="{self._resolve(_SCRIPT)}"></script>\n')
        self._out.append(f"</{self._links.pop() if name == 'a' and self._links else name}>")

    def _start(self, name: str, source: str, text: str) -> None:
        is_closed = name in _VOID or text.endswith("/")
        if self._dropping is not None:
            if name == self._dropping[0] and not is_closed:
                self._dropping = (name, self._dropping[1] + 1)
            return
        if name not in _WATCHED and '="/' not in text and "js-only" not in text and "data-needs-server" not in text:
            self._out.append(source)
            return
        given = _attributes(text)
        if self._is_left_out(name, given):
            if not is_closed:
                self._dropping = (name, 1)
            return
        if name == "a":
            self._link(given)
            return
        self._out.append(self._tag(name, given, "/" if text.endswith("/") else ""))
        if name == "main":
            self._out.append(f'<p class="export-note quiet">{escape(self._note)}</p>')

    def _is_left_out(self, name: str, given: Attributes) -> bool:
        classes = (given.get("class") or "").split()
        if "data-needs-server" in given or "js-only" in classes:
            return True
        if name == "form":
            return given.get("method") != "dialog" and given.get("action") != urls.search()
        if name == "script":
            return not (given.get("src") or "").endswith("/theme.js")
        if name == "meta":
            return given.get("name") == "htmx-config"
        if name == "a":
            address = given.get("href") or ""
            is_action = bool(_ACTIONS & set(classes)) or "data-link" in given or "download" in given
            return is_action and address.startswith("/") and self._resolve(address) is None
        return False

    def _link(self, given: Attributes) -> None:
        address = given.get("href") or ""
        if not address.startswith("/") or self._resolve(address) is not None:
            self._links.append("a")
            self._out.append(self._tag("a", given))
            return
        self._links.append("span")
        kept = {name: given[name] for name in ("class", "title") if name in given}
        kept["class"] = f"{kept.get('class') or ''} unlinked".strip()
        self._out.append(self._tag("span", kept))

    def _tag(self, name: str, given: Attributes, closing: str = "") -> str:
        kept: list[str] = []
        for key, value in given.items():
            said = self._resolve(value) if value is not None and _is_address(key, value) else value
            if value is None or said is not None:
                kept.append(f" {key}" if said is None else f' {key}="{escape(said)}"')
        return f"<{name}{''.join(kept)}{closing}>"


def _attributes(text: str) -> Attributes:
    found: Attributes = {}
    for match in _GIVEN.finditer(text):
        values = [match[kind] for kind in ("double", "single", "bare") if match[kind] is not None]
        found[match["name"]] = unescape(values[0]) if values else None
    return found


def _is_address(name: str, value: str) -> bool:
    return value.startswith("/") and (name in _NAMES or name.startswith("data-"))
