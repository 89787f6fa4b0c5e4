"""Every kind of image file is decoded rightly, or refused with a plain reason, and never with a warning."""

from __future__ import annotations

import contextlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from precompute.stimuli import decode

RNG = np.random.default_rng(7)
PHOTO = Image.fromarray(np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    image = decode.decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def png_16_bit() -> bytes:
    return encode(Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16)), "PNG")


def animation() -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_plain_rgb_is_exactly_what_pillow_gives(kind: str) -> None:
    data = encode(PHOTO, kind)
    assert np.array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    decode.check(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photographs_come_out_upright(kind: str, orientation: int) -> None:
    backwards = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = PHOTO if orientation == 1 else PHOTO.transpose(decode._UPRIGHT[backwards])
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(encode(stored, kind, exif=exif, **({"quality": 95} if kind in {"JPEG", "WEBP"} else {})))
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - np.asarray(PHOTO).astype(int)).mean() < 12


def test_grey_becomes_three_equal_channels() -> None:
    grey = PHOTO.convert("L")
    found = pixels(encode(grey, "PNG"))
    assert np.array_equal(found, np.stack([np.asarray(grey)] * 3, axis=2))


def test_one_bit_becomes_black_and_white() -> None:
    assert set(np.unique(pixels(encode(PHOTO.convert("1"), "PNG")))) == {0, 255}


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(kind: str) -> None:
    red = Image.new("RGB", (32, 32), (230, 30, 40)).convert("CMYK")
    assert np.abs(pixels(encode(red, kind)).astype(int) - (230, 30, 40)).max() <= 6


def test_palette_keeps_its_colours() -> None:
    image = PHOTO.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    assert np.array_equal(pixels(encode(image, "PNG")), np.asarray(image.convert("RGB")))


def palette_with_transparency() -> bytes:
    image = Image.new("P", (10, 10), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    return encode(image, "PNG", transparency=b"\x00\xff")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), "PNG"), id="rgba"),
        pytest.param(encode(Image.new("LA", (10, 10), (0, 0)), "PNG"), id="grey-alpha"),
        pytest.param(palette_with_transparency(), id="palette"),
        pytest.param(encode(Image.new("RGB", (10, 10), (1, 2, 3)), "PNG", transparency=(1, 2, 3)), id="colour-key"),
    ],
)
def test_transparent_pixels_lie_on_white(data: bytes) -> None:
    assert np.all(pixels(data) == 255)


def test_half_transparent_is_half_white() -> None:
    assert np.abs(pixels(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")).astype(int) - 127).max() <= 1


def test_16_bit_is_scaled_and_not_clipped() -> None:
    assert pixels(png_16_bit())[0, :, 0].tolist() == [0, 1, 128, 255]


def test_big_endian_16_bit_is_read_in_its_own_order() -> None:
    image = Image.frombytes("I;16B", (2, 1), b"\x00\x00\xff\xff")
    assert pixels(encode(image, "TIFF"))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0.0, 0.5, 1.0], [0, 128, 255], id="0-to-1"),
        pytest.param([0.0, 50.0, 100.0], [0, 128, 255], id="wider"),
        pytest.param([-1.0, 0.0, 1.0], [0, 128, 255], id="negative"),
        pytest.param([float("nan"), float("inf"), 1.0], [0, 0, 255], id="not-finite"),
    ],
)
def test_floats_are_scaled_by_their_range(values: list[float], expected: list[int]) -> None:
    data = encode(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == expected


def test_an_animation_gives_its_first_frame() -> None:
    assert np.all(pixels(animation()) == (255, 0, 0))


def test_a_damaged_exif_block_does_not_matter() -> None:
    data = encode(PHOTO, "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + bytes(range(60)))
    assert pixels(data).shape == (48, 64, 3)


def _wide(width: int, height: int) -> bytes:
    return encode(Image.new("1", (width, height)), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty file", id="zero-byte"),
        pytest.param(b"hello, I am a text file\n", "not an image", id="text"),
        pytest.param(encode(PHOTO, "PNG")[:12], "", id="png-signature-only"),
        pytest.param(encode(PHOTO, "JPEG", quality=95)[:-900], "truncated", id="truncated-jpeg"),
        pytest.param(encode(PHOTO, "WEBP", lossless=True)[:-200], "", id="truncated-webp"),
        pytest.param(encode(PHOTO, "BMP")[:-400], "truncated", id="truncated-bmp"),
        pytest.param(encode(PHOTO, "TIFF")[:-4000], "", id="truncated-tiff"),
        pytest.param(encode(PHOTO, "TIFF", compression="tiff_lzw")[:200], "", id="truncated-lzw-tiff"),
        pytest.param(_wide(20_000, 10_000), "too large", id="bomb"),
        pytest.param(_wide(40_000, 20_000), "too large", id="bigger-bomb"),
        pytest.param(_wide(20_000, 3), "too narrow", id="narrow"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    data: bytes, reason: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    for read in (decode.decode, decode.check):
        with pytest.raises(decode.DecodeError) as caught:
            read(data)
        assert str(caught.value).startswith(reason)
        assert "\n" not in str(caught.value)
        assert "object at" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_a_broken_png_is_refused() -> None:
    data = bytearray(encode(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(decode.DecodeError, match="damaged"):
        decode.decode(bytes(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "ICO", "PPM", "TGA"])
def test_random_damage_is_never_more_than_a_reason(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    good = encode(PHOTO, kind)
    rng = np.random.default_rng(11)
    for _ in range(60):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(0, 256)
        outcomes: list[bool] = []
        for read in (decode.check, decode.decode):
            try:
                read(bytes(data))
                outcomes.append(True)
            except decode.DecodeError:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1]
    assert capfd.readouterr() == ("", "")


def test_warnings_are_as_before_after_many_threads() -> None:
    def read(data: bytes) -> None:
        with contextlib.suppress(decode.DecodeError):
            decode.decode(data)

    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, [palette_with_transparency(), animation(), b"no image"] * 30))
    assert list(warnings.filters) == before


def test_one_image_above_the_warning_limit_of_pillow_is_read(recwarn: pytest.WarningsRecorder) -> None:
    assert decode.decode(_wide(10_000, 9_500)).size == (10_000, 9_500)
    assert not recwarn.list
