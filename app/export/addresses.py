"""Where each page of an exported site lies: file names that are safe and distinct on every system."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable
from urllib.parse import quote

from app import urls

MAX_NAME = 60
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_STATIC = re.compile(r"^/static/[^/]+/")
_LIKE_OURS = re.compile(r".*-[0-9a-f]{10}")
# What Windows keeps for devices, whatever follows the first dot.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(10))}


def safe_name(text: str) -> str:
    """Return a file name for a name: itself where that is safe everywhere, else its letters and a hash of it.

    Two names never share one, on file systems that do not tell capitals from small letters either.

    >>> safe_name("blocks.0.dw"), safe_name("AUX")
    ('blocks.0.dw', 'aux-1898ed910d')
    """
    is_safe = (
        _PLAIN.fullmatch(text)
        and len(text) <= MAX_NAME
        and not text.endswith((".", ".html", ".json"))
        and text.partition(".")[0] not in _RESERVED
        and not _LIKE_OURS.fullmatch(text)
    )
    if is_safe:
        return text
    letters = re.sub(r"[^a-z0-9_-]+", "-", text.lower())[: MAX_NAME - 11].strip("-") or "x"
    return f"{letters}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


class SiteMap:
    """The addresses of an exported site and their files.

    Attributes:
        pages: Files of the HTML pages, relative to the site, by address.
        files: Files of pictures, styles and scripts, by address.
        stand_ins: Addresses of small pictures that are in the site, by the address of the larger ones that are not.
    """

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.stand_ins: dict[str, str] = {}

    def add_unit(self, model_id: str, layer_name: str, unit: int, partners: Iterable[str]) -> None:
        """Add the pages of a unit; `partners` are the directions in which it has a list of partners."""
        stem = f"{self.folder(model_id, layer_name)}/{unit}"
        self.pages[urls.unit(model_id, layer_name, unit)] = f"{stem}.html"
        self.pages[urls.weights(model_id, layer_name, unit)] = f"{stem}.weights.html"
        for direction in partners:
            self.pages[urls.weights(model_id, layer_name, unit, direction=direction)] = f"{stem}.{direction}.html"

    def folder(self, model_id: str, *layer_name: str) -> str:
        """Return the folder of a model or of a layer."""
        return "/".join(["models", *(safe_name(name) for name in (model_id, *layer_name))])

    def find(self, address: str, *, may_add: bool) -> str | None:
        """Return the file of an address, or None where the site does not have it.

        Args:
            address: Of a page, a twin or a file.
            may_add: Whether a picture, style or script that is not there yet is added.
        """
        path, hash_mark, fragment = address.partition("#")
        found = self._find(path, may_add)
        return None if found is None else found + hash_mark + fragment

    def _find(self, path: str, may_add: bool) -> str | None:
        if path in self.pages:
            return self.pages[path]
        if path.startswith(f"{urls.API}/"):
            page = self.pages.get(path.removeprefix(urls.API))
            return None if page is None else twin_file(page)
        key = _STATIC.sub("/static/export/", re.sub(r"\?v=[0-9a-f]*$", "", path))
        if key not in self.files and may_add and path.startswith(("/media/", "/static/")):
            self.files[key] = _file_name(key)
        if key in self.files:
            return self.files[key]
        stand_in = self.stand_ins.get(path)
        return None if stand_in is None else self._find(stand_in, may_add)


def twin_file(page_file: str) -> str:
    """Return the file of a page's JSON twin."""
    return page_file.removesuffix(".html") + ".json"


def relative(target: str, page_file: str) -> str:
    """Return the address of a file of the site as another file of it says it.

    >>> relative("stimuli/4.html", "models/a/stem/3.html")
    '../../../stimuli/4.html'
    """
    path, hash_mark, fragment = target.partition("#")
    return quote(posixpath.relpath(path, posixpath.dirname(page_file) or ".")) + hash_mark + fragment


def _file_name(address: str) -> str:
    path = address.partition("?")[0]
    if path.startswith("/static/"):
        return "static/" + path.split("/", 3)[3]
    name = path.rsplit("/", 1)[1]
    stem, _, extension = name.rpartition(".")
    if path == urls.blob(name):
        return f"media/{name[:2]}/{name}"
    digest = hashlib.sha256(address.encode()).hexdigest()[:24]
    return f"media/{digest[:2]}/{digest}.{extension if stem else 'bin'}"
