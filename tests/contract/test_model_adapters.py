"""What every model adapter promises, over every family: convolutional nets of several kinds, and a token model."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from precompute.cli import main
from precompute.domain import ModelSpec
from precompute.errors import PublicError, UnknownName, WeightsError
from precompute.models.base import MODELS, ModelAdapter, load_model, units_first
from precompute.models.timm_cnn import TimmModel
from tests import tiny as tiny_models

SPECS = [
    "tiny:net@random:0",
    "tiny:tokens@random:0",
    "lucent:inceptionv1@random:0",
    "handcoded:curves",
    "timm:test_resnet@random:0",
    "timm:test_efficientnet@random:0",
    "timm:test_byobnet@random:0",
    "timm:test_convnext@random:0",
]


@functools.cache
def adapter_of(spec: str) -> ModelAdapter:
    """Return an adapter that is awake: timm's random nets get weights that no branch sleeps through."""
    adapter = load_model(spec)
    if isinstance(adapter, TimmModel):
        module = tiny_models.woken(adapter.module)
        height, width = adapter.preprocessing.crop_px
        adapter.prepare(module, torch.zeros(1, 3, height, width))
    return adapter


def batch_of(adapter: ModelAdapter, count: int = 2) -> torch.Tensor:
    height, width = adapter.preprocessing.crop_px
    return adapter.normalise(torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)))


def test_every_family_is_covered() -> None:
    assert {ModelSpec.parse(spec).source for spec in SPECS} == set(MODELS.names())


@pytest.mark.parametrize("spec", SPECS)
def test_layers_name_modules_and_say_their_shape(spec: str) -> None:
    adapter = adapter_of(spec)
    names = [layer.name for layer in adapter.layers()]
    assert len(set(names)) == len(names)
    held = adapter.record(batch_of(adapter), names)
    for position, layer in enumerate(adapter.layers()):
        assert layer.position == position
        assert held[layer.name].shape[layer.unit_axis] == layer.num_units
        view = units_first(held[layer.name], layer.unit_axis)
        assert view.shape == (2, layer.num_units, int(np.prod(layer.map_size)))
        assert set(layer.inputs) | set(layer.outputs) <= set(names)
        assert all(adapter.layer(other).position < position for other in layer.inputs)


@pytest.mark.parametrize("spec", SPECS)
def test_recording_changes_nothing_and_activation_follows_pre_activation(spec: str) -> None:
    adapter = adapter_of(spec)
    batch = batch_of(adapter)
    names = [layer.name for layer in adapter.layers()]
    before = adapter.logits(batch)
    pre, act = adapter.record(batch, names, "pre_activation"), adapter.record(batch, names)
    assert torch.equal(adapter.logits(batch), before)
    for name in names:
        function = adapter.nonlinearity(name)
        assert torch.equal(act[name], pre[name] if function is None else function(pre[name].clone()))
        if adapter.layer(name).nonlinearity == "relu":
            assert pre[name].min() < 0 <= act[name].min()


@pytest.mark.parametrize("spec", SPECS)
def test_fast_copy_agrees_with_the_model_as_loaded(spec: str) -> None:
    adapter = adapter_of(spec)
    batch = batch_of(adapter)
    names = [layer.name for layer in adapter.layers()]
    pre = adapter.record(batch, names, "pre_activation")
    seen: dict[str, torch.Tensor] = {}
    adapter.stream(batch, names, lambda name, tensor: seen.update({name: tensor.clone()}))
    for name in names:
        scale = pre[name].abs().max()
        assert (seen[name] - pre[name]).abs().max() < 1e-4 * scale
        assert (adapter.pre_activation(batch, name) - pre[name]).abs().max() < 1e-4 * scale


@pytest.mark.parametrize("spec", SPECS)
def test_preprocessing_gives_pixels_of_the_model_input(spec: str) -> None:
    adapter = adapter_of(spec)
    pixels = adapter.preprocess(Image.new("RGB", (300, 200), (255, 0, 128)))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (*adapter.preprocessing.crop_px, 3)
    assert pixels[0, 0].tolist() == [255, 0, 128]


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.startswith("timm")])
def test_exact_weights_of_one_by_one_layers_explain_the_data(spec: str) -> None:
    """Target minus the sum over all sources is a constant for each unit, if weights and connections are right."""
    adapter = adapter_of(spec)
    batch = batch_of(adapter, 3)
    checked = 0
    for layer in adapter.layers():
        links = [adapter.weights_between(source, layer.name) for source in layer.inputs]
        is_simple = links and all(link.is_exact and link.array.shape[-1] == 1 and link.layout == "full" for link in links)
        held = adapter.record(batch, list(layer.inputs)) if is_simple else {}
        sources = {name: units_first(value, adapter.layer(name).unit_axis) for name, value in held.items()}
        target = units_first(adapter.record(batch, [layer.name], "pre_activation")[layer.name], layer.unit_axis)
        if not is_simple or any(value.shape[2] != target.shape[2] for value in sources.values()):
            continue
        terms = [torch.einsum("ts,bsp->btp", torch.from_numpy(link.array[:, :, 0, 0]), sources[link.source]) for link in links]
        rest = target - sum(terms)
        assert rest.std((0, 2)).max() < 1e-4 * target.abs().max(), layer.name
        assert (target - 0.9 * sum(terms)).std((0, 2)).max() > 1e-3 * target.abs().max(), layer.name
        checked += 1
    assert checked > 0


