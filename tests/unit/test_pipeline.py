"""Building an atlas of a tiny model: rows, resume, verify, and what bad input gets."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from precompute import pipeline
from precompute.cli import main
from precompute.domain import BlobData, Placement
from precompute.errors import AtlasError, PublicError, UnknownName, UsageError
from precompute.interest import order_of_interest, order_of_turns
from precompute.pipeline import build
from precompute.planning import BuildOptions, choose_layers, parse_units
from precompute.store.arrays import Direction, Side
from precompute.store.blobs import BlobStore
from precompute.store.partners import all_partners
from precompute.store.reader import AtlasReader
from precompute.store.verify import verify
from precompute.store.writer import AtlasWriter
from tests.dump import dump
from tests.tiny import tiny, write_images

TECHNIQUES = ("statistics", "dataset_examples", "weights")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(str(folder), 40)
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    return folder


@pytest.fixture
def options(images: Path, tmp_path: Path) -> BuildOptions:
    return BuildOptions("tiny:net@random:0", str(images), tmp_path / "atlas", techniques=TECHNIQUES, is_quiet=True)


def test_build_stores_every_unit_and_leaves_nothing_to_do(options: BuildOptions) -> None:
    report = build(options)
    assert (report.failed, report.num_images, report.num_skipped) == ([], 40, 1)
    rows = dump(options.atlas)
    units = 8 + 6 + 10 + 4 + 16 + 16 + 12
    assert len(rows["unit"]) == units
    assert len(rows["artifact"]) == 2 * units + 1  # the filters of the first layer
    assert all("done" in row for row in rows["task"])
    assert [row for row in rows["skipped_image"] if "broken.png" in row]
    assert verify(options.atlas).problems == []


def test_units_keep_the_labels_that_their_model_knows(options: BuildOptions) -> None:
    build(replace(options, spec="handcoded:curves", layers=("curve", "circle"), techniques=("weights",)))
    with sqlite3.connect(f"file:{options.atlas / 'atlas.db'}?mode=ro", uri=True) as database:
        labels = [row[0] for row in database.execute("SELECT label FROM unit ORDER BY layer_id, unit_index")]
    database.close()
    assert labels == [*(f"curve {angle}°" for angle in range(0, 360, 15)), "circle", "circle turned inside out"]


def test_second_build_changes_nothing(options: BuildOptions) -> None:
    build(options)
    before = dump(options.atlas)
    assert build(options).num_done == 0
    assert dump(options.atlas) == before


def test_build_that_dies_between_any_two_tasks_ends_equal(
    options: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(options)
    whole = dump(options.atlas)
    broken = replace(options, atlas=tmp_path / "broken")
    real = AtlasWriter.finish_task
    tries = 0
    monkeypatch.setattr(pipeline, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    while True:
        tries += 1
        calls = iter(range(3))

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
    assert tries > 3
    assert dump(broken.atlas) == whole


def test_one_changed_byte_is_found_and_named(options: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
    build(options)
    victim = sorted((options.atlas / "blobs").glob("??/*.npy"))[0]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    assert main(["verify", "--atlas", str(options.atlas), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [(problem["kind"], problem["name"]) for problem in answer["problems"]] == [("altered", victim.name)]
    assert answer["problems"][0]["used_by"].startswith("weights into net")
    victim.unlink()
    assert verify(options.atlas).problems[0].kind == "missing"


def test_edges_are_equal_from_both_ends_and_equal_to_the_array(options: BuildOptions) -> None:
    build(options)
    reader = AtlasReader(options.atlas)
    catalog = reader.catalog("net", reader.revision())
    model = tiny()
    seen: dict[tuple[str, int, str, int], tuple[float, float]] = {}
    for layer, direction in product(catalog.layers.values(), get_args(Direction)):
        for unit in range(layer.spec.num_units):
            for partner in all_partners(Side(reader, catalog, layer, unit, direction)).rows():
                ends = (partner.layer, partner.unit), (layer.name, unit)
                source, target = ends if direction == "inputs" else ends[::-1]
                link = model.weights_between(source[0], target[0])
                kernel = link.array[target[1]] if link.layout == "diagonal" else link.array[target[1], source[1]]
                assert partner.norm == pytest.approx(np.linalg.norm(kernel.astype(np.float64)), rel=1e-12)
                assert partner.sum == pytest.approx(kernel.sum(dtype=np.float64), rel=1e-9, abs=1e-12)
                assert seen.setdefault((*source, *target), (partner.norm, partner.sum)) == (partner.norm, partner.sum)
    assert len(seen) > 200
    placed = catalog.link("stem", "right")
    assert placed is not None
    assert placed.placement == Placement(1, (-1, -1))


def test_layers_can_be_added_later_and_other_weights_are_refused(options: BuildOptions) -> None:
    build(replace(options, layers=("stem",)))
    report = build(replace(options, layers=("stem", "right")))
    assert report.num_done == 3  # statistics, examples and weights of the new layer
    with pytest.raises(UsageError, match=r"already holds a model 'net' with other weights.*--name net-2"):
        build(replace(options, spec="tiny:net@random:1"))
    assert build(replace(options, spec="tiny:net@random:1", name="other", layers=("stem",))).failed == []


def test_full_disk_loses_nothing_and_says_what_to_do(options: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    real = BlobStore.put
    left = iter(range(50))

    def put(self: BlobStore, blob: BlobData) -> str:
        if next(left, None) is None:
            from precompute.store.blobs import disk_error

            raise disk_error(OSError(errno.ENOSPC, "No space left on device"), self.folder)
        return real(self, blob)

    monkeypatch.setattr(BlobStore, "put", put)
    with pytest.raises(AtlasError, match=r"No space left on the disk.*give the same command again to go on"):
        build(options)
    monkeypatch.undo()
    assert build(options).failed == []
    assert verify(options.atlas).problems == []


def test_atlas_of_a_newer_schema_is_left_alone(options: BuildOptions) -> None:
    build(replace(options, layers=("stem",)))
    with sqlite3.connect(options.atlas / "atlas.db") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(AtlasError, match="schema 99, newer than this unitscope's 3: install a newer unitscope"):
        build(options)


BAD_COMMANDS = {
    "no such source": (["build", "tinny:net", "--images", "IMAGES", "--atlas", "ATLAS"], "Did you mean 'tiny'"),
    "not a spec": (["layers", "resnet18"], "Write SOURCE:NAME"),
    "no such layer": (["build", "tiny:net", "--images", "IMAGES", "--atlas", "ATLAS", "--layers", "blocks.conv1"], "block.conv1"),
    "no such technique": (["build", "tiny:net", "--images", "IMAGES", "--atlas", "ATLAS", "--techniques", "weight"], "'weights'"),
    "no such folder": (["build", "tiny:net", "--images", "nowhere", "--atlas", "ATLAS"], "nowhere"),
    "no atlas": (["status", "--atlas", "nowhere"], "There is no atlas in nowhere"),
    "bad units": (["build", "tiny:net", "--images", "IMAGES", "--atlas", "ATLAS", "--units", "x"], "--units 0-15"),
    "bad name": (["build", "tiny:net", "--images", "IMAGES", "--atlas", "ATLAS", "--name", "a/b"], "--name"),
    "port": (["serve", "--atlas", "ATLAS", "--port", "70000"], "choose one from 1 to 65535"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_command_says_what_was_asked_and_what_to_do(
    case: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected = BAD_COMMANDS[case]
    words = [str(images) if word == "IMAGES" else str(tmp_path / "a") if word == "ATLAS" else word for word in words]
    assert main(words) in (1, 2)
    captured = capsys.readouterr()
    assert expected in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_layers_are_chosen_by_pattern() -> None:
    model = tiny()
    assert [layer.name for layer in choose_layers(model, ["block*"])] == ["block.conv1", "block.conv2", "block"]
    assert "head" not in [layer.name for layer in choose_layers(model, [])]
    with pytest.raises(UnknownName, match="quote patterns"):
        choose_layers(model, ["nothing.*"])


def test_ranges_of_units_are_read() -> None:
    assert parse_units("0-15") == ((0, 15),)
    assert parse_units("7, 10-12") == ((7, 7), (10, 12))
    with pytest.raises(PublicError, match="Write --units 3-9"):
        parse_units("9-3")


def test_selective_units_come_first_and_silent_ones_last() -> None:
    metrics = {"sparsity": np.array([1.0, 9.0, np.nan, 50.0]), "fraction_active": np.array([0.1, 0.1, 1.0, 0.0001])}
    assert order_of_interest(metrics).tolist() == [1, 0, 2, 3]


def test_layers_take_turns_from_every_depth() -> None:
    turns = order_of_turns(49)
    assert sorted(turns) == list(range(49))
    first = sorted(turns.index(turn) for turn in range(8))
    assert max(later - earlier for earlier, later in zip([0, *first], [*first, 48], strict=True)) <= 8


def test_second_build_at_the_same_time_is_refused(options: BuildOptions) -> None:
    writer = AtlasWriter(options.atlas)
    with pytest.raises(AtlasError, match="Another build is writing to"):
        build(options)
    writer.close()
    assert build(options).failed == []


def test_seeds_are_not_mixed_and_units_must_exist(options: BuildOptions) -> None:
    build(replace(options, layers=("stem",)))
    with pytest.raises(UsageError, match="was built with seed 0; seeds cannot be mixed"):
        build(replace(options, layers=("stem",), seed=5))
    with pytest.raises(UsageError, match="No chosen layer has unit 99"):
        build(replace(options, units=((0, 1), (99, 120))))


def test_layer_that_fails_is_written_down_and_the_others_go_on(options: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    from precompute.techniques.weights import Weights

    real = Weights.compute

    def compute(self: Weights, context: Any, item: Any) -> Iterator[Any]:
        if item.layer == "mix":
            raise ZeroDivisionError("planted")
        yield from real(self, context, item)

    monkeypatch.setattr(Weights, "compute", compute)
    report = build(options)
    assert report.failed == ["weights of mix: planted"]
    monkeypatch.undo()
    assert build(options).num_done == 1


def test_stored_image_that_went_away_is_stored_again(options: BuildOptions) -> None:
    build(options)
    victim = sorted((options.atlas / "blobs").glob("??/*.webp"))[0]
    victim.unlink()
    build(options)
    assert verify(options.atlas).problems == []
