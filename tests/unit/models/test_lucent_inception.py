"""InceptionV1 of the Circuits thread: structure, names and preprocessing, on random weights."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from precompute.errors import UnknownName, UsageError, WeightsError
from precompute.models.base import load_model
from precompute.models.lucent_inception import InceptionV1, LucentModel, as_in_the_file
from precompute.optvis.objectives import channel
from precompute.optvis.render import render

UNITS = {
    "conv2d0": 64, "conv2d1": 64, "conv2d2": 192, "mixed3a": 256, "mixed3b": 480, "mixed4a": 508, "mixed4b": 512,
    "mixed4c": 512, "mixed4d": 528, "mixed4e": 832, "mixed5a": 832, "mixed5b": 1024, "softmax2_pre_activation": 1008,
    "mixed4a_1x1": 192, "mixed4a_3x3": 204, "mixed4a_5x5": 48, "mixed4a_pool_reduce": 64, "mixed4a_3x3_bottleneck": 96,
    "mixed4a_5x5_bottleneck": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> LucentModel:
    adapter = load_model("lucent:inceptionv1@random:0")
    assert isinstance(adapter, LucentModel)
    return adapter


def keep(seen: dict[str, Tensor], name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
    seen[name] = output.clone()


def file_of(module: InceptionV1, folder: Path, **changes: Tensor | None) -> Path:
    tensors = {**as_in_the_file(module).state_dict(), **changes}
    path = folder / "inception5h.pth"
    torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def test_layers_are_those_of_the_thread(model: LucentModel) -> None:
    found = {layer.name: layer for layer in model.layers()}
    assert {name: found[name].num_units for name in UNITS} == UNITS
    assert len(found) == 3 + 9 * 7 + 1
    assert found["mixed4a"].is_default
    assert found["mixed4a"].map_size == (14, 14)
    assert found["mixed5b"].map_size == (7, 7)
    assert found["mixed4a_3x3"].inputs == ("mixed4a_3x3_bottleneck",)
    assert set(found["mixed4b_1x1"].inputs) == {"mixed4a_1x1", "mixed4a_3x3", "mixed4a_5x5", "mixed4a_pool_reduce"}
    assert found["mixed4a_1x1"].nonlinearity == "relu"


def test_preprocessing_subtracts_117_of_255(model: LucentModel) -> None:
    pixels = torch.tensor([0.0, 117 / 255, 1.0]).reshape(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert torch.allclose(model.normalise(pixels)[0, 0, 0], torch.tensor([-117.0, 0.0, 138.0]), atol=1e-3)


def test_it_computes_what_lucent_computes(model: LucentModel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of an old library that lucent pins
        from lucent.modelzoo.inceptionv1 import InceptionV1 as Reference

    module = model.module
    assert isinstance(module, InceptionV1)
    reference = Reference(redirected_ReLU=False).eval()
    reference.load_state_dict(as_in_the_file(module).state_dict(), strict=True)
    seen: dict[str, Tensor] = {}
    names = ("conv2d2", "mixed3b", "mixed4a", "mixed5b")
    for name in names:
        reference.get_submodule(name).register_forward_hook(partial(keep, seen, name))
    batch = model.normalise(torch.rand((1, 3, 224, 224), generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        probabilities = reference(batch)
    ours = model.record(batch, list(names))
    for name in names:
        assert torch.allclose(ours[name], seen[name], rtol=1e-3, atol=1e-3 * float(seen[name].abs().max())), name
    assert torch.allclose(model.logits(batch).softmax(1), probabilities, atol=1e-5)
    # The twin: branches in another order are another block.
    assert not torch.allclose(ours["mixed4a"].roll(192, 1), seen["mixed4a"], rtol=1e-3)


def test_file_is_loaded_strictly(model: LucentModel, tmp_path: Path) -> None:
    module = model.module
    assert isinstance(module, InceptionV1)
    loaded = load_model(f"lucent:inceptionv1@{file_of(module, tmp_path)}")
    assert isinstance(loaded, LucentModel)
    assert torch.equal(loaded.module.get_submodule("mixed4a_1x1").weight, module.get_submodule("mixed4a_1x1").weight)  # type: ignore[arg-type]
    assert loaded.weights.origin == "pretrained"
    key = "mixed4a_1x1_pre_relu_conv.weight"
    for changes, words in (
        ({key: None}, f"1 missing: {key}"),
        ({"surplus.weight": torch.zeros(1)}, "1 surplus: surplus.weight"),
        ({key: torch.zeros(1)}, "another shape"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_model(f"lucent:inceptionv1@{file_of(module, tmp_path, **changes)}")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(WeightsError, match=r"inception5h\.pth"):
        load_model("lucent:inceptionv1")
    with pytest.raises(UnknownName, match="inceptionv1"):
        load_model("lucent:inceptionv2@random:0")
    with pytest.raises(UsageError, match="not a seed"):
        load_model("lucent:inceptionv1@random:x")
    with pytest.raises(UsageError, match="no arguments"):
        load_model("lucent:inceptionv1?depth=3@random:0")


def test_a_unit_can_be_rendered(model: LucentModel) -> None:
    found = render(model, channel("mixed3a", 7), canvas_px=48, num_steps=16, progress=False)
    assert found.pictures[0].value > found.pictures[0].start
