"""Our own loops against the operations of torch that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from precompute.optvis.parameterizations import FourierImage
from precompute.optvis.transforms import AffineRange, Warp, draw_affine
from precompute.optvis.update import Nadam


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


@pytest.mark.parametrize("num_channels", [3, 4])
@pytest.mark.parametrize("side", [15, 24])
def test_warp_and_its_gradient_are_those_of_grid_sample(num_channels: int, side: int) -> None:
    # Far outside: every edge is mirrored, some twice.
    bounds = AffineRange(shift_px=side * 0.7, scale=(0.3, 1.5), rotation_deg=60)
    matrices = draw_affine(bounds, side, [Generator().manual_seed(image) for image in range(5)], 1)[0]
    warp, outgoing = Warp(side), random(5, num_channels, side, side, seed=1)
    images = random(5, num_channels, side, side).requires_grad_(True)
    ours, theirs = warp(images, matrices), warp.by_grid(images, matrices)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    found, expected = (torch.autograd.grad(seen, images, outgoing)[0] for seen in (ours, theirs))
    torch.testing.assert_close(found, expected, atol=3e-4, rtol=1e-4)
    assert not torch.allclose(found, torch.autograd.grad(warp(images, matrices.flip(0)), images, outgoing)[0], atol=1e-2)


@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("side", [15, 24])
def test_spectrum_and_its_gradient_are_those_of_torch(side: int, has_alpha: bool) -> None:
    image = FourierImage(side, decay=1.0, cutoff=0.4, has_alpha=has_alpha)
    state = image.start([Generator().manual_seed(seed) for seed in range(3)], 1.0).requires_grad_(True)
    outgoing = random(3, image.num_channels, side, side)

    planes = torch.fft.irfft2(torch.view_as_complex(state * image._scale), s=(side, side), norm="ortho")
    mixed = torch.einsum("ij,bjhw->bihw", torch.tensor(image._color), planes[:, :3])
    expected = torch.sigmoid(torch.cat([mixed, planes[:, 3:]], 1))
    torch.testing.assert_close(image.image(state), expected)
    (wanted,) = torch.autograd.grad(expected, state, outgoing)
    (found,) = torch.autograd.grad(image.image(state), state, outgoing)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    (of_another,) = torch.autograd.grad(image.image(state), state, outgoing.flip(2))
    assert not torch.allclose(of_another, wanted, atol=1e-2)


def test_update_is_that_of_torch_image_by_image() -> None:
    start, gradients = random(4, 3, 5), [random(4, 3, 5, seed=seed) for seed in range(1, 7)]
    fading = random(4, 3, 5, seed=9)
    ours, theirs = (Nadam(start.clone(), 0.05, 8, num_fading=3) for _ in range(2))
    for update in (ours, theirs):
        update.fading.copy_(fading)
    reference = start[0].clone().requires_grad_(True)
    nadam = torch.optim.NAdam([reference], lr=0.05, maximize=True)
    is_live = torch.tensor([True, True, False, True])
    for step, gradient in enumerate(gradients):
        steps = torch.tensor([step, step + 1, step, 0])
        ours.climb(gradient, steps, is_live)
        theirs.climb_by_torch(gradient, steps, is_live)
        reference.grad = gradient[0]
        nadam.step()
    torch.testing.assert_close(ours.state, theirs.state)
    torch.testing.assert_close(ours.state[0], reference.detach() - 3 * fading[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.state[2], start[2] - 3 * fading[2])  # no gradient: it only fades
    assert not torch.allclose(ours.state[1], ours.state[0], atol=1e-3)


def test_an_image_that_enters_late_begins_anew() -> None:
    start = random(2, 6)
    update, fresh = Nadam(start.clone(), 0.1, 8, 4), Nadam(start[:1].clone(), 0.1, 8, 4)
    live = torch.tensor([True, True])
    for step in range(3):
        update.climb(random(2, 6, seed=step), torch.tensor([step, step]), live)
    update.enter(slice(0, 1), start[:1], None)
    for step in range(3):
        gradient = random(2, 6, seed=20 + step)
        update.climb(gradient, torch.tensor([step, step + 3]), live)
        fresh.climb(gradient[:1], torch.tensor([step]), live[:1])
    torch.testing.assert_close(update.state[:1], fresh.state, rtol=0, atol=0)


def test_images_of_another_size_take_the_other_way() -> None:
    matrices = draw_affine(AffineRange(2.0), 16, [Generator().manual_seed(0)], 1)[0]
    for height, width in ((16, 8), (8, 16), (20, 20)):
        images = random(1, 3, height, width)
        torch.testing.assert_close(Warp(16)(images, matrices), Warp(16).by_grid(images, matrices))
