"""Pictures of the real network are what their numbers say, by plain timm and no code of ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from precompute.domain import Artifact
from precompute.executors.process import tune_process
from precompute.models.base import load_model
from precompute.models.modules import TracedModel
from precompute.renderers.images import decode_image
from precompute.techniques.base import Context, WorkItem
from precompute.techniques.feature_visualization import FeatureVisualization

pytestmark = pytest.mark.slow

SPEC = "timm:tf_efficientnet_lite0@pip"
NORMS = {"blocks.1.0.conv_pwl": "blocks.1.0.bn3", "blocks.2.0.conv_dw": "blocks.2.0.bn2", "blocks.3.1.conv_pwl": "blocks.3.1.bn3"}


def mean_map(module: nn.Module, norm: str, pixels: Tensor, unit: int) -> float:
    """Return the mean of one unit after its norm, as a hook on timm's own module sees it."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen.append(output.clone())

    # The norm of timm also applies the nonlinearity; its `drop` is what lies before.
    watched = module.get_submodule(norm)
    handle = watched.get_submodule("drop").register_forward_hook(hook)
    with torch.no_grad():
        module((pixels - 0.5) / 0.5)
    handle.remove()
    return seen[0][0, unit].mean().item()


@pytest.mark.parametrize("layer", NORMS)
def test_file_that_is_shown_is_what_was_scored(layer: str) -> None:
    tune_process(num_threads=1)
    adapter = load_model(SPEC)
    assert isinstance(adapter, TracedModel)
    assert adapter.preprocessing.mean == (0.5, 0.5, 0.5)
    item = WorkItem(layer, range(8), "channel positive draft", is_per_unit=True)
    results = list(FeatureVisualization().compute(Context(adapter, [adapter.layer(layer)]), item))
    pictures = [result for result in results if isinstance(result, Artifact)]
    assert len(pictures) == 8
    for picture in pictures:
        assert picture.blob is not None
        assert picture.unit is not None
        pixels = torch.from_numpy(decode_image(picture.blob.data).copy()).movedim(2, 0)[None].float() / 255.0
        plain = mean_map(adapter.module, NORMS[layer], pixels, picture.unit)
        assert plain == pytest.approx(picture.payload["activation_shown"], rel=0.02)
        assert plain != pytest.approx(mean_map(adapter.module, NORMS[layer], pixels.flip(3), picture.unit), rel=1e-4)
