"""The client: a model, its units and the weights between them from any Python, as rows, data frames and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote

from app.client.errors import ClientError
from app.client.frames import Library, frame_of_parquet, picture_of
from app.client.rows import EdgeRow, ExampleRow, MetricRow, UnitRow
from app.client.transport import Transport

if TYPE_CHECKING:
    from PIL import Image

Json = dict[str, Any]
Table = Literal["units", "metrics", "examples", "edges"]
API = "/api/v1"


class Client:
    """Asks a unitscope server.

    Args:
        server: Its address, such as `http://127.0.0.1:8000`.
        timeout: Seconds without an answer before giving up.
        retries: How often a busy or silent server is asked again, each time later.
    """

    def __init__(self, server: str = "http://127.0.0.1:8000", *, timeout: float = 30.0, retries: int = 4) -> None:
        self.transport = Transport(server, timeout, retries)

    # -- pages -----------------------------------------------------------------------------------------------------

    def models(self) -> list[Json]:
        """Return all models, as the start page lists them."""
        return list(self.items("/"))

    def model(self, model: str) -> Json:
        """Return a model: its layers (the first, where it has more than a thousand), how far it is, where it comes from."""
        return self.page(f"/models/{_part(model)}")

    def layers(self, model: str) -> list[Json]:
        """Return the layers of a model in order of execution."""
        page = self.model(model)
        layers = cast("list[Json]", page["layers"])
        while page["next"] is not None:
            page = self.page(page["next"])
            layers += page["layers"]
        return layers

    def unit(self, model: str, layer: str, index: int, *, build: str | None = None) -> Json:
        """Return everything about a unit.

        Args:
            model: Id of the model.
            layer: Name of the layer.
            index: Number of the unit.
            build: Only of this build: another one raises `BuildGone`.
        """
        return self.page(f"/models/{_part(model)}/{_part(layer)}/{index}", build=build)

    def partners(
        self, model: str, layer: str, index: int, direction: Literal["inputs", "outputs"], **query: object
    ) -> Iterator[Json]:
        """Yield every partner of a unit in one direction, strongest first; `query` as the page takes it."""
        path = f"/models/{_part(model)}/{_part(layer)}/{index}/weights"
        return self.items(path, direction=direction, limit=query.pop("limit", 500), **query)

    def stimulus(self, stimulus: int) -> Json:
        """Return an image and units that it is a top example of."""
        return self.page(f"/stimuli/{stimulus}")

    def search(self, text: str) -> Iterator[Json]:
        """Yield what a search finds, best first."""
        return self.items("/search", q=text)

    def page(self, path: str, **query: object) -> Json:
        """Return the twin of any page.

        Args:
            path: Address of the page, with or without `/api/v1`.
            query: Its query parameters.
        """
        found = self.transport.get_json(path if path.startswith(f"{API}/") else API + path, query)
        if not isinstance(found, dict):
            raise ClientError(f"{path} is not a page.")
        return cast("Json", found)

    def items(self, path: str, **query: object) -> Iterator[Json]:
        """Yield the items of a list over all its pages."""
        page = self.page(path, **query)
        while True:
            yield from page["items"]
            if page["next"] is None:
                return
            page = self.page(page["next"])

    # -- rows ------------------------------------------------------------------------------------------------------

    def units(self, model: str, **filters: object) -> Iterator[UnitRow]:
        """Yield all units with their metrics; `filters` as the API takes them, `min_NAME` and `max_NAME` for metrics."""
        return cast("Iterator[UnitRow]", self._rows(model, "units", filters))

    def metrics(self, model: str, **filters: object) -> Iterator[MetricRow]:
        """Yield all metrics of all units."""
        return cast("Iterator[MetricRow]", self._rows(model, "metrics", filters))

    def examples(self, model: str, **filters: object) -> Iterator[ExampleRow]:
        """Yield the examples of all units."""
        return cast("Iterator[ExampleRow]", self._rows(model, "examples", filters))

    def edges(self, model: str, **filters: object) -> Iterator[EdgeRow]:
        """Yield the weights between units of directly connected layers."""
        return cast("Iterator[EdgeRow]", self._rows(model, "edges", filters))

    def frame(self, model: str, table: Table, *, library: Library = "pandas", **filters: object) -> Any:
        """Return a whole table as a data frame of pandas or polars.

        Raises:
            MissingLibrary: The library is not installed here.
            Refused: The server has no pyarrow (501).
        """
        data = self.transport.get_bytes(f"{API}/models/{_part(model)}/{table}.parquet", _filters(filters))
        return frame_of_parquet(data, library)

    def _rows(self, model: str, table: Table, filters: Mapping[str, object]) -> Iterator[Any]:
        return self.transport.lines(f"{API}/models/{_part(model)}/{table}.jsonl", _filters(filters))

    # -- pictures --------------------------------------------------------------------------------------------------

    def picture(self, address: str) -> Image.Image:
        """Return the picture at an address that a twin gives; of a tile (`…#xywh=…`), only that part."""
        path, _, fragment = address.partition("#")
        found = picture_of(self.transport.get_bytes(path))
        if not fragment.startswith("xywh="):
            return found
        x, y, width, height = (int(number) for number in fragment.removeprefix("xywh=").split(","))
        return found.crop((x, y, x + width, y + height))

    def visualization(self, model: str, layer: str, index: int) -> Image.Image | None:
        """Return the first feature visualization of a unit, or None where it has none."""
        found = self.unit(model, layer, index)["visualizations"]
        address = next((one["image"] for one in found if one["image"] is not None), None)
        return None if address is None else self.picture(address)

    def top_examples(self, model: str, layer: str, index: int, count: int = 9) -> list[Image.Image]:
        """Return what the unit sees in the images that excite it most, the strongest first."""
        examples = self.unit(model, layer, index)["examples"]
        crops = [example["crop"] for example in examples["top"][:count]] if examples else []
        strips: dict[str, Image.Image] = {}
        found: list[Image.Image] = []
        for crop in crops:
            path, _, fragment = crop.partition("#xywh=")
            if path not in strips:
                strips[path] = self.picture(path)
            x, y, width, height = (int(number) for number in fragment.split(","))
            found.append(strips[path].crop((x, y, x + width, y + height)))
        return found


def _part(name: str) -> str:
    return quote(name, safe="")


def _filters(filters: Mapping[str, object]) -> dict[str, object]:
    """Return filters as the address says them: `min_max` is `min.max`, which is no name in Python."""
    found: dict[str, object] = {}
    for name, value in filters.items():
        begins = name.startswith(("min_", "max_"))
        found[f"{name[:3]}.{name[4:]}" if begins else name] = value
    return found
