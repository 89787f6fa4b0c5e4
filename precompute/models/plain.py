"""Any `nn.Module` of the caller's own, for use from Python: no weights to load, no name to look up."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from precompute.domain import ModelSpec
from precompute.errors import UsageError
from precompute.models.base import ModelAdapter, Preprocessing, Weights, load_model, parameters_sha256
from precompute.models.modules import TracedModel

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PlainModel(TracedModel):
    """A module of the caller's own, copied, in evaluation mode.

    Args:
        module: Takes a batch of RGB images, normalised.
        input_px: Height and width of its input, or one number for both.
        mean, std: Of each colour, for pixels between 0 and 1.
        labels: Names of the classes in order of output.

    Raises:
        UsageError: It cannot be run on such an image, or holds no layer that can be read.
    """

    def __init__(
        self,
        module: nn.Module,
        input_px: int | tuple[int, int] = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        labels: Sequence[str] | None = None,
    ) -> None:
        size = (input_px, input_px) if isinstance(input_px, int) else input_px
        self.title = type(module).__name__
        self.spec = ModelSpec("module", self.title)
        self.weights = Weights("trained-here", parameters_sha256(module.state_dict()), "a module in memory")
        self.preprocessing = Preprocessing(min(size), size, "bilinear", tuple(mean), tuple(std))
        self.input_channels = 3
        self.labels = None if labels is None else list(labels)
        self.num_parameters = sum(parameter.numel() for parameter in module.parameters())
        try:
            # A copy: the caller's own keeps its mode and its gradients.
            self.prepare(copy.deepcopy(module).cpu().float(), torch.zeros(1, 3, *size))
        except (RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise UsageError(
                f"{self.title} cannot be run on an RGB image of {size[0]} x {size[1]} pixels ({error}). Give its input_px."
            ) from error

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> ModelAdapter:
        """Refuse: a module in memory has no name.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{spec} names a module in memory, which cannot be loaded. Give the module itself.")

    @classmethod
    def available(cls) -> list[str]:
        """Return nothing: there are no names."""
        return []

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the pixels that the model sees of an RGB photograph: uint8 `[height, width, rgb]`."""
        height, width = self.preprocessing.crop_px
        image = image.convert("RGB")
        scale = max(height / image.height, width / image.width)
        size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
        resized = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return np.asarray(resized.crop((left, top, left + width, top + height)))


def adapt(model: ModelAdapter | nn.Module | str, input_px: int | tuple[int, int] = 224) -> ModelAdapter:
    """Return the adapter of a model: of a specification `SOURCE:NAME[@WEIGHTS]`, of a module, or itself.

    Args:
        model: Any of the three. A module that needs another mean and standard deviation than ImageNet's: `PlainModel`.
        input_px: Of a module.
    """
    if isinstance(model, ModelAdapter):
        return model
    return load_model(model) if isinstance(model, str) else PlainModel(model, input_px)
