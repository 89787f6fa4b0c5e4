"""The arithmetic of receptive fields agrees with gradient support."""

from __future__ import annotations

import pytest

from precompute.activations.receptive_field import gradient_support
from tests.tiny import SIDE, tiny

LAYERS = ["stem", "left", "right", "block.conv1", "block.conv2", "block", "deep", "mix"]


@pytest.mark.parametrize("name", LAYERS)
def test_box_of_every_layer_equals_gradient_support(name: str) -> None:
    model = tiny()
    layer = model.layer(name)
    for y, x in ((0, 0), (layer.map_size[0] // 2, layer.map_size[1] // 2), (layer.map_size[0] - 1, 0)):
        assert layer.box_at(y, x, SIDE, SIDE) == gradient_support(model, name, y, x)
