"""What the technique hands to the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from precompute.domain import VISUALIZATION_STATUSES, Artifact
from precompute.errors import UnknownName, UsageError
from precompute.optvis import recipe as recipes
from precompute.optvis.variants import Variant
from precompute.renderers.images import decode_image
from precompute.techniques.base import Context, WorkItem
from precompute.techniques.feature_visualization import FeatureVisualization
from tests.unit.optvis.tiny_adapter import TinyAdapter, tiny_cnn_adapter, tiny_token_adapter

METRICS = {"2": {"channel_mean_max": np.linspace(-1.0, 1.0, 20), "centre_min": np.full(20, -0.5)}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few steps, and one thread as in the processes that render."""
    monkeypatch.setattr(recipes, "WAYS", {key: way._replace(num_steps=20) for key, way in recipes.WAYS.items()})
    monkeypatch.setattr(recipes, "LARGEST_BATCH", 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def context_of(adapter: TinyAdapter) -> Context:
    return Context(adapter, adapter.layers(), metrics=METRICS)


def artifacts_of(adapter: TinyAdapter, layer: str, units: list[int], variant: str) -> list[Artifact]:
    results = list(FeatureVisualization().compute(context_of(adapter), WorkItem(layer, units, variant, True)))
    return [result for result in results if isinstance(result, Artifact)]


def test_plan_begins_with_the_leading_picture_of_every_layer() -> None:
    items = FeatureVisualization().plan(context_of(tiny_cnn_adapter()))
    assert [(item.layer, item.variant) for item in items] == [
        ("0", "neuron positive draft"),
        ("2", "neuron positive draft"),
        ("2", "channel positive draft"),
        ("2", "channel negative draft"),
        ("0", "neuron negative draft"),
        ("2", "neuron negative draft"),
        ("0", "neuron positive draft seed 1"),
        ("2", "neuron positive draft seed 1"),
    ]
    assert all(item.is_per_unit and item.seconds > 0 and item.num_bytes > 0 for item in items)
    assert list(items[1].units) == list(range(20))


def test_layer_without_positions_has_one_objective() -> None:
    adapter = tiny_cnn_adapter()
    flat = replace(adapter.layer("2"), map_size=(), receptive_field_px=None)
    items = FeatureVisualization().plan(Context(adapter, [flat]))
    assert [item.variant for item in items] == [
        "channel positive draft",
        "channel negative draft",
        "channel positive draft seed 1",
    ]


def test_results_come_in_order_and_are_json() -> None:
    results = artifacts_of(tiny_cnn_adapter(), "2", [3, 17, 4], "channel positive draft")
    assert [result.unit for result in results] == [3, 17, 4]
    for result in results:
        assert result.kind == "visualization"
        assert result.position == 1  # a layer that sees 7 pixels leads with the neuron's picture
        assert result.payload["status"] in VISUALIZATION_STATUSES
        assert json.loads(json.dumps(result.payload, allow_nan=False)) == result.payload


@pytest.mark.parametrize(
    ("variant", "early", "late"),
    [
        ("channel positive draft", 1, 0),
        ("neuron positive draft", 0, 1),
        ("channel negative draft", 3, 2),
        ("neuron negative final", 2, 3),
    ],
)
def test_variant_has_its_place(variant: str, early: int, late: int) -> None:
    layer = tiny_cnn_adapter().layer("2")
    assert Variant.parse(variant).place_on_page(layer) == early
    assert Variant.parse(variant).place_on_page(replace(layer, receptive_field_px=99)) == late
    assert str(Variant.parse(variant)) == variant


@pytest.mark.parametrize("variant", ["channel positive draft", "neuron negative draft"])
def test_stored_file_has_the_activation_that_is_stated(variant: str) -> None:
    adapter = tiny_cnn_adapter()
    for result in artifacts_of(adapter, "2", [0, 1], variant):
        assert result.blob is not None
        assert result.unit is not None
        pixels = torch.from_numpy(decode_image(result.blob.data).copy()).movedim(2, 0)[None].float() / 255
        held = adapter.pre_activation(adapter.normalise(pixels), "2")[0, result.unit]
        value = held.mean() if variant.startswith("channel") else held[held.shape[0] // 2, held.shape[1] // 2]
        assert pixels.shape[-1] == result.payload["canvas_px"]
        assert float(value) == pytest.approx(result.payload["activation_shown"], rel=1e-4, abs=1e-5)


def test_reached_ratio_compares_with_the_dataset() -> None:
    low, high = artifacts_of(tiny_cnn_adapter(), "2", [0, 19], "channel positive draft")
    assert low.payload["dataset_max"] == -1.0
    assert low.payload["reached_ratio"] is None
    assert "above zero" in low.payload["reached_note"]
    assert high.payload["reached_ratio"] == pytest.approx(high.payload["activation"] / 1.0)
    falling = artifacts_of(tiny_cnn_adapter(), "2", [0], "neuron negative draft")[0]
    assert falling.payload["reached_ratio"] == pytest.approx(falling.payload["activation"] / -0.5)
    unmeasured = artifacts_of(tiny_cnn_adapter(), "2", [0], "neuron positive draft")[0]
    assert unmeasured.payload["dataset_max"] is None


def test_any_grouping_of_units_gives_the_same_files() -> None:
    adapter = tiny_token_adapter()
    together = artifacts_of(adapter, "mix", [0, 1, 2, 3], "channel positive draft")
    apart = [artifacts_of(adapter, "mix", [unit], "channel positive draft")[0] for unit in (3, 0)]
    assert apart == [together[3], together[0]]


def test_unit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"no unit '20'.*0 to 19"):
        artifacts_of(tiny_cnn_adapter(), "2", [0, 20], "channel positive draft")


def test_variant_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="channel upwards draft"):
        artifacts_of(tiny_cnn_adapter(), "2", [0], "channel upwards draft")
