"""The values that pass between the rooms."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from precompute.domain import LayerSpec, ModelSpec, StimulusRef, check_model_id, stable_hash
from precompute.errors import UsageError


def layer(**changes: object) -> LayerSpec:
    spec = LayerSpec("conv", "channel", 8, 0, 1, (14, 14), "convolution", "relu", 31, 16, (-7, -7))
    return dataclasses.replace(spec, **changes)


@pytest.mark.parametrize(
    ("text", "source", "name", "weights"),
    [
        pytest.param("timm:resnet18", "timm", "resnet18", "pretrained", id="default"),
        pytest.param("timm:resnet50.a1_in1k@pretrained", "timm", "resnet50.a1_in1k", "pretrained", id="tag"),
        pytest.param("timm:resnet18@random:7", "timm", "resnet18", "random:7", id="seed"),
        pytest.param("timm:vgg11@weights/a b@2.pth", "timm", "vgg11", "weights/a b@2.pth", id="path-with-at"),
        pytest.param("timm:tf_efficientnet_lite0@pip", "timm", "tf_efficientnet_lite0", "pip", id="pip"),
    ],
)
def test_a_specification_names_source_model_and_weights(text: str, source: str, name: str, weights: str) -> None:
    spec = ModelSpec.parse(text)
    assert (spec.source, spec.name, spec.weights) == (source, name, weights)
    assert ModelSpec.parse(str(spec)) == spec


def test_arguments_survive_a_round_trip() -> None:
    spec = ModelSpec.parse("timm:mobilenetv2_100?pad_type=same&num_classes=1001@m.pth")
    assert spec.arguments == {"pad_type": "same", "num_classes": "1001"}
    assert spec.weights == "m.pth"
    assert ModelSpec.parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["", "resnet18", ":resnet18", "timm:", "Timm:resnet18", "timm:a@"])
def test_what_is_no_specification_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is not a model") as caught:
        ModelSpec.parse(text)
    assert repr(text) in caught.value.detail
    assert "SOURCE:NAME" in caught.value.detail


@pytest.mark.parametrize("text", ["a", "resnet50.a1_in1k", "My-model_2", "x" * 100])
def test_model_ids_that_fit_a_url(text: str) -> None:
    assert check_model_id(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a b", "-a", "é", "x" * 101, "a\n"])
def test_model_ids_that_do_not_fit_a_url(text: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_model_id(text)


@pytest.mark.parametrize(
    ("y", "x", "box"),
    [
        pytest.param(0, 0, (0, 0, 24, 24), id="corner-is-clipped"),
        pytest.param(5, 6, (73, 89, 104, 120), id="inside"),
        pytest.param(13, 13, (201, 201, 224, 224), id="far-corner-is-clipped"),
    ],
)
def test_the_box_of_a_position_is_its_receptive_field(y: int, x: int, box: tuple[int, ...]) -> None:
    assert layer().box_at(y, x, 224, 224) == box


@pytest.mark.parametrize("changes", [{"receptive_field_px": None}, {"stride_px": None}, {"map_size": ()}, {"map_size": (50,)}])
def test_the_box_is_the_whole_input_where_there_is_no_map(changes: dict[str, object]) -> None:
    assert layer(**changes).box_at(0, 0, 224, 200) == (0, 0, 224, 200)


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StimulusRef(0, "a.png", None, "a.png").index = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_stable_hash_is_known_and_tells_parts_apart() -> None:
    assert stable_hash("conv_stem", 3) == stable_hash("conv_stem", "3") >= 0
    assert len({stable_hash("a", "b"), stable_hash("ab"), stable_hash("b", "a"), stable_hash("a,b")}) == 4
    assert stable_hash() < 1 << 63


def test_stable_hash_is_the_same_in_another_process() -> None:
    code = "from precompute.domain import stable_hash; print(stable_hash('conv_stem', 3))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ".", "PYTHONHASHSEED": "5"}
    )
    assert int(done.stdout) == stable_hash("conv_stem", 3)
