"""Styles and scripts of the pages, each sent as one file: one request instead of many."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.media import IMMUTABLE

STYLES = (
    "tokens.css",
    "base.css",
    "components.css",
    "circuits.css",
    "explorer.css",
    "queries.css",
    "pages.css",
    "responses.css",
    "find.css",
    "share.css",
    "said.css",
)
SCRIPTS = (
    "keys",
    "terms",
    "roving",
    "ahead",
    "sections",
    "loupe",
    "boxes",
    "heat",
    "suggest",
    "range",
    "drop",
    "share",
    "say",
    "compare",
)
"""The behaviours that are sent with every page, each a file with one function `mount`."""

_MOUNT = re.compile(r"^export function mount\(", re.MULTILINE)


class StaticFolder:
    """The folder of static files.

    Args:
        folder: Where it is.
        version: What the addresses of its files carry; a file asked for under another version is not to be kept.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._files = StaticFiles(directory=folder, check_dir=False)
        self._version = version
        self._made = {"app.css": ("text/css", styles(folder)), "js/app.js": ("text/javascript", scripts(folder))}

    async def answer(self, request: Request, version: str, path: str) -> Response:
        """Answer a request for a file."""
        if path in self._made:
            kind, text = self._made[path]
            response = Response(text, media_type=kind)
        else:
            response = await self._files.get_response(path, request.scope)
        response.headers["Cache-Control"] = IMMUTABLE if version == self._version else "no-cache"
        return response


def styles(folder: Path) -> str:
    """Return all styles as one file."""
    return "\n".join((folder / "css" / name).read_text() for name in STYLES)


def scripts(folder: Path) -> str:
    """Return the script of all pages: each behaviour as a function of its own, and what starts them."""
    parts = ["const MODULES = {};"]
    for name in SCRIPTS:
        text = (folder / "js" / f"{name}.js").read_text()
        inner, count = _MOUNT.subn("function mount(", text)
        if count != 1:
            raise ValueError(f"static/js/{name}.js must export one function, mount, and nothing else.")
        parts.append(f"MODULES.{name} = (() => {{\n{inner}return mount;\n}})();")
    parts.append((folder / "js" / "main.js").read_text())
    return "\n".join(parts)
