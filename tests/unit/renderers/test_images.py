"""Pixels to files and back."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.renderers.images import decode_image, encode_webp, quantise, stretch_contrast


def noise(side: int = 32, spread: float = 0.1) -> np.ndarray:
    return 0.5 + spread * np.random.default_rng(0).standard_normal((side, side, 3))


def test_lossless_file_gives_back_every_pixel() -> None:
    image = quantise(noise())
    blob = encode_webp(image)
    assert blob.extension == "webp"
    assert np.array_equal(decode_image(blob.data), image)


def test_lossy_file_is_smaller_and_near() -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    image = quantise(np.stack([x, y, 1 - x], -1))
    blob = encode_webp(image, 92)
    assert len(blob.data) < len(encode_webp(quantise(noise(96))).data)
    assert np.abs(decode_image(blob.data).astype(int) - image).mean() < 3


def test_same_pixels_give_the_same_bytes() -> None:
    assert encode_webp(quantise(noise())) == encode_webp(quantise(noise()))


def test_stretch_uses_the_whole_range() -> None:
    stretched = stretch_contrast(noise())
    assert stretched.min() == 0.0
    assert stretched.max() == 1.0
    assert np.percentile(stretched, 0.5) == pytest.approx(0.0, abs=0.01)


def test_stretch_keeps_an_almost_flat_image_almost_flat() -> None:
    stretched = stretch_contrast(noise(spread=0.001))
    assert np.ptp(stretched) < 0.05
    assert stretched.mean() == pytest.approx(0.5, abs=0.01)


def test_stretch_keeps_the_order_of_pixels() -> None:
    pixels = noise()
    stretched = stretch_contrast(pixels)
    order = np.argsort(pixels.ravel())
    assert np.all(np.diff(stretched.ravel()[order]) >= 0)


def test_dark_flat_image_stays_dark() -> None:
    assert stretch_contrast(np.full((4, 4, 3), 0.02)).max() < 0.1
