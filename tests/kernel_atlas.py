"""A small atlas with planted 3 x 3 and 5 x 5 kernels between its layers, for pages that show kernels as pictures."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precompute.domain import Placement
from precompute.store import schema
from precompute.store.writer import AtlasWriter
from tests.fixture_atlas import Plan, _Model, _npy, _write_images

LAYERS = (
    Plan("stem", 60, 32, 7, "convolution"),
    Plan("mid", 32, 32, 15, "convolution", ("stem",)),
    Plan("top", 24, 16, 31, "convolution", ("mid",)),
)
NUM_LINES = 20
LINE_DEG = 45.0
PATTERNS = ((0, 1), (1, 2), (2, 0))
"""Place (row, column) in the 3 x 3 kernels of `mid` of each planted pattern."""


def planted_lines(generator: np.random.Generator) -> NDArray[np.float64]:
    """Return 5 x 5 kernels `[24, 32, 5, 5]`: the first 20 of each unit are lines at 45 degrees, the others noise."""
    found = 0.3 * generator.normal(size=(24, 32, 5, 5))
    axis = np.arange(5) - 2
    line = np.where(np.abs(axis[:, None] + axis[None, :]) <= 1, 1.0, -13 / 12)
    found[:, :NUM_LINES] = line * generator.uniform(0.6, 1.2, (24, NUM_LINES, 1, 1)) + 0.05 * found[:, :NUM_LINES]
    return found


def planted_patterns(generator: np.random.Generator) -> NDArray[np.float64]:
    """Return 3 x 3 kernels `[32, 60, 3, 3]`: partner p reads place `PATTERNS[p % 3]`, every second one with a minus sign."""
    found = np.zeros((32, 60, 3, 3))
    for partner in range(60):
        y, x = PATTERNS[partner % 3]
        found[:, partner, y, x] = (3 - partner % 3) * (1 + 0.5 * np.cos(partner)) * (1 if partner % 2 else -1)
    return found + 0.01 * generator.normal(size=found.shape)


class PlantedModel(_Model):
    """A model whose kernels are known."""

    def _write_links(self) -> None:
        arrays = {("stem", "mid"): planted_patterns(self.generator), ("mid", "top"): planted_lines(self.generator)}
        rows = [
            {
                "source_layer_id": self.ids[source],
                "target_layer_id": self.ids[target],
                "is_exact": 1,
                "kernel_shape": list(array.shape[2:]),
                "layout": "full",
                "placement": asdict(Placement(start=(-(array.shape[2] // 2), -(array.shape[3] // 2)))),
                "blob_sha256": self.writer.put_blob(_npy(array)),
            }
            for (source, target), array in arrays.items()
        ]
        self.writer.upsert(schema.layer_link, rows)


def make_kernel_atlas(folder: Path) -> Path:
    """Write the atlas and return its folder."""
    writer = AtlasWriter(folder)
    generator = np.random.default_rng(11)
    _write_images(writer, generator)
    PlantedModel(writer, 0, "planted", generator, LAYERS).write()
    writer.close()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the atlas of planted kernels, to look at it.")
    parser.add_argument("folder", type=Path)
    make_kernel_atlas(parser.parse_args().folder)
