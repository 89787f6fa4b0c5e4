"""What an image is optimised for, as values: an objective declares the layers it looks at and can be calculated with.

`channel("blocks.3.1.conv_pwl", 7) + 0.5 * neuron("blocks.2.0.conv_pw", 3) - facets` reads as in a paper, and nothing is
hidden in a closure: a planner groups objectives of one signature, stops the forward pass at the last layer they name, and
reads all of them with one gather. Values stay one per image; only their gradient is that of the sum.

Units are read before the nonlinearity: one that is off at the start still has a gradient there.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, https://distill.pub/2017/feature-visualization;
the algebra is that of `lucid.optvis.objectives`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from precompute.errors import UnknownName, UsageError
from precompute.models.base import ModelAdapter, units_first

Reduction = Literal["channel", "neuron"]
Sign = Literal["positive", "negative"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
SIGNS: tuple[Sign, ...] = get_args(Sign)


class Held:
    """What the layers held for one batch.

    Args:
        adapter: The model; it knows the unit axis of each layer and the nonlinearity after it.
        tensors: The pre-activation of each layer on the layer's own axes.
    """

    def __init__(self, adapter: ModelAdapter, tensors: Mapping[str, Tensor]) -> None:
        self._adapter = adapter
        self.tensors = tensors

    def sizes(self, layer: str) -> list[int]:
        """Return the sizes of the axes that are neither batch nor unit; none for a layer without positions."""
        tensor = self.tensors[layer]
        unit_axis = self._adapter.layer(layer).unit_axis % tensor.ndim
        return [size for axis, size in enumerate(tensor.shape) if axis not in (0, unit_axis)]

    def pre_activation(self, layer: str) -> Tensor:
        """Return a view `[batch, unit, position]` of the layer's pre-activation."""
        return units_first(self.tensors[layer], self._adapter.layer(layer).unit_axis)

    def activation(self, layer: str) -> Tensor:
        """Return `[batch, unit, position]` of the layer's activation: after the nonlinearity, where one follows."""
        function = self._adapter.nonlinearity(layer)
        tensor = self.tensors[layer] if function is None else function(self.tensors[layer])
        return units_first(tensor, self._adapter.layer(layer).unit_axis)


Reader = Callable[[Held], Tensor]
"""From what the layers held to the value of every image, float32 `[batch]`."""


class Objective(ABC):
    """A number that images are optimised to raise.

    Objectives can be added, subtracted, multiplied with numbers and with each other, and negated.

    Attributes:
        num_images: How many images it is about together; 1 but for facets.
        floor: What the value must exceed for the picture to count as a success; None where any rise counts.
    """

    num_images: int = 1
    floor: float | None = None

    @property
    @abstractmethod
    def layers(self) -> frozenset[str]:
        """Return the names of the layers it looks at."""

    @property
    @abstractmethod
    def signature(self) -> Hashable:
        """Return what is equal for objectives that one batch can hold."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Return words that name it: the random draws of its pictures come from them."""

    @abstractmethod
    def compile(self, batch: Sequence[Any]) -> Reader:
        """Return the function that reads objectives of this signature, `num_images` images after each other for each."""

    def __add__(self, other: Objective | float) -> Objective:
        """Return the sum."""
        terms, constant = _as_sum(self)
        more, added = _as_sum(other)
        return Sum((*terms, *more), constant + added)

    def __mul__(self, other: Objective | float) -> Objective:
        """Return the product."""
        if isinstance(other, Objective):
            return Product(self, other)
        terms, constant = _as_sum(self)
        return Sum(tuple((float(other) * weight, term) for weight, term in terms), float(other) * constant)

    def __neg__(self) -> Objective:
        """Return the objective that wants the opposite."""
        return -1.0 * self

    def __sub__(self, other: Objective | float) -> Objective:
        """Return the difference."""
        return self + (-other)

    def __rsub__(self, other: float) -> Objective:
        """Return the difference."""
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        return self.key


