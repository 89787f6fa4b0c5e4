"""Networks to expand: each in float64, awake, and as a linearised twin that autograd and data can be asked about."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from precompute.circuits.graph import MERGES, Link, Node, WeightGraph
from precompute.models.base import ModelAdapter


def graph_of(adapter: ModelAdapter, flip: tuple[str, str] | None = None) -> WeightGraph:
    """Return the weights of a model as a graph.

    Args:
        adapter: The model.
        flip: A link whose kernels are turned upside down and mirrored: the twin that must fail.
    """
    layers = adapter.layers()
    nodes = [Node(layer.name, layer.num_units, layer.operation in MERGES, layer.nonlinearity is None) for layer in layers]
    links = []
    for layer in layers:
        streams = [other.name for other in layers if other.operation in MERGES and layer.name in other.outputs]
        for source in [*layer.inputs, *streams]:
            found = adapter.weights_between(source, layer.name)
            array = found.array.astype(np.float64)
            if flip == (source, layer.name):
                array = array[..., ::-1, ::-1]
            links.append(Link(source, layer.name, found.placement, found.is_exact, lambda array=array: array))
    return WeightGraph(nodes, links)


def linearised(module: nn.Module) -> nn.Module:
    """Return a float64 copy with identities for nonlinearities and average for max pooling."""
    net = copy.deepcopy(module).double()
    for path, child in list(net.named_modules()):
        kind = type(child).__name__
        if isinstance(child, nn.MaxPool2d):
            net.set_submodule(path, AveragePool(child))
        elif isinstance(child, nn.ReLU | nn.ReLU6 | nn.SiLU | nn.Hardswish | nn.GELU):
            net.set_submodule(path, nn.Identity())
        elif kind.startswith("BatchNormAct"):
            child.act = nn.Identity()
    return net


class AveragePool(nn.Module):
    """Average pooling in the place of a max pooling."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.arguments = (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        kernel, stride, padding, is_ceil = self.arguments
        return F.avg_pool2d(x, kernel, stride, padding, is_ceil, count_include_pad=True)


class Ends:
    """Cuts a network at one layer and reads another: where layers are seen is what the adapter says.

    Args:
        net: A linearised network, float64.
        boundary: From the name of a layer to the module whose output is its pre-activation.
    """

    def __init__(self, net: nn.Module, boundary: Callable[[str], str]) -> None:
        self._net, self._boundary = net, boundary

    def run(self, source: str, target: str, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source's map, as a leaf, and the target's pre-activation."""
        held: dict[str, Tensor] = {}

        def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            held["source"] = output.detach().requires_grad_()
            return held["source"].clone()

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            held["target"] = output.clone()

        handles = [
            self._net.get_submodule(self._boundary(source)).register_forward_hook(cut),
            self._net.get_submodule(self._boundary(target)).register_forward_hook(keep),
        ]
        try:
            self._net(batch)
        finally:
            for handle in handles:
                handle.remove()
        return held["source"], held["target"]

    def jacobian(self, source: str, target: str, unit: int, batch: Tensor) -> tuple[np.ndarray, tuple[int, int]]:
        """Return d target[unit, middle] / d source `[source unit, y, x]`, and where the middle is."""
        start, end = self.run(source, target, batch)
        place = (end.shape[-2] // 2, end.shape[-1] // 2) if end.ndim == 4 else (0, 0)
        value = end[0, unit, place[0], place[1]] if end.ndim == 4 else end[0, unit]
        value.backward()
        assert start.grad is not None
        return start.grad[0].numpy(), place
