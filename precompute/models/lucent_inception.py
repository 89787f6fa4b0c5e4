"""InceptionV1 as the Circuits thread looked at it, from a user's own `inception5h.pth`: `lucent:inceptionv1@FILE`.

The layer names are those of the thread: `conv2d0` to `conv2d2`; for each block its branches and bottlenecks (`mixed4a_1x1`,
`mixed4a_3x3_bottleneck`, …) and the block itself (`mixed4a`), which is their concatenation; `softmax2_pre_activation`.
The file is the one that Lucent loads; nothing is ever fetched. Weights are not followed across the two local response
normalisations, whose gain depends on the image.

Paper: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, https://arxiv.org/abs/1409.4842; the network itself is the
one that TensorFlow published in 2015, which differs from the paper's in widths.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from precompute.domain import ModelSpec
from precompute.errors import UnknownName, UsageError, WeightsError
from precompute.models.base import MODELS, Weights, parameters_sha256
from precompute.models.plain import PlainModel
from precompute.models.weight_files import fit_weights, read_weight_file

NAME = "inceptionv1"
INPUT_PX = 224
NUM_CLASSES = 1008
SHIFT = 117.0
"""Subtracted from pixels between 0 and 255; nothing is divided."""
BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "mixed3a": (64, 96, 128, 16, 32, 32),
    "mixed3b": (128, 128, 192, 32, 96, 64),
    "mixed4a": (192, 96, 204, 16, 48, 64),
    "mixed4b": (160, 112, 224, 24, 64, 64),
    "mixed4c": (128, 128, 256, 24, 64, 64),
    "mixed4d": (112, 144, 288, 32, 64, 64),
    "mixed4e": (256, 160, 320, 32, 128, 128),
    "mixed5a": (256, 160, 320, 48, 128, 128),
    "mixed5b": (384, 192, 384, 48, 128, 128),
}
"""Units of `1x1`, `3x3_bottleneck`, `3x3`, `5x5_bottleneck`, `5x5` and `pool_reduce` of each block."""
POOLED_BEFORE = ("mixed4a", "mixed5a")
_CONVOLUTION, _CLASSIFIER = "_pre_relu_conv", "_matmul"


class Concatenation(nn.Module):
    """The branches of a block side by side; a module, so that the block has a name."""

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return `[batch, unit, height, width]`."""
        return torch.cat(branches, 1)


class InceptionV1(nn.Module):
    """The network, from pixels less 117 to the values before the softmax `[batch, 1008]`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d0 = nn.Conv2d(3, 64, 7, stride=2)
        self.conv2d1 = nn.Conv2d(64, 64, 1)
        self.conv2d2 = nn.Conv2d(64, 192, 3, padding=1)
        width = 192
        for block, (one, three_in, three, five_in, five, pool) in BLOCKS.items():
            self.add_module(f"{block}_1x1", nn.Conv2d(width, one, 1))
            self.add_module(f"{block}_3x3_bottleneck", nn.Conv2d(width, three_in, 1))
            self.add_module(f"{block}_3x3", nn.Conv2d(three_in, three, 3, padding=1))
            self.add_module(f"{block}_5x5_bottleneck", nn.Conv2d(width, five_in, 1))
            self.add_module(f"{block}_5x5", nn.Conv2d(five_in, five, 5, padding=2))
            self.add_module(f"{block}_pool_reduce", nn.Conv2d(width, pool, 1))
            self.add_module(block, Concatenation())
            width = one + three + five + pool
        self.softmax2_pre_activation = nn.Linear(width, NUM_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the value of each class before the softmax."""
        # TensorFlow pads an odd pixel at the end.
        x = functional.relu(self.conv2d0(functional.pad(x, (2, 3, 2, 3))))
        x = _normalised(_halved(x))
        x = functional.relu(self.conv2d1(x))
        x = functional.relu(self.conv2d2(x))
        x = _halved(_normalised(x))
        for block in BLOCKS:
            x = self._block(block, _halved(x) if block in POOLED_BEFORE else x)
        result: Tensor = self.softmax2_pre_activation(x.mean((2, 3)))
        return result

    def _block(self, block: str, x: Tensor) -> Tensor:
        def unit(name: str, value: Tensor) -> Tensor:
            return functional.relu(self.get_submodule(f"{block}_{name}")(value))

        pooled = functional.max_pool2d(x, 3, stride=1, padding=1)
        three, five = unit("3x3", unit("3x3_bottleneck", x)), unit("5x5", unit("5x5_bottleneck", x))
        result: Tensor = self.get_submodule(block)([unit("1x1", x), three, five, unit("pool_reduce", pooled)])
        return result


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, stride=2)


def _normalised(x: Tensor) -> Tensor:
    return functional.local_response_norm(x, size=9, alpha=9.99999974738e-05, beta=0.5, k=1)


def as_in_the_file(module: InceptionV1) -> nn.ModuleDict:
    """Return the same layers under the names that the file has for them."""
    named = dict(module.named_children())
    layers = {name: child for name, child in named.items() if not isinstance(child, Concatenation)}
    return nn.ModuleDict(
        {f"{name}{_CLASSIFIER if isinstance(child, nn.Linear) else _CONVOLUTION}": child for name, child in layers.items()}
    )


@MODELS.register("lucent")
class LucentModel(PlainModel):
    """InceptionV1 with the layer names of the Circuits thread."""

    @classmethod
    def available(cls) -> list[str]:
        """Return the one name."""
        return [NAME]

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> LucentModel:
        """Build the network and load the weights, whole or not at all: `is_partial` changes nothing.

        Raises:
            UnknownName: The family has no such architecture.
            UsageError: It was given arguments, or a seed that is none.
            WeightsError: The weights are missing, unreadable, do not fit, or would have to be fetched.
        """
        if spec.name != NAME:
            raise UnknownName("model", spec.name, cls.available(), where="lucent")
        if spec.arguments:
            raise UsageError(f"{NAME} takes no arguments, but was given {', '.join(spec.arguments)}.")
        module, weights = _load_module(spec)
        model = cls(module, INPUT_PX, (SHIFT / 255,) * 3, (1 / 255,) * 3)
        model.spec, model.title, model.weights = spec, NAME, weights
        for block in BLOCKS:  # here the blocks are what people speak of
            point = model._points[block]
            model._points[block] = replace(point, spec=replace(point.spec, is_default=True))
        return model


def _load_module(spec: ModelSpec) -> tuple[InceptionV1, Weights]:
    if spec.weights == "pretrained":
        raise WeightsError(
            f"The weights of {NAME} are not fetched. Give the file that Lucent uses: lucent:{NAME}@inception5h.pth, "
            f"or lucent:{NAME}@random:0."
        )
    seed = spec.weights.removeprefix("random:")
    if seed == spec.weights:
        path = Path(spec.weights).expanduser()
        tensors, sha256 = read_weight_file(path)
        module = InceptionV1()
        fit_weights(as_in_the_file(module), tensors, path.name, is_partial=False)
        return module, Weights("pretrained", sha256, path.name)
    if not (seed.isascii() and seed.isdigit() and int(seed) < 2**63):
        raise UsageError(f"{seed!r} is not a seed. Write @random:0, or another whole number below 2^63.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed))
        module = InceptionV1()
    return module, Weights("random", parameters_sha256(module.state_dict()), f"seed {seed}")
