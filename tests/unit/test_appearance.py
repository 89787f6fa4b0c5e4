"""What an image looks like: one definition, told twice, and an address that carries it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from precompute.appearance import NUM_FEATURES, describe, of_text, to_text
from precompute.bench.synthetic_atlas import picture
from precompute.errors import UsageError
from precompute.optvis.embedding import embed


@pytest.mark.parametrize("shape", [(224, 224), (64, 64), (48, 31), (500, 90), (1, 1), (3, 700)])
def test_numpy_and_torch_say_the_same(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    ours = describe(image)
    theirs = embed(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0].numpy()
    assert ours.shape == (NUM_FEATURES,)
    assert np.abs(ours - theirs).max() < 2e-3
    turned = embed(torch.from_numpy(image).permute(2, 1, 0)[None].float() / 255)[0].numpy()
    assert shape == (1, 1) or np.abs(ours - turned).max() > 2e-3


def test_a_description_survives_its_text() -> None:
    features = describe(picture(np.random.default_rng(2), 100))
    text = to_text(features)
    assert len(text) == 91
    assert np.abs(of_text(text) - features).max() <= 2**-11
    assert to_text(of_text(text)) == text


@pytest.mark.parametrize("text", ["", "a", "A" * 90, "A" * 92, "é" * 91, "\0" * 91, "!" * 91, "A" * 100_000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the description"):
        of_text(text)
