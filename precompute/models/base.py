"""What a model family has to offer: layers, preprocessing, recording, weights.

A family is one module of this package that registers a subclass of `ModelAdapter` with `@MODELS.register("source")`.
Everything else (the pass over the stimuli, feature visualization, weights) speaks to models through this contract alone
and never assumes that units lie on axis 1 or that a layer has a map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from precompute.domain import LayerSpec, ModelSpec, Placement, WeightsOrigin
from precompute.errors import UnknownName
from precompute.registry import Registry

Point = Literal["pre_activation", "activation"]
IMAGE = "image"
"""What a link from the model input names as its source."""


@dataclass(frozen=True)
class Weights:
    """Where the weights of a model come from.

    Attributes:
        origin: `pretrained`, `trained-here`, `hand-coded` or `random`.
        sha256: Of the file; of all tensors in order of name where there is no file.
        source: The package, file name, hub entry or seed.
        missing: Parameters that a partial file did not give.
    """

    origin: WeightsOrigin
    sha256: str
    source: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes the model input.

    Attributes:
        resize_px: The shorter side is resized to this.
        crop_px: Then the centre `(height, width)` is cut out.
        interpolation: Of the resize, as PIL names it.
        mean, std: Of each channel, for pixels between 0 and 1.
    """

    resize_px: int
    crop_px: tuple[int, int]
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def input_key(self) -> str:
        """Return a word that is equal for models that see the same pixels of a photograph."""
        height, width = self.crop_px
        return f"resize{self.resize_px}-crop{height}x{width}-{self.interpolation}"


@dataclass(frozen=True)
class LinkWeights:
    """The linearised map from one layer's activation to the pre-activation of a layer directly after.

    Attributes:
        source, target: Names of the layers.
        array: float32; `full`: [target unit, source unit, height, width]; `diagonal`: [unit, height, width], each unit to itself.
        layout: Which of the two.
        is_exact: Whether nothing but linear operations lies between.
        placement: Where the kernels lie on the source's map.
    """

    source: str
    target: str
    array: np.ndarray
    layout: Literal["full", "diagonal"]
    is_exact: bool
    placement: Placement = Placement()


class ModelAdapter(ABC):
    """One loaded model, frozen and in evaluation mode.

    Attributes:
        spec: What was asked for.
        title: What a person calls it.
        weights: Their origin.
        preprocessing: How photographs become inputs.
        input_channels: Of the model input, usually 3.
        labels: Names of the classes in order of output, or None.
        num_parameters: How many numbers it learned.
        device: Where the folded copy lives, and so where inputs must be.
        left_out: Layers that depend on parameters that a partial weight file lacks.
    """

    spec: ModelSpec
    title: str
    weights: Weights
    preprocessing: Preprocessing
    input_channels: int
    labels: list[str] | None
    left_out: Sequence[str] = ()
    num_parameters: int
    device: torch.device = torch.device("cpu")

    @classmethod
    @abstractmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> ModelAdapter:
        """Build the architecture and load the weights, strictly unless `is_partial`.

        Raises:
            UnknownName: The family has no such architecture.
            WeightsError: The weights are missing, unreadable, or do not fit.
        """

    @classmethod
    @abstractmethod
    def available(cls) -> list[str]:
        """Return the names of the architectures of this family."""

    @abstractmethod
    def layers(self) -> tuple[LayerSpec, ...]:
        """Return every layer in order of execution."""

    @abstractmethod
    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the pixels that the model sees of an RGB photograph: uint8 `[height, width, rgb]`."""

    @abstractmethod
    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn pixels `[batch, rgb, height, width]` between 0 and 1 into the model input; differentiable."""

    @abstractmethod
    def record(self, batch: Tensor, layers: Sequence[str], point: Point = "activation") -> dict[str, Tensor]:
        """Run the model as it was loaded and return clones of what the layers held, on each layer's own axes."""

    @abstractmethod
    def stream(self, batch: Tensor, layers: Sequence[str], consume: Callable[[str, Tensor], None]) -> None:
        """Run the folded copy once and hand each layer's pre-activation to `consume` as soon as it exists.

        The tensor is only valid during the call: what runs next may write over it. Nothing after the last layer runs.
        """

    @abstractmethod
    def pre_activations(self, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Run the folded, frozen copy up to the last of some layers and return their pre-activations.

        They are differentiable in `batch`, a model input (see `normalise`) of any height and width that the model can take.
        """

    def pre_activation(self, batch: Tensor, layer: str) -> Tensor:
        """Return the pre-activation of one layer; see `pre_activations`."""
        return self.pre_activations(batch, [layer])[layer]

    @abstractmethod
    def nonlinearity(self, layer: str) -> Callable[[Tensor], Tensor] | None:
        """Return the function from a layer's pre-activation to its activation, or None where none follows."""

    @abstractmethod
    def logits(self, batch: Tensor) -> Tensor:
        """Run the model as it was loaded and return its outputs `[batch, class]`."""

    @abstractmethod
    def weights_between(self, source: str, target: str) -> LinkWeights:
        """Return the weights from a layer to one directly after it.

        Raises:
            UnknownName: A layer does not exist, or `source` is not directly before `target`.
        """

    @abstractmethod
    def image_weights(self, layer: str) -> LinkWeights | None:
        """Return the weights from the model input to a layer directly after it, or None where another layer lies between.

        The source of the link is `IMAGE`; its units are the channels of the input.

        Raises:
            UnknownName: There is no such layer.
        """

    def unit_labels(self, layer: str) -> list[str] | None:
        """Return what each unit of a layer is known to be: by default the classes, of the last layer, else None."""
        layers = self.layers()
        is_classifier = layers[-1].name == layer and self.labels is not None and len(self.labels) == layers[-1].num_units
        return self.labels if is_classifier else None

    def layer(self, name: str) -> LayerSpec:
        """Return one layer.

        Raises:
            UnknownName: There is none of that name.
        """
        for layer in self.layers():
            if layer.name == name:
                return layer
        raise UnknownName(
            "layer",
            name,
            [layer.name for layer in self.layers()],
            where=self.title,
            hint=f"`unitscope layers {self.spec}` lists them.",
        )

    def check_unit(self, layer: str, unit: int) -> None:
        """Raise UnknownName where a layer has no such unit."""
        last = self.layer(layer).num_units - 1
        if not 0 <= unit <= last:
            raise UnknownName("unit", str(unit), [], where=layer, hint=f"Its units are numbered 0 to {last}.")


def units_first(tensor: Tensor, unit_axis: int) -> Tensor:
    """Return a view `[batch, unit, position]` of what a layer held, whatever its axes.

    Args:
        tensor: As recorded; axis 0 is the batch.
        unit_axis: The axis that counts units.
    """
    moved = torch.movedim(tensor, unit_axis, 1)
    return moved.unsqueeze(2) if moved.ndim == 2 else moved.flatten(2)


MODELS: Registry[type[ModelAdapter]] = Registry("source of models", "precompute.models")


def load_model(text: str, *, is_partial: bool = False) -> ModelAdapter:
    """Load the model that a specification `SOURCE:NAME[@WEIGHTS]` names."""
    spec = ModelSpec.parse(text)
    return MODELS.get(spec.source).load(spec, is_partial=is_partial)


def parameters_sha256(parameters: Mapping[str, Tensor]) -> str:
    """Return the sha256 of all tensors in order of name: their names, types, shapes and bytes."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(parameters):
        tensor = parameters[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
