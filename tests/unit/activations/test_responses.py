"""Mean activations by image and by label, and the maps of examples, equal what hooks on the model say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d

from precompute.activations.checkpoint import keep_state, restore_state
from precompute.activations.collect import Batch, begin_observations, observe
from precompute.activations.example_maps import ExampleMaps, look_at
from precompute.activations.layout import neighbours_kept, place_units
from precompute.activations.observation import LayerObservation
from precompute.activations.responses import ResponsePlan
from precompute.correlation import standardise
from tests.tiny import SIDE, TinyModel, tiny

NUM_IMAGES = 70
PIXELS = np.random.default_rng(5).integers(0, 255, (NUM_IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
LABELS = {index: ("ant", "bee", None, "cat")[index % 4] for index in range(NUM_IMAGES)}
CASES = [("net", "stem"), ("net", "block.conv1"), ("net", "deep"), ("net", "head"), ("tokens", "fc1")]


def batches(start: int = 0) -> Iterator[Batch]:
    for at in range(start, NUM_IMAGES, 32):
        stop = min(NUM_IMAGES, at + 32)
        yield Batch(np.arange(at, stop, dtype=np.int32), [str(place) for place in range(at, stop)], PIXELS[at:stop])


def observed(model: TinyModel, name: str, plan: ResponsePlan) -> LayerObservation:
    found = begin_observations(model, [model.layer(name)], range(NUM_IMAGES), 0, has_repeated_sources=False, responses=plan)
    assert sum(observe(model, found, batches())) == NUM_IMAGES
    return found[name]


def hooked(model: TinyModel, name: str) -> np.ndarray:
    """Return activations `[image, unit, …]` from the model as it was loaded."""
    inputs = model.normalise(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float().div(255))
    held = model.record(inputs, [name], "activation")[name]
    return torch.movedim(held, model.layer(name).unit_axis, 1).double().numpy()


def means(model: TinyModel, name: str) -> np.ndarray:
    values = hooked(model, name)
    return values.reshape(*values.shape[:2], -1).mean(axis=2)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_profile_is_the_mean_activation_of_each_image(kind: str, name: str) -> None:
    model, plan = tiny(kind), ResponsePlan.make("some images", LABELS)
    profile = observed(model, name, plan).responses.profile
    expected = means(model, name)[plan.members]
    np.testing.assert_allclose(profile, expected, rtol=2e-4, atol=2e-5)
    assert not np.allclose(profile, expected[::-1], rtol=2e-4, atol=2e-5)
    assert not np.allclose(profile, means(tiny(kind, seed=1), name)[plan.members], rtol=2e-4, atol=2e-5)


def test_sample_depends_on_the_dataset_alone() -> None:
    labels: dict[int, str | None] = dict.fromkeys(range(3000))
    plan = ResponsePlan.make("some images", labels)
    assert len(plan.members) == 1024
    assert plan.labels == ()
    np.testing.assert_array_equal(plan.members, ResponsePlan.make("some images", labels).members)
    assert not np.array_equal(plan.members, ResponsePlan.make("other images", labels).members)


@pytest.mark.parametrize("name", ["stem", "head"])
def test_labels_have_the_mean_of_their_images_and_their_share_of_the_variance(name: str) -> None:
    model, plan = tiny(), ResponsePlan.make("some images", LABELS)
    found = observed(model, name, plan).responses.by_label()
    assert found is not None
    values = means(model, name)
    assert list(found.labels) == ["ant", "bee", "cat"]
    groups = [[index for index, label in LABELS.items() if label == wanted] for wanted in found.labels]
    expected = np.stack([values[group].mean(axis=0) for group in groups], axis=1)
    np.testing.assert_allclose(found.mean, expected, rtol=2e-4, atol=2e-5)
    assert not np.allclose(found.mean, expected[:, ::-1], rtol=2e-4, atol=2e-5)
    assert found.count.tolist() == [len(group) for group in groups]
    labelled = values[np.concatenate(groups)]
    between = sum(len(group) * (values[group].mean(axis=0) - labelled.mean(axis=0)) ** 2 for group in groups)
    np.testing.assert_allclose(found.eta_squared, between / (labelled.var(axis=0) * len(labelled)), rtol=5e-3, atol=1e-5)


def test_random_labels_have_the_share_of_variance_that_is_told_as_chance() -> None:
    model, values = tiny(), means(tiny(), "mix")
    drawn, told = [], []
    for seed in range(30):
        order = np.random.default_rng(seed).permutation(NUM_IMAGES)
        plan = ResponsePlan.make(
            "some images", {int(index): ("ant", "bee", "cat")[place % 3] for place, index in enumerate(order)}
        )
        observation = begin_observations(
            model, [model.layer("mix")], range(NUM_IMAGES), 0, has_repeated_sources=False, responses=plan
        )
        responses = observation["mix"].responses
        responses.add(values.astype(np.float32), np.arange(NUM_IMAGES, dtype=np.int32))
        found = responses.by_label()
        assert found is not None
        drawn.append(found.eta_squared.mean())
        told.append(found.eta_squared_chance)
    assert np.mean(drawn) == pytest.approx(told[0], rel=0.2)


def test_one_label_alone_tells_nothing() -> None:
    plan = ResponsePlan.make("some images", dict.fromkeys(range(NUM_IMAGES), "ant"))
    assert observed(tiny(), "stem", plan).responses.by_label() is None


def test_a_pass_that_was_stopped_goes_on_to_the_same_answers() -> None:
    model, plan = tiny(), ResponsePlan.make("some images", LABELS)
    whole = observed(model, "deep", plan).responses

    def fresh() -> dict[str, LayerObservation]:
        return begin_observations(model, [model.layer("deep")], range(NUM_IMAGES), 0, has_repeated_sources=False, responses=plan)

    first = fresh()
    done = next(observe(model, first, batches()))
    second = fresh()
    assert restore_state(keep_state(first, "build", done), second, "build") == done
    list(observe(model, second, batches(done)))
    for name in ("profile", "label_sum", "dealt_sum", "label_count", "squares"):
        np.testing.assert_array_equal(getattr(second["deep"].responses, name), getattr(whole, name))


def example_maps(model: TinyModel, name: str) -> tuple[ExampleMaps, np.ndarray]:
    """Return the maps of three examples of each unit, and the maps that hooks give, pooled, for all images."""
    values = torch.from_numpy(hooked(model, name))
    pooled = adaptive_max_pool2d(values, (min(14, values.shape[2]), min(14, values.shape[3]))).numpy()
    highest = values.flatten(2).amax(2).numpy()
    chosen = {unit: [*np.argsort(-highest[:, unit])[:2].tolist(), unit] for unit in range(highest.shape[1])}
    examples = {unit: [(image, float(highest[image, unit])) for image in images] for unit, images in chosen.items()}
    maps = ExampleMaps.begin(model.layer(name), model.nonlinearity(name), examples)
    assert sum(look_at(model, {name: maps}, batches())) == NUM_IMAGES
    expected = np.stack([pooled[[image for image, _ in examples[unit]], unit] for unit in examples])
    return maps, expected / maps.largest[:, None, None, None].clip(1e-9) * 255


@pytest.mark.parametrize("name", ["stem", "block.conv1", "deep"])
def test_maps_of_examples_are_those_of_the_model(name: str) -> None:
    maps, expected = example_maps(tiny(), name)
    wanted = np.where(maps.largest[:, None, None, None] > 0, expected.clip(0, 255), 0)
    assert np.abs(maps.maps - wanted).max() <= 1
    assert np.abs(maps.maps[..., ::-1] - wanted).max() > 20  # mirrored
    assert np.abs(np.roll(maps.maps, 1, axis=0) - wanted).max() > 20  # of another unit
    assert (maps.maps[maps.largest > 0, 0].reshape(int((maps.largest > 0).sum()), -1).max(axis=1) == 255).all()


def test_layout_is_the_same_every_time_and_keeps_more_than_chance() -> None:
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(6, 200))
    profiles, _ = standardise(kinds[np.arange(90) % 6] + 0.6 * generator.normal(size=(90, 200)))
    places, method = place_units(profiles)
    assert method == "t-sne"
    np.testing.assert_array_equal(places, place_units(profiles)[0])
    assert np.abs(places).max() == pytest.approx(1)
    kept = neighbours_kept(profiles, places)
    by_chance = neighbours_kept(profiles, generator.permutation(places))
    assert kept is not None
    assert by_chance is not None
    assert kept > 0.4 > 0.25 > by_chance


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_few_units_have_places_too(count: int) -> None:
    profiles, _ = standardise(np.random.default_rng(1).normal(size=(count, 40)))
    places, _ = place_units(profiles)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
