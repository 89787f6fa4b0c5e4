"""Small seeded models that are awake: every branch contributes, every norm has statistics of its own."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from precompute.domain import ModelSpec
from precompute.models.base import MODELS, Preprocessing, Weights, parameters_sha256
from precompute.models.modules import TracedModel

SIDE = 32
Net = TypeVar("Net", bound=nn.Module)


class TinyNet(nn.Module):
    """Branches, a concatenation, max pooling, a skip, a depthwise convolution, in-place rectifiers, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)  # one module for all places, as in torchvision
        self.left = nn.Conv2d(8, 6, 1)
        self.right = nn.Conv2d(8, 10, 3, padding=1, bias=False)
        self.right_bn = nn.BatchNorm2d(10)
        self.pool = nn.MaxPool2d(2, 2)
        self.block = TinyBlock()
        self.deep = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.deep_bn = nn.BatchNorm2d(16)
        self.deep_act = nn.ReLU6(inplace=True)
        self.mix = nn.Conv2d(16, 12, 1, groups=2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[batch, 5]`."""
        x = self.relu(self.stem_bn(self.stem(x)))
        x = torch.cat([self.left(x), self.relu(self.right_bn(self.right(x)))], dim=1)
        x = self.block(self.pool(x))
        x = self.mix(self.deep_act(self.deep_bn(self.deep(x))))
        return self.head(x.mean((2, 3)))


class TinyBlock(nn.Module):
    """A residual block whose last norm is not zero."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(16, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act1 = nn.SiLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 16, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream after the block."""
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        y += x
        return self.act2(y)


class TinyTokens(nn.Module):
    """Two token blocks: units on the last axis, no map of two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 12, 8, stride=8)
        self.norm = nn.LayerNorm(12)
        self.fc1 = nn.Linear(12, 24)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(24, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[batch, 5]`."""
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.fc2(self.act(self.fc1(self.norm(tokens))))
        return self.head(tokens.mean(1))


def woken(module: Net, seed: int = 0) -> Net:
    """Give every parameter and statistic a value of its own, so that no branch is silent."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.ndim == 1:
                low = 0.8 if "bn" in name and name.endswith("weight") else -0.3
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.6 + low)
            else:
                fan_in = tensor[0].numel()
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5)
    return module.eval()


@MODELS.register("tiny")
class TinyModel(TracedModel):
    """The family `tiny:net` and `tiny:tokens`, for tests."""

    @classmethod
    def available(cls) -> list[str]:
        """Return the two names."""
        return ["net", "tokens"]

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> TinyModel:
        """Return a woken model; the weights are `random:SEED`."""
        seed = int(spec.weights.partition(":")[2] or 0)
        module = woken(TinyNet() if spec.name == "net" else TinyTokens(), seed)
        model = cls()
        model.spec, model.title = spec, spec.name
        model.weights = Weights("random", parameters_sha256(module.state_dict()), f"seed {seed}")
        model.preprocessing = Preprocessing(SIDE, (SIDE, SIDE), "bicubic", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        model.input_channels = 3
        model.labels = ["ant", "bee", "cat", "dog", "<script>alert(1)</script>"]
        model.num_parameters = sum(parameter.numel() for parameter in module.parameters())
        model.prepare(module, torch.zeros(1, 3, SIDE, SIDE))
        return model

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the image at the model's size."""
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Centre and scale."""
        return (pixels - 0.5) / 0.25


def tiny(name: str = "net", seed: int = 0) -> TinyModel:
    """Return a tiny model."""
    return TinyModel.load(ModelSpec("tiny", name, f"random:{seed}"))


def random_batch(count: int, seed: int = 0, side: int = SIDE) -> Tensor:
    """Return a model input `[count, 3, side, side]`."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def write_images(folder: str, count: int, seed: int = 0) -> None:
    """Write photographs of coloured noise into two sub-folders."""
    from pathlib import Path

    generator = np.random.default_rng(seed)
    for number in range(count):
        label = Path(folder) / ("left" if number % 2 else "right")
        label.mkdir(parents=True, exist_ok=True)
        small = generator.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC).save(label / f"{number:03}.png")
