"""Where in its examples is a unit active?

Read the map over the photograph: bright where the unit is active, dark where it is silent. All maps of a unit share one scale,
from zero to the activation of its strongest example, so that a weak example looks weak.

Maps of more than 14 positions a side are brought to 14 by the largest activation in each part: peaks keep their height, small
ones look broader than they are. Activations below zero, of units without a rectifier, are shown as zero. Only the strongest
examples and those over the range have maps; units without a map of two dimensions have none.

Failure modes: a position sees its whole receptive field, which in late layers is most of the image: a bright place is where
the map is active, not necessarily what it is active for.

Paper: maps of units over images as in Zhou et al., "Object Detectors Emerge in Deep Scene CNNs", ICLR 2015,
https://arxiv.org/abs/1412.6856.
"""

from __future__ import annotations

from collections.abc import Iterator

from precompute.activations.example_maps import ExampleMaps, has_maps, map_side
from precompute.domain import EXAMPLE_MAPS, EXAMPLE_SCALES, Artifact, Result
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem
from precompute.techniques.responses import npy

MAPS_PER_UNIT = 48


@TECHNIQUES.register("activation_maps")
class ActivationMaps(Technique):
    """The activation maps of a unit's examples."""

    name = "activation_maps"
    title = "Activation maps of examples"
    position = 25
    summary = "Where in its strongest images, and in those over the range, the unit is active."
    needs_examples = True
    needs = ("dataset_examples",)

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer with a map."""
        items = []
        for layer in context.layers:
            if has_maps(layer):
                height, width = map_side(layer)
                items.append(
                    WorkItem(layer.name, range(layer.num_units), num_bytes=layer.num_units * MAPS_PER_UNIT * height * width)
                )
        return items

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the maps of a layer and the scale of each unit."""
        found = context.observations[item.layer]
        if not isinstance(found, ExampleMaps):
            raise TypeError(f"nobody looked at the examples of {item.layer}")
        payload = {"map_size": list(found.maps.shape[2:]), "reduction": "largest", "order": "top, quantiles"}
        yield Artifact(item.layer, None, self.name, EXAMPLE_MAPS, 0, payload, npy(found.maps))
        yield Artifact(item.layer, None, self.name, EXAMPLE_SCALES, 0, {}, npy(found.largest))
