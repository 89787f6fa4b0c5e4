"""Similar units, labels and maps of examples as a build stores them; killed builds; layers that come later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precompute.pipeline import build
from precompute.planning import BuildOptions
from precompute.store.reader import AtlasReader
from precompute.store.responses import example_maps, label_rows, layer_array, profile_of, similar_units
from precompute.store.writer import AtlasWriter
from tests.dump import dump
from tests.tiny import write_images

NUM_IMAGES = 40


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(str(folder), NUM_IMAGES)
    return folder


@pytest.fixture(scope="module")
def options(images: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildOptions:
    atlas = tmp_path_factory.mktemp("built") / "atlas"
    found = BuildOptions("tiny:net@random:0", str(images), atlas, techniques=("activation_maps", "similar_units"), is_quiet=True)
    assert build(found).failed == []
    return found


def test_similar_units_are_those_of_the_stored_profiles(options: BuildOptions) -> None:
    reader = AtlasReader(options.atlas)
    catalog = reader.catalog("net", reader.revision())
    profiles: dict[str, np.ndarray] = {}
    for name, layer in catalog.layers.items():
        profile = profile_of(reader, catalog, layer)
        assert profile is not None
        profiles[name] = profile.array.astype(np.float64)
    for name, unit in (("stem", 2), ("deep", 7)):
        found = similar_units(reader, catalog, catalog.layers[name], unit)
        assert found is not None
        assert found.num_layers == len(profiles)
        own = profiles[name]
        within = {
            other: np.corrcoef(own[unit], own[other])[0, 1] for other in range(len(own)) if other != unit and own[other].std() > 0
        }
        assert found.within[0].correlation == pytest.approx(max(within.values()), abs=1e-3)
        assert [item.correlation for item in found.within] == sorted((item.correlation for item in found.within), reverse=True)
        best = max(
            np.corrcoef(own[unit], values)[0, 1]
            for other, array in profiles.items()
            for values in array
            if other != name and values.std() > 0
        )
        assert found.others[0].correlation == pytest.approx(best, abs=1e-3)
        assert found.others_chance is not None
        assert -1 <= found.others_chance <= 1
        for item in found.others:
            expected = np.corrcoef(own[unit], profiles[item.layer][item.unit])[0, 1]
            assert item.correlation == pytest.approx(expected, abs=1e-3)


def test_labels_and_maps_are_stored(options: BuildOptions) -> None:
    reader = AtlasReader(options.atlas)
    catalog = reader.catalog("net", reader.revision())
    stem = catalog.layers["stem"]
    found = label_rows(reader, catalog, stem, 1)
    assert found is not None
    assert {(row.label, row.num_images) for row in found.rows} == {("left", 20), ("right", 20)}
    profile = profile_of(reader, catalog, stem)
    assert profile is not None
    assert found.overall == pytest.approx(profile.array[1].astype(np.float64).mean() * profile.scale, rel=2e-3)
    maps = example_maps(reader, catalog, stem, 1)
    assert maps is not None
    top = next(item for item in reader.artifacts(stem, 1) if item.kind == "examples").payload["top"]
    for place, row in enumerate(top):
        assert maps[0][place].max() == pytest.approx(255 * row[1] / maps[1], abs=1)
        y, x = np.unravel_index(maps[0][place].argmax(), maps[0][place].shape)
        assert abs(y - row[2] * 14 // 16) <= 1
        assert abs(x - row[3] * 14 // 16) <= 1


def test_layers_that_come_later_are_compared_with_all(options: BuildOptions, tmp_path: Path) -> None:
    part = replace(options, atlas=tmp_path / "atlas", layers=("stem", "left"))
    build(part)
    assert build(replace(part, layers=("deep",))).failed == []
    reader = AtlasReader(part.atlas)
    catalog = reader.catalog("net", reader.revision())
    for layer in catalog.layers.values():
        found = layer_array(reader, catalog, layer, "similar_units")
        assert found is not None
        assert found.payload["num_layers"] == 3
    assert build(replace(part, layers=("deep",))).num_done == 0


def test_build_that_dies_between_any_two_tasks_ends_equal(
    options: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dump(options.atlas)
    broken = replace(options, atlas=tmp_path / "broken")
    real = AtlasWriter.finish_task
    tries = 0
    while True:
        tries += 1
        calls = iter(range(9))

        def finish(self: AtlasWriter, *arguments: Any, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise InterruptedError("killed")
            real(self, *arguments)

        monkeypatch.setattr(AtlasWriter, "finish_task", finish)
        try:
            build(broken)
            break
        except InterruptedError:
            continue
    assert tries > 2
    assert dump(broken.atlas) == whole
