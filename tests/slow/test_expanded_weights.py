"""Expanded weights of EfficientNet-Lite0 are the Jacobian of the linearised network: depthwise layers, strides, skips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from precompute.circuits.expand import expand_inputs, expand_outputs
from precompute.models.base import load_model
from precompute.models.modules import TracedModel
from tests.unit.circuits.networks import Ends, graph_of, linearised

pytestmark = pytest.mark.slow

PAIRS = [
    ("blocks.3.0.conv_pwl", "blocks.3.1.conv_dw"),
    ("blocks.3.1.conv_pw", "blocks.3.1.conv_pwl"),
    ("blocks.3.0.conv_pwl", "blocks.3.2.conv_pw"),  # two ways: the block, and the skip past it
    ("blocks.2.1.conv_pwl", "blocks.3.0.conv_pwl"),  # stride 2
    ("blocks.1.1.conv_pw", "blocks.2.1.conv_pw"),  # stride 2 and a skip
]


@pytest.fixture(scope="module")
def lite0() -> tuple[TracedModel, Any, Ends]:
    model = load_model("timm:tf_efficientnet_lite0@pip")
    assert isinstance(model, TracedModel)
    return model, graph_of(model), Ends(linearised(model.module), model.boundary)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_expanded_weights_of_a_real_network(lite0: tuple[TracedModel, Any, Ends], source: str, target: str) -> None:
    model, graph, ends = lite0
    batch = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for unit in (0, model.layer(target).num_units - 1):
        gradient, place = ends.jacobian(source, target, unit, batch)
        found = expand_inputs(graph, target, [unit], source)
        top, left = (found.placement.start[axis] + place[axis] * found.placement.stride for axis in (0, 1))
        height, width = found.array.shape[-2:]
        inner = gradient[:, top : top + height, left : left + width]
        assert inner.shape == found.array[0].shape, "the middle lies so far inside that no kernel meets the border"
        largest = np.abs(gradient).max()
        np.testing.assert_allclose(found.array[0], inner, rtol=1e-4, atol=1e-6 * largest)
        outside = np.abs(gradient).sum() - np.abs(inner).sum()
        assert outside <= 1e-6 * np.abs(gradient).sum(), "nothing lies outside the kernel"
        assert not np.allclose(found.array[0], inner[:, ::-1, ::-1], rtol=1e-4, atol=1e-6 * largest)


def test_a_flipped_kernel_is_noticed(lite0: tuple[TracedModel, Any, Ends]) -> None:
    model, graph, _ = lite0
    source, target = "blocks.3.0.conv_pwl", "blocks.3.1.conv_dw"
    flipped = graph_of(model, flip=("blocks.3.1.conv_pw", target))
    one, other = (expand_inputs(weights, target, [3], source).array for weights in (graph, flipped))
    assert np.abs(one - other).max() > 0.05 * np.abs(one).max()


def test_both_ends_of_a_real_network_agree(lite0: tuple[TracedModel, Any, Ends]) -> None:
    _, graph, _ = lite0
    source, target = "blocks.3.0.conv_pwl", "blocks.3.2.conv_pw"
    one = expand_inputs(graph, target, [7], source).array[0, 5]
    other = expand_outputs(graph, source, [5], target).array[0, 7]
    assert np.linalg.norm(one) == pytest.approx(np.linalg.norm(other), rel=1e-9)
    assert one.sum() == pytest.approx(other.sum(), rel=1e-9)
