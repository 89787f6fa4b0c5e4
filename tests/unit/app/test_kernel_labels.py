"""Kernels are called what they are, whatever their size, sign and contrast."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.kernel_labels import LEAST_R2, label_kernel


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


def test_noise_is_called_nothing_for_sure() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 5, 5))
    shares = [label.r2 for label in map(label_kernel, noise) if label is not None]
    assert len(shares) == 200
    assert np.mean(np.array(shares) > LEAST_R2) < 0.03


@pytest.mark.parametrize("kernel", [np.zeros((3, 3)), np.ones((1, 1)), np.ones((3, 5)), np.full((3, 3), np.nan), np.ones(4)])
def test_what_has_no_shape_has_no_label(kernel: np.ndarray) -> None:
    assert label_kernel(kernel) is None
