"""Layers, points and folding of traced models."""

from __future__ import annotations

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from precompute.errors import UnknownName
from precompute.models.base import units_first
from precompute.models.folding import FoldedNorm
from precompute.models.plain import PlainModel
from tests.tiny import TinyNet, random_batch, tiny, woken


def test_layers_are_found_with_their_kind_nonlinearity_and_neighbours() -> None:
    layers = {layer.name: layer for layer in tiny().layers()}
    kinds = {name: (layer.operation, layer.nonlinearity) for name, layer in layers.items()}
    assert kinds["stem"] == ("convolution", "relu")
    assert kinds["left"] == ("convolution", None)
    assert kinds["block.conv1"] == ("convolution", "silu")
    assert kinds["block"] == ("add", "relu")
    assert kinds["deep"] == ("depthwise", "relu6")
    assert kinds["mix"] == ("grouped", None)
    assert kinds["head"] == ("linear", None)
    assert layers["block"].kind == "stream"
    assert layers["head"].kind == "neuron"
    assert layers["block.conv1"].inputs == ("left", "right")
    assert layers["deep"].inputs == ("left", "right", "block.conv2")
    assert set(layers["right"].outputs) == {"block.conv1", "block", "deep"}
    assert [name for name, layer in layers.items() if not layer.is_default] == ["block", "head"]


def test_units_may_lie_on_the_last_axis() -> None:
    model = tiny("tokens")
    layer = model.layer("fc1")
    assert (layer.unit_axis, layer.num_units, layer.map_size, layer.kind) == (2, 24, (16,), "neuron")
    held = model.record(random_batch(2), ["fc1"])["fc1"]
    assert units_first(held, layer.unit_axis).shape == (2, 24, 16)


def test_recorded_values_are_those_of_plain_hooks_before_anything_writes_over_them() -> None:
    model, batch = tiny(), random_batch(3)
    plain = woken(TinyNet())
    held = {}
    plain.right_bn.register_forward_hook(lambda _module, _inputs, output: held.update(right=output.clone()))
    with torch.no_grad():
        logits = plain(batch)
    recorded = model.record(batch, ["right"], "pre_activation")["right"]
    assert torch.equal(recorded, held["right"])
    # The rectifier is in place: a hook that does not clone would have seen no negative number.
    assert recorded.min() < -0.1
    assert torch.equal(model.record(batch, ["right"])["right"], held["right"].relu())
    assert torch.equal(model.logits(batch), logits)


def test_hooks_are_gone_afterwards_even_after_an_error() -> None:
    model = tiny()

    def fail(_name: str, _tensor: Tensor) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.stream(random_batch(1), ["stem"], fail)
    model.record(random_batch(1), ["stem", "deep"])
    for module in [*model.module.modules(), *model.folded.modules()]:
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_folded_copy_gives_the_values_of_the_model_as_loaded() -> None:
    model, batch = tiny(), random_batch(4)
    names = [layer.name for layer in model.layers()]
    expected = model.record(batch, names, "pre_activation")
    seen = {}
    model.stream(batch, names, lambda name, tensor: seen.update({name: tensor.clone()}))
    assert set(seen) == set(names)
    for name in names:
        torch.testing.assert_close(seen[name], expected[name], rtol=1e-4, atol=1e-5)
    assert not [module for module in model.folded.modules() if isinstance(module, nn.BatchNorm2d)]


class Doubled(nn.ReLU):
    """What looks like a rectifier, and is more."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize("act", [nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.SiLU, Doubled])
def test_what_follows_a_folded_norm_stays_what_it_was(act: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), BatchNormAct2d(6, act_layer=act), nn.Conv2d(6, 4, 3)).eval()
    norm = module.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    norm.running_var.uniform_(0.01, 0.05)  # wide enough for clamps to have work
    model = PlainModel(module, 16)
    batch = random_batch(4)[:, :, :16, :16].requires_grad_()
    for seen in (model.pre_activation(batch, "2"), model.pre_activation(batch.detach(), "2")):
        torch.testing.assert_close(seen, module(batch), rtol=1e-4, atol=1e-5)
    assert isinstance(model.folded.get_submodule("1"), FoldedNorm)


def test_folding_twin_with_a_wrong_statistic_is_noticed() -> None:
    model, other, batch = tiny(), tiny(), random_batch(4)
    other.module.get_buffer("right_bn.running_var")[3] *= 1.1
    assert not torch.allclose(
        model.record(batch, ["right"])["right"], other.record(batch, ["right"])["right"], rtol=1e-4, atol=1e-5
    )


def test_cut_forward_is_differentiable_and_runs_nothing_after_the_layer() -> None:
    model = tiny()
    batch = random_batch(2).requires_grad_()
    ran = []
    handle = model.folded.get_submodule("head").register_forward_hook(lambda *_: ran.append("head"))
    value = model.pre_activation(batch, "deep")
    handle.remove()
    value[:, 3].mean().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0
    assert not ran
    assert all(parameter.grad is None for parameter in model.folded.parameters())


def test_unknown_layer_suggests_closest() -> None:
    with pytest.raises(UnknownName, match=r"net has no layer 'blok.conv1'. Did you mean 'block.conv1'") as caught:
        tiny().layer("blok.conv1")
    assert "unitscope layers tiny:net@random:0" in caught.value.detail
