"""Writes a part of an atlas as a site of files: the pages of the app, their twins and pictures, with relative addresses."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from app import urls
from app.contexts import Context, ExportSearchPage, HomePage, LayerPage, ModelPage, PartnersPage, UnitPage
from app.dependencies import AtlasDoor, Visit
from app.drawing import shapes
from app.export.addresses import SiteMap, relative, twin_file
from app.export.fetch import fetch_all
from app.export.restrict import THUMB_PX, Restricted
from app.export.rewrite import rewrite_html, rewrite_json
from app.export.selection import Selection
from app.main import create_app
from app.pages import PAGES
from app.parts.summaries import page_links
from app.query import Query
from app.settings import AppSettings
from app.templating import Templates
from app.twins import Page
from precompute.errors import UsageError
from precompute.store.arrays import Direction

PARTNERS = 50
_CSS_URL = re.compile(r"url\(\s*[\"']?(?P<address>[^\"')]+?)[\"']?\s*\)")
_DIRECTIONS: tuple[Direction, ...] = ("inputs", "outputs")
_C = TypeVar("_C", bound=Context)
_P = TypeVar("_P", LayerPage, ModelPage)


@dataclass(frozen=True)
class Written:
    """What a site consists of.

    Attributes:
        num_pages: HTML pages, each but the search with a twin.
        num_files: All files.
        num_bytes: Of all files.
        words: What part of the atlas it is.
    """

    num_pages: int
    num_files: int
    num_bytes: int
    words: str


def write_site(atlas: Path, folder: Path, choose: Callable[[AtlasDoor], Selection], say: Callable[[str], None]) -> Written:
    """Write a site; it appears whole or not at all.

    Args:
        atlas: Folder of the atlas.
        folder: Folder of the site; it must not exist, or be empty.
        choose: Says which units it shows.
        say: Told what is being done.

    Raises:
        UsageError: The folder has something in it, or nothing is chosen.
        AtlasError: The atlas cannot be read, or a picture is gone.
    """
    refuse_full(folder)
    settings = AppSettings(atlas, max_composed_bytes=0)
    door = AtlasDoor(settings)
    selection = choose(door)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        written = _Site(settings, door, selection, temporary, say).write()
        temporary.chmod(0o755)
        refuse_full(folder)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return written


def refuse_full(folder: Path) -> None:
    """Refuse to write over something.

    Raises:
        UsageError: The folder has something in it, or is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty. Choose another folder, or remove it first.")


