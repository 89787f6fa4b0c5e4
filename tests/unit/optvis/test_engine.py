"""Batching, memory, precision, rescue, the other ways to write an image down, and rendering from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from precompute.errors import UnknownName, UsageError
from precompute.models.plain import PlainModel
from precompute.optvis.engine import Picture, evaluate_padded, render_pictures
from precompute.optvis.lucent_renderer import render_with_lucent
from precompute.optvis.objectives import Objective, channel
from precompute.optvis.parameterizations import (
    Accentuation,
    FourierImage,
    MacoImage,
    Parameterization,
    PixelImage,
    decorrelate,
    natural_magnitude,
)
from precompute.optvis.recipe import Recipe
from precompute.optvis.render import render
from precompute.optvis.tensor_objectives import Distance, read_target
from precompute.optvis.transforms import AffineRange
from tests.unit.optvis.tiny_adapter import TinyAdapter, one_layer_adapter, tiny_cnn_adapter

QUICK = Recipe(canvas_px=24, num_steps=32, batch_size=4, bounds=AffineRange(1.5))


def photographs(count: int, side: int = 24) -> Tensor:
    """Return smooth noise: the spectrum of photographs, about."""
    generators = [torch.Generator().manual_seed(image) for image in range(count)]
    smooth = FourierImage(side, decay=1.5)
    return smooth.image(smooth.start(generators, 3.0))


def all_of(found: dict[int, list[Picture]]) -> list[Picture]:
    return [picture for place in sorted(found) for picture in found[place]]


class Hungry(TinyAdapter):
    """Says that memory is short, in torch's words, for more than two images."""

    def pre_activations(self, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        if len(batch) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried")
        return super().pre_activations(batch, layers)


def test_batch_becomes_smaller_where_memory_does_not_suffice() -> None:
    plain = tiny_cnn_adapter()
    hungry = Hungry(plain.module, list(plain.layers()))
    objectives = [channel("2", unit) for unit in range(5)]
    found = dict(render_pictures(hungry, objectives, QUICK, 0))
    small = dict(render_pictures(plain, objectives, replace(QUICK, batch_size=2), 0))
    for one, other in zip(all_of(found), all_of(small), strict=True):
        assert one.pixels.tobytes() == other.pixels.tobytes()


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    adapter = tiny_cnn_adapter()
    with pytest.raises(IndexError):
        dict(render_pictures(adapter, [channel("2", 99)], QUICK, 0))


def test_pictures_that_have_converged_leave_and_others_enter() -> None:
    adapter = tiny_cnn_adapter()
    torch.set_num_threads(1)
    objectives: list[Objective] = [channel("2", unit) for unit in range(10)]
    recipe = replace(QUICK, num_steps=256, least_gain=0.05)
    together = dict(render_pictures(adapter, objectives, recipe, 0))
    steps = {picture.num_steps for picture in all_of(together)}
    assert min(steps) < 256
    assert all(count % 16 == 0 for count in steps)
    # Whoever enters late is the picture that it would be alone.
    for place in (0, 9):
        alone = dict(render_pictures(adapter, [objectives[place]], recipe, 0))[0][0]
        assert alone.pixels.tobytes() == together[place][0].pixels.tobytes()


class Shut(nn.Module):
    """Two units behind a rectifier that is shut for any image whose mean is less than 0.06 above grey."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        grey = x.mean(1, keepdim=True)
        return self.unit(torch.cat([torch.relu(grey.mean((2, 3), keepdim=True) - 0.06) + 0 * grey, grey], 1))


def test_gradient_passes_a_shut_rectifier_in_a_rescue_and_nowhere_else() -> None:
    recipe = Recipe(canvas_px=16, num_steps=64, batch_size=2, bounds=AffineRange(1.0))
    adapter = one_layer_adapter(Shut(), "unit", 2, 1)
    found = dict(render_pictures(adapter, [channel("unit", 0), channel("unit", 1)], recipe, 0))
    assert found[0][0].status == "rescued"
    assert found[0][0].value > 0
    assert found[1][0].status == "ok"


def test_bfloat16_reaches_about_the_same_and_reports_in_float32() -> None:
    adapter = tiny_cnn_adapter()
    objectives = [channel("2", unit) for unit in range(4)]
    exact, rough = (
        all_of(dict(render_pictures(adapter, objectives, replace(QUICK, num_steps=64, uses_bfloat16=flag), 0)))
        for flag in (False, True)
    )
    assert [one.pixels.tobytes() for one in exact] != [one.pixels.tobytes() for one in rough]
    for one, other in zip(exact, rough, strict=True):
        assert other.value == pytest.approx(one.value, rel=0.05)
        assert evaluate_padded(adapter, [other.objective], [other.pixels], 4)[0] == pytest.approx(other.value, rel=1e-4)


@pytest.mark.parametrize("name", ["pixel", "maco", "alpha", "accentuation"])
def test_every_parameterization_raises_its_unit(name: str) -> None:
    image = photographs(1)[0]
    choices: dict[str, Parameterization] = {
        "pixel": PixelImage(24),
        "maco": MacoImage(natural_magnitude(photographs(8))),
        "alpha": FourierImage(24, has_alpha=True),
        "accentuation": Accentuation(image),
    }
    adapter = tiny_cnn_adapter()
    picture = dict(render_pictures(adapter, [channel("2", 3)], replace(QUICK, num_steps=64), 0, choices[name]))[0][0]
    assert picture.value > picture.start
    assert picture.pixels.shape == (24, 24, 4 if name == "alpha" else 3)
    again = dict(render_pictures(adapter, [channel("2", 3)], replace(QUICK, num_steps=64), 0, choices[name]))[0][0]
    assert again.pixels.tobytes() == picture.pixels.tobytes()


def test_maco_keeps_the_magnitudes_of_photographs() -> None:
    magnitude = natural_magnitude(photographs(8))
    maco = MacoImage(magnitude)
    image = maco.image(maco.start([torch.Generator().manual_seed(0)], 0.2))
    assert likeness_of_spectra(image, magnitude) > 0.9
    # The twin: phases alone do not make it so.
    pixels = PixelImage(24)
    assert likeness_of_spectra(pixels.image(pixels.start([torch.Generator().manual_seed(0)], 0.5)), magnitude) < 0.5


def likeness_of_spectra(image: Tensor, magnitude: Tensor) -> float:
    """Return the correlation of the logarithms of an image's magnitudes with others."""
    found = torch.fft.rfft2(decorrelate(image), norm="ortho").abs()[0]
    return torch.corrcoef(torch.stack([found.log().flatten(), magnitude.log().flatten()]))[0, 1].item()


def test_accentuation_stays_nearer_to_its_photograph_the_more_distance_costs() -> None:
    adapter, image = tiny_cnn_adapter(), photographs(1)[0]
    target = read_target(adapter, "0", image)

    def change(weight: float) -> float:
        objective = channel("2", 3) - weight * Distance("0", target)
        picture = dict(render_pictures(adapter, [objective], QUICK, 0, Accentuation(image)))[0][0]
        return float(np.abs(picture.pixels - image.movedim(0, 2).numpy()).mean())

    assert change(30.0) < 0.7 * change(0.0)


def test_lucent_renders_and_leaves_nothing_behind() -> None:
    adapter = tiny_cnn_adapter()
    torch_state, numpy_state = torch.random.get_rng_state(), str(np.random.get_state())
    found = dict(render_with_lucent(adapter, [channel("2", 1), -channel("2", 2)], QUICK, 0, num_steps=96))
    assert all(picture.value > picture.start for picture in all_of(found))
    assert all(not module._forward_hooks for module in adapter.module.modules())
    assert all(parameter.grad is None for parameter in adapter.module.parameters())
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert numpy_state == str(np.random.get_state())
    with pytest.raises(UsageError, match="single units"):
        next(render_with_lucent(adapter, [channel("2", 1) + channel("2", 2)], QUICK, 0))


def plain_module() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3, padding=1)
        )


