"""What the engine promises about pictures, on models whose units are known."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from precompute.optvis.engine import Picture, evaluate_padded, render_pictures
from precompute.optvis.objectives import Objective, Reduction, Sign, UnitValue
from precompute.optvis.optimize import Ascent, Evaluate, Settings, Start
from precompute.optvis.parameterizations import FourierImage
from precompute.optvis.recipe import Recipe
from precompute.optvis.transforms import AffineRange
from tests.unit.optvis.tiny_adapter import (
    TinyAdapter,
    one_layer_adapter,
    seeded,
    tiny_cnn_adapter,
    tiny_token_adapter,
)

QUICK = Recipe(canvas_px=24, num_steps=24, batch_size=8, bounds=AffineRange(1.5))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread, as in the processes that render: the kernels of a batch are then always the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pictures_of(
    adapter: TinyAdapter,
    layer: str,
    units: list[int],
    recipe: Recipe = QUICK,
    reduction: Reduction = "channel",
    sign: Sign = "positive",
    seed: int = 0,
) -> list[Picture]:
    values = [UnitValue(layer, unit, reduction) for unit in units]
    return pictures_for(adapter, [value if sign == "positive" else -value for value in values], recipe, seed)


def pictures_for(adapter: TinyAdapter, objectives: Sequence[Objective], recipe: Recipe = QUICK, seed: int = 0) -> list[Picture]:
    found = dict(render_pictures(adapter, objectives, recipe, seed))
    return [picture for place in range(len(objectives)) for picture in found[place]]


@pytest.mark.parametrize("reduction", ["channel", "neuron"])
@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_objective_moves_to_its_side(reduction: Reduction, sign: Sign) -> None:
    adapter = tiny_cnn_adapter()
    for unit, picture in enumerate(pictures_of(adapter, "2", [0, 1, 2, 3], reduction=reduction, sign=sign)):
        assert picture.value > picture.start
        assert picture.trace[-1] > picture.trace[0]
        plain = evaluate_padded(adapter, [UnitValue("2", unit, reduction)], [picture.pixels], 1)[0]
        assert plain == pytest.approx(picture.value if sign == "positive" else -picture.value, rel=1e-4)


def test_token_units_are_read_on_the_last_axis() -> None:
    recipe = replace(QUICK, canvas_px=32)
    adapter = tiny_token_adapter()
    cases: list[tuple[Reduction, slice]] = [("channel", slice(None)), ("neuron", slice(32, 33))]
    for reduction, token in cases:
        picture = pictures_of(adapter, "mix", [7], recipe, reduction)[0]
        pixels = torch.from_numpy(picture.pixels).movedim(2, 0)[None]
        held = adapter.pre_activation(adapter.normalise(pixels), "mix")
        assert picture.value > picture.start
        assert float(held[0, token, 7].mean()) == pytest.approx(picture.value, rel=1e-4)


@pytest.mark.parametrize("name", ["convolutional", "tokens"])
def test_picture_does_not_depend_on_batch_mates_place_or_run(name: str) -> None:
    adapter, layer, units = (
        (tiny_cnn_adapter(), "2", list(range(20))) if name == "convolutional" else (tiny_token_adapter(), "mix", list(range(10)))
    )
    recipe = replace(QUICK, canvas_px=32)
    straight = dict(zip(units, pictures_of(adapter, layer, units, recipe), strict=True))
    shuffled = dict(zip(units[::-2], pictures_of(adapter, layer, units[::-2], recipe), strict=True))
    alone = pictures_of(adapter, layer, [5], recipe)[0]
    for unit, picture in [*shuffled.items(), (5, alone)]:
        assert picture.pixels.tobytes() == straight[unit].pixels.tobytes()
        assert picture.value == straight[unit].value
        assert picture.robustness == straight[unit].robustness
        assert picture.trace == straight[unit].trace


def test_other_batch_size_reaches_the_same_activation() -> None:
    adapter = tiny_cnn_adapter()
    one = pictures_of(adapter, "2", [0, 1, 2])
    other = pictures_of(adapter, "2", [0, 1, 2], replace(QUICK, batch_size=3))
    for a, b in zip(one, other, strict=True):
        assert a.value == pytest.approx(b.value, rel=0.02)


def test_other_seed_gives_another_picture() -> None:
    one, other = (pictures_of(tiny_cnn_adapter(), "2", [0], seed=seed)[0] for seed in (0, 1))
    assert one.pixels.tobytes() != other.pixels.tobytes()


def test_global_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state().clone()
    pictures_of(tiny_cnn_adapter(), "2", [0])
    assert torch.equal(before, torch.random.get_rng_state())


def test_permuting_the_units_permutes_the_pictures() -> None:
    adapter = tiny_cnn_adapter()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    module = copy.deepcopy(adapter.module)
    last = module.get_submodule("2")
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.weight.data, last.bias.data = last.weight[order].clone(), last.bias[order].clone()
    permuted = TinyAdapter(module, list(adapter.layers()))
    # The seed of a picture comes from the unit's index, so the same motif is reached from another start.
    for index in (0, 7):
        recipe = replace(QUICK, num_steps=64)
        moved = pictures_of(permuted, "2", [index], recipe)[0]
        home = pictures_of(adapter, "2", [int(order[index])], recipe)[0]
        assert moved.value == pytest.approx(home.value, rel=0.1)
        shown_at_home = evaluate_padded(adapter, [home.objective], [moved.pixels], 1)[0]
        assert shown_at_home == pytest.approx(moved.value, rel=1e-4)


def gabor(angle_deg: float, frequency: float, side: int = 25) -> torch.Tensor:
    """Return a grey Gabor kernel `[rgb, height, width]` whose wave travels at `angle_deg` from the x axis."""
    axis = torch.arange(side) - side // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = math.radians(angle_deg)
    wave = torch.cos(2 * math.pi * frequency * (x * math.cos(angle) + y * math.sin(angle)))
    kernel = wave * torch.exp(-(x**2 + y**2) / (2 * 7.0**2))
    return (kernel - kernel.mean()).expand(3, -1, -1)


def dominant_wave(pixels: np.ndarray) -> tuple[float, float]:
    """Return direction in degrees (0 to 180) and frequency in cycles per pixel of an image's strongest wave.

    The power is multiplied by the squared frequency, so that every image has a flat spectrum where nothing was found.
    """
    grey = pixels.mean(2)
    rows, columns = np.meshgrid(*[np.fft.fftfreq(len(grey))] * 2, indexing="ij")
    radius = np.hypot(rows, columns)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2 * radius**2
    power = power * (power > 0.3 * power.max())
    # Opposite frequencies are one wave, hence the doubled angle.
    mean = np.sum(power * np.exp(2j * np.arctan2(rows, columns)))
    return math.degrees(np.angle(mean)) / 2 % 180, float((power * radius).sum() / power.sum())


def test_planted_gabors_are_found_at_their_angle_and_frequency() -> None:
    angles = [0.0, 25.0, 60.0, 90.0, 135.0]
    module = nn.Sequential(nn.Conv2d(3, 5, 25, padding=12, bias=False), nn.ReLU(), nn.Conv2d(5, 5, 1, bias=False))
    first, last = module.get_submodule("0"), module.get_submodule("2")
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    first.weight.data = torch.stack([gabor(angle, 0.15) for angle in angles])
    last.weight.data = torch.eye(5)[..., None, None]
    # 72 pixels: on a smaller canvas the spectrum itself cannot tell 5 degrees apart.
    recipe = Recipe(canvas_px=72, num_steps=64, batch_size=8, bounds=AffineRange(3.0, rotation_deg=5.0), decay=1.0, cutoff=0.35)
    found = pictures_of(one_layer_adapter(module, "2", 5, 25), "2", [0, 1, 2, 3, 4], recipe)
    for angle, picture in zip(angles, found, strict=True):
        direction, frequency = dominant_wave(picture.pixels)
        assert abs((direction - angle + 90) % 180 - 90) < 5
        assert frequency == pytest.approx(0.15, rel=0.1)


class Planted(nn.Module):
    """Units with a known fate; each looks at the mean of the colours, `x` between -0.5 and 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1, keepdim=True)
        fates = {
            "ok": grey,
            "saturated": (grey * 200 + 4).clamp(max=6),
            "never_started": grey * 0,
            "dead_start": grey - 2,
        }
        return self.units(torch.cat(list(fates.values()), 1))


