"""The algebra: what an objective says of an image is what torch says of it, one number for each image."""

from __future__ import annotations

import operator
from dataclasses import replace

import pytest
import torch
from lucent.optvis import objectives as lucent_objectives
from torch import Tensor

from precompute.errors import UnknownName, UsageError
from precompute.optvis.engine import evaluator, render_pictures
from precompute.optvis.objectives import (
    Objective,
    channel,
    class_logit,
    group_by_signature,
    interpolate,
    neuron,
)
from precompute.optvis.recipe import Recipe
from precompute.optvis.tensor_objectives import (
    DeepDream,
    Direction,
    Distance,
    Facets,
    caricature,
    from_lucent,
    read_target,
)
from precompute.optvis.transforms import AffineRange
from tests.unit.optvis.tiny_adapter import TinyAdapter, tiny_cnn_adapter, tiny_token_adapter

QUICK = Recipe(canvas_px=24, num_steps=24, batch_size=8, bounds=AffineRange(1.5))


def noise(count: int, side: int = 24) -> Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(5))


def held_by(adapter: TinyAdapter, images: Tensor, layer: str = "2") -> Tensor:
    with torch.no_grad():
        return adapter.pre_activation(adapter.normalise(images), layer)


def values_of(adapter: TinyAdapter, objectives: list[Objective], images: Tensor) -> list[float]:
    with torch.no_grad():
        return evaluator(adapter, objectives)(images).tolist()


def test_units_are_gathered_one_for_each_image() -> None:
    adapter, images = tiny_cnn_adapter(), noise(3)
    held = held_by(adapter, images)
    assert values_of(adapter, [channel("2", unit) for unit in (4, 0, 19)], images) == pytest.approx(
        [float(held[row, unit].mean()) for row, unit in enumerate((4, 0, 19))], rel=1e-5
    )
    places = [(1, 2), (11, 0), (6, 6)]
    found = values_of(adapter, [neuron("2", 7, *place) for place in places], images)
    assert found == pytest.approx([float(held[row, 7, y, x]) for row, (y, x) in enumerate(places)], rel=1e-5)
    assert values_of(adapter, [neuron("2", 7)], images[2:]) == pytest.approx(found[2:], rel=1e-6)


def test_algebra_is_that_of_numbers() -> None:
    adapter, images = tiny_cnn_adapter(), noise(2)
    held = held_by(adapter, images).mean((2, 3))
    early = held_by(adapter, images, "0").mean((2, 3))
    objectives = [2 * channel("2", unit) - channel("0", 1) * channel("2", 3) + 5 for unit in (4, 9)]
    expected = [float(2 * held[row, unit] - early[row, 1] * held[row, 3] + 5) for row, unit in enumerate((4, 9))]
    assert values_of(adapter, objectives, images) == pytest.approx(expected, rel=1e-4)
    assert values_of(adapter, [-channel("2", 4), 1 - channel("2", 4)], images)[0] == pytest.approx(-float(held[0, 4]), rel=1e-4)
    assert objectives[0].layers == {"0", "2"}


def test_interpolation_goes_from_one_to_the_other() -> None:
    adapter, image = tiny_cnn_adapter(), noise(1)
    held = held_by(adapter, image).mean((2, 3))[0]
    found = values_of(adapter, interpolate(channel("2", 0), channel("2", 1), 3), image.expand(3, -1, -1, -1))
    assert found == pytest.approx([float(held[0]), float(held[:2].mean()), float(held[1])], rel=1e-4)
    with pytest.raises(UsageError, match="at least two"):
        interpolate(channel("2", 0), channel("2", 1), 1)


def test_direction_is_a_dot_product_times_a_power_of_the_cosine() -> None:
    adapter, images = tiny_cnn_adapter(), noise(2)
    vector = torch.randn(20, generator=torch.Generator().manual_seed(1))
    maps = held_by(adapter, images).flatten(2)
    dot = torch.einsum("bup,u->bp", maps, vector)
    cosine = dot / (maps.norm(dim=1) * vector.norm())
    plain, powered = (values_of(adapter, [Direction("2", vector, power)] * 2, images) for power in (0.0, 2.0))
    assert plain == pytest.approx(dot.mean(1).tolist(), rel=1e-4)
    assert powered == pytest.approx((dot * cosine.clamp(min=0.1) ** 2).mean(1).tolist(), rel=1e-3)
    one_hot = torch.zeros(20)
    one_hot[3] = 1.0
    assert values_of(adapter, [Direction("2", one_hot)] * 2, images) == pytest.approx(
        values_of(adapter, [channel("2", 3)] * 2, images), rel=1e-4
    )
    with pytest.raises(UsageError, match="19 numbers"):
        values_of(adapter, [Direction("2", vector[:19])], images)


