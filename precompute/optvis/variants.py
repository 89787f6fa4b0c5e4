"""Which pictures a unit has: objective, side, quality, seed and facets, as words and as a place on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from precompute.domain import LayerSpec
from precompute.errors import UsageError
from precompute.optvis.objectives import REDUCTIONS, SIGNS, Objective, Reduction, Sign, UnitValue
from precompute.optvis.recipe import Quality
from precompute.optvis.tensor_objectives import Facets

ObjectiveName = Literal["channel", "neuron", "diversity"]
Renderer = Literal["unitscope", "maco", "lucent"]
"""Who makes a picture: this program, from a free spectrum or (`maco`) from that of the images; or Lucent."""
RENDERERS: tuple[Renderer, ...] = get_args(Renderer)
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
NUM_FACETS = 4
NEURON_LEADS_PX = 16
"""Below this receptive field a unit's leading picture is that of one position."""
SEED_PLACE, FACET_PLACE = 4, 8
RENDERER_PLACES: dict[Renderer, int] = {"unitscope": 0, "lucent": 16, "maco": 24}
_TEXT = re.compile(r"(channel|neuron|diversity) (positive|negative) (draft|final)(?: seed ([1-9]))?(?: by (maco|lucent))?")


def reductions_of(layer: LayerSpec) -> tuple[Reduction, ...]:
    """Return the objectives that say something about a layer, the leading one first.

    Without positions both read the same number. Where nothing but linear operations lies between the image and the unit,
    the mean over positions depends on the mean colour alone, and says nothing about the pattern; where there is little more
    than that between, the mean is driven by the border of the canvas, and one position shows the pattern far better.
    """
    if not layer.map_size:
        return ("channel",)
    if not layer.inputs and len(layer.map_size) == 2:
        return ("neuron",)
    if layer.receptive_field_px is not None and layer.receptive_field_px < NEURON_LEADS_PX:
        return ("neuron", "channel")
    return ("channel", "neuron")


@dataclass(frozen=True)
class Variant:
    """One of the pictures, or sets of facets, that a unit has.

    Attributes:
        objective: `channel`, `neuron`, or `diversity`: several facets of what leads the layer.
        sign: Which side.
        quality: How much work goes into it.
        seed_offset: Added to the seed of the build.
        renderer: Who makes it; others than `unitscope` are for comparison.
    """

    objective: ObjectiveName
    sign: Sign
    quality: Quality
    seed_offset: int = 0
    renderer: Renderer = "unitscope"

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read the text that `str` gives.

        >>> Variant.parse("neuron negative draft").sign
        'negative'

        Raises:
            UsageError: The text names no variant.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not a picture. Write for example 'channel positive draft' or 'neuron negative final'.")
        objective: ObjectiveName = OBJECTIVES[[*OBJECTIVES].index(match[1])]
        sign: Sign = SIGNS[[*SIGNS].index(match[2])]
        quality: Quality = "draft" if match[3] == "draft" else "final"
        return cls(
            objective, sign, quality, int(match[4] or 0), RENDERERS[RENDERERS.index(match[5])] if match[5] else "unitscope"
        )

    def __str__(self) -> str:
        words = f"{self.objective} {self.sign} {self.quality}"
        words = f"{words} seed {self.seed_offset}" if self.seed_offset else words
        return words if self.renderer == "unitscope" else f"{words} by {self.renderer}"

    @property
    def num_facets(self) -> int:
        """Return how many pictures it is."""
        return NUM_FACETS if self.objective == "diversity" else 1

    def reduction(self, layer: LayerSpec) -> Reduction:
        """Return how positions become one number: that of the objective, or the layer's leading one for facets."""
        return reductions_of(layer)[0] if self.objective == "diversity" else self.objective

    def is_leading(self, layer: LayerSpec) -> bool:
        """Return whether it is the picture that stands for a unit: the one that its metrics speak of."""
        return self.objective == reductions_of(layer)[0] and str(self) == f"{self.objective} positive {self.quality}"

    def place_on_page(self, layer: LayerSpec, facet: int = 0) -> int:
        """Return its place among a unit's pictures, which a better one of the same kind takes over.

        The layer's leading objective up, the other up, then both down; then other seeds, then facets.
        """
        if self.renderer != "unitscope":
            return RENDERER_PLACES[self.renderer] + replace(self, renderer="unitscope").place_on_page(layer)
        if self.objective == "diversity":
            return FACET_PLACE + facet
        if self.seed_offset:
            return SEED_PLACE + self.seed_offset - 1
        return SIGNS.index(self.sign) * len(REDUCTIONS) + reductions_of(layer).index(self.objective)

    def objective_of(self, layer: LayerSpec, unit: int) -> Objective:
        """Return what the pictures of a unit are optimised for."""
        value = self.value_of(layer, unit)
        return Facets(value, self.num_facets) if self.objective == "diversity" else value

    def value_of(self, layer: LayerSpec, unit: int) -> Objective:
        """Return what one picture of a unit is scored by: its pre-activation, negated on the negative side."""
        value = UnitValue(layer.name, unit, self.reduction(layer))
        return value if self.sign == "positive" else -value


def variants_of(layer: LayerSpec, quality: Quality, renderer: Renderer = "unitscope") -> list[Variant]:
    """Return the pictures of each unit of a layer, the leading one first and the costly ones last.

    Facets cost as much as four pictures, so only a `final` build has them. Of other renderers there is the leading one.
    """
    reductions = reductions_of(layer)
    if renderer != "unitscope":
        return [Variant(reductions[0], "positive", quality, renderer=renderer)]
    found = [Variant(reduction, sign, quality) for sign in SIGNS for reduction in reductions]
    found.append(Variant(reductions[0], "positive", quality, seed_offset=1))
    if quality == "final" and layer.map_size:
        found.append(Variant("diversity", "positive", quality))
    return found
