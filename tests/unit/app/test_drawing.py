"""Geometry: tiles, frames, lanes."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from app import urls
from app.contexts import Box, Histogram
from app.drawing import models, shapes, strips
from app.drawing.shapes import Cut
from app.parts import visualizations
from app.words import formats


@pytest.mark.parametrize("module", [models, shapes, formats, visualizations, strips], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("box", [(0, 0, 7, 7), (217, 217, 224, 224), (100, 3, 107, 10), (0, 0, 224, 224), (0, 50, 80, 224)])
def test_window_contains_the_box_and_stays_in_the_image(box: tuple[int, int, int, int]) -> None:
    window = strips.window_of(box, 224, 224)
    assert window.x <= box[1]
    assert window.y <= box[0]
    assert window.x + window.size >= box[3]
    assert window.y + window.size >= box[2]
    assert window.x >= 0
    assert window.x + window.size <= 224


def test_tiles_do_not_overlap_and_stay_on_the_strip() -> None:
    tiles = strips.tiles_of(24, 40)
    height = strips.height_of(24, 40)
    places = {(tile.x, tile.y) for tile in tiles}
    assert len(places) == 64
    assert all(tile.x + tile.size <= strips.WIDTH and tile.y + tile.size <= height for tile in tiles)


def test_frame_lies_where_the_field_is() -> None:
    cut = Cut("s", 144, 0, 144, 144, 1152, 816)
    frame = shapes.field_on_tile(Box(y0=100, x0=100, y1=107, x1=107), [3, 224, 224], cut)
    assert frame is not None
    x, y, width, height = frame
    assert (width, height) == (31.5, 31.5)
    assert x + width / 2 == pytest.approx(144 + 72, abs=3)
    assert y + height / 2 == pytest.approx(72, abs=3)
    assert shapes.field_on_tile(Box(y0=0, x0=0, y1=224, x1=224), [3, 224, 224], cut) is None


def test_sheet_merges_repeated_units_and_splits_long_lists() -> None:
    cuts = shapes.sheet("m", [("a", index % 90, f"/media/{index % 90}") for index in range(120)], 64)
    assert len(cuts) == 90
    assert len({cut.url for cut in cuts.values()}) == 3
    assert len({(cut.url, cut.x, cut.y) for cut in cuts.values()}) == 90
    assert shapes.sheet("m", [("a", 1, None)], 64) == {}


def test_histogram_without_width_draws_nothing() -> None:
    assert shapes.histogram_bars(Histogram(edges=[1.0, 1.0], counts=[5]), 100, 50) == ([], None)
    bars, zero = shapes.histogram_bars(Histogram(edges=[-1.0, 0.0, 1.0], counts=[4, 1]), 100, 50)
    assert [(bar.x, bar.height) for bar in bars] == [(0, 50), (50, 25)]
    assert zero == 50


def test_kernel_cells_share_the_scale_that_is_given() -> None:
    cells = shapes.kernel_cells([[0.5, -1.0], [0.0, 2.0]], 2.0)
    assert [cell.opacity for cell in cells] == [0.25, 0.5, 0.0, 1.0]
    assert shapes.largest([[[0.5, -3.0]], None, "/media/x.png"]) == 3.0


def test_sparkline_leaves_out_what_is_missing_and_needs_two_values() -> None:
    assert shapes.sparkline([], 100, 20) is None
    assert shapes.sparkline([1.0, None], 100, 20) is None
    flat = shapes.sparkline([3.0, 3.0], 100, 20)
    assert flat is not None
    assert (flat.points, flat.zero) == ("0,20 100,20", None)


def test_address_of_a_sheet_writes_neighbours_as_a_run() -> None:
    units = [("a", 3), ("a", 4), ("a", 5), ("a", 9), ("b", 0), ("a", 10), ("a", 7)]
    assert "units=a:3-5.9-10.7;b:0&" in urls.sheet("m", 64, units, "v")