def test_caricature_and_distance_know_their_photograph() -> None:
    adapter, images = tiny_cnn_adapter(), noise(2)
    target = read_target(adapter, "2", images[0])
    near, far = values_of(adapter, [Distance("2", target)] * 2, images)
    assert near == pytest.approx(0.0, abs=1e-6)
    assert far > 0.01
    own, other = values_of(adapter, [caricature(adapter, "2", images[0])] * 2, images)
    assert own > other


def test_deep_dream_is_the_mean_square() -> None:
    adapter, images = tiny_token_adapter(), noise(2, 32)
    held = held_by(adapter, images, "mix")
    assert values_of(adapter, [DeepDream("mix")] * 2, images) == pytest.approx(held.square().mean((1, 2)).tolist(), rel=1e-4)


def test_class_logit_finds_its_class() -> None:
    adapter = tiny_token_adapter()
    with pytest.raises(UsageError, match="does not end in classes"):
        class_logit(adapter, 3)
    last = adapter.layers()[-1]
    adapter._layers = (*adapter.layers()[:-1], replace(last, map_size=()))
    adapter.labels = [f"class {number}" for number in range(last.num_units)]
    assert class_logit(adapter, "class 7") == channel(last.name, 7)
    with pytest.raises(UnknownName, match="class 7"):
        class_logit(adapter, "clas 7")


def test_facets_differ_more_than_pictures_of_other_seeds() -> None:
    adapter = tiny_cnn_adapter()

    def likeness(weight: float) -> float:
        pictures = dict(render_pictures(adapter, [Facets(channel("2", 3), 4, weight)], replace(QUICK, num_steps=64), 0))[0]
        assert [picture.facet for picture in pictures] == [0, 1, 2, 3]
        images = torch.stack([torch.from_numpy(picture.pixels).movedim(2, 0) for picture in pictures])
        maps = held_by(adapter, images).flatten(2)
        grams = torch.nn.functional.normalize(torch.bmm(maps, maps.transpose(1, 2)).flatten(1), dim=1)
        return float((grams @ grams.T).sum() - 4) / 12

    assert likeness(2.0) < likeness(0.0) - 0.01


def test_facets_are_two_to_six() -> None:
    for count in (1, 7):
        with pytest.raises(UsageError, match="2 to 6"):
            Facets(channel("2", 0), count)


def test_objectives_of_one_kind_share_a_batch() -> None:
    objectives = [channel("2", 0), neuron("2", 0), channel("2", 9), 2 * channel("2", 1), 3 * channel("2", 4), channel("0", 1)]
    assert group_by_signature(objectives) == [[0, 2], [1], [3, 4], [5]]
    found = dict(render_pictures(tiny_cnn_adapter(), objectives, replace(QUICK, num_steps=16), 0))
    assert sorted(found) == list(range(6))


def test_mixed_jobs_give_the_bytes_of_jobs_alone() -> None:
    adapter = tiny_cnn_adapter()
    torch.set_num_threads(1)
    objectives = [channel("2", 0), neuron("2", 3), -channel("2", 5)]
    together = dict(render_pictures(adapter, objectives, QUICK, 0))
    for place, objective in enumerate(objectives):
        alone = dict(render_pictures(adapter, [objective], QUICK, 0))[0][0]
        assert alone.pixels.tobytes() == together[place][0].pixels.tobytes()


def test_position_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="12 x 12 positions"):
        values_of(tiny_cnn_adapter(), [neuron("2", 0, 12, 0)], noise(1))


def test_an_objective_of_lucent_is_one_of_ours() -> None:
    adapter, images = tiny_cnn_adapter(), noise(2)
    ours = from_lucent(adapter, lucent_objectives.channel("2", 4))
    assert values_of(adapter, [ours, ours], images) == pytest.approx(values_of(adapter, [channel("2", 4)] * 2, images), rel=1e-4)
    mixed = from_lucent(adapter, lucent_objectives.channel("2", 4) - 2 * lucent_objectives.neuron("0", 1))
    assert mixed.layers == {"0", "2"}
    picture = dict(render_pictures(adapter, [ours], QUICK, 0))[0][0]
    assert picture.value > picture.start
    with pytest.raises(UnknownName, match="nowhere"):
        from_lucent(adapter, lucent_objectives.channel("nowhere", 4))


def test_two_sizes_of_groups_cannot_be_added() -> None:
    with pytest.raises(UsageError, match="2 and 3 images"):
        operator.add(Facets(channel("2", 0), 2), Facets(channel("2", 0), 3))
