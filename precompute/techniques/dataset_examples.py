"""Which images excite a unit most, which least, and what does it see in between?

Read the top row first, then check it against the rest: a unit is understood when the quantile and random rows make sense too.
The box is the theoretical receptive field around the position where the unit answered most.

Failure modes: the top few images of a unit with several meanings often show only one of them (hence the quantiles); at
most three crops of one photograph are listed, or a small set of photographs would fill the row; quantile and random rows
come from a sample of 128 images fixed before the pass; where a nonlinearity saturates, ties are broken by the
pre-activation.

Paper: Bau et al., "Network Dissection", CVPR 2017, https://arxiv.org/abs/1704.05796, for the top images; Bolukbasi et al.,
"An Interpretability Illusion for BERT", 2021, https://arxiv.org/abs/2104.07143, for why the top alone misleads.
"""

from __future__ import annotations

from collections.abc import Iterator

from precompute.activations.observation import Found, LayerObservation
from precompute.domain import Artifact, Result, TopStimulus
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem


@TECHNIQUES.register("dataset_examples")
class DatasetExamples(Technique):
    """Images over the whole range of a unit's activation."""

    name = "dataset_examples"
    title = "Dataset examples"
    position = 20
    summary = "Photographs over the whole range of the unit's activation: strongest, in between, at random, weakest."
    needs_pass = True

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer."""
        return [WorkItem(layer.name, range(layer.num_units), num_bytes=6000 * layer.num_units) for layer in context.layers]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the examples of every unit, and the index from stimuli to units."""
        observation = context.observations[item.layer]
        if not isinstance(observation, LayerObservation):
            raise TypeError(f"the pass saw nothing of {item.layer}")
        for unit in item.units:
            top = observation.top_of(unit)
            payload = {
                "num_images": observation.num_images,
                "top": [_row(found) for found in top],
                "bottom": [_row(found) for found in observation.bottom_of(unit)],
                "quantiles": [
                    {"q_low": low, "q": high, "items": [_row(found) for found in members]}
                    for low, high, members in observation.quantiles_of(unit, context.seed)
                ],
                "random": [_row(found) for found in observation.random_of(unit, context.seed)],
            }
            yield Artifact(item.layer, unit, self.name, "examples", 0, payload)
            for rank, found in enumerate(top):
                yield TopStimulus(item.layer, unit, found.stimulus, rank, found.activation)


def _row(found: Found) -> list[float | int | None]:
    y, x = found.position
    return [found.stimulus, found.activation, y, x, found.pre_activation]
