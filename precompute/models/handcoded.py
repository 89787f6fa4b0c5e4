"""Networks whose weights are calculated from stated parameters, so that what their units do is known: `handcoded:curves`.

`curves` finds oriented lines, short curves, curves and circles; see `curve_weights`. Its parameters can be changed in the
specification: `handcoded:curves?opposite=0` has no negative weights for the opposite bend.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from precompute.domain import ModelSpec
from precompute.errors import UnknownName, UsageError, WeightsError
from precompute.models.base import MODELS, Weights, parameters_sha256
from precompute.models.curve_weights import GABOR_STRIDE, LINE_STRIDE, CurveParameters, calculate_weights
from precompute.models.plain import PlainModel

NAME = "curves"
INPUT_PX = 107
"""Maps of all layers have an odd side then, and the network as a whole turns by quarters exactly."""
WEIGHTS = "parameters"


class CurveNetwork(nn.Module):
    """The network, from pixels between 0 and 1 to the map of circles `[batch, 2, height, width]`.

    Args:
        parameters: What it is calculated from.
    """

    def __init__(self, parameters: CurveParameters) -> None:
        super().__init__()
        thresholds = {"early_curve": parameters.early_threshold, "curve": parameters.curve_threshold}
        strides = {"gabor": GABOR_STRIDE, "line": LINE_STRIDE}
        for name, kernels in calculate_weights(parameters).items():
            units, inputs, side, _ = kernels.shape
            # Gabors do not look beyond the edge: what is there would be an edge itself, even of a plain field.
            padding = 0 if name == "gabor" else side // 2
            layer = nn.Conv2d(inputs, units, side, stride=strides.get(name, 1), padding=padding)
            layer.weight = nn.Parameter(torch.from_numpy(kernels))
            layer.bias = nn.Parameter(torch.full((units,), -thresholds.get(name, parameters.threshold)))
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations of the last layer."""
        for layer in self.children():
            x = functional.relu(layer(x))
        return x


@MODELS.register("handcoded")
class HandCodedModel(PlainModel):
    """A network that is calculated from parameters, each unit with a label that says what it is for.

    Attributes:
        parameters: What it was calculated from.
    """

    parameters: CurveParameters

    @classmethod
    def available(cls) -> list[str]:
        """Return the one name."""
        return [NAME]

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> HandCodedModel:
        """Calculate the network; there is no file, whole or partial.

        Raises:
            UnknownName: The family has no such network, or the network no such parameter.
            UsageError: A parameter has a value that it cannot have.
            WeightsError: Other weights were asked for.
        """
        if spec.name != NAME:
            raise UnknownName("model", spec.name, cls.available(), where="handcoded")
        if spec.weights not in {"pretrained", WEIGHTS}:
            raise WeightsError(
                f"The weights of {NAME} are calculated, not read: write handcoded:{NAME} in place of @{spec.weights}. "
                f"Its parameters can be changed: handcoded:{NAME}?opposite=0."
            )
        parameters = read_parameters(spec)
        module = CurveNetwork(parameters)
        model = cls(module, INPUT_PX, (0.0,) * 3, (1.0,) * 3)
        model.spec, model.title = ModelSpec(spec.source, NAME, WEIGHTS, spec.arguments), NAME
        model.parameters = parameters
        changed = ", ".join(f"{key}={value}" for key, value in spec.arguments.items())
        source = f"calculated from {f'parameters with {changed}' if changed else 'the default parameters'}"
        last = model._points["circle"]  # the last layer of other networks is their classifier
        model._points["circle"] = replace(last, spec=replace(last.spec, is_default=True))
        model.weights = Weights("hand-coded", parameters_sha256(module.state_dict()), source)
        return model

    def unit_labels(self, layer: str) -> list[str] | None:
        """Return what each unit of a layer is for."""
        labels: dict[str, list[str]] = {
            "gabor": self.parameters.gabor_labels,
            "line": self.parameters.line_labels,
            "early_curve": self.parameters.curve_labels("early curve"),
            "curve": self.parameters.curve_labels("curve"),
            "circle": ["circle", "circle turned inside out"],
        }
        return labels[layer]


def read_parameters(spec: ModelSpec) -> CurveParameters:
    """Return the parameters that a specification changes, and the others as they are.

    Raises:
        UnknownName: There is no such parameter.
        UsageError: It cannot have this value.
    """
    defaults = {field.name: field.default for field in fields(CurveParameters)}
    changed = {}
    for key, text in spec.arguments.items():
        if key not in defaults:
            raise UnknownName("parameter", key, list(defaults), where=NAME)
        changed[key] = _read_number(key, text, is_whole=isinstance(defaults[key], int))
    return CurveParameters(**changed)


_CAN_BE_NOTHING = {"across", "opposite", "threshold", "early_threshold", "curve_threshold"}
_LARGEST_WHOLE = 64


def _read_number(key: str, text: str, is_whole: bool) -> float:
    try:
        value = int(text) if is_whole else float(text)
    except ValueError as error:
        raise UsageError(f"{key}={text!r} is not a {'whole ' if is_whole else ''}number.") from error
    if key == "turn_deg" and math.isfinite(value):
        return value
    if not 0 <= value < math.inf or (value == 0 and key not in _CAN_BE_NOTHING):
        raise UsageError(f"{key}={text} must be {'at least 0' if key in _CAN_BE_NOTHING else 'above 0'}.")
    if is_whole and value > _LARGEST_WHOLE:
        raise UsageError(f"{key}={text} must be at most {_LARGEST_WHOLE}.")
    if key.endswith("_size") and value % 2 == 0:
        raise UsageError(f"{key}={text} must be odd, so that a kernel has a middle.")
    return value
