"""Expanded weights across concatenations are the Jacobian of the linearised Inception-v3: by route, summed, over strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from precompute.circuits.expand import Expanded, expand_inputs
from precompute.circuits.graph import WeightGraph
from precompute.models.modules import TracedModel
from precompute.models.plain import PlainModel
from tests.tiny import woken
from tests.unit.circuits.networks import Ends, graph_of, linearised

pytestmark = pytest.mark.slow


class Case(NamedTuple):
    """Two layers, and how many ways lead from the one to the other."""

    source: str
    target: str
    num_routes: int


CASES = [
    Case("Mixed_5b.branch5x5_2.conv", "Mixed_5c.branch1x1.conv", 1),
    Case("Mixed_5b.branch_pool.conv", "Mixed_5c.branch3x3dbl_3.conv", 1),
    Case("Mixed_5c", "Mixed_5d.branch_pool.conv", 1),  # from the concatenation, over average pooling
    Case("Mixed_5b.branch1x1.conv", "Mixed_5d.branch5x5_2.conv", 4),
    Case("Conv2d_4a_3x3.conv", "Mixed_5c.branch5x5_2.conv", 4),  # max pooling with a stride before the concatenation
    Case("Mixed_5d.branch3x3dbl_3.conv", "Mixed_6b.branch7x7_3.conv", 3),  # one of them max pooling alone
]
FLIPPED = {  # a link on the way whose kernel has more than one element
    "Mixed_5b.branch_pool.conv": ("Mixed_5c.branch3x3dbl_2.conv", "Mixed_5c.branch3x3dbl_3.conv"),
    "Mixed_5b.branch1x1.conv": ("Mixed_5d.branch5x5_1.conv", "Mixed_5d.branch5x5_2.conv"),
    "Conv2d_4a_3x3.conv": ("Mixed_5c.branch5x5_1.conv", "Mixed_5c.branch5x5_2.conv"),
    "Mixed_5d.branch3x3dbl_3.conv": ("Mixed_6b.branch7x7_2.conv", "Mixed_6b.branch7x7_3.conv"),
}


class Network:
    """Inception-v3 as the weights see it and as autograd sees it."""

    def __init__(self, model: TracedModel) -> None:
        self.model = model
        self.net = linearised(model.module)
        self.ends = Ends(self.net, model.boundary)
        self.is_pool_shut = False

    def pool(self, x: Tensor, kernel_size: int, stride: int) -> Tensor:
        """Average where the network takes the largest."""
        pooled = F.avg_pool2d(x, kernel_size, stride)
        return pooled.detach() if self.is_pool_shut else pooled

    def weights(self, flip: tuple[str, str] | None = None) -> WeightGraph:
        """Return its weights; one link upside down and mirrored where so asked."""
        return graph_of(self.model, flip)

    def jacobian(
        self, case: Case, unit: int, shut: Sequence[str] = (), *, is_pool_shut: bool = False
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Return how the middle of a unit depends on the source, where nothing flows through the layers that are shut.

        `is_pool_shut` shuts the way over max pooling alone, on which there is no layer.
        """

        def stop(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            return output.detach()

        handles = [self.net.get_submodule(self.model.boundary(name)).register_forward_hook(stop) for name in shut]
        self.is_pool_shut = is_pool_shut
        batch = torch.randn(1, 3, 299, 299, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        try:
            return self.ends.jacobian(case.source, case.target, unit, batch)
        finally:
            for handle in handles:
                handle.remove()
            self.is_pool_shut = False


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(PlainModel(woken(timm.create_model("inception_v3")), 299))


@pytest.fixture(scope="module")
def graph(network: Network) -> WeightGraph:
    return network.weights()


@pytest.fixture(autouse=True)
def _average_pools(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixed_6a calls the function, which no twin of a module replaces."""
    monkeypatch.setattr(F, "max_pool2d", network.pool)


def difference(found: Expanded, gradient: np.ndarray, place: tuple[int, int]) -> float:
    """Return the largest difference between kernels and a Jacobian, as a share of its largest number."""
    expected = np.zeros_like(gradient)
    top, left = (found.placement.start[axis] + place[axis] * found.placement.stride for axis in (0, 1))
    height, width = found.array.shape[-2:]
    assert min(top, left) >= 0
    assert top + height <= gradient.shape[1]
    assert left + width <= gradient.shape[2]
    expected[:, top : top + height, left : left + width] = found.array[0]
    return float(np.abs(expected - gradient).max() / np.abs(gradient).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.source}->{case.target}")
def test_expanded_weights_across_concatenations(network: Network, graph: WeightGraph, case: Case) -> None:
    routes, count = graph.routes(case.source, case.target, 20)
    assert count == len(routes) == case.num_routes
    between = {layer for route in routes for layer in route}
    for unit in (1, network.model.layer(case.target).num_units - 1):
        gradient, place = network.jacobian(case, unit)
        # The adapter keeps weights in 32 bits.
        assert difference(expand_inputs(graph, case.target, [unit], case.source), gradient, place) < 1e-6
        for route in routes:
            shut = sorted(between - set(route))
            one, _ = network.jacobian(case, unit, shut, is_pool_shut=any(layer.startswith("Mixed_6a") for layer in route))
            found = expand_inputs(graph, case.target, [unit], case.source, route=route)
            assert difference(found, one, place) < 1e-6
            if shut:
                assert difference(found, gradient, place) > 1e-2, "one route is not all of them"


@pytest.mark.parametrize("case", [case for case in CASES if case.source in FLIPPED], ids=lambda case: case.source)
def test_a_flipped_kernel_across_concatenations_is_noticed(network: Network, case: Case) -> None:
    gradient, place = network.jacobian(case, 1)
    flipped = network.weights(flip=FLIPPED[case.source])
    assert difference(expand_inputs(flipped, case.target, [1], case.source), gradient, place) > 1e-2