def test_random_weights_are_those_of_timm_after_the_seed() -> None:
    import timm

    torch.manual_seed(5)
    expected = timm.create_model("test_resnet").state_dict()
    adapter = load_model("timm:test_resnet@random:5")
    assert isinstance(adapter, TimmModel)
    for name, tensor in adapter.module.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert adapter.weights.origin == "random"
    assert adapter.weights.sha256 == load_model("timm:test_resnet@random:5").weights.sha256
    assert adapter.weights.sha256 != load_model("timm:test_resnet@random:6").weights.sha256


def weight_file(folder: Path, change: dict[str, torch.Tensor | None], suffix: str = ".pth") -> Path:
    """Write the weights of a small net with some keys changed (None removes)."""
    adapter = load_model("timm:test_resnet@random:1")
    assert isinstance(adapter, TimmModel)
    tensors = {**adapter.module.state_dict(), **{key: value for key, value in change.items() if value is not None}}
    tensors = {key: value for key, value in tensors.items() if key not in change or change[key] is not None}
    path = folder / f"weights{suffix}"
    torch.save(tensors, path) if suffix == ".pth" else save_file(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file_with_any_number_of_classes(suffix: str, tmp_path: Path) -> None:
    path = weight_file(tmp_path, {"fc.weight": torch.zeros(7, 96), "fc.bias": torch.zeros(7)}, suffix)
    adapter = load_model(f"timm:test_resnet@{path}")
    assert adapter.logits(batch_of(adapter)).shape == (2, 7)
    assert adapter.weights.origin == "pretrained"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer1.0.conv1.weight": None}, r"1 missing: layer1.0.conv1.weight.*--partial allows missing ones"),
        ({"other.weight": torch.zeros(3)}, "1 surplus: other.weight"),
        (
            {"conv1.weight": torch.zeros(1, 3, 3, 3)},
            r"conv1.weight is \[1, 3, 3, 3\] in the file, \[32, 3, 7, 7\] in the model|conv1",
        ),
    ],
    ids=["missing", "surplus", "shape"],
)
def test_weights_that_do_not_fit_are_refused_with_their_keys(
    change: dict[str, torch.Tensor | None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_model(f"timm:test_resnet@{weight_file(tmp_path, change)}")


def test_partial_weights_leave_out_what_depends_on_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = weight_file(tmp_path, {"layer3.0.conv1.weight": None})
    assert main(["layers", f"timm:test_resnet@{path}", "--partial", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    names = [layer["name"] for layer in answer["layers"]]
    assert "layer2.0.conv1" in names
    assert "layer3.0.conv1" in answer["left_out"]
    assert "fc" in answer["left_out"]
    assert not set(names) & set(answer["left_out"])


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("timm:resnet51@random:0", UnknownName, "Did you mean 'resnet5"),
        ("timm:test_resnet@random:x", PublicError, "is not a seed"),
        ("timm:test_resnet@nowhere.pth", WeightsError, "There is no weight file 'nowhere.pth'"),
        ("timm:test_resnet@pip", UnknownName, "tf_efficientnet_lite0"),
        ("timm:test_resnet?nonsense=3@random:0", PublicError, "does not take these arguments: nonsense"),
    ],
)
def test_bad_specifications_say_what_exists(spec: str, kind: type[PublicError], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_model(spec)


def test_files_that_would_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save(print, path)
    with pytest.raises(WeightsError, match="files that would run code are refused"):
        load_model(f"timm:test_resnet@{path}")
    path.write_bytes(b"no weights at all")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_model(f"timm:test_resnet@{path}")


def test_pretrained_weights_without_a_hub_are_an_error_with_a_remedy() -> None:
    with pytest.raises(WeightsError, match=r"could not be fetched.*give weights that are on this machine"):
        load_model("timm:test_resnet")


def test_nonlinearity_with_one_learned_slope_is_read() -> None:
    adapter = load_model("timm:test_resnet?act_layer=prelu@random:0")
    layer = next(layer for layer in adapter.layers() if layer.nonlinearity == "prelu")
    function = adapter.nonlinearity(layer.name)
    assert function is not None
    maps = adapter.record(batch_of(adapter), [layer.name], "pre_activation")[layer.name]
    expected = adapter.record(batch_of(adapter), [layer.name])[layer.name]
    rows = maps.flatten(2).transpose(1, 2).contiguous()  # the layout of the pass
    torch.testing.assert_close(function(rows).transpose(1, 2).reshape(expected.shape), expected)
    assert (expected < 0).any()
