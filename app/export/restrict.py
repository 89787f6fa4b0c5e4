"""What the pages of a part of an atlas show: the units that are in it, and nothing that changes with the time of day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app import urls
from app.contexts import (
    ExplorerPage,
    HomePage,
    LayerPage,
    ModelPage,
    PartnersPage,
    Sprite,
    StimulusPage,
    StimulusUnit,
    UnitPage,
    UnitSample,
)
from app.export.selection import Selection
from app.parts.summaries import unit_sample
from app.pictures.thumbs import thumbnails
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

SAMPLES = 8
MOSAIC = 30
THUMB_PX = 128


@dataclass
class Restricted:
    """Restricts pages to the chosen units.

    Attributes:
        reader: The atlas.
        selection: The chosen units.
        stimuli: The units whose examples an image is, by image; images that only are examples of other kinds have none.
    """

    reader: AtlasReader
    selection: Selection
    stimuli: dict[int, list[StimulusUnit]] = field(default_factory=dict[int, list[StimulusUnit]])

    def home(self, page: HomePage) -> HomePage:
        """Return the start page with the models of the site."""
        cards = [
            card.model_copy(update={"progress": None, "samples": self._mosaic(card.id)})
            for card in page.items
            if card.id in self.selection.units
        ]
        return page.model_copy(update={"items": cards, "total": len(cards)})

    def model(self, pages: Sequence[ModelPage]) -> ModelPage:
        """Return one page of a model, from all pages of its layers, with pictures of the units of the site; all layers stay."""
        first = pages[0]
        layers = [
            layer.model_copy(update={"samples": self._samples(first.id, layer.name, SAMPLES)})
            for page in pages
            for layer in page.layers
        ]
        coverage = [row for page in pages for row in page.coverage]
        return first.model_copy(update={"layers": layers, "coverage": coverage, "next": None, "progress": None})

    def layer(self, pages: Sequence[LayerPage]) -> LayerPage:
        """Return one page of a layer, from all pages of its list, with the units of the site."""
        first = pages[0]
        chosen = self.selection.units[first.model]
        names = list(chosen)
        place = names.index(first.layer)
        items = [item for page in pages for item in page.items if item.index in chosen[first.layer]]
        links = first.links | {
            "previous": urls.layer(first.model, names[place - 1]) if place else None,
            "next": urls.layer(first.model, names[place + 1]) if place + 1 < len(names) else None,
            "everything": None,
        }
        return first.model_copy(update={"items": items, "total": len(items), "next": None, "links": links, "query": {}})

    def unit(self, page: UnitPage) -> UnitPage:
        """Return the page of a unit as it is, and remember which images are examples of it."""
        thumbnail = urls.thumb(page.model, page.layer, page.index, "")
        if page.examples is not None:
            others = [page.examples.bottom, page.examples.random, *(part.items for part in page.examples.quantiles)]
            for example in (example for group in others for example in group):
                self.stimuli.setdefault(example.stimulus.id, [])
            for example in page.examples.top:
                self.stimuli.setdefault(example.stimulus.id, []).append(
                    StimulusUnit(
                        model=page.model,
                        layer=page.layer,
                        unit=page.index,
                        rank=example.rank - 1,  # the page of an image counts from 0
                        activation=example.activation,
                        position=example.position,
                        box=example.box,
                        thumbnail=thumbnail,
                        links={"html": page.links["html"], "self": page.links["self"]},
                    )
                )
        return page

    def explorer(self, page: ExplorerPage) -> ExplorerPage:
        """Return the weight explorer with a picture for each card, in place of one for all."""
        columns = [
            column.model_copy(
                update={
                    "units": [
                        card
                        if card.sprite is None
                        else card.model_copy(update={"sprite": _sprite(page.model, card.layer, card.unit)})
                        for card in column.units
                    ]
                }
            )
            for column in page.columns
        ]
        return page.model_copy(update={"columns": columns})

    def partners(self, page: PartnersPage) -> PartnersPage:
        """Return the first partners of a unit."""
        return page.model_copy(update={"next": None})

    def stimulus(self, page: StimulusPage) -> StimulusPage:
        """Return the page of an image with the units of the site."""
        items = self.stimuli[page.id]
        ordered = self.numbers
        place = bisect_left(ordered, page.id)
        links = page.links | {
            "previous": urls.stimulus(ordered[place - 1]) if place else None,
            "next": urls.stimulus(ordered[place + 1]) if place + 1 < len(ordered) else None,
        }
        return page.model_copy(
            update={"items": items, "total": len(items), "next": None, "layers": [], "num_layers": 0, "links": links, "query": {}}
        )

    @cached_property
    def numbers(self) -> list[int]:
        """Return the images in order; asked for once all units were seen."""
        return sorted(self.stimuli)

    def _mosaic(self, model_id: str) -> list[UnitSample]:
        chosen = self.selection.units[model_id]
        found = [sample for name in chosen for sample in self._samples(model_id, name, SAMPLES) if sample.thumbnail is not None]
        step = max(1, len(found) // MOSAIC)
        return found[::step][:MOSAIC]

    def _samples(self, model_id: str, layer_name: str, count: int) -> list[UnitSample]:
        indices = self.selection.units[model_id].get(layer_name, ())[:count]
        catalog: Catalog = self.reader.catalog(model_id, self.reader.revision())
        pictures = thumbnails(self.reader, catalog, {layer_name: indices})
        return [unit_sample(model_id, layer_name, index, pictures.get((layer_name, index))) for index in indices]


def _sprite(model_id: str, layer_name: str, unit: int) -> Sprite:
    address = urls.thumb(model_id, layer_name, unit, "")
    return Sprite(url=address, x=0, y=0, width=THUMB_PX, height=THUMB_PX, full_width=THUMB_PX, full_height=THUMB_PX)
