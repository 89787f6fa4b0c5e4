"""What other sites ask for to show a page of this one: cards (pictures) and oEmbed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app import urls
from app.dependencies import AtlasDoor, check_unit
from app.parts.share import EMBED_SIZES, embed_code, title_of
from app.pictures import cards
from app.pictures.kept import KeptFiles
from app.query import Parameter, Query
from precompute.errors import NotOffered, UnknownName, UsageError
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, LayerRecord

IMMUTABLE = "public, max-age=31536000, immutable"
_VERSION = Parameter("v", "The version of the picture, as the pages give it")
_OEMBED = (
    Parameter("url", "The address of a unit, a layer or the weights of a unit"),
    Parameter("maxwidth", "Largest width in pixels", kind="integer"),
    Parameter("maxheight", "Largest height in pixels", kind="integer"),
    Parameter("format", "`json`"),
)
_PATH = re.compile(r"/models/(?P<model>[^/]+)/(?P<layer>[^/]+)(?:/(?P<unit>[0-9]+)(?P<weights>/weights)?)?")


class Sharing:
    """The routes.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door
        settings = door.settings
        self._kept = KeptFiles(settings.atlas / "cache" / "cards", settings.max_composed_bytes // 8, "png")

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        for path, endpoint in (
            ("/media/cards/{model}/{layer}/{unit}.png", self.unit_card),
            ("/media/cards/{model}/{layer}.png", self.layer_card),
            ("/oembed", self.oembed),
        ):
            router.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response)
        return router

    def unit_card(self, request: Request) -> Response:
        """Answer with the card of a unit."""
        reader, catalog, layer = self._layer(request)
        unit = check_unit(layer, str(request.path_params["unit"]))
        version = cards.unit_card_version(reader, catalog, layer, unit)
        key = f"unit|{catalog.model.id}|{layer.name}|{unit}|{version}"
        return self._card(request, key, version, lambda: cards.unit_card(reader, catalog, layer, unit))

    def layer_card(self, request: Request) -> Response:
        """Answer with the card of a layer."""
        reader, catalog, layer = self._layer(request)
        version = cards.layer_card_version(catalog, layer)
        key = f"layer|{catalog.model.id}|{layer.name}|{version}|{reader.revision()}"
        return self._card(request, key, None, lambda: cards.layer_card(reader, catalog, layer))

    def _layer(self, request: Request) -> tuple[AtlasReader, Catalog, LayerRecord]:
        reader = self._door.reader()
        catalog = reader.catalog(str(request.path_params["model"]), reader.revision())
        return reader, catalog, catalog.layer(str(request.path_params["layer"]))

    def _card(self, request: Request, key: str, version: str | None, make: Callable[[], bytes]) -> Response:
        asked = Query(request.query_params.multi_items(), (_VERSION,)).text("v")
        is_current = version is not None and asked == version
        headers = {"Cache-Control": IMMUTABLE if is_current else "no-cache"}
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        data = self._kept.read(digest)
        if data is None:
            data = make()
            self._kept.keep(digest, data)
        return Response(data, headers=headers, media_type="image/png")

    def oembed(self, request: Request) -> Response:
        """Answer how a page is shown in another one (oEmbed 1.0, type `rich`)."""
        query = Query(request.query_params.multi_items(), _OEMBED)
        base = self._door.settings.public_url
        if base is None:
            raise NotOffered(
                "This server has not been told its public address, so it cannot say how to embed its pages. "
                "Start it with `unitscope serve --public-url https://…`."
            )
        if query.text("format", "json") != "json":
            raise NotOffered("Only format=json is offered.")
        name, path, values, title, card = self._named(query.text("url"), base)
        width, height = EMBED_SIZES[name]
        width = min(width, query.integer("maxwidth", width, 1, 100_000))
        height = min(height, query.integer("maxheight", height, 1, 100_000))
        body = {
            "version": "1.0",
            "type": "rich",
            "title": title,
            "provider_name": "unitscope",
            "provider_url": f"{base}/",
            "cache_age": 3600,
            "html": embed_code(name, base + urls.with_query(path, values | {"embed": "1"}), title, width, height),
            "width": width,
            "height": height,
        }
        if card is not None and width >= cards.WIDTH // 2:
            body |= {"thumbnail_url": base + card, "thumbnail_width": cards.WIDTH, "thumbnail_height": cards.HEIGHT}
        return JSONResponse(body, headers={"Cache-Control": "no-cache"})

    def _named(self, address: str, base: str) -> tuple[str, str, dict[str, str], str, str | None]:
        """Return the name of a page, its path and query, its title and its card."""
        if not address:
            raise UsageError("'url' is missing: the address of a unit, a layer or the weights of a unit.")
        split = urlsplit(address.removeprefix(base))
        match = _PATH.fullmatch(split.path)
        if split.netloc or split.scheme or match is None:
            raise UnknownName("page to embed", address[:120], (), hint=f"Addresses look like {base}/models/MODEL/LAYER/UNIT.")
        reader = self._door.reader()
        catalog = reader.catalog(unquote(match["model"]), reader.revision())
        layer = catalog.layer(unquote(match["layer"]))
        values = {key: value for key, value in parse_qsl(split.query) if key != "embed"}
        if match["unit"] is None:
            card = urls.layer_card(catalog.model.id, layer.name, cards.layer_card_version(catalog, layer))
            title = title_of("layer", catalog.model.title, layer.name, None)
            return "layer", urls.layer(catalog.model.id, layer.name), values, title, card
        unit = check_unit(layer, match["unit"])
        label = reader.labels(layer, [unit]).get(unit)
        card = urls.unit_card(catalog.model.id, layer.name, unit, cards.unit_card_version(reader, catalog, layer, unit))
        name = "weights" if match["weights"] else "unit"
        path = (urls.weights if match["weights"] else urls.unit)(catalog.model.id, layer.name, unit)
        return name, path, values, title_of(name, catalog.model.title, layer.name, unit, label), card
