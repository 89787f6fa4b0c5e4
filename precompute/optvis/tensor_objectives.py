"""Objectives that look at a whole layer: directions, deep dream, caricatures, facets, and any objective of Lucent.

Paper: Olah et al., "The Building Blocks of Interpretability", Distill 2018, https://distill.pub/2018/building-blocks, for
directions and caricatures; Olah, Mordvintsev, Schubert 2017 for diversity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from precompute.errors import UsageError
from precompute.models.base import ModelAdapter
from precompute.optvis.objectives import Held, Objective, Reader, centre_index

SMALLEST_COSINE = 0.1
"""Below this the power of the cosine would leave no gradient at all (lucid)."""
MOST_FACETS, FEWEST_FACETS = 6, 2


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(np.ascontiguousarray(tensor.numpy()).tobytes()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Direction(Objective):
    """The dot product of a layer's pre-activations with a vector, times a power of their cosine.

    Attributes:
        layer: The layer.
        vector: float32 `[unit]`: one direction for all positions; `[unit, position]`: one for each.
        cossim_pow: Power of `max(0.1, cosine)`: above 0, an image must point there, not only be large.
        is_centre: Whether the centre position alone counts, and not the mean over all.
    """

    layer: str
    vector: Tensor
    cossim_pow: float = 0.0
    is_centre: bool = False

    @property
    def layers(self) -> frozenset[str]:
        """Return the one layer."""
        return frozenset({self.layer})

    @property
    def signature(self) -> Hashable:
        """Return everything but the vector's values."""
        return ("direction", self.layer, tuple(self.vector.shape), self.cossim_pow, self.is_centre)

    @property
    def key(self) -> str:
        """Return the words that make it, with the vector's hash."""
        return f"direction({self.layer!r}, {_digest(self.vector)}, {self.cossim_pow:g}, {self.is_centre})"

    def compile(self, batch: Sequence[Direction]) -> Reader:
        """Return the products of the batch."""
        vectors = torch.stack([objective.vector for objective in batch]).float()
        vectors = vectors.unsqueeze(2) if vectors.ndim == 2 else vectors

        def read(held: Held) -> Tensor:
            maps = held.pre_activation(self.layer).float()
            wanted = vectors.to(maps.device)
            if wanted.shape[1] != maps.shape[1] or wanted.shape[2] not in (1, maps.shape[2]):
                raise UsageError(
                    f"The direction has {' x '.join(map(str, self.vector.shape))} numbers, but {self.layer!r} holds "
                    f"{maps.shape[1]} units at {maps.shape[2]} positions on this canvas."
                )
            dot = (maps * wanted).sum(1)
            if self.cossim_pow:
                cosine = dot / (maps.norm(dim=1) * wanted.norm(dim=1) + 1e-6)
                dot = dot * cosine.clamp(min=SMALLEST_COSINE) ** self.cossim_pow
            return dot[:, centre_index(held.sizes(self.layer))] if self.is_centre else dot.mean(1)

        return read


@dataclass(frozen=True)
class DeepDream(Objective):
    """The mean square of a layer's activations: more of whatever it already sees."""

    layer: str

    @property
    def layers(self) -> frozenset[str]:
        """Return the one layer."""
        return frozenset({self.layer})

    @property
    def signature(self) -> Hashable:
        """Return the layer."""
        return ("deepdream", self.layer)

    @property
    def key(self) -> str:
        """Return the words that make it."""
        return f"deepdream({self.layer!r})"

    def compile(self, batch: Sequence[DeepDream]) -> Reader:
        """Return the mean squares."""
        return lambda held: held.activation(self.layer).float().square().mean((1, 2))


@dataclass(frozen=True, eq=False)
class Distance(Objective):
    """How far a layer's pre-activations are from given ones: their mean squared difference, in variances of the given ones.

    Attributes:
        layer: The layer.
        target: float32 `[unit, position]`.
    """

    layer: str
    target: Tensor

    @property
    def layers(self) -> frozenset[str]:
        """Return the one layer."""
        return frozenset({self.layer})

    @property
    def signature(self) -> Hashable:
        """Return the layer and the size of its map."""
        return ("distance", self.layer, tuple(self.target.shape))

    @property
    def key(self) -> str:
        """Return the words that make it, with the target's hash."""
        return f"distance({self.layer!r}, {_digest(self.target)})"

    def compile(self, batch: Sequence[Distance]) -> Reader:
        """Return the distances."""
        targets = torch.stack([objective.target for objective in batch]).float()
        variances = targets.var((1, 2), correction=0) + 1e-6

        def read(held: Held) -> Tensor:
            maps = held.pre_activation(self.layer).float()
            if maps.shape[1:] != targets.shape[1:]:
                raise UsageError(
                    f"The target was read on another canvas: {tuple(targets.shape[1:])} against {tuple(maps.shape[1:])}."
                )
            return (maps - targets.to(maps.device)).square().mean((1, 2)) / variances.to(maps.device)

        return read


