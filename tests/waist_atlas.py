"""A small atlas with inverted residuals: wide layers with depthwise and narrow ones between, and a skip past a block."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from precompute.store.writer import AtlasWriter
from tests.fixture_atlas import Plan, _Model, _write_images

# Without a map, a layer of the small atlas has no nonlinearity: the narrow ones are linear, as in such networks.
LAYERS = (
    Plan("a.pw", 20, 16, 7, "convolution"),
    Plan("a.dw", 20, 16, 15, "depthwise", ("a.pw",)),
    Plan("a.pwl", 8, 0, 15, "convolution", ("a.dw",)),
    Plan("b.pw", 24, 16, 15, "convolution", ("a.pwl",)),
    Plan("b.dw", 24, 16, 31, "depthwise", ("b.pw",)),
    Plan("b.pwl", 8, 0, 31, "convolution", ("b.dw",)),
    Plan("c.pw", 22, 16, 31, "convolution", ("a.pwl", "b.pwl")),
)


def make_waist_atlas(folder: Path) -> Path:
    """Write the atlas and return its folder."""
    writer = AtlasWriter(folder)
    generator = np.random.default_rng(5)
    _write_images(writer, generator)
    _Model(writer, 0, "waist", generator, LAYERS).write()
    writer.close()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the atlas of inverted residuals, to look at it.")
    parser.add_argument("folder", type=Path)
    make_waist_atlas(parser.parse_args().folder)
