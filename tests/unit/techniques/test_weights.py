"""The filters of a layer that reads the image, in units of pixel value."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from precompute.domain import FILTERS, Artifact, LayerLink
from precompute.models.plain import PlainModel
from precompute.pipeline import build
from precompute.planning import BuildOptions
from precompute.store.verify import verify
from precompute.techniques.base import Context
from precompute.techniques.weights import Weights
from tests.tiny import TinyNet, tiny, woken

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)


class Painted(nn.Module):
    """A filter that wants red on its left and blue on its right, a normalisation, and a layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.second = nn.Conv2d(2, 3, 1)
        with torch.no_grad():
            self.first.weight.zero_()
            self.first.weight[0, 0, :, :2] = 1.0
            self.first.weight[0, 2, :, 2:] = 1.0
            self.first.weight[1].normal_(generator=torch.Generator().manual_seed(0))
            self.norm.register_buffer("running_var", torch.tensor([4.0, 0.25]))

    def forward(self, x: Tensor) -> Tensor:
        """Return `[batch, 3, height, width]`."""
        result: Tensor = self.second(torch.relu(self.norm(self.first(x))))
        return result


def gain_of(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    return norm.weight / torch.sqrt(norm.running_var + norm.eps)


def filters_of(model: PlainModel) -> tuple[Artifact, np.ndarray]:
    context = Context(model, model.layers())
    item = next(item for item in Weights().plan(context) if item.layer == "first")
    found = [result for result in Weights().compute(context, item) if isinstance(result, Artifact)]
    assert len(found) == 1
    assert found[0].blob is not None
    return found[0], np.load(io.BytesIO(found[0].blob.data))


def test_filters_are_the_weights_over_the_spread_of_the_input() -> None:
    net = Painted().eval()
    artifact, array = filters_of(PlainModel(net, 16, MEAN, STD))
    assert (artifact.kind, artifact.unit, artifact.payload["kernel_shape"]) == (FILTERS, None, [4, 4])
    folded = net.first.weight * gain_of(net.norm)[:, None, None, None]
    expected = (folded / torch.tensor(STD)[None, :, None, None]).detach().numpy()
    np.testing.assert_allclose(array, expected, rtol=1e-5)
    assert artifact.payload["maximum"] == pytest.approx(np.abs(array).max())
    # The twin: without the spread they are other numbers.
    assert not np.allclose(array, folded.detach().numpy(), rtol=0.1)


def test_filters_say_what_a_pixel_does() -> None:
    model = PlainModel(Painted().eval(), 16, MEAN, STD)
    _, array = filters_of(model)
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    brighter = pixels.clone()
    brighter[0, 2, 7, 6] += 0.25  # what position (3, 3) sees begins at row 5 and column 5
    before, after = (model.pre_activation(model.normalise(image), "first")[0, :, 3, 3] for image in (pixels, brighter))
    np.testing.assert_allclose((after - before).numpy(), 0.25 * array[:, 2, 2, 1], rtol=1e-4, atol=1e-5)


def test_only_layers_that_read_the_image_have_filters() -> None:
    model = tiny()
    assert [layer.name for layer in model.layers() if model.image_weights(layer.name) is not None] == ["stem"]
    link = model.image_weights("stem")
    assert link is not None
    assert link.is_exact
    net = woken(TinyNet())
    gain = gain_of(net.stem_bn)
    np.testing.assert_allclose(link.array, (net.stem.weight * gain[:, None, None, None]).detach().numpy(), rtol=1e-5)
    # The links between layers are what they were.
    model.image_weights("left")
    assert [other.source for other in (model.weights_between("stem", "left"),)] == ["stem"]


def test_a_build_stores_them_and_verify_knows_them(tmp_path: Path, twelve_images: Path) -> None:
    build(BuildOptions("tiny:net", str(twelve_images), tmp_path / "atlas", layers=("stem",), techniques=("weights",)))
    connection = sqlite3.connect(tmp_path / "atlas" / "atlas.db")
    rows = connection.execute("SELECT unit_index, technique, blob_sha256 FROM artifact WHERE kind = 'filters'").fetchall()
    assert [row[:2] for row in rows] == [(-1, "weights")]
    path = next((tmp_path / "atlas" / "blobs").glob(f"??/{rows[0][2]}.npy"))
    assert np.load(path).shape == (8, 3, 3, 3)
    assert verify(tmp_path / "atlas").problems == []
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [(problem.kind, problem.used_by) for problem in verify(tmp_path / "atlas").problems] == [
        ("altered", "filters of net stem")
    ]


def test_other_layers_yield_links_as_before() -> None:
    model = tiny()
    context = Context(model, model.layers())
    item = next(item for item in Weights().plan(context) if item.layer == "left")
    results = list(Weights().compute(context, item))
    assert [result.source for result in results if isinstance(result, LayerLink)] == ["stem"]
    assert not [result for result in results if isinstance(result, Artifact)]
