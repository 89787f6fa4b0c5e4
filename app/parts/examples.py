"""The dataset examples of a unit, as parts of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app import urls
from app.contexts import Box, Examples, Strip
from app.drawing import strips
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, Json, LayerRecord, StimulusRecord

Row = Sequence[float]


def examples_of(reader: AtlasReader, catalog: Catalog, layer: LayerRecord, unit: int, payload: Json) -> Examples:
    """Return the examples of a unit, each with its place on the unit's strip."""
    top, others = strips.example_rows(payload)
    stimuli = reader.stimuli(catalog.model, (int(row[0]) for row in [*top, *others]))
    blob_names = [stimulus.blob_name for stimulus in stimuli.values()]
    url = urls.strip(catalog.model.id, layer.name, unit, strips.version_of(payload, blob_names))
    places = iter(strips.tiles_of(len(top), len(others)))
    maker = _Maker(catalog, layer, stimuli, url, places)
    ranked = maker.examples(top)
    bottom = maker.examples(payload.get("bottom", []))
    quantiles = [
        {"q": part["q"], "q_low": part.get("q_low"), "items": maker.examples(part["items"])}
        for part in payload.get("quantiles", [])
    ]
    strip = Strip(url=url, width=strips.WIDTH, height=strips.height_of(len(top), len(others))) if top or others else None
    # Checked all at once: one by one, it takes several times as long.
    return Examples.model_validate(
        {
            "top": ranked,
            "bottom": bottom,
            "quantiles": quantiles,
            "random": maker.examples(payload.get("random", [])),
            "num_images": payload.get("num_images", catalog.model.num_images),
            "strip": strip,
        }
    )


class _Maker:
    """Makes examples in the order of the strip."""

    def __init__(
        self,
        catalog: Catalog,
        layer: LayerRecord,
        stimuli: Mapping[int, StimulusRecord],
        strip_url: str,
        places: Iterator[strips.Tile],
    ) -> None:
        self._model = catalog.model
        self._layer = layer
        self._stimuli = stimuli
        self._strip_url = strip_url
        self._places = places

    def examples(self, rows: Sequence[Row]) -> list[Json]:
        """Return the fields of the examples of some rows; an image that the atlas does not have is left out."""
        made = [self._example(rank, row, next(self._places)) for rank, row in enumerate(rows, start=1)]
        return [example for example in made if example is not None]

    def _example(self, rank: int, row: Row, place: strips.Tile) -> Json | None:
        stimulus = self._stimuli.get(int(row[0]))
        if stimulus is None:
            return None
        y, x = int(row[2]), int(row[3])
        y0, x0, y1, x1 = self._layer.spec.box_at(y, x, self._model.input_height, self._model.input_width)
        shown = {"id": stimulus.id, "key": stimulus.key, "label": stimulus.label, "url": urls.stimulus(stimulus.id)}
        return {
            "rank": rank,
            "activation": row[1],
            "pre_activation": row[4] if len(row) > 4 else None,
            "position": {"y": y, "x": x},
            "box": {"y0": y0, "x0": x0, "y1": y1, "x1": x1},
            "stimulus": shown,
            "crop": f"{self._strip_url}#xywh={place.x},{place.y},{place.size},{place.size}",
        }


def box_at(layer: LayerRecord, y: int, x: int, height: int, width: int) -> Box:
    """Return the receptive field of a position as a part of a page."""
    y0, x0, y1, x1 = layer.spec.box_at(y, x, height, width)
    return Box(y0=y0, x0=x0, y1=y1, x1=x1)