@dataclass(frozen=True)
class Facets(Objective):
    """Several images of one objective that are not to look alike.

    Each image's value is reduced by `weight` times the size of that value times its mean likeness to the others: the cosine
    of the Gram matrices of their activations, which says what is there but not where.

    Attributes:
        objective: About one image.
        num_images: 2 to 6.
        weight: Of the likeness.
    """

    objective: Objective
    num_images: int = 4
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not FEWEST_FACETS <= self.num_images <= MOST_FACETS or self.objective.num_images != 1:
            raise UsageError(
                f"Facets are {FEWEST_FACETS} to {MOST_FACETS} images of an objective about one, not {self.num_images}."
            )

    @property
    def layers(self) -> frozenset[str]:
        """Return the layers of the objective."""
        return self.objective.layers

    @property
    def signature(self) -> Hashable:
        """Return that of the objective, and how many images."""
        return ("facets", self.objective.signature, self.num_images, self.weight)

    @property
    def key(self) -> str:
        """Return the words that make it."""
        return f"facets({self.objective.key}, {self.num_images}, {self.weight:g})"

    def compile(self, batch: Sequence[Facets]) -> Reader:
        """Return each image's value, less what it shares with the others of its group."""
        count = self.num_images
        repeated = [facets.objective for facets in batch for _ in range(count)]
        value_of = self.objective.compile(repeated)
        layer = sorted(self.layers)[0]

        def read(held: Held) -> Tensor:
            values = value_of(held)
            return values - self.weight * values.detach().abs() * _likeness(held.activation(layer).float(), count)

        return read


def _likeness(maps: Tensor, count: int) -> Tensor:
    """Return for each image the mean cosine between its Gram matrix and those of the others of its group: `[batch]`.

    Args:
        maps: Activations `[batch, unit, position]`, `count` images after each other for each group.
        count: Images of a group.
    """
    grams = torch.bmm(maps, maps.transpose(1, 2)).flatten(1)
    grams = (grams / (grams.norm(dim=1, keepdim=True) + 1e-6)).unflatten(0, (-1, count))
    cosines = torch.bmm(grams, grams.transpose(1, 2))
    others = 1.0 - torch.eye(count, device=maps.device)
    return (cosines * others).sum(2).flatten() / (count - 1)


@dataclass(frozen=True, eq=False)
class LucentObjective(Objective):
    """An objective of Lucent: a function of `T`, where `T(name)` is what a layer held, to a loss that Lucent would lower.

    It is asked once for each group of images. A loss about several images at once is a single number; every image of the
    group then carries that number.

    Attributes:
        objective: The function; `lucent.optvis.objectives.Objective` is one.
        names: What it calls the layers, and our names for them.
        num_images: How many images it is about together.
    """

    objective: Callable[[Callable[[str], Tensor]], Tensor]
    names: tuple[tuple[str, str], ...]
    num_images: int = 1

    @property
    def layers(self) -> frozenset[str]:
        """Return our names of the layers."""
        return frozenset(ours for _, ours in self.names)

    @property
    def signature(self) -> Hashable:
        """Return how many images and which layers; the functions may differ."""
        return ("lucent", self.names, self.num_images)

    @property
    def key(self) -> str:
        """Return Lucent's own description and the layers."""
        words = getattr(self.objective, "description", "") or getattr(self.objective, "__name__", "objective")
        return f"lucent({words!r}, {self.names})"

    def compile(self, batch: Sequence[LucentObjective]) -> Reader:
        """Return minus the loss of each group, once for each of its images."""
        count = self.num_images
        known = dict(self.names)

        def read(held: Held) -> Tensor:
            values: list[Tensor] = []
            for place, lucent in enumerate(batch):
                rows = slice(place * count, (place + 1) * count)

                def look(name: str, rows: slice = rows) -> Tensor:
                    return held.tensors[known[name]][rows]

                values.append(-lucent.objective(look).float().reshape(()))
            return torch.stack(values).repeat_interleave(count)

        return read


class _Named(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def from_lucent(adapter: ModelAdapter, objective: Any, num_images: int = 1) -> LucentObjective:
    """Return an objective of Lucent as one of ours.

    Args:
        adapter: The model.
        objective: A `lucent.optvis.objectives.Objective`, or any function of `T` to a loss.
        num_images: How many images of a batch it is about; those with `batch=1` need two.

    Layers may be named as we do (`blocks.3.1.conv_pwl`) or as Lucent does, with underscores. What it sees of a layer is the
    pre-activation, after the norm: what Lucent's own name of the norm after the convolution gives.

    Raises:
        UnknownName: It asks for a layer that the model does not have.
    """
    ours = {layer.name.replace(".", "_"): layer.name for layer in adapter.layers()} | {
        layer.name: layer.name for layer in adapter.layers()
    }
    found: dict[str, str] = {}
    pixels = torch.full((num_images, 3, *adapter.preprocessing.crop_px), 0.5)

    def look(name: str) -> Tensor:
        raise _Named(name)

    # Its layers are hidden in a closure: it is asked again and again, each time with one more layer that it named.
    held: dict[str, Tensor] = {}
    while True:
        try:
            objective(lambda name: held[name] if name in held else look(name))
        except _Named as asked:
            found[asked.name] = ours.get(asked.name) or adapter.layer(asked.name).name
            with torch.no_grad():
                held[asked.name] = adapter.pre_activation(adapter.normalise(pixels), found[asked.name])
        else:
            return LucentObjective(objective, tuple(sorted(found.items())), num_images)


def read_target(adapter: ModelAdapter, layer: str, pixels: Tensor) -> Tensor:
    """Return what a layer makes of one photograph: its pre-activation `[unit, position]`.

    Args:
        adapter: The model.
        layer: The layer.
        pixels: `[rgb, height, width]` between 0 and 1, of the size of the canvas.
    """
    with torch.no_grad():
        tensor = adapter.pre_activation(adapter.normalise(pixels[None]), layer)
    return Held(adapter, {layer: tensor}).pre_activation(layer)[0].float().contiguous()


def caricature(adapter: ModelAdapter, layer: str, pixels: Tensor, cossim_pow: float = 1.0) -> Direction:
    """Return the objective that exaggerates what a layer sees in a photograph.

    Args:
        adapter: The model.
        layer: The layer.
        pixels: `[rgb, height, width]` between 0 and 1, of the size of the canvas.
        cossim_pow: See `Direction`.
    """
    return Direction(layer, read_target(adapter, layer, pixels), cossim_pow)
