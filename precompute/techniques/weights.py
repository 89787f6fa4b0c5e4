"""From which units is a unit built, and which does it feed?

A weight is the linearised map from the source's activation to the target's pre-activation: the normalisation is folded in,
nonlinearities between count as the identity, max pooling as average pooling. Between directly connected layers it is exact
where nothing but linear operations lies between; each edge says which. Red excites, blue inhibits; partners are ranked by the
L2 norm of their kernel.

Of a layer that reads the image, the filters are stored in units of pixel value: what its pre-activation changes by where one
channel of one pixel goes from 0 (none) to 1 (full). The gain of the model's input normalisation is folded in.

Failure modes: a large weight from a unit that hardly fires does little; a kernel whose positive and negative parts cancel has
a small sum and a large norm, which is why both are given.

Paper: Voss et al., "Visualizing Weights", Distill, 2021, https://distill.pub/2020/circuits/visualizing-weights/; ranking by L2
norm as in the Weight Explorer of Olah et al., "An Overview of Early Vision in InceptionV1", Distill, 2020.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch

from precompute.domain import FILTERS, Artifact, BlobData, LayerLink, Result
from precompute.models.base import ModelAdapter
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem

NUM_COLOURS = 3


@TECHNIQUES.register("weights")
class Weights(Technique):
    """Kernels between directly connected layers, whole."""

    name = "weights"
    title = "Weights"
    position = 40
    relates_layers = True
    summary = "The units it is built from and the units it feeds, with the kernels between them."

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer that reads the image or has a layer of this build directly before it."""
        chosen = {layer.name for layer in context.layers}
        items = []
        for layer in context.layers:
            sources = [context.adapter.layer(name) for name in sources_of(context, layer.name) if name in chosen]
            if sources:
                num_bytes = sum(
                    4 * layer.num_units * (1 if layer.operation == "depthwise" else source.num_units) for source in sources
                )
                items.append(WorkItem(layer.name, range(layer.num_units), num_bytes=num_bytes))
            elif context.adapter.image_weights(layer.name) is not None:
                num_bytes = 4 * layer.num_units * NUM_COLOURS
                items.append(WorkItem(layer.name, range(layer.num_units), num_bytes=num_bytes))
        return items

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the filters on the image, and the array of each link into the layer, from which partners and paths are read."""
        filters = _filters(context.adapter, item.layer)
        if filters is not None:
            yield filters
        chosen = {layer.name for layer in context.layers}
        for source in sources_of(context, item.layer):
            if source in chosen:
                link = context.adapter.weights_between(source, item.layer)
                shape = (int(link.array.shape[-2]), int(link.array.shape[-1]))
                yield LayerLink(source, item.layer, link.is_exact, shape, link.layout, link.placement, _as_npy(link.array))


def _filters(adapter: ModelAdapter, layer: str) -> Artifact | None:
    """Return what a layer that reads the image does with its pixels, or None for other layers."""
    link = adapter.image_weights(layer)
    if link is None or link.layout != "full" or link.array.shape[1] != NUM_COLOURS:
        return None
    ends = torch.stack([torch.zeros(NUM_COLOURS, 1, 1), torch.ones(NUM_COLOURS, 1, 1)]).double()
    black, white = adapter.normalise(ends).double()[..., 0, 0]
    gain = (white - black).numpy()
    array = (link.array * gain[None, :, None, None]).astype(np.float32)
    payload = {
        "is_exact": link.is_exact,
        "kernel_shape": list(array.shape[2:]),
        "input_gain": gain.tolist(),
        "maximum": float(np.abs(array).max()),
    }
    return Artifact(layer, None, "weights", FILTERS, payload=payload, blob=_as_npy(array))


def sources_of(context: Context, layer: str) -> list[str]:
    """Return every layer of the build, stream points included, that is directly before a layer."""
    spec = context.adapter.layer(layer)
    streams = [other.name for other in context.layers if other.operation in {"add", "concat"} and layer in other.outputs]
    return [*spec.inputs, *streams]


def _as_npy(array: np.ndarray) -> BlobData:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return BlobData(buffer.getvalue(), "npy")
