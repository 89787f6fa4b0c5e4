"""Activation maps of examples, against pooling the whole activation; groups of layers for the second look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, hardswish, relu6

from precompute.activations.example_maps import ExampleMaps
from precompute.domain import LayerSpec
from precompute.second_look import in_groups
from precompute.techniques.activation_maps import MAPS_PER_UNIT
from tests.tiny import tiny


def layer(num_units: int, side: tuple[int, int], nonlinearity: str | None) -> LayerSpec:
    spec = tiny().layers()[0]
    return replace(spec, num_units=num_units, map_size=side, nonlinearity=nonlinearity)


@pytest.mark.parametrize(
    ("nonlinearity", "function"), [(None, None), ("relu6", lambda x: relu6(x)), ("hardswish", lambda x: hardswish(x))]
)
@pytest.mark.parametrize("side", [(5, 7), (14, 14), (15, 29)])
@pytest.mark.parametrize("is_channels_last", [False, True])
def test_maps_are_the_largest_activation_of_each_part(
    side: tuple[int, int], nonlinearity: str | None, function: Callable[[Tensor], Tensor] | None, is_channels_last: bool
) -> None:
    spec = layer(4, side, nonlinearity)
    values = 4 * torch.randn(2, 4, *side, generator=torch.Generator().manual_seed(0)) - 2
    maps = ExampleMaps.begin(spec, function, {unit: [(10 + unit % 2, 5.0), None] for unit in range(4)})
    given = values.to(memory_format=torch.channels_last) if is_channels_last else values
    maps.add(given.flatten(2), np.array([10, 11], dtype=np.int32))
    active = values if function is None else function(values)
    expected = adaptive_max_pool2d(active, (min(side[0], 14), min(side[1], 14))).clamp(0, 5) * 51
    for unit in range(4):
        wanted = expected[unit % 2, unit].numpy()
        assert np.abs(maps.maps[unit, 0].astype(np.float32) - wanted).max() <= 0.5001
        assert not maps.maps[unit, 1].any()


def test_layers_are_looked_at_in_groups_that_fit() -> None:
    layers = [layer(2, (14, 14), None)] * 5
    one = 2 * MAPS_PER_UNIT * 14 * 14
    assert [len(group) for group in in_groups(layers, 2 * one)] == [2, 2, 1]
    assert [len(group) for group in in_groups(layers, one - 1)] == [1] * 5
    assert in_groups([], one) == []