def test_a_plain_module_is_left_as_it_was() -> None:
    module = plain_module().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = render(module, [channel("0", 1), channel("3", 0)], input_px=32, num_steps=16, progress=False)
    assert found.images.shape[0] == 2
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert [score["status"] for score in found.scores] == [picture.status for picture in found.pictures]
    assert found._repr_html_().count("<figure") == 2


@pytest.mark.parametrize("num_steps", [1, 16, 17, 21, 33])
def test_final_pictures_may_have_few_steps(num_steps: int) -> None:
    found = render(PlainModel(plain_module(), 32), channel("3", 0), quality="final", num_steps=num_steps, progress=False)
    assert 1 <= found.pictures[0].num_steps <= num_steps


def test_photographs_may_be_an_array_of_any_float() -> None:
    adapter = PlainModel(plain_module(), 32)
    images = photographs(3, 64)
    both = [
        render(adapter, channel("3", 0), parameterization="maco", photographs=given, num_steps=4, progress=False).images
        for given in (images, images.double().numpy())
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-3)


def test_what_python_is_asked_wrongly_is_said() -> None:
    adapter = PlainModel(plain_module(), 32)
    cases: list[tuple[object, dict[str, object], str]] = [
        (channel("33", 0), {}, "no layer '33'"),
        (channel("3", 4), {}, "0 to 3"),
        ([], {}, "at least one"),
        (channel("3", 0), {"parameterization": "maco"}, "photographs"),
        (channel("3", 0), {"parameterization": "mako"}, "fourier, pixel, maco and alpha"),
        (channel("3", 0), {"num_steps": 0}, "at least one"),
        (channel("3", 0), {"canvas_px": 4}, "at least 8"),
        ("3:0", {}, "is no objective"),
        (channel("3", 0), {"parameterization": "maco", "photographs": torch.zeros(3, 48, 48)}, "batch, rgb, height, width"),
        (channel("3", 0), {"parameterization": "maco", "photographs": np.full((2, 3, 48, 48), 200, np.uint8)}, "between 0 and 1"),
    ]
    for objective, more, words in cases:
        with pytest.raises((UsageError, UnknownName), match=words):
            render(adapter, objective, progress=False, **more)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="input_px"):
        PlainModel(nn.Linear(3, 4), 32)