class _Site:
    """One export under way."""

    def __init__(
        self, settings: AppSettings, door: AtlasDoor, selection: Selection, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._app = create_app(settings)
        self._door = door
        self._reader = door.reader()
        self._selection = selection
        self._folder = folder
        self._say = say
        self._templates = Templates(settings)
        self._templates.draw_with(SimpleNamespace(**(vars(shapes) | {"sheet": self._sheet})))
        self._map = SiteMap()
        self._restricted = Restricted(self._reader, selection)
        self._pages: dict[str, Page] = {page.name: page for page in PAGES}
        self._index: list[tuple[str, str, str]] = []
        self._num_files = self._num_bytes = 0

    def write(self) -> Written:
        self._map_pages()
        for number, (model_id, layer_name, unit) in enumerate(self._units()):
            self._write_unit(model_id, layer_name, unit)
            if number % 100 == 99:
                self._say(f"{number + 1:,} of {self._selection.num_units:,} units")
        for model_id, layers in self._selection.units.items():
            for layer_name in layers:
                self._write_layer(model_id, layer_name)
            pages = list(self._parts("model", {"model": model_id}, ModelPage))
            self._index.append((pages[0].title, "model", urls.model(model_id)))
            self._put(self._restricted.model(pages), urls.model(model_id))
        self._put(self._restricted.home(self._build("home", {}, HomePage)), urls.home())
        self._write_stimuli()
        self._write_search()
        self._write_pictures()
        num_pages = len(self._map.pages)
        return Written(num_pages, self._num_files, self._num_bytes, self._selection.words)

    def _units(self) -> Iterator[tuple[str, str, int]]:
        for model_id, layers in self._selection.units.items():
            for layer_name, indices in layers.items():
                for unit in indices:
                    yield model_id, layer_name, unit

    def _map_pages(self) -> None:
        pages = self._map.pages
        pages[urls.home()] = "index.html"
        pages[urls.search()] = "search.html"
        for model_id, layers in self._selection.units.items():
            catalog = self._reader.catalog(model_id, self._reader.revision())
            pages[urls.model(model_id)] = f"{self._map.folder(model_id)}/index.html"
            for layer_name, indices in layers.items():
                pages[urls.layer(model_id, layer_name)] = f"{self._map.folder(model_id, layer_name)}/index.html"
                spec = catalog.layers[layer_name].spec
                partners = [name for name, known in zip(_DIRECTIONS, (spec.inputs, spec.outputs), strict=True) if known]
                for unit in indices:
                    self._map.add_unit(model_id, layer_name, unit, partners)

    # -- pages -----------------------------------------------------------------------------------------------------

    def _write_unit(self, model_id: str, layer_name: str, unit: int) -> None:
        names = {"model": model_id, "layer": layer_name, "unit": str(unit)}
        page = self._restricted.unit(self._build("unit", names, UnitPage))
        for number in self._restricted.stimuli:
            self._map.pages.setdefault(urls.stimulus(number), f"stimuli/{number}.html")
        address = urls.unit(model_id, layer_name, unit)
        self._index.append((f"{layer_name} {unit}{' ' + page.label if page.label else ''}", model_id, address))
        self._put(page, address)
        explorer = self._build("weights", names, Context)
        self._put(self._restricted.explorer(cast("Any", explorer)), urls.weights(model_id, layer_name, unit))
        for direction in _DIRECTIONS:
            address = urls.weights(model_id, layer_name, unit, direction=direction)
            if address in self._map.pages:
                partners = self._build("weights", names, PartnersPage, direction=direction, limit=str(PARTNERS))
                self._put(self._restricted.partners(partners), address)

    def _write_layer(self, model_id: str, layer_name: str) -> None:
        names = {"model": model_id, "layer": layer_name}
        found = list(self._parts("layer", names, LayerPage))
        address = urls.layer(model_id, layer_name)
        self._index.append((layer_name, f"layer of {model_id}", address))
        self._put(self._restricted.layer(found), address)

    def _parts(self, name: str, path: Mapping[str, str], kind: type[_P]) -> Iterator[_P]:
        """Yield all pages of a list."""
        page = self._build(name, path, kind, limit="4096")
        yield page
        while page.next is not None:
            after = page.next.rpartition("after=")[2].partition("&")[0]
            page = self._build(name, path, kind, limit="4096", after=after)
            yield page

    def _write_stimuli(self) -> None:
        self._say(f"{len(self._restricted.numbers):,} images")
        for number in self._restricted.numbers:
            page = self._build("stimulus", {"id": str(number)}, Context, limit="1")
            self._put(self._restricted.stimulus(cast("Any", page)), urls.stimulus(number))

    def _write_search(self) -> None:
        rows = [[title, kind, self._map.pages[address]] for title, kind, address in self._index]
        text = json.dumps(rows, ensure_ascii=True, separators=(",", ":"))
        self._save("search-index.js", f"window.unitscopeIndex={text};\n".encode())
        page = ExportSearchPage(total=len(rows), links=page_links(urls.search()))
        self._put(page, urls.search())

    def _build(self, name: str, path: Mapping[str, str], kind: type[_C], **query: str) -> _C:
        page = self._pages[name]
        address = page.path
        for part, value in path.items():
            address = address.replace(f"{{{part}}}", urls.part(value))
        asked = Query(query.items(), page.parameters)
        full = urls.with_query(address, {key: value for key, value in asked.values.items() if key != "limit"})
        context = page.build(Visit(self._door, path, asked, address, full, is_api=False))
        if not isinstance(context, kind):
            raise TypeError(f"the page {name} made a {type(context).__name__}")
        return context

    def _put(self, context: Context, address: str) -> None:
        """Write a page and its twin."""
        file = self._map.pages[address]

        def resolve(asked: str, *, may_add: bool = True) -> str | None:
            found = self._map.find(asked, may_add=may_add)
            return None if found is None else relative(found, file)

        html = rewrite_html(self._templates.render(context, path=address.partition("?")[0]), resolve, self._selection.words)
        self._save(file, html.encode("utf-8", "surrogatepass"))
        body = rewrite_json(json.loads(context.model_dump_json()), lambda asked: resolve(asked, may_add=False))
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self._save(twin_file(file), text.encode("utf-8", "surrogatepass"))

    # -- files -----------------------------------------------------------------------------------------------------

    def _sheet(self, model_id: str, units: Any, size_px: int, tiles: int = 1) -> dict[tuple[str, int], shapes.Cut]:
        """Return the small pictures of units, each in its own file: pages of a site share many, and sheets would repeat them."""
        found: dict[tuple[str, int], shapes.Cut] = {}
        for layer_name, index, thumbnail in units:
            if thumbnail is not None:
                address = urls.thumb(model_id, layer_name, index, "")
                self._map.stand_ins.setdefault(thumbnail, address)
                found[layer_name, index] = shapes.Cut(address, 0, 0, THUMB_PX, THUMB_PX, THUMB_PX, THUMB_PX)
        return found

    def _write_pictures(self) -> None:
        done: set[str] = set()
        while waiting := [address for address in self._map.files if address not in done]:
            self._say(f"{len(waiting):,} pictures and other files")
            files = fetch_all(self._app, [self._asked(address) for address in waiting])
            for address, data in zip(waiting, files, strict=True):
                file = self._map.files[address]
                self._save(file, self._css(address, file, data) if file.endswith(".css") else data)
            done.update(waiting)

    def _asked(self, address: str) -> str:
        return address.replace("/static/export/", f"/static/{self._templates.static_version}/", 1)

    def _css(self, address: str, file: str, data: bytes) -> bytes:
        """Return a style sheet whose addresses are those of the site."""

        def change(match: re.Match[str]) -> str:
            asked = match["address"]
            if asked.startswith(("data:", "#")):
                return match[0]
            whole = asked if asked.startswith("/") else os.path.normpath(f"{os.path.dirname(address)}/{asked}")
            found = self._map.find(whole, may_add=True)
            return match[0] if found is None else f'url("{relative(found, file)}")'

        return _CSS_URL.sub(change, data.decode()).encode()

    def _save(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._num_files += 1
        self._num_bytes += len(data)
