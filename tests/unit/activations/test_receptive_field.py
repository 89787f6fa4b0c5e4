"""The arithmetic of receptive fields agrees with gradient support."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from precompute.activations.receptive_field import gradient_support
from precompute.models.graph import find_layers
from precompute.models.trace import trace_model
from tests.tiny import SIDE, tiny

LAYERS = ["stem", "left", "right", "block.conv1", "block.conv2", "block", "deep", "mix"]


@pytest.mark.parametrize("name", LAYERS)
def test_box_of_every_layer_equals_gradient_support(name: str) -> None:
    model = tiny()
    layer = model.layer(name)
    for y, x in ((0, 0), (layer.map_size[0] // 2, layer.map_size[1] // 2), (layer.map_size[0] - 1, 0)):
        assert layer.box_at(y, x, SIDE, SIDE) == gradient_support(model, name, y, x)


def test_kernels_that_are_not_square_add_to_their_own_side() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, (7, 1), padding=(3, 0)))
    wide, square = (point.spec for point in find_layers(trace_model(module.eval(), torch.zeros(1, 3, 32, 32))))
    assert (square.receptive_field_px, square.offset_px) == (7, (-3, -3))
    # One row of seven pixels, centred in the square that is given for it.
    assert (wide.receptive_field_px, wide.offset_px) == (7, (-3, -3))
