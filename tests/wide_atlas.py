"""An atlas with one layer of 2,048 units, for measuring its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from precompute.domain import Result
from precompute.store.writer import AtlasWriter
from tests.fixture_atlas import Plan, _Model, _write_images

LAYER = Plan("wide", 2048, 8, 15, "convolution")


class _Wide(_Model):
    def _results(self, layer: Plan, technique: str, index: int) -> Iterator[Result]:
        if technique in {"statistics", "dataset_examples"}:
            yield from super()._results(layer, technique, index)


def make_wide_atlas(folder: Path) -> Path:
    """Write the atlas and return its folder."""
    writer = AtlasWriter(folder)
    generator = np.random.default_rng(3)
    _write_images(writer, generator)
    _Wide(writer, 1, "wide_b", generator, (LAYER,)).write()
    writer.close()
    return folder