def test_statuses_say_what_became_of_each_unit() -> None:
    recipe = Recipe(canvas_px=16, num_steps=160, batch_size=8, bounds=AffineRange(1.0))
    found = pictures_of(one_layer_adapter(Planted(), "units", 4, 1), "units", [0, 1, 2, 3], recipe)
    assert [picture.status for picture in found] == ["ok", "saturated", "never_started", "dead_start"]
    assert found[2].num_steps < recipe.num_steps


def test_values_that_are_not_numbers_stop_their_own_image_only() -> None:
    def make_evaluate(_objectives: Sequence[Objective]) -> Evaluate:
        def evaluate(pixels: torch.Tensor) -> torch.Tensor:
            values = pixels.mean((1, 2, 3))
            return torch.stack([values[0], values[1] * float("nan"), values[2]])

        return evaluate

    starts = [Start(UnitValue("x", row), [torch.Generator().manual_seed(row)], tag=row) for row in range(3)]
    ascent = Ascent(make_evaluate, FourierImage(16), Settings(20, AffineRange(1.0)), num_places=3)
    found = {finish.start.tag: finish for finish in ascent.run(starts)}
    assert all(bool(finish.images.isfinite().all()) for finish in found.values())
    assert [int(found[row].last_live_step) for row in range(3)] == [19, -1, 19]
    assert [found[row].num_steps for row in range(3)] == [20, 16, 20]
    assert float(found[0].value) > float(found[0].initial)