def _as_sum(value: Objective | float) -> tuple[tuple[tuple[float, Objective], ...], float]:
    """Return weighted terms and a constant: sums of sums are one sum, so that equal ones have equal signatures."""
    if isinstance(value, Sum):
        return value.terms, value.constant
    return (((1.0, value),), 0.0) if isinstance(value, Objective) else ((), float(value))


@dataclass(frozen=True)
class Sum(Objective):
    """A weighted sum.

    Attributes:
        terms: Pairs of a weight and an objective. A term about one image counts for each image of a term about several.
        constant: Added to it.
    """

    terms: tuple[tuple[float, Objective], ...]
    constant: float = 0.0

    def __post_init__(self) -> None:
        counts = {term.num_images for _, term in self.terms} - {1}
        if len(counts) > 1:
            raise UsageError(f"Objectives about {' and '.join(map(str, sorted(counts)))} images cannot be added.")

    @property
    def num_images(self) -> int:
        """Return how many images it is about together."""
        return max(term.num_images for _, term in self.terms)

    @property
    def layers(self) -> frozenset[str]:
        """Return the layers of all terms."""
        return frozenset[str]().union(*(term.layers for _, term in self.terms))

    @property
    def signature(self) -> Hashable:
        """Return the signatures of the terms; weights may differ."""
        return ("sum", tuple(term.signature for _, term in self.terms))

    @property
    def key(self) -> str:
        """Return the terms with their weights."""
        words = " + ".join(f"{weight:g} * ({term.key})" for weight, term in self.terms)
        return f"{words} + {self.constant:g}" if self.constant else words

    def compile(self, batch: Sequence[Sum]) -> Reader:
        """Return the weighted sum of what each term reads."""
        count = self.num_images
        columns = zip(*(other.terms for other in batch), strict=True)
        readers = [_repeated(column[0][1], [term for _, term in column], count) for column in columns]
        weights = torch.tensor([[weight for weight, _ in other.terms] for other in batch for _ in range(count)])
        constant = torch.tensor([other.constant for other in batch for _ in range(count)])

        def read(held: Held) -> Tensor:
            values = [reader(held) for reader in readers]
            device = values[0].device
            total = constant.to(device)
            for place, value in enumerate(values):
                total = total + weights[:, place].to(device) * value
            return total

        return read


@dataclass(frozen=True)
class Product(Objective):
    """The product of two objectives."""

    first: Objective
    second: Objective

    @property
    def num_images(self) -> int:
        """Return how many images it is about together."""
        return max(self.first.num_images, self.second.num_images)

    @property
    def layers(self) -> frozenset[str]:
        """Return the layers of both."""
        return self.first.layers | self.second.layers

    @property
    def signature(self) -> Hashable:
        """Return the signatures of both."""
        return ("product", self.first.signature, self.second.signature)

    @property
    def key(self) -> str:
        """Return both."""
        return f"({self.first.key}) * ({self.second.key})"

    def compile(self, batch: Sequence[Product]) -> Reader:
        """Return the product of what both read."""
        one = _repeated(self.first, [other.first for other in batch], self.num_images)
        two = _repeated(self.second, [other.second for other in batch], self.num_images)
        return lambda held: one(held) * two(held)


def _repeated(term: Objective, batch: Sequence[Objective], num_images: int) -> Reader:
    """Return the reader of a term, for every image of a group where the term is about one."""
    if term.num_images == 1:
        batch = [objective for objective in batch for _ in range(num_images)]
    return term.compile(batch)


