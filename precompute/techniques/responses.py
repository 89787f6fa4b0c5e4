"""What does a unit answer to whole images, and to which labels?

The profile of a unit is its mean activation over positions on each of a fixed sample of the images (all, up to 1,024), drawn
from the dataset alone: the profiles of two models that were shown the same images can be compared image by image. Means do not
saturate where the largest activations of many images are at a ceiling (relu6). Where the images have labels, the mean
activation by label is taken over all images.

Failure modes: a mean over positions says nothing of where, and a small pattern on a large map raises it little. Crops of one
photograph are much alike, so 24 labels that are photographs are told apart by anything that differs between photographs: eta²
far above its control then says that the unit sees photographs differently, not that it knows what they show.

Paper: eta² is the correlation ratio of Fisher, "Statistical Methods for Research Workers", 1925; the class selectivity of
units by their mean activation for each class goes back to Morcos et al., "On the importance of single directions for
generalization", ICLR 2018, https://arxiv.org/abs/1803.06959.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from precompute.activations.observation import LayerObservation
from precompute.activations.responses import MAX_PROFILE_IMAGES, LabelResponses, Responses
from precompute.domain import LABEL_RESPONSES, PROFILE, PROFILE_IMAGES, Artifact, BlobData, Result
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem

_LARGEST_HALF = 32768.0


@TECHNIQUES.register("responses")
class ResponsesToImages(Technique):
    """Mean activation by image and by label."""

    name = "responses"
    title = "Responses to images"
    position = 50
    summary = "How strongly the unit answers to whole images, and to the images of each label."
    needs_pass = True

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer."""
        return [
            WorkItem(layer.name, range(layer.num_units), num_bytes=2 * MAX_PROFILE_IMAGES * layer.num_units)
            for layer in context.layers
        ]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the profiles of a layer, their images, and the responses by label where there are labels."""
        observation = context.observations[item.layer]
        if not isinstance(observation, LayerObservation):
            raise TypeError(f"the pass saw nothing of {item.layer}")
        responses = observation.responses
        yield _profile(item.layer, responses)
        payload = {"num_images": len(responses.plan.members)}
        yield Artifact(item.layer, None, self.name, PROFILE_IMAGES, 0, payload, npy(responses.plan.members))
        found = responses.by_label()
        if found is not None:
            yield _by_label(item.layer, found)


def _profile(layer: str, responses: Responses) -> Artifact:
    values = np.ascontiguousarray(responses.profile.T)
    largest = float(np.abs(values).max(initial=0.0))
    # A power of two changes no digit; half precision then neither overflows nor runs out of small numbers.
    scale = 2.0 ** float(np.ceil(np.log2(largest / _LARGEST_HALF))) if largest > 0 else 1.0
    payload = {"num_images": values.shape[1], "scale": scale, "reduction": "mean over positions"}
    return Artifact(layer, None, "responses", PROFILE, 0, payload, npy((values / scale).astype(np.float16)))


def _by_label(layer: str, found: LabelResponses) -> Artifact:
    units, labels = found.mean.shape
    table = np.zeros(
        units,
        dtype=[
            ("mean", "<f4", (labels,)),
            ("overall", "<f4"),
            ("eta_squared", "<f4"),
            ("chance_max", "<f4"),
        ],
    )
    table["mean"], table["overall"] = found.mean, found.overall
    table["eta_squared"], table["chance_max"] = found.eta_squared, found.chance_max
    payload = {
        "labels": list(found.labels),
        "num_images": found.count.tolist(),
        "eta_squared_chance": found.eta_squared_chance,
    }
    return Artifact(layer, None, "responses", LABEL_RESPONSES, 0, payload, npy(table))


def npy(array: np.ndarray) -> BlobData:
    """Return an array as a file of the store."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return BlobData(buffer.getvalue(), "npy")
