"""Kernels are called what they are, whatever their size, sign and contrast."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from app.contexts import KernelFacet
from app.contexts import KernelLabel as KernelLabelContext
from precompute.circuits.labels import (
    LEAST_R2,
    NO_SHAPE,
    SHAPES,
    KernelLabel,
    direction_deg,
    fit_kernels,
    label_kernels,
    label_shares,
    shuffled_shares,
)


def label_kernel(kernel: np.ndarray) -> KernelLabel | None:
    return label_kernels(kernel[None])[0]


def places(side: int) -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(side) - (side - 1) / 2
    return np.meshgrid(axis, -axis)


def planted(shape: str, side: int, angle_deg: float = 0.0) -> np.ndarray:
    """Return a kernel of another make than those that it is compared with."""
    right, up = places(side)
    radius = np.hypot(right, up)
    angle = math.radians(angle_deg)
    along, across = right * math.cos(angle) + up * math.sin(angle), up * math.cos(angle) - right * math.sin(angle)
    kernels = {
        "uniform": np.ones((side, side)) + 0.1 * right,
        "gradient": np.tanh(along),
        "line": np.where(np.abs(across) < side / 6, 1.0, -0.4),
        "centre-surround": np.where(radius < side / 4, 1.0, -0.2),
        "ring": np.where(np.abs(radius - side / 3) < side / 7, 1.0, -0.8),
    }
    # What a kernel adds everywhere is a share of its own: without it the rest can be told.
    return kernels[shape] if shape == "uniform" else kernels[shape] - kernels[shape].mean()


def ones(side: int, rows: slice, columns: slice) -> np.ndarray:
    """Return a kernel of ones in some places."""
    kernel = np.zeros((side, side))
    kernel[rows, columns] = 1
    return kernel


MIDDLE, INNER, ALL = slice(2, 3), slice(1, 4), slice(None)


@pytest.mark.parametrize(
    ("kernel", "shape", "angle", "least_r2"),
    [
        (ones(5, MIDDLE, ALL), "line", 0, 0.9),
        (ones(5, MIDDLE, INNER), "line", 0, 0.7),  # short
        (ones(5, slice(1, 2), ALL), "line", 0, 0.8),  # not through the middle
        (ones(5, INNER, slice(3, 4)), "line", 90, 0.7),
        (np.eye(5), "line", 135, 0.7),
        (np.eye(3), "line", 135, 0.8),
        (ones(3, slice(1, 2), ALL), "line", 0, 0.99),
        (ones(3, slice(1, 2), slice(1, 2)), "spot", None, 0.95),
        (ones(5, MIDDLE, MIDDLE), "spot", None, 0.9),
        (ones(5, INNER, INNER), "spot", None, 0.8),
        (ones(3, slice(1, 2), slice(1, 2)) - 0.01, "spot", None, 0.95),
        (9 * ones(3, slice(1, 2), slice(1, 2)) - 1, "centre-surround", None, 0.95),
        (ones(5, INNER, INNER) - 0.4, "centre-surround", None, 0.7),
        (ones(5, INNER, INNER) - ones(5, MIDDLE, MIDDLE), "ring", None, 0.7),
        (ones(3, slice(0, 1), ALL), "gradient", 90, 0.8),
        (0.1 + planted("gradient", 5), "gradient", 0, 0.8),
        (2 + planted("gradient", 5), "uniform", None, 0.5),
        (3 * ones(5, ALL, ALL) + ones(5, MIDDLE, ALL), "uniform", None, 0.9),
    ],
)
@pytest.mark.parametrize("factor", [1.0, -1.0, 1e-6])
def test_kernels_of_one_sign_are_named_by_their_shape(
    kernel: np.ndarray, shape: str, angle: float | None, least_r2: float, factor: float
) -> None:
    found = label_kernel(factor * kernel)
    assert found is not None
    assert (found.shape, found.is_clear) == (shape, True)
    assert found.r2 >= least_r2
    if angle is None:
        assert found.angle_deg is None
    else:
        assert found.angle_deg is not None
        assert 0 <= found.angle_deg < 360
        turned = found.angle_deg - angle - 180 * (shape == "gradient" and factor < 0)
        assert abs((turned + 180) % 360 - 180) < 1e-6
    assert found.sign == (1 if shape == "gradient" else math.copysign(1, factor))


@pytest.mark.parametrize(
    "kernel",
    [
        np.indices((5, 5)).sum(axis=0) % 2 * 2.0 - 1,  # a board of chess
        ones(5, slice(0, 5, 4), slice(0, 5, 4)),  # the corners
        np.tile([1.0, -1.0, 1.0, -1.0, 1.0], (5, 1)),  # three lines
        ones(7, slice(1, 7, 4), slice(1, 7, 4)),  # four spots
    ],
)
def test_what_is_like_no_ideal_kernel_has_no_clear_name(kernel: np.ndarray) -> None:
    found = label_kernel(kernel)
    assert found is not None
    assert not found.is_clear


def test_a_constant_lifts_no_kernel_over_the_threshold() -> None:
    """With it, most of the kernel is accounted for; but the word itself says less than half of the rest."""
    kernel = np.random.default_rng(7).normal(size=(5, 5)) + 0.6 * planted("gradient", 5)
    kernel = kernel - kernel.mean()
    lifted = kernel + 0.9 * math.sqrt(np.square(kernel).mean())
    below, found = label_kernel(kernel), label_kernel(lifted)
    assert below is not None
    assert found is not None
    assert below.shape == found.shape == "gradient"
    assert below.r2 < LEAST_R2 < found.r2
    assert not below.is_clear
    assert not found.is_clear


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("shape", ["uniform", "gradient", "line", "centre-surround", "ring"])
def test_planted_kernels_are_named(shape: str, side: int) -> None:
    if shape == "ring" and side < 5:
        return
    kernel = planted(shape, side)
    found = label_kernel(kernel)
    assert found is not None
    assert found.shape == shape
    assert found.r2 > LEAST_R2
    for factor in (1e-6, -3.0, 1e12):
        other = label_kernel(kernel * factor)
        assert other is not None
        assert other.shape == shape
        assert other.r2 == pytest.approx(found.r2)
        if shape != "gradient":
            assert other.sign == math.copysign(1, factor) * found.sign


@pytest.mark.parametrize("angle", [0.0, 37.5, 90.0, 150.0])
def test_directions_are_those_that_were_planted(angle: float) -> None:
    line, edge = label_kernel(planted("line", 7, angle)), label_kernel(planted("gradient", 7, angle + 180))
    assert line is not None
    assert edge is not None
    assert line.angle_deg is not None
    assert edge.angle_deg is not None
    assert abs((line.angle_deg - angle + 90) % 180 - 90) <= 7.5
    assert abs((edge.angle_deg - angle - 180 + 180) % 360 - 180) <= 7.5


@pytest.mark.parametrize("shape", ["uniform", "gradient", "line", "centre-surround", "ring"])
def test_names_and_directions_survive_noise(shape: str) -> None:
    generator = np.random.default_rng(1)
    angles = generator.uniform(0, 180, 200)
    clean = np.stack([planted(shape, 7, angle) for angle in angles])
    clean /= np.linalg.norm(clean, axis=(1, 2))[:, None, None]
    noise = generator.normal(size=clean.shape)
    noise *= 0.35 / np.linalg.norm(noise, axis=(1, 2))[:, None, None]
    labels = label_kernels(clean + noise)
    assert np.mean([label is not None and label.shape == shape for label in labels]) > 0.97
    if shape in ("gradient", "line"):
        turn = 360 if shape == "gradient" else 180
        found = np.array([label.angle_deg for label in labels if label is not None and label.angle_deg is not None])
        assert np.abs((found - angles[: len(found)] + turn / 2) % turn - turn / 2).max() < 25


def test_a_batch_is_labelled_like_its_kernels_and_keeps_their_order() -> None:
    kernels = np.random.default_rng(2).normal(size=(50, 5, 5))
    kernels[7] = 0
    labels = label_kernels(kernels)
    assert [label is None for label in labels] == [place == 7 for place in range(50)]
    for kernel, label in zip(np.delete(kernels, 7, axis=0), [*labels[:7], *labels[8:]], strict=True):
        alone = label_kernel(kernel)
        assert alone is not None
        assert label is not None
        assert (alone.shape, alone.sign) == (label.shape, label.sign)
        assert alone.angle_deg == pytest.approx(label.angle_deg)
        assert alone.r2 == pytest.approx(label.r2)


def test_scaling_changes_no_label_and_a_negative_factor_turns_it() -> None:
    kernels = np.random.default_rng(3).normal(size=(500, 5, 5))
    here, scaled, turned = (fit_kernels(kernels * factor) for factor in (1.0, 1e-7, -1e5))
    assert (here.shapes == scaled.shapes).all()
    assert (here.signs == scaled.signs).all()
    assert np.allclose(here.angles_deg, scaled.angles_deg, equal_nan=True)
    assert np.allclose(here.r2, scaled.r2)
    is_edge = here.shapes == SHAPES.index("gradient")
    assert (turned.shapes == here.shapes).all()
    assert (turned.signs[~is_edge] == -here.signs[~is_edge]).all()
    assert np.allclose((turned.angles_deg - here.angles_deg)[is_edge] % 360, 180)


@pytest.mark.parametrize(("side", "most"), [(3, 0.4), (5, 0.01), (7, 0.001)])
def test_noise_mostly_has_no_name(side: int, most: float) -> None:
    fits = fit_kernels(np.random.default_rng(0).normal(size=(2000, side, side)))
    assert np.mean(fits.clear() != NO_SHAPE) < most
    # A kernel of nine numbers is often like something by chance: that is what the control is for.
    assert side != 3 or np.mean(fits.clear() != NO_SHAPE) > 0.15


def test_the_control_is_the_share_of_noise_and_far_below_what_was_planted() -> None:
    generator = np.random.default_rng(4)
    noise = generator.normal(size=(300, 3, 3))
    lines = np.stack([planted("line", 3, angle) for angle in generator.uniform(0, 180, 300)])
    line = SHAPES.index("line")
    counts, norms = label_shares([noise])
    control = shuffled_shares([noise], seed=5)
    assert abs(counts[line] / 300 - control.mean[line]) < 4 * control.std[line]
    assert norms.sum() <= 1
    counts, norms = label_shares([lines])
    control = shuffled_shares([lines], seed=5)
    assert counts[line] / 300 > control.mean[line] + 10 * control.std[line]
    assert counts[line] > 290
    assert norms[line] > 0.95
    same, other = shuffled_shares([lines], seed=5), shuffled_shares([lines], seed=6)
    assert (same.mean == control.mean).all()
    assert not (other.mean == control.mean).all()


@pytest.mark.parametrize("kernel", [np.zeros((3, 3)), np.ones((1, 1)), np.ones((3, 5)), np.full((3, 3), np.nan)])
def test_what_has_no_shape_has_no_label(kernel: np.ndarray) -> None:
    assert label_kernel(kernel) is None


@pytest.mark.parametrize("side", [2, 3, 5])
def test_direction_turns_with_the_kernel_whatever_is_even_in_it(side: int) -> None:
    kernel = np.random.default_rng(side).normal(size=(side, side))
    even = kernel + np.rot90(kernel, 2)
    direction = direction_deg(kernel)
    assert direction is not None
    for changed, expected in (
        (np.rot90(kernel), direction + 90),
        (-kernel, direction + 180),
        (kernel[:, ::-1], 180 - direction),  # mirrored: what a flipped kernel would be taken for
        (3 * kernel + even, direction),
    ):
        found = direction_deg(changed)
        assert found is not None
        assert abs((found - expected + 180) % 360 - 180) < 1e-6
    mirrored = direction_deg(kernel[:, ::-1])
    assert mirrored is not None
    assert abs((mirrored - direction + 180) % 360 - 180) > 1


def test_even_kernels_have_no_direction() -> None:
    line = np.outer([-1.0, 2.0, -1.0], np.ones(3))
    assert direction_deg(line) is None
    assert direction_deg(np.ones((1, 1))) is None
    assert direction_deg(np.zeros((3, 3))) is None


def test_a_page_offers_every_kind_and_every_description_lists_them() -> None:
    template = (Path(__file__).parents[3] / "templates/pages/partners.html").read_text(encoding="utf-8")
    assert "[" + ", ".join(f'"{kind}"' for kind in (*SHAPES, "other")) + "]" in template
    for context in (KernelLabelContext.model_fields["shape"], KernelFacet.model_fields["kind"]):
        assert all(shape in (context.description or "") for shape in SHAPES)
