"""Weights between layers equal what autograd says of the linearised network, and what the data say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from precompute.models.linearise import spread_over_pool
from tests.tiny import SIDE, TinyNet, random_batch, tiny, woken

LINKS = [
    ("stem", "left"),
    ("stem", "right"),
    ("left", "block.conv1"),
    ("right", "block.conv1"),
    ("block.conv1", "block.conv2"),
    ("left", "deep"),
    ("right", "deep"),
    ("block.conv2", "deep"),
    ("deep", "mix"),
]


class AveragePool(nn.Module):
    """Average pooling in the place of max pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool 2 by 2."""
        return F.avg_pool2d(x, 2, 2)


def linearised() -> TinyNet:
    """Return the tiny network in float64 with identities for its nonlinearities."""
    net = woken(TinyNet()).double()
    for path in ("relu", "deep_act", "block.act1", "block.act2"):
        net.set_submodule(path, nn.Identity())
    net.set_submodule("pool", AveragePool())
    return net


def jacobian(source: str, target: str, unit: int) -> np.ndarray:
    """Return d target[unit at the centre] / d source `[source unit, y, x]`, by autograd on the linearised network."""
    net, held = linearised(), {}
    if target == "deep" and source in {"left", "right"}:
        net.block.conv2.weight.data.zero_()  # only the skip is direct; the block's own path goes through other layers
    norms = {"stem": "stem_bn", "right": "right_bn", "block.conv1": "block.bn1", "block.conv2": "block.bn2", "deep": "deep_bn"}

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        held["source"] = output.detach().requires_grad_()
        return held["source"].clone()  # an in-place sum may follow

    net.get_submodule(norms.get(source, source)).register_forward_hook(cut)
    net.get_submodule(norms.get(target, target)).register_forward_hook(lambda _m, _i, output: held.update(target=output))
    net(random_batch(1).double())
    size = held["target"].shape[-1]
    held["target"][0, unit, size // 2, size // 2].backward()
    return held["source"].grad[0].numpy()


def window(gradient: np.ndarray) -> np.ndarray:
    """Cut a stack of gradients to the smallest box outside which all are zero."""
    rows, columns = np.nonzero(np.abs(gradient).sum(axis=0) > 1e-12)
    return gradient[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@pytest.mark.parametrize(("source", "target"), LINKS, ids=[f"{source}->{target}" for source, target in LINKS])
def test_kernels_are_the_rows_of_the_jacobian(source: str, target: str) -> None:
    link = tiny().weights_between(source, target)
    for unit in (0, link.array.shape[0] - 1):
        gradient = jacobian(source, target, unit)
        if not gradient.any():  # a depthwise unit reads one branch of a concatenation only
            assert not link.array[unit].any()
            continue
        expected = window(gradient)
        if link.layout == "diagonal":
            found = np.zeros((expected.shape[0], *link.array.shape[1:]))
            found[unit] = link.array[unit]
        else:
            found = link.array[unit]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        flipped = found[:, ::-1, ::-1] if found.shape[-1] > 1 else -found
        assert not np.allclose(flipped, expected, rtol=1e-5, atol=1e-7), "the twin with a flipped kernel must fail"


def test_exact_links_are_those_without_a_nonlinearity_between() -> None:
    model = tiny()
    exact = {(source, target): model.weights_between(source, target).is_exact for source, target in LINKS}
    assert exact["stem", "right"] is True
    assert exact["deep", "mix"] is True
    assert exact["block.conv1", "block.conv2"] is True
    assert exact["left", "block.conv1"] is False  # through max pooling
    assert exact["block.conv2", "deep"] is False  # through the rectifier of the stream
    assert model.weights_between("block", "deep").is_exact is True  # the stream is read after its rectifier


def test_exact_weights_explain_the_data_up_to_a_constant() -> None:
    model, batch = tiny(), random_batch(4, side=SIDE)
    source = model.record(batch, ["stem"])["stem"]
    target = model.record(batch, ["right"], "pre_activation")["right"]
    kernel = torch.from_numpy(model.weights_between("stem", "right").array)
    rest = target - F.conv2d(source, kernel, padding=1)
    assert rest.std((0, 2, 3)).max() < 1e-5
    assert (target - F.conv2d(source, kernel.flip(2, 3), padding=1)).std((0, 2, 3)).min() > 1e-2


def test_classifier_reads_the_mean_of_the_map() -> None:
    model = tiny()
    link = model.weights_between("mix", "head")
    assert link.array.shape == (5, 12, 1, 1)
    assert link.is_exact
    np.testing.assert_array_equal(link.array[:, :, 0, 0], model.module.get_parameter("head.weight").numpy())


def test_pooling_spreads_each_weight_over_its_window() -> None:
    kernel = np.array([[[1.0, 3.0]]])
    np.testing.assert_allclose(spread_over_pool(kernel, (2, 2), 2), [[[0.25, 0.25, 0.75, 0.75], [0.25, 0.25, 0.75, 0.75]]])
