"""What every source of images promises, whatever it reads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from precompute.stimuli.base import STIMULI, StimulusSource
from precompute.stimuli.sources import open_source


@pytest.fixture(params=["folder", *STIMULI.names()])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> StimulusSource:
    if request.param != "folder":
        return open_source(request.param)
    for index in range(5):
        Image.new("RGB", (40 + index, 30), (index * 50, 0, 0)).save(tmp_path / f"{index}.png")
    return open_source(tmp_path)


def test_places_and_keys_are_unique(source: StimulusSource) -> None:
    refs = source.refs()
    assert [ref.index for ref in refs] == list(range(len(source)))
    assert len({ref.key for ref in refs}) == len(refs) > 0


def test_keys_begin_with_their_source(source: StimulusSource) -> None:
    assert all(ref.key.partition("#")[0] == ref.source for ref in source.refs())


def test_images_are_rgb_and_the_same_again(source: StimulusSource) -> None:
    for index in {0, len(source) // 2, len(source) - 1}:
        first, second = source.open(index), source.open(index)
        assert first.mode == "RGB"
        assert first.tobytes() == second.tobytes()


def test_images_may_be_opened_from_several_threads(source: StimulusSource) -> None:
    indices = [index % len(source) for index in range(40)]
    expected = [np.asarray(source.open(index)).sum() for index in indices]
    with ThreadPoolExecutor(4) as pool:
        assert [np.asarray(image).sum() for image in pool.map(source.open, indices)] == expected
    assert threading.active_count() < 20


def test_the_id_is_a_content_hash(source: StimulusSource) -> None:
    assert len(source.id) == 64
    assert int(source.id, 16) >= 0
    assert source.id == source.id


def test_the_report_is_plain(source: StimulusSource) -> None:
    assert source.title
    assert list(source.skipped()) == []
    assert all(credit.source and credit.licence for credit in source.credits)
