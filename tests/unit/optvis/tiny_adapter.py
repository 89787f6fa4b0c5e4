"""Small models with known units, behind the adapter contract that the engine speaks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from precompute.domain import LayerSpec, ModelSpec
from precompute.models.base import ModelAdapter, Preprocessing, Weights


class TinyAdapter(ModelAdapter):
    """A module whose layers are named by the caller; the pre-activation of a layer is the output of its module.

    Args:
        module: Takes a batch of pixels.
        layers: Their names are paths of its submodules.
        input_px: Side of its input.
    """

    def __init__(self, module: nn.Module, layers: list[LayerSpec], input_px: int = 64) -> None:
        self.spec = ModelSpec("tiny", "tiny")
        self.title = "tiny"
        self.weights = Weights("random", "0" * 64, "seed 0")
        self.preprocessing = Preprocessing(input_px, (input_px, input_px), "bilinear", (0.5,) * 3, (0.5,) * 3)
        self.input_channels = 3
        self.labels = None
        self.num_parameters = 0
        self.module = module.eval().requires_grad_(False)
        self._layers = tuple(layers)

    @classmethod
    def load(cls, spec: ModelSpec, *, is_partial: bool = False) -> ModelAdapter:
        raise NotImplementedError

    @classmethod
    def available(cls) -> list[str]:
        return []

    def layers(self) -> tuple[LayerSpec, ...]:
        return self._layers

    def preprocess(self, image: Any) -> Any:
        raise NotImplementedError

    def normalise(self, pixels: Tensor) -> Tensor:
        return pixels - 0.5

    def record(self, batch: Tensor, layers: Any, point: Any = "activation") -> dict[str, Tensor]:
        raise NotImplementedError

    def stream(self, batch: Tensor, layers: Any, consume: Callable[[str, Tensor], None]) -> None:
        raise NotImplementedError

    def pre_activations(self, batch: Tensor, layers: Any) -> dict[str, Tensor]:
        held: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                held[name] = output

            return hook

        handles = [self.module.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
        try:
            self.module(batch)
        finally:
            for handle in handles:
                handle.remove()
        return held

    def nonlinearity(self, layer: str) -> Callable[[Tensor], Tensor] | None:
        return None

    def logits(self, batch: Tensor) -> Tensor:
        raise NotImplementedError

    def image_weights(self, layer: str) -> Any:
        raise NotImplementedError

    def weights_between(self, source: str, target: str) -> Any:
        raise NotImplementedError


class TinyTokens(nn.Module):
    """Patches to tokens `[batch, token, feature]`, mixed: the unit axis is the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.mix = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(torch.relu(self.patches(x).flatten(2).movedim(1, 2)))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Return a module whose initial weights depend on the seed alone, without touching the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def tiny_cnn_adapter() -> TinyAdapter:
    """Two convolutions; the second one has 20 units, more than a batch."""
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 20, 3, 1, 1)))
    first = LayerSpec("0", "channel", 8, 0, 1, (32, 32), "convolution", "relu", 3, 2)
    second = LayerSpec("2", "channel", 20, 1, 1, (32, 32), "convolution", None, 7, 2, inputs=("0",))
    return TinyAdapter(module, [first, second])


def tiny_token_adapter() -> TinyAdapter:
    """A token model of fixed size with ten features."""
    layer = LayerSpec("mix", "feature", 10, 0, 2, (64,), "linear")
    return TinyAdapter(seeded(TinyTokens), [layer], input_px=32)


def one_layer_adapter(module: nn.Module, name: str, num_units: int, receptive_field_px: int) -> TinyAdapter:
    """A convolutional model of which one layer is looked at."""
    layer = LayerSpec(name, "channel", num_units, 0, 1, (64, 64), "convolution", None, receptive_field_px, 1)
    return TinyAdapter(module, [layer])
