"""The embedded photographs: enough crops, all different, the same on every run, each with a credit."""

from __future__ import annotations

import importlib.util
from collections import Counter
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
from PIL import Image

from precompute.errors import ImagesError
from precompute.stimuli.embedded import SMALLEST_SIDE_PX, EmbeddedPhotographs, choose_boxes
from precompute.stimuli.photographs import PHOTOGRAPHS, folder_of


@pytest.fixture(scope="module")
def source() -> EmbeddedPhotographs:
    return EmbeddedPhotographs()


def box_of(key: str) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = map(int, key.partition("#")[2].split(","))
    return y0, x0, y1, x1


def test_there_are_at_least_2000_crops_and_none_dominates(source: EmbeddedPhotographs) -> None:
    counts = Counter(ref.source for ref in source.refs())
    assert len(source) >= 2000
    assert len(counts) == len(PHOTOGRAPHS) >= 18
    assert max(counts.values()) < 0.1 * len(source)
    assert not source.skipped()


def test_crops_have_several_scales_and_every_photograph_is_there_whole(source: EmbeddedPhotographs) -> None:
    sides: dict[str, set[int]] = {}
    for ref in source.refs():
        y0, x0, y1, x1 = box_of(ref.key)
        sides.setdefault(ref.source, set()).add(min(y1 - y0, x1 - x0))
    assert all(min(found) >= SMALLEST_SIDE_PX and len(found) >= 3 for found in sides.values())
    for photo in PHOTOGRAPHS:
        with Image.open(folder_of(photo.package) / photo.file) as image:
            width, height = image.size
        assert f"{photo.file}#0,0,{height},{width}" in {ref.key for ref in source.refs()}


def test_a_key_says_exactly_which_pixels(source: EmbeddedPhotographs) -> None:
    folders = {photo.file: folder_of(photo.package) for photo in PHOTOGRAPHS}
    for ref in source.refs()[::97]:
        y0, x0, y1, x1 = box_of(ref.key)
        expected = Image.open(folders[ref.source] / ref.source).convert("RGB").crop((x0, y0, x1, y1))
        assert np.array_equal(np.asarray(source.open(ref.index)), np.asarray(expected))


def test_the_cut_is_the_same_again(source: EmbeddedPhotographs) -> None:
    again = EmbeddedPhotographs()
    assert again.id == source.id
    assert again.refs() == source.refs()
    assert len({ref.key for ref in source.refs()}) == len(source)


def test_nothing_empty_and_nothing_twice() -> None:
    stripes = np.zeros((400, 400), dtype=np.uint8)
    stripes[:200, ::2] = 255
    boxes = choose_boxes(Image.fromarray(stripes).convert("RGB"), 500, "stripes")
    assert all(y0 < 200 for y0, _, _, _ in boxes), "the lower half is black"
    assert len(boxes) < 30, "the stripes look alike everywhere"
    assert choose_boxes(Image.new("RGB", (400, 400), "grey"), 500, "grey") == []


def test_fewer_crops_keep_the_large_ones() -> None:
    few = EmbeddedPhotographs(max_crops_per_photograph=5)
    assert len(few) == 5 * len(PHOTOGRAPHS)
    assert few.id != EmbeddedPhotographs(max_crops_per_photograph=6).id


def test_every_photograph_has_a_credit(source: EmbeddedPhotographs) -> None:
    credits = {credit.source: credit for credit in source.credits}
    assert set(credits) == {ref.source for ref in source.refs()}
    for credit in credits.values():
        assert credit.title
        assert credit.author
        assert credit.licence
        assert credit.url.startswith("http")


@pytest.mark.parametrize("package", ["scikit-image", "scikit-learn"])
def test_a_missing_package_is_named_with_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, parent: str | None = None) -> ModuleSpec | None:
        return (
            None if name == package.replace("scikit-image", "skimage").replace("scikit-learn", "sklearn") else real(name, parent)
        )

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ImagesError, match=rf'{package}.*pip install "unitscope\[demo\]"'):
        EmbeddedPhotographs()
