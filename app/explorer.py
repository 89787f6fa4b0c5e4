"""What the weight explorer shows: units in columns by their distance from the middle, and the weights between them."""

from __future__ import annotations

from collections.abc import Iterable

from app import urls
from app.contexts import ExplorerColumn, ExplorerEdge, ExplorerUnit
from app.dependencies import check_unit
from app.partners import nested, strongest
from app.summaries import page_links
from app.thumbs import thumbnails
from precompute.errors import UsageError
from precompute.store.arrays import Direction, PartnerWeight, kernel_between
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

UnitKey = tuple[str, int]
MAX_OPEN = 12
MAX_UNITS = 160


class Explorer:
    """Unfolds a unit.

    Args:
        reader: The atlas.
        catalog: The model.
        middle: The unit in the middle.
        top: How many partners of each unit are shown.
        opened: Units to unfold further, as the query says.

    Raises:
        UsageError: The list of units to unfold is not one.
    """

    def __init__(self, reader: AtlasReader, catalog: Catalog, middle: UnitKey, top: int, opened: str) -> None:
        self._reader = reader
        self._catalog = catalog
        self._middle = middle
        self._top = top
        self._open = self._parse(opened)
        self._units: dict[int, list[UnitKey]] = {0: [middle]}
        self._weights: dict[tuple[int, UnitKey, UnitKey], PartnerWeight] = {}
        self._unfold([middle], "inputs", -1, depth=0)
        self._unfold([middle], "outputs", 1, depth=0)

    def open_texts(self) -> list[str]:
        """Return the units that are unfolded, as the query says them."""
        return [f"{layer}/{unit}" for layer, unit in self._open]

    def columns(self) -> list[ExplorerColumn]:
        """Return the columns from left to right."""
        units: dict[str, set[int]] = {}
        for keys in self._units.values():
            for layer, unit in keys:
                units.setdefault(layer, set()).add(unit)
        pictures = thumbnails(self._reader, self._catalog, units)
        labels = {name: self._reader.labels(self._catalog.layers[name], indices) for name, indices in units.items()}
        return [
            ExplorerColumn(depth=depth, units=[self._unit(key, depth, labels, pictures.get(key)) for key in self._units[depth]])
            for depth in sorted(self._units)
        ]

    def edges(self) -> list[ExplorerEdge]:
        """Return the weights between neighbouring columns, weakest first, so that the strong ones are drawn on top."""
        ordered = sorted(self._weights.items(), key=lambda item: item[1].norm)
        return [self._edge(depth, source, target, weight) for (depth, source, target), weight in ordered]

    def _unfold(self, keys: list[UnitKey], direction: Direction, sign: int, depth: int) -> None:
        found: dict[UnitKey, None] = {}
        weights: dict[tuple[int, UnitKey, UnitKey], PartnerWeight] = {}
        for layer_name, unit in keys:
            layer = self._catalog.layers[layer_name]
            for weight in strongest(self._reader, self._catalog, layer, [unit], direction, self._top)[unit]:
                other = (weight.layer, weight.unit)
                ends = (other, (layer_name, unit)) if sign < 0 else ((layer_name, unit), other)
                weights[depth - 1 if sign < 0 else depth, *ends] = weight
                found.setdefault(other)
        if not found or sum(len(column) for column in self._units.values()) + len(found) > MAX_UNITS:
            return
        self._weights |= weights
        self._units[depth + sign] = list(found)
        further = [key for key in found if key in self._open]
        if further:
            self._unfold(further, direction, sign, depth + sign)

    def _unit(self, key: UnitKey, depth: int, labels: dict[str, dict[int, str | None]], thumbnail: str | None) -> ExplorerUnit:
        layer, unit = key
        model_id = self._catalog.model.id
        is_open = key in self._open
        rest = [other for other in self._open if other != key] if is_open else [*self._open, key]
        toggle = None
        spec = self._catalog.layers[layer].spec
        has_more = depth != 0 and bool(spec.inputs if depth < 0 else spec.outputs)
        if has_more and len(rest) <= MAX_OPEN:
            listed = ",".join(f"{name}/{index}" for name, index in rest) or None
            toggle = urls.weights(model_id, *self._middle, top=self._top, open=listed)
        links = page_links(urls.unit(model_id, layer, unit), weights=urls.weights(model_id, layer, unit), toggle=toggle)
        return ExplorerUnit(
            layer=layer, unit=unit, label=labels[layer].get(unit), thumbnail=thumbnail, is_open=is_open, links=links
        )

    def _edge(self, depth: int, source: UnitKey, target: UnitKey, weight: PartnerWeight) -> ExplorerEdge:
        link = self._catalog.link(source[0], target[0])
        kernel = None if link is None else kernel_between(self._reader, link, source[1], target[1])
        return ExplorerEdge(
            source_layer=source[0],
            source_unit=source[1],
            target_layer=target[0],
            target_unit=target[1],
            source_depth=depth,
            norm=weight.norm,
            sum=weight.sum,
            exact=None if link is None else link.is_exact,
            kernel=nested(kernel),
        )

    def _parse(self, text: str) -> list[UnitKey]:
        parts = [part for part in text.split(",") if part]
        if len(parts) > MAX_OPEN:
            raise UsageError(f"'open' names {len(parts)} units; at most {MAX_OPEN} can be unfolded at once.")
        return list(dict.fromkeys(self._parse_units(parts)))

    def _parse_units(self, parts: Iterable[str]) -> Iterable[UnitKey]:
        for part in parts:
            name, slash, index = part.rpartition("/")
            if not slash:
                raise UsageError(
                    f"open={part[:80]!r} is not a unit. Write LAYER/UNIT, for example {self._middle[0]}/{self._middle[1]}."
                )
            yield name, check_unit(self._catalog.layer(name), index)
