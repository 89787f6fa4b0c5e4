"""The streaming pass equals brute force over all images and positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from precompute.activations.checkpoint import keep_state, restore_state
from precompute.activations.collect import Batch, begin_observations, observe
from precompute.activations.observation import MAX_PER_SOURCE, NUM_TOP, LayerObservation, Sample
from precompute.activations.summary import summarise
from precompute.errors import UsageError
from precompute.models.base import Point, units_first
from tests.tiny import SIDE, TinyModel, tiny

NUM_IMAGES = 90
PIXELS = np.random.default_rng(0).integers(0, 255, (NUM_IMAGES, SIDE, SIDE, 3), dtype=np.uint8)


def batches(size: int, num_sources: int, start: int = 0) -> list[Batch]:
    """Return the images in batches; every source is a run of neighbouring images."""
    sources = [str(index * num_sources // NUM_IMAGES) for index in range(NUM_IMAGES)]
    return [
        Batch(np.arange(at, min(NUM_IMAGES, at + size), dtype=np.int32), sources[at : at + size], PIXELS[at : at + size])
        for at in range(start, NUM_IMAGES, size)
    ]


def run_pass(model: TinyModel, names: list[str], size: int = 8, num_sources: int = NUM_IMAGES) -> dict[str, LayerObservation]:
    """Observe some layers."""
    layers = [model.layer(name) for name in names]
    observations = begin_observations(model, layers, range(NUM_IMAGES), 0, has_repeated_sources=num_sources < NUM_IMAGES)
    assert sum(observe(model, observations, batches(size, num_sources), batch_size=size)) == NUM_IMAGES
    return observations


def everything(model: TinyModel, name: str, point: Point) -> np.ndarray:
    """Return all activations of a layer `[image, unit, position]`, from the model as it was loaded."""
    inputs = model.normalise(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float().div(255))
    held = model.record(inputs, [name], point)[name]
    return units_first(held, model.layer(name).unit_axis).double().numpy()


CASES = [("net", "stem"), ("net", "block.conv1"), ("net", "block"), ("net", "deep"), ("net", "mix"), ("net", "head"),
         ("tokens", "fc1"), ("tokens", "fc2"), ("tokens", "patch")]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}:{name}" for kind, name in CASES])
def test_statistics_equal_brute_force(kind: str, name: str) -> None:
    model = tiny(kind)
    observation = run_pass(model, [name])[name]
    pre, act = everything(model, name, "pre_activation"), everything(model, name, "activation")
    flat = act.transpose(1, 0, 2).reshape(act.shape[1], -1)
    metrics = observation.metrics()
    centred = flat - flat.mean(axis=1, keepdims=True)
    kurtosis = (centred**4).mean(axis=1) / (centred**2).mean(axis=1) ** 2 - 3
    expected = {
        "mean": flat.mean(axis=1),
        "max": flat.max(axis=1),
        "std": flat.std(axis=1),
        "fraction_active": (flat > 0).mean(axis=1),
        "sparsity": kurtosis,
        "min": pre.min(axis=(0, 2)),
        "channel_mean_max": pre.mean(axis=2).max(axis=0),
        "channel_mean_min": pre.mean(axis=2).min(axis=0),
    }
    for metric, values in expected.items():
        np.testing.assert_allclose(metrics[metric], values, rtol=2e-4, atol=2e-5, err_msg=metric)


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}:{name}" for kind, name in CASES])
def test_histogram_counts_every_position(kind: str, name: str) -> None:
    model = tiny(kind)
    observation = run_pass(model, [name])[name]
    pre = everything(model, name, "pre_activation")
    for unit in range(pre.shape[1]):
        values = pre[:, unit].ravel()
        edges, counts = observation.histogram.edges_and_counts(unit)
        assert sum(counts) == values.size
        assert edges[0] < values.min() + 1e-4
        assert edges[-1] >= values.max() - 1e-4
        # Rounding of folded weights may move a value that lies on an edge: a handful of thousands.
        expected = np.histogram(values, edges)[0]
        assert np.abs(expected - counts).sum() <= max(4, values.size // 500)


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}:{name}" for kind, name in CASES])
def test_top_and_bottom_are_those_of_sorting_everything(kind: str, name: str) -> None:
    model = tiny(kind)
    layer = model.layer(name)
    observation = run_pass(model, [name])[name]
    pre, act = everything(model, name, "pre_activation"), everything(model, name, "activation")
    for unit in range(layer.num_units):
        best = act[:, unit].max(axis=1)
        top = observation.top_of(unit)
        np.testing.assert_allclose([found.activation for found in top], np.sort(best)[::-1][:NUM_TOP], rtol=1e-4, atol=1e-5)
        for found in top:
            place = found.position[0] * (layer.map_size[-1] if layer.map_size else 1) + found.position[1]
            np.testing.assert_allclose(act[found.stimulus, unit, place], found.activation, rtol=1e-4, atol=1e-5)
        lowest = np.sort(pre[:, unit].min(axis=1))[:8]
        np.testing.assert_allclose([found.activation for found in observation.bottom_of(unit)], lowest, rtol=1e-4, atol=1e-5)


def test_at_most_three_of_one_photograph_and_otherwise_the_best() -> None:
    model = tiny()
    observation = run_pass(model, ["stem"], size=7, num_sources=15)["stem"]
    best = everything(model, "stem", "pre_activation").max(axis=2)
    for unit in range(8):
        taken: dict[int, int] = {}
        expected = []
        for index in np.argsort(-best[:, unit], kind="stable"):
            source = index * 15 // NUM_IMAGES
            if taken.get(source, 0) < MAX_PER_SOURCE and len(expected) < NUM_TOP:
                taken[source] = taken.get(source, 0) + 1
                expected.append(index)
        assert [found.stimulus for found in observation.top_of(unit)] == expected


def test_saturated_images_are_ranked_by_how_much_of_the_map_is_active() -> None:
    model = tiny()
    model.folded.get_parameter("deep.bias").data += 5.5  # so that relu6 saturates on many images
    model.module.get_parameter("deep_bn.bias").data += 5.5
    observation = run_pass(model, ["deep"])["deep"]
    act = everything(model, "deep", "activation")
    top = observation.top_of(0)
    full = np.flatnonzero(act[:, 0].max(axis=1) >= 6.0)
    assert len(full) > NUM_TOP
    assert {found.activation for found in top} == {6.0}
    assert {found.pre_activation for found in top} == {None}
    means = act[:, 0].mean(axis=1)
    expected = sorted(means[full], reverse=True)[:NUM_TOP]
    np.testing.assert_allclose([means[found.stimulus] for found in top], expected, rtol=1e-5)
    assert means[top[0].stimulus] > means[top[-1].stimulus]
    places = [found.position[0] * model.layer("deep").map_size[-1] + found.position[1] for found in top]
    assert [act[found.stimulus, 0, place] for found, place in zip(top, places, strict=True)] == [6.0] * NUM_TOP


def test_quantile_and_random_examples_are_a_fair_sample() -> None:
    model = tiny()
    observation = run_pass(model, ["mix"])["mix"]
    best = everything(model, "mix", "activation").max(axis=2)
    bins = observation.quantiles_of(2, seed=0)
    assert [(low, high) for low, high, _ in bins] == [(number / 8, (number + 1) / 8) for number in range(8)]
    ordered = [found.activation for _, _, members in bins for found in members]
    assert len(ordered) == 24
    assert ordered == sorted(ordered)
    for found in [*observation.random_of(2, seed=0), *(found for _, _, members in bins for found in members)]:
        np.testing.assert_allclose(found.activation, best[found.stimulus, 2], rtol=1e-4, atol=1e-5)
    drawn = [found.stimulus for found in observation.random_of(2, seed=0)]
    assert len(set(drawn)) == 8
    assert drawn != [found.stimulus for found in observation.random_of(2, seed=1)]
    assert drawn == [found.stimulus for found in observation.random_of(2, seed=0)]


def test_batch_size_changes_nothing_that_counts() -> None:
    model = tiny()
    first, second = (run_pass(model, ["block"], size=size)["block"] for size in (5, 32))
    np.testing.assert_array_equal(first.top.best.stimulus, second.top.best.stimulus)
    np.testing.assert_array_equal(first.histogram.counts.sum(axis=1), second.histogram.counts.sum(axis=1))
    np.testing.assert_allclose(first.metrics()["sparsity"], second.metrics()["sparsity"], rtol=1e-5)


def test_pass_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    model, names = tiny(), ["stem", "block", "deep"]
    whole = run_pass(model, names, num_sources=15)
    layers = [model.layer(name) for name in names]
    first = begin_observations(model, layers, range(NUM_IMAGES), 0, has_repeated_sources=True)
    stream = observe(model, first, batches(8, 15), batch_size=8)
    seen = sum(next(stream) for _ in range(4))
    kept = keep_state(first, "build", seen)
    second = begin_observations(model, layers, range(NUM_IMAGES), 0, has_repeated_sources=True)
    assert restore_state(kept, second, "another build") == 0
    assert restore_state(kept[: len(kept) // 2], second, "build") == 0
    assert restore_state(kept, second, "build") == 32
    sum(observe(model, second, batches(8, 15, start=32), batch_size=8))
    for name in names:
        for metric, values in whole[name].metrics().items():
            np.testing.assert_array_equal(second[name].metrics()[metric], values)
        np.testing.assert_array_equal(second[name].top.finish().stimulus, whole[name].top.finish().stimulus)
        ours, theirs = second[name].histogram, whole[name].histogram
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(second[name].sample_position, whole[name].sample_position)


def test_state_of_another_layout_is_not_used() -> None:
    model = tiny()
    observations = begin_observations(model, [model.layer("stem")], range(NUM_IMAGES), 0, has_repeated_sources=True)
    sum(observe(model, observations, batches(8, 15), batch_size=8))
    kept = keep_state(observations, "build", NUM_IMAGES)
    other = begin_observations(model, [model.layer("stem")], range(NUM_IMAGES), 0, has_repeated_sources=True)
    other["stem"].lowest = other["stem"].lowest.astype(np.float64)
    assert restore_state(kept, other, "build") == 0
    assert other["stem"].num_images == 0
    fresh = begin_observations(model, [model.layer("stem")], range(NUM_IMAGES), 0, has_repeated_sources=True)
    assert restore_state(kept, fresh, "build") == NUM_IMAGES


def test_pre_activation_is_given_only_where_it_is_known() -> None:
    monotone, other = (
        LayerObservation.begin(replace(tiny().layer("stem"), nonlinearity=name), function, Sample(np.arange(2)), None)
        for name, function in (("relu", torch.relu), ("silu", functional.silu))
    )
    images = torch.randn(2, 400, 8, generator=torch.Generator().manual_seed(0)) - 3
    for observation in (monotone, other):
        known = observation.known(np.arange(2), ["a", "b"])
        observation.add(summarise(images, observation.reading, known), np.arange(2), ["a", "b"])
    assert monotone.top_of(0)[0].pre_activation == pytest.approx(float(images[:, :, 0].max()))
    best = functional.silu(images[:, :, 0]).flatten()
    assert other.top_of(0)[0].activation == pytest.approx(float(best.max()))
    assert other.top_of(0)[0].pre_activation is None


@pytest.mark.parametrize("scale", [1e-20, 1e-12, 1e-6, 1.0, 1e6])
def test_sparsity_is_possible_or_unknown_at_every_scale(scale: float) -> None:
    observation = LayerObservation.begin(replace(tiny().layer("stem"), nonlinearity=None), None, Sample(np.arange(4)), None)
    images = torch.randn(4, 400, 8, generator=torch.Generator().manual_seed(0)) * scale
    known = observation.known(np.arange(4), ["a", "b", "c", "d"])
    observation.add(summarise(images, observation.reading, known), np.arange(4), ["a", "b", "c", "d"])
    sparsity = observation.metrics()["sparsity"]
    if scale < 1e-9:
        assert np.isnan(sparsity).all()
    else:
        np.testing.assert_allclose(sparsity, 0, atol=0.4)


def test_numbers_that_are_not_finite_are_refused_with_the_layer() -> None:
    model = tiny()
    model.folded.get_parameter("right.weight").data[0] = float("nan")
    with pytest.raises(UsageError, match="Layer 'right' gives numbers that are not finite"):
        run_pass(model, ["stem", "right"])
