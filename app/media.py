"""Files: blobs by the hash of their bytes, and pictures that are composed on first view and kept under `ATLAS/cache`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from app.dependencies import AtlasDoor, check_unit
from app.drawing import shapes, strips
from app.parts import visualizations
from app.parts.examples import examples_of
from app.parts.responses import heat_version
from app.parts.routes import read_way
from app.pictures import compose, thumbs
from app.pictures.filters import filters_of
from app.pictures.heat import heat_strip
from app.pictures.kept import KeptFiles
from app.query import Parameter, Query, finite_number
from app.ready_blobs import IMMUTABLE
from precompute.domain import stable_hash
from precompute.errors import UnknownName, UsageError
from precompute.store.blobs import MEDIA_TYPES
from precompute.store.expanded import kernel_of
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord, ThumbRecord
from precompute.store.responses import example_maps

THUMB_PX = 128
MAX_SHEET_UNITS = 64
_VERSION = Parameter("v", "The version of the picture, as the pages give it")
_SHEET = (_VERSION, Parameter("px", "Side of a tile, 16 to 256", kind="integer"), Parameter("units", "`LAYER:1.2.8-11;LAYER:4`"))
_FILTER = (Parameter("max", "The value that has the full colour", kind="number"),)
_KERNEL = (
    Parameter("max", "The value that has the full colour", kind="number"),
    Parameter("route", "Only the paths over these layers"),
    Parameter("over", "Instead: only the paths that go over no other layers than these"),
)


class Media:
    """The files of an atlas.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door
        self._kept_pictures = KeptFiles(door.settings.atlas / "cache", door.settings.max_composed_bytes)

    def router(self) -> APIRouter:
        """Return the routes of all files."""
        router = APIRouter()
        for path, endpoint in (
            ("/media/strips/{model}/{layer}/{unit}.webp", self.strip),
            ("/media/heat/{model}/{layer}/{unit}.png", self.heat),
            ("/media/pictures/{model}/{layer}/{unit}.webp", self.pictures),
            ("/media/thumbs/{model}/{layer}/{unit}.webp", self.thumb),
            ("/media/sheets/{model}.webp", self.sheet),
            ("/media/kernels/{model}/{source}/{source_unit}/{target}/{target_unit}.png", self.kernel),
            ("/media/filters/{model}/{layer}/{unit}.png", self.rgb_filter),
            ("/media/{name}", self.blob),
        ):
            router.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response)
        return router

    def blob(self, request: Request) -> Response:
        """Answer with a file of the store."""
        Query(request.query_params.multi_items(), ())
        name = str(request.path_params["name"])
        path = self._door.reader().blobs.open_path(name)
        if path is None:
            raise UnknownName("file", name[:80], (), where="This atlas", hint="Files are named by the sha256 of their bytes.")
        headers = {"Cache-Control": IMMUTABLE, "ETag": f'"{path.stem}"'}
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix[1:]], headers=headers)

    def strip(self, request: Request) -> Response:
        """Answer with the strip of all examples of a unit."""
        asked = Query(request.query_params.multi_items(), (_VERSION,)).text("v")
        reader, catalog, layer, unit = self._unit(request)
        payload = next((found.payload for found in reader.artifacts(layer, unit) if found.kind == "examples"), None)
        if payload is None:
            raise UnknownName("strip", str(unit), (), where=f"{layer.name}", hint="The examples of this unit are not built yet.")
        top, others = strips.example_rows(payload)
        stimuli = reader.stimuli(catalog.model, (int(row[0]) for row in [*top, *others]))
        version = strips.version_of(payload, [stimulus.blob_name for stimulus in stimuli.values()])
        key = f"strip|{catalog.model.id}|{layer.name}|{unit}|{version}"
        return self._kept(key, asked == version, lambda: compose.strip(reader, catalog, layer, payload, stimuli))

    def heat(self, request: Request) -> Response:
        """Answer with the activation maps of a unit's examples, to be laid over its strip."""
        asked = Query(request.query_params.multi_items(), (_VERSION,)).text("v")
        reader, catalog, layer, unit = self._unit(request)
        payload = next((found.payload for found in reader.artifacts(layer, unit) if found.kind == "examples"), None)
        found = example_maps(reader, catalog, layer, unit)
        if payload is None or found is None:
            hint = "It is not built yet, or no example of the unit is above zero."
            raise UnknownName("activation map", str(unit), (), where=layer.name, hint=hint)
        shown = examples_of(reader, catalog, layer, unit, payload)
        version = heat_version(shown.strip.url if shown.strip else "", found[2].blob_name)
        headers = {"Cache-Control": IMMUTABLE if asked == version else "no-cache"}
        return Response(heat_strip(catalog, layer, payload, found[0]), headers=headers, media_type="image/png")

    def pictures(self, request: Request) -> Response:
        """Answer with all visualizations of a unit side by side."""
        asked = Query(request.query_params.multi_items(), (_VERSION,)).text("v")
        reader, catalog, layer, unit = self._unit(request)
        found = [artifact.blob_name for artifact in reader.artifacts(layer, unit) if artifact.kind == "visualization"]
        names = [name for name in found if name is not None]
        if not names:
            raise UnknownName("picture", str(unit), (), where=layer.name, hint="This unit has no visualization yet.")
        url, version, layout = visualizations.sheet(catalog.model.id, layer.name, unit, names)
        return self._kept(f"pictures|{url}", asked == version, lambda: compose.pictures(reader, names, layout))

    def thumb(self, request: Request) -> Response:
        """Answer with the small picture of a unit."""
        asked = Query(request.query_params.multi_items(), (_VERSION,)).text("v")
        reader, catalog, layer, unit = self._unit(request)
        found = reader.thumbs(layer, [unit]).get(unit)
        if found is None:
            raise UnknownName("picture", str(unit), (), where=layer.name, hint="Nothing of this unit is built yet.")
        version = thumbs.version_of(catalog.model.dataset_id, found)
        key = f"thumb|{catalog.model.id}|{layer.name}|{unit}|{version}"
        missing = UnknownName("picture", str(unit), (), where=layer.name, hint="`unitscope verify` lists what is gone.")

        def make() -> bytes:
            data = compose.thumb_file(reader, catalog, layer, found, THUMB_PX)
            if data is None:
                raise missing
            return data

        return self._kept(key, asked == version, make)

    def sheet(self, request: Request) -> Response:
        """Answer with the small pictures of many units side by side."""
        query = Query(request.query_params.multi_items(), _SHEET)
        reader = self._door.reader()
        catalog = reader.catalog(str(request.path_params["model"]), reader.revision())
        size_px = query.integer("px", 96, 16, 256)
        units = _parse_units(catalog, query.text("units"))
        found = _thumbs(reader, units)
        pictures = [(layer.name, unit, self._address(catalog, layer, unit, found)) for layer, unit in units]
        cuts = shapes.sheet(catalog.model.id, pictures, size_px)
        is_current = bool(cuts) and all(cut.url.endswith(f"v={query.text('v')}") for cut in cuts.values())
        key = f"sheet|{catalog.model.id}|{size_px}|{sorted(cut.url for cut in cuts.values())}|{len(units)}"
        placed = [(layer, found.get((layer.name, unit))) for layer, unit in units]
        return self._kept(key, is_current, lambda: compose.sheet(reader, catalog, placed, size_px))

    def kernel(self, request: Request) -> Response:
        """Answer with the picture of a kernel."""
        query = Query(request.query_params.multi_items(), _KERNEL)
        reader = self._door.reader()
        catalog = reader.catalog(str(request.path_params["model"]), reader.revision())
        source, target = (catalog.layer(str(request.path_params[end])) for end in ("source", "target"))
        ends = [
            check_unit(layer, str(request.path_params[f"{end}_unit"])) for layer, end in ((source, "source"), (target, "target"))
        ]
        route = read_way(reader, catalog, query, source.name, target.name)
        found = kernel_of(reader, catalog, (source.name, ends[0]), (target.name, ends[1]), route)
        if found is None:
            raise UnknownName("kernel", f"{source.name}/{ends[0]} to {target.name}/{ends[1]}", (), where=catalog.model.id)
        values = found.kernel
        maximum = _maximum(query, float(abs(values).max()))
        etag = f'"{stable_hash(values.tobytes(), *values.shape, maximum):x}"'
        return _composed(request, etag, lambda: compose.kernel(values, maximum))

    def rgb_filter(self, request: Request) -> Response:
        """Answer with the picture of a filter on the image."""
        query = Query(request.query_params.multi_items(), _FILTER)
        reader, _, layer, unit = self._unit(request)
        filters = filters_of(reader, layer)
        if filters is None:
            hint = "Only layers that read the image have filters, once their weights are built."
            raise UnknownName("filter", str(unit), (), where=layer.name, hint=hint)
        values = filters.array[unit]
        maximum = _maximum(query, float(abs(values).max()))
        etag = f'"{stable_hash(filters.blob_name, unit, maximum):x}"'
        return _composed(request, etag, lambda: compose.rgb_filter(values, maximum))

    def _unit(self, request: Request) -> tuple[AtlasReader, Catalog, LayerRecord, int]:
        reader = self._door.reader()
        catalog = reader.catalog(str(request.path_params["model"]), reader.revision())
        layer = catalog.layer(str(request.path_params["layer"]))
        return reader, catalog, layer, check_unit(layer, str(request.path_params["unit"]))

    def _address(self, catalog: Catalog, layer: LayerRecord, unit: int, found: dict[tuple[str, int], ThumbRecord]) -> str | None:
        thumb = found.get((layer.name, unit))
        return None if thumb is None else thumbs.address(catalog.model.id, layer.name, unit, catalog.model.dataset_id, thumb)

    def _kept(self, key: str, is_current: bool, make: Callable[[], bytes]) -> Response:
        """Answer with a composed picture; `is_current` says that the address names this very version."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        headers = {"Cache-Control": IMMUTABLE if is_current else "no-cache"}
        path = self._kept_pictures.find(digest)
        if path is not None:
            return FileResponse(path, media_type="image/webp", headers=headers)
        data = make()
        if is_current:
            self._kept_pictures.keep(digest, data)
        return Response(data, headers=headers, media_type="image/webp")


def _maximum(query: Query, largest: float) -> float:
    """Return the value that has the full colour.

    Raises:
        UsageError: It is no number above zero.
    """
    text = query.text("max")
    maximum = finite_number("max", text) if text else largest or 1.0
    if maximum <= 0:
        raise UsageError(f"max={text!r} is not possible. Give a number above zero.")
    return maximum


def _composed(request: Request, etag: str, make: Callable[[], bytes]) -> Response:
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(make(), headers=headers, media_type="image/png")


def _parse_units(catalog: Catalog, text: str) -> list[tuple[LayerRecord, int]]:
    units: list[tuple[LayerRecord, int]] = []
    for group in text.split(";") if text else []:
        name, colon, runs = group.rpartition(":")
        if not colon:
            raise UsageError(f"units={text[:80]!r} is not a list of units. Write LAYER:1.2.8-11;LAYER:4.")
        layer = catalog.layer(name)
        for run in runs.split("."):
            first, _, last = run.partition("-")
            start = check_unit(layer, first)
            stop = check_unit(layer, last or first) + 1
            units += [(layer, unit) for unit in range(start, min(stop, start + MAX_SHEET_UNITS + 1))]
        if len(units) > MAX_SHEET_UNITS:
            raise UsageError(f"'units' names more than {MAX_SHEET_UNITS} units. Ask for several sheets.")
    if not units:
        raise UsageError("'units' is missing. Write LAYER:1.2.8-11;LAYER:4.")
    return units


def _thumbs(reader: AtlasReader, units: list[tuple[LayerRecord, int]]) -> dict[tuple[str, int], ThumbRecord]:
    by_layer: dict[str, tuple[LayerRecord, list[int]]] = {}
    for layer, unit in units:
        by_layer.setdefault(layer.name, (layer, []))[1].append(unit)
    return {
        (name, unit): thumb
        for name, (layer, indices) in by_layer.items()
        for unit, thumb in reader.thumbs(layer, indices).items()
    }