class Sleeper(nn.Module):
    """One unit behind a rectifier that only a contrast of the given strength opens."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.unit = nn.Identity()
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unit(torch.relu(x.mean(1, keepdim=True) - self.threshold))


def test_restart_with_more_contrast_rescues_a_sleeping_unit() -> None:
    recipe = Recipe(canvas_px=16, num_steps=32, batch_size=2, bounds=AffineRange(1.0))
    found = pictures_of(one_layer_adapter(Sleeper(0.4), "unit", 1, 1), "unit", [0], recipe)[0]
    assert found.status == "rescued"
    assert found.attempt > 0
    assert found.value > 0


def test_units_that_fail_do_not_change_their_batch_mates() -> None:
    recipe = Recipe(canvas_px=16, num_steps=32, batch_size=4, bounds=AffineRange(1.0))
    adapter = one_layer_adapter(Planted(), "units", 4, 1)
    beside = pictures_of(adapter, "units", [1, 0, 2, 3], recipe)[1]
    alone = pictures_of(adapter, "units", [0], recipe)[0]
    assert beside.pixels.tobytes() == alone.pixels.tobytes()


def test_robustness_of_a_flat_unit_is_one() -> None:
    module = nn.Sequential(nn.Conv2d(3, 1, 1))
    first = module.get_submodule("0")
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    first.weight.data.fill_(1.0)
    first.bias.data.fill_(2.0)
    picture = pictures_of(one_layer_adapter(module, "0", 1, 1), "0", [0])[0]
    assert picture.robustness == pytest.approx(1.0, abs=0.05)


def test_folded_and_unfolded_norm_give_the_same_picture() -> None:
    plain = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.BatchNorm2d(4)))
    norm = plain.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.running_mean, norm.running_var = torch.tensor([0.1, -0.2, 0.3, 0.0]), torch.tensor([0.5, 2.0, 1.0, 0.1])
    plain.eval()
    convolution = plain.get_submodule("0")
    assert isinstance(convolution, nn.Conv2d)
    folded = nn.Sequential(nn.Identity(), nn.utils.fusion.fuse_conv_bn_eval(convolution, norm))
    one = pictures_of(one_layer_adapter(plain, "1", 4, 5), "1", [0, 1, 2, 3])
    other = pictures_of(one_layer_adapter(folded, "1", 4, 5), "1", [0, 1, 2, 3])
    for a, b in zip(one, other, strict=True):
        assert a.value == pytest.approx(b.value, rel=0.02)