@dataclass(frozen=True)
class UnitValue(Objective):
    """The pre-activation of one unit.

    Attributes:
        layer: Where it is read.
        unit: Index on the layer's unit axis.
        reduction: `channel` is the mean over all positions, `neuron` the value at one.
        position: Of a `neuron`, one index for each axis of the map; None for the centre.
    """

    layer: str
    unit: int
    reduction: Reduction = "channel"
    position: tuple[int, ...] | None = None

    floor = 0.0

    @property
    def layers(self) -> frozenset[str]:
        """Return the one layer."""
        return frozenset({self.layer})

    @property
    def signature(self) -> Hashable:
        """Return layer and reduction: units and positions may differ."""
        return ("unit", self.layer, self.reduction)

    @property
    def key(self) -> str:
        """Return the words that make it."""
        place = "" if self.position is None else f", {self.position}"
        return f"{self.reduction}({self.layer!r}, {self.unit}{place})"

    def compile(self, batch: Sequence[UnitValue]) -> Reader:
        """Return one gather over the batch."""
        units = torch.tensor([objective.unit for objective in batch])
        rows = torch.arange(len(batch))
        layer, is_mean = self.layer, self.reduction == "channel"

        def read(held: Held) -> Tensor:
            maps = held.pre_activation(layer)
            if is_mean:
                return maps[rows, units].float().mean(1)
            sizes = held.sizes(layer)
            return maps[rows, units, torch.tensor([_flat_index(objective, sizes) for objective in batch])].float()

        return read


def _flat_index(objective: UnitValue, sizes: Sequence[int]) -> int:
    """Return the place of a neuron's position on the flattened map.

    Raises:
        UsageError: The map has no such position.
    """
    if objective.position is None:
        return centre_index(sizes)
    if len(objective.position) != len(sizes) or not all(
        0 <= at < size for at, size in zip(objective.position, sizes, strict=True)
    ):
        shape = " x ".join(map(str, sizes)) or "no"
        raise UsageError(
            f"{objective.layer!r} has no position {objective.position}: its map has {shape} positions on this canvas. "
            "Choose another position, or a larger canvas."
        )
    index = 0
    for at, size in zip(objective.position, sizes, strict=True):
        index = index * size + at
    return index


def channel(layer: str, unit: int) -> UnitValue:
    """Return the mean pre-activation of a unit over all positions."""
    return UnitValue(layer, unit)


def neuron(layer: str, unit: int, *position: int) -> UnitValue:
    """Return the pre-activation of a unit at one position; at the centre where none is given."""
    return UnitValue(layer, unit, "neuron", position or None)


def class_logit(adapter: ModelAdapter, which: int | str) -> UnitValue:
    """Return the output of a classifier for one class.

    Args:
        adapter: The model.
        which: Index of the class, or its name.

    Raises:
        UnknownName: The model has no such class.
        UsageError: The model does not end in a layer without positions.
    """
    last = adapter.layers()[-1]
    if last.map_size:
        raise UsageError(f"{adapter.title} does not end in classes, so there is no class_logit. Take channel(LAYER, UNIT).")
    labels = adapter.labels or []
    if isinstance(which, str):
        if which not in labels:
            raise UnknownName("class", which, labels, where=adapter.title)
        which = labels.index(which)
    if not 0 <= which < last.num_units:
        raise UnknownName(
            "class", str(which), [], where=adapter.title, hint=f"Its classes are numbered 0 to {last.num_units - 1}."
        )
    return UnitValue(last.name, which)


def interpolate(first: Objective, second: Objective, count: int) -> list[Objective]:
    """Return `count` objectives from the one to the other, in equal steps; each is for one image of a batch.

    Raises:
        UsageError: There are fewer than two.
    """
    if count < 2:
        raise UsageError(f"An interpolation needs at least two images, not {count}.")
    shares = [place / (count - 1) for place in range(count)]
    return [Sum(((1 - share, first), (share, second))) for share in shares]


def centre_index(sizes: Sequence[int]) -> int:
    """Return the flat index of the centre position of a map.

    Args:
        sizes: Of the axes that are neither batch nor unit; none for a layer without positions.

    >>> centre_index([4, 6]), centre_index([7]), centre_index([])
    (15, 3, 0)
    """
    index = 0
    for size in sizes:
        index = index * size + size // 2
    return index


def group_by_signature(objectives: Sequence[Objective]) -> list[list[int]]:
    """Return the places of objectives that can share a batch, group by group, in order of their first."""
    groups: dict[Hashable, list[int]] = {}
    for place, objective in enumerate(objectives):
        groups.setdefault(objective.signature, []).append(place)
    return list(groups.values())
