"""The graph of the weight explorer: which units and weights a state shows, in columns by order of execution."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from app import urls
from app.contexts import ExplorerColumn, ExplorerEdge, ExplorerUnit, Sprite
from app.drawing.shapes import SHEET_TILES, Cut, sheet
from app.explorer.bypass import BypassingWeights
from app.explorer.order import order_columns
from app.explorer.query import UnitKey
from app.explorer.state import MAX_CARDS, ExplorerState
from app.explorer.weights import Ends, StoredWeights, WeightSource
from app.parts.partners import nested
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from precompute.store.arrays import Direction
from precompute.store.partners import PartnerWeight
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

MAX_EDGES = 2000
SPRITE_PX = 128


class Explorer:
    """Finds the cards and weights of a state.

    A card is shown where a chain of unfolded cards leads to it from the unit of the page or from a pinned card. So the state
    says what is shown whatever order it was reached in, and folding a card hides what it alone had brought.

    Args:
        reader: The atlas.
        catalog: The model.
        state: What to show.
    """

    def __init__(self, reader: AtlasReader, catalog: Catalog, state: ExplorerState) -> None:
        self._reader = reader
        self._catalog = catalog
        self._state = state
        self._source = weight_source(reader, catalog, state)
        self._cards: dict[UnitKey, None] = dict.fromkeys((state.start, *state.pin))
        self._weights: dict[Ends, PartnerWeight] = {}
        self._num_left_out = 0
        self._num_edges_left_out = 0
        self._unfold()
        if state.is_between:
            self._add_between()

    @property
    def keys(self) -> list[UnitKey]:
        """Return the cards that are shown, in the order in which they are reached."""
        return list(self._cards)

    def bypassed(self) -> list[str]:
        """Return the layers of the model that weights lead past, in order of execution."""
        return self._source.bypassed

    def bypass_words(self) -> str | None:
        """Return in one line which layers weights lead past, or None where bottlenecks are shown."""
        if self._state.bypass == "0":
            return None
        which = "depthwise layers, whose units read one unit each"
        if self._state.bypass == "1":
            which += ", and layers with fewer units than what they read and than what reads them"
        count = len(self.bypassed())
        said = "1 layer is a bottleneck and has" if count == 1 else f"{count} layers are bottlenecks and have"
        if not count:
            said = "No layer is a bottleneck that would have"
        return f"{said} no column here: {which}. Weights are composed over them."

    def notes(self) -> list[str]:
        """Return what could not be shown, and how to go on."""
        found: list[str] = []
        if self._num_left_out:
            found.append(
                f"{MAX_CARDS} cards are shown, which is the most; {self._num_left_out} more partners are left out. "
                "Show fewer partners of each card, raise the threshold, fold some cards, or start from another unit."
            )
        if self._num_edges_left_out:
            found.append(
                f"The {MAX_EDGES:,} strongest weights are drawn, which is the most; {self._num_edges_left_out:,} are left out. "
                "Raise the threshold to see the strong ones alone."
            )
        return found

    def columns(self) -> list[ExplorerColumn]:
        """Return the columns in order of execution, the cards of each so that few lines cross."""
        by_layer: dict[str, list[UnitKey]] = {}
        for key in self._cards:
            by_layer.setdefault(key[0], []).append(key)
        layers = sorted(by_layer, key=lambda name: self._catalog.layers[name].spec.position)
        ordered = order_columns([by_layer[name] for name in layers], self._weights)
        middle = layers.index(self._state.start[0])
        labels = {
            name: self._reader.labels(self._catalog.layers[name], [unit for _, unit in keys]) for name, keys in by_layer.items()
        }
        pictures = thumbnails(self._reader, self._catalog, {name: [unit for _, unit in keys] for name, keys in by_layer.items()})
        cuts = self._sprites(pictures)
        return [
            ExplorerColumn(
                layer=name,
                depth=place - middle,
                units=[self._unit(key, labels[name].get(key[1]), pictures.get(key), cuts.get(key)) for key in ordered[place]],
            )
            for place, name in enumerate(layers)
        ]

    def edges(self) -> list[ExplorerEdge]:
        """Return the weights between cards, weakest first, so that the strong ones are drawn on top."""
        ordered = sorted(self._weights.items(), key=lambda item: (item[1].share or 0.0, item[1].norm, item[0]))
        return [self._edge(source, target, weight) for (source, target), weight in ordered]

    def _unfold(self) -> None:
        state = self._state
        sides: Sequence[tuple[Direction, frozenset[UnitKey]]] = (
            ("inputs", frozenset(state.inputs)),
            ("outputs", frozenset(state.outputs)),
        )
        waiting = deque(self._cards)
        while waiting:
            key = waiting.popleft()
            for side, unfolded in sides:
                if key in unfolded:
                    waiting.extend(self._unfold_side(key, side))

    def _unfold_side(self, key: UnitKey, side: Direction) -> list[UnitKey]:
        """Add the partners of a card and the weights to them; return the cards that were not there before."""
        found: list[UnitKey] = []
        for weight in self._source.partners(key, side, self._state.top):
            other = (weight.layer, weight.unit)
            if other in self._state.hide or (weight.share or 0.0) < self._state.minimum:
                continue
            if other not in self._cards:
                if len(self._cards) >= MAX_CARDS:
                    self._num_left_out += 1
                    continue
                self._cards[other] = None
                found.append(other)
            self._weights[(other, key) if side == "inputs" else (key, other)] = weight
        return found

    def _add_between(self) -> None:
        room = max(0, MAX_EDGES - len(self._weights))
        found, count = self._source.between(self._cards, self._state.minimum, room, self._weights)
        self._num_edges_left_out = count - len(found)
        self._weights |= {(source, target): weight for source, target, weight in found}

    def _sprites(self, pictures: dict[UnitKey, str]) -> dict[UnitKey, Cut]:
        """Return where the picture of each card is; sheets follow the order of reaching, so that the first stay as they are."""
        found: dict[UnitKey, Cut] = {}
        keys = list(self._cards)
        for start in range(0, len(keys), SHEET_TILES):
            units = [(*key, pictures.get(key)) for key in keys[start : start + SHEET_TILES]]
            found |= sheet(self._catalog.model.id, units, SPRITE_PX)
        return found

    def _unit(self, key: UnitKey, label: str | None, thumbnail: str | None, cut: Cut | None) -> ExplorerUnit:
        layer, unit = key
        model_id, state = self._catalog.model.id, self._state
        return ExplorerUnit(
            layer=layer,
            unit=unit,
            label=label,
            thumbnail=thumbnail,
            sprite=None if cut is None else Sprite(**vars(cut)),
            is_start=key == state.start,
            is_pinned=key in state.pin,
            has_inputs=self._source.has_partners(layer, "inputs"),
            has_outputs=self._source.has_partners(layer, "outputs"),
            inputs_unfolded=key in state.inputs,
            outputs_unfolded=key in state.outputs,
            links=page_links(urls.unit(model_id, layer, unit), weights=urls.weights(model_id, layer, unit)),
        )

    def _edge(self, source: UnitKey, target: UnitKey, weight: PartnerWeight) -> ExplorerEdge:
        found = self._source.kernel(source, target)
        over = self._source.over(source[0], target[0])
        values = None if found is None else nested(found.kernel)
        image = None
        if found is not None and values is None:
            image = urls.kernel(self._catalog.model.id, source, target, float(abs(found.kernel).max()) or 1.0, over=over)
        return ExplorerEdge(
            source_layer=source[0],
            source_unit=source[1],
            target_layer=target[0],
            target_unit=target[1],
            norm=weight.norm,
            sum=weight.sum,
            share=weight.share,
            contribution=weight.contribution,
            exact=None if found is None else found.is_exact,
            over=over,
            kernel=values,
            image=image,
        )


def weight_source(reader: AtlasReader, catalog: Catalog, state: ExplorerState) -> WeightSource:
    """Return where the weights of a state come from.

    Args:
        reader: The atlas.
        catalog: The model.
        state: What to show.
    """
    if state.bypass == "0":
        return StoredWeights(reader, catalog, state.ranking, state.sign)
    is_narrow = state.bypass == "1"
    return BypassingWeights(reader, catalog, state.ranking, state.sign, shown=state.start[0], is_narrow=is_narrow)
