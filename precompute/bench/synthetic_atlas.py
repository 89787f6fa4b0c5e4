"""An atlas as large as that of EfficientNet-Lite0 (49 layers, 21,008 units), made up, to measure how fast pages are.

`python -m precompute.bench.synthetic_atlas FOLDER` makes it; `--copies 48` chains 48 such networks to one of a million units.
The copies share the arrays and pictures of the first, so that the files stay small; every row of the database is there.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Column, ColumnElement, Connection, Table, literal, select

from precompute.bench.synthetic_responses import NUM_FACTORS, MadeUp, made_up_profile, responses_of
from precompute.counted import Counts
from precompute.domain import BlobData, Placement
from precompute.store import schema
from precompute.store.engine import open_writer
from precompute.store.writer import AtlasWriter

SIDE = 224
NUM_STIMULI = 2000
RUN = "run-synthetic"
NUM_PROFILE_IMAGES = 1024
TECHNIQUES = (
    "statistics",
    "dataset_examples",
    "feature_visualization",
    "weights",
    "responses",
    "similar_units",
    "activation_maps",
)
# (repeats, stride, kernel, expansion, channels) of the stages of EfficientNet-Lite0
STAGES = (
    (1, 1, 3, 1, 16),
    (2, 2, 3, 6, 24),
    (2, 2, 5, 6, 40),
    (3, 2, 3, 6, 80),
    (3, 1, 5, 6, 112),
    (4, 2, 5, 6, 192),
    (1, 1, 3, 6, 320),
)
Layer = tuple[str, int, int, int, str, list[str]]


def plan_layers() -> list[Layer]:
    """Return name, units, map side, receptive field, operation and inputs of every layer."""
    layers: list[Layer] = [("conv_stem", 32, 112, 3, "convolution", [])]
    side, field, before, channels = 112, 3, ["conv_stem"], 32
    for stage, (repeats, stride, kernel, expansion, width) in enumerate(STAGES):
        for block in range(repeats):
            name = f"blocks.{stage}.{block}"
            hidden = channels * expansion
            source = before
            if expansion > 1:
                layers.append((f"{name}.conv_pw", hidden, side, field, "convolution", source))
                source = [f"{name}.conv_pw"]
            side = side // stride if block == 0 else side
            field = min(1000, field + (kernel - 1) * 224 // side)
            layers.append((f"{name}.conv_dw", hidden, side, field, "depthwise", source))
            last = f"{name}.conv_pwl" if expansion > 1 else f"{name}.conv_pw"
            layers.append((last, width, side, field, "convolution", [f"{name}.conv_dw"]))
            before = [last] if block == 0 else [last, *before][:2]
            channels = width
    layers.append(("conv_head", 1280, 7, field, "convolution", before))
    return layers


def make_synthetic_atlas(folder: Path, images: Path | None = None, *, num_copies: int = 1, seed: int = 0) -> int:
    """Write the atlas and return how many units it has.

    Args:
        folder: Where; must not hold an atlas.
        images: Photographs to cut the images from; gratings otherwise.
        num_copies: How many such networks come one after the other.
        seed: Of everything that is drawn.
    """
    generator = np.random.default_rng(seed)
    writer = AtlasWriter(folder)
    layers = plan_layers()
    stimuli = _write_images(writer, images, generator)
    _write_model(writer, layers)
    pictures = [writer.put_blob(_webp(stimuli[int(place)] if images else picture(generator, 128))) for place in range(300)]
    _write_links(writer, layers, generator)
    _write_responses(writer, layers, generator)
    writer.close()
    connection = sqlite3.connect(folder / "atlas.db")
    for number, layer in enumerate(layers, start=1):
        _write_units(connection, number, layer, pictures, generator)
    connection.execute("UPDATE meta SET value = '7' WHERE key = 'revision'")
    connection.commit()
    connection.close()
    return _finish(folder, num_copies)


def grow_atlas(source: Path, folder: Path, num_copies: int) -> int:
    """Write an atlas of several copies of the network of another, and return how many units it has.

    Args:
        source: Made by `make_synthetic_atlas`, with one copy.
        folder: Where; must not exist.
        num_copies: How many networks come one after the other.
    """
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("cache", "user.db*", "build.lock"))
    return _finish(folder, num_copies)


def _finish(folder: Path, num_copies: int) -> int:
    """Chain copies of the network, count them, and return how many units there are."""
    layers = plan_layers()
    if num_copies > 1:
        writer = AtlasWriter(folder)
        bridge = writer.put_blob(_array(np.random.default_rng(num_copies), (layers[0][1], layers[-1][1], 1, 1)))
        writer.close()
        _copy(folder, len(layers), num_copies, bridge)
    connection = sqlite3.connect(folder / "atlas.db")
    connection.execute("ANALYZE")
    connection.close()
    writer = AtlasWriter(folder)
    Counts(writer, "synthetic").begin("data", "in", 2)
    writer.close()
    return num_copies * sum(layer[1] for layer in layers)


def _copy(folder: Path, num_layers: int, num_copies: int, bridge: str) -> None:
    """Write the copies of a network, each behind the one before.

    Args:
        folder: With everything about the first.
        num_layers: Of the first.
        num_copies: How many there are in the end, with the first.
        bridge: Name of the array of weights from the last layer of one to the first of the next.
    """
    tables = (schema.unit, schema.unit_metric, schema.artifact, schema.top_stimulus, schema.task)
    engine = open_writer(folder)
    with engine.begin() as connection:
        # An index that is made at the end is sorted once; one that follows every row is written all over, every time.
        for index in (found for table in tables for found in table.indexes):
            index.drop(connection)
        for copy in range(1, num_copies):
            shift = copy * num_layers
            layer, link = schema.layer.c, schema.layer_link.c
            shifted = {
                layer.id: layer.id + shift,
                layer.name: literal(f"copy{copy}.") + layer.name,
                layer.position: layer.position + shift,
            }
            _insert_again(connection, schema.layer, shifted, layer.id <= num_layers)
            ends = {end: end + shift for end in (link.source_layer_id, link.target_layer_id)}
            _insert_again(connection, schema.layer_link, ends, link.target_layer_id <= num_layers)
            between = {"source_layer_id": shift, "target_layer_id": shift + 1, "is_exact": 1, "kernel_shape": [1, 1]}
            placed = {"placement": asdict(Placement(1, (0, 0))), "layout": "full", "blob_sha256": bridge}
            connection.execute(schema.layer_link.insert(), between | placed)
            for table in tables:
                _insert_again(connection, table, {table.c.layer_id: table.c.layer_id + shift}, table.c.layer_id <= num_layers)
        for index in (found for table in tables for found in table.indexes):
            index.create(connection)
        model = schema.model
        connection.execute(
            model.update().values(num_layers=model.c.num_layers * num_copies, num_units=model.c.num_units * num_copies)
        )
    engine.dispose()


def _insert_again(
    connection: Connection, table: Table, shifted: Mapping[Column[Any], ColumnElement[Any]], which: ColumnElement[bool]
) -> None:
    values = [shifted.get(column, column) for column in table.c]
    connection.execute(table.insert().from_select(list(table.c), select(*values).where(which)))


def picture(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Return a coloured grating with a blob in it, uint8 `[height, width, rgb]`."""
    y, x = np.mgrid[0:side, 0:side] / side
    angle, wave, phase = generator.uniform(0, np.pi), generator.uniform(2, 9), generator.uniform(0, 6)
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * wave * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    centre = generator.uniform(0.25, 0.75, 2)
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.03)
    first, second, third = generator.uniform(20, 235, (3, 3))
    mixed = stripes[..., None] * first + (1 - stripes[..., None]) * second
    return (mixed * (1 - blob[..., None]) + blob[..., None] * third).astype(np.uint8)


def _array(generator: np.random.Generator, shape: tuple[int, ...]) -> BlobData:
    buffer = io.BytesIO()
    np.save(buffer, generator.normal(0, 0.1, shape).astype(np.float32))
    return BlobData(buffer.getvalue(), "npy")


def _webp(pixels: NDArray[np.uint8]) -> BlobData:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, method=0)
    return BlobData(buffer.getvalue(), "webp")


def _write_images(writer: AtlasWriter, images: Path | None, generator: np.random.Generator) -> list[NDArray[np.uint8]]:
    files = sorted(path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")) if images else []
    writer.upsert(
        schema.dataset, [{"id": "data", "title": "Synthetic", "num_images": NUM_STIMULI, "num_skipped": 0, "credits": []}]
    )
    rows: list[dict[str, Any]] = []
    found: list[NDArray[np.uint8]] = []
    for index in range(NUM_STIMULI):
        pixels = _crop(files[index % len(files)], generator) if files else picture(generator, SIDE)
        if len(found) < 300:
            found.append(pixels)
        about = {
            "id": index + 1,
            "dataset_id": "data",
            "stimulus_index": index,
            "key": f"{index}.png",
            "label": f"label {index % 50}",
        }
        size = {"source": f"{index}.png", "width": SIDE, "height": SIDE, "input_key": "in"}
        rows.append(about | size | {"blob_sha256": writer.put_blob(_webp(pixels))})
    writer.upsert(schema.stimulus, rows)
    return found


def _crop(path: Path, generator: np.random.Generator) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        image = image.convert("RGB")
        side = int(min(image.size) * generator.uniform(0.5, 1.0))
        x, y = int(generator.integers(0, image.width - side + 1)), int(generator.integers(0, image.height - side + 1))
        return np.asarray(image.crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _write_model(writer: AtlasWriter, layers: list[Layer]) -> None:
    spec, about_units = "synthetic:lite0@random:0", {"num_layers": len(layers), "num_units": sum(layer[1] for layer in layers)}
    model = about_units | {
        "id": "synthetic", "title": "Synthetic EfficientNet-Lite0", "spec": spec, "weights_origin": "random",
        "weights_sha256": "0" * 64, "weights_source": "made up", "input_size": [3, SIDE, SIDE], "input_key": "in",
        "preprocessing": {"crop_px": SIDE}, "dataset_id": "data",
        "num_parameters": 4652008, "labels": None, "checks": [], "built_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    writer.upsert(schema.model, [model])
    run = {
        "id": RUN,
        "model_id": "synthetic",
        "code_version": "0.1.0",
        "settings": {"quality": "draft"},
        "seed": 0,
        "device": "cpu",
    }
    writer.upsert(schema.run, [run | {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": None}])
    rows: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    for number, (name, units, side, field, operation, _) in enumerate(layers, start=1):
        place = {
            "id": number,
            "model_id": "synthetic",
            "name": name,
            "position": number - 1,
            "kind": "channel",
            "operation": operation,
        }
        size = {"nonlinearity": None, "num_units": units, "unit_axis": 1, "map_size": [side, side], "receptive_field_px": field}
        rows.append(place | size | {"stride_px": SIDE // side, "offset_px": [-field // 2, -field // 2]})
        for technique in TECHNIQUES:
            step = 16 if technique == "feature_visualization" else units
            for start in range(0, units, step):
                key = {"model_id": "synthetic", "technique": technique, "layer_id": number, "unit_start": start, "variant": ""}
                state = {"status": "todo" if step == 16 and start % 3 else "done", "error": None, "run_id": RUN, "seconds": 1.0}
                tasks.append(key | state | {"unit_stop": min(units, start + step), "priority": 0.0})
    writer.upsert(schema.layer, rows)
    writer.upsert(schema.task, tasks)


def _write_links(writer: AtlasWriter, layers: list[Layer], generator: np.random.Generator) -> None:
    sizes = {layer[0]: layer[1] for layer in layers}
    sides = {layer[0]: layer[2] for layer in layers}
    numbers = {layer[0]: number for number, layer in enumerate(layers, start=1)}
    for name, units, side, _, operation, inputs in layers:
        for source in inputs:
            is_diagonal = operation == "depthwise"
            shape = (units, 5, 5) if is_diagonal else (units, sizes[source], 1, 1)
            array = _array(generator, shape)
            row = {
                "source_layer_id": numbers[source],
                "target_layer_id": numbers[name],
                "is_exact": 1,
                "kernel_shape": list(shape[-2:]),
                "placement": asdict(Placement(max(1, sides[source] // side), (-(shape[-2] // 2), -(shape[-1] // 2)))),
            }
            layout = "diagonal" if is_diagonal else "full"
            writer.upsert(schema.layer_link, [row | {"layout": layout, "blob_sha256": writer.put_blob(array)}])


def _write_responses(writer: AtlasWriter, layers: list[Layer], generator: np.random.Generator) -> None:
    """Write what units answer to whole images; each layer is compared with the one before it."""
    images = np.sort(generator.permutation(NUM_STIMULI)[:NUM_PROFILE_IMAGES]).tolist()
    labels = [f"label {index % 50}" for index in images]
    factors = generator.normal(size=(NUM_FACTORS, NUM_PROFILE_IMAGES))
    before: tuple[int, NDArray[np.float32]] | None = None
    for number, (name, units, side, *_) in enumerate(layers, start=1):
        profile = made_up_profile(units, factors, generator)
        for found in responses_of(MadeUp(name, units, min(side, 7), images, labels), profile, before, generator):
            key = {"layer_id": number, "unit_index": -1, "technique": found.technique, "kind": found.kind, "position": 0}
            sha256 = None if found.blob is None else writer.put_blob(found.blob)
            writer.upsert(schema.artifact, [key | {"payload": dict(found.payload), "blob_sha256": sha256, "run_id": RUN}])
        before = (number - 1, profile)


def _write_units(
    connection: sqlite3.Connection,
    number: int,
    layer: Layer,
    pictures: list[str],
    generator: np.random.Generator,
) -> None:
    _, units, side, *_ = layer
    metrics, artifacts, tops = [], [], []
    for unit in range(units):
        values = generator.random(6)
        names = ("mean", "max", "std", "fraction_active", "sparsity", "min")
        metrics += [(number, unit, metric, float(value)) for metric, value in zip(names, values, strict=True)]
        chosen = generator.choice(NUM_STIMULI, 64, replace=False)
        places = generator.integers(0, side, (64, 2))
        rows = [
            [int(s), 6 - 0.1 * r, int(y), int(x), 6 - 0.1 * r] for r, (s, (y, x)) in enumerate(zip(chosen, places, strict=True))
        ]
        bins = [{"q": (b + 1) / 8, "q_low": b / 8, "items": rows[32 + 3 * b : 35 + 3 * b]} for b in range(8)]
        examples = {"num_images": NUM_STIMULI, "top": rows[:24], "bottom": rows[24:32], "quantiles": bins, "random": rows[56:]}
        histogram = {"edges": np.linspace(-3, 6, 65).tolist(), "counts": generator.integers(0, 9999, 64).tolist(), "n": 9}
        artifacts.append((number, unit, "dataset_examples", "examples", 0, json.dumps(examples), None, RUN))
        artifacts.append((number, unit, "statistics", "histogram", 0, json.dumps(histogram), None, RUN))
        if unit // 16 * 16 % 3 == 0:
            for position, sign in enumerate(("positive", "negative")):
                payload = {
                    "objective": "channel",
                    "parameterization": "fourier",
                    "activation": 5.1,
                    "dataset_max": 4.0,
                    "sign": sign,
                }
                payload |= {
                    "reached_ratio": 1.28,
                    "robustness": 0.8,
                    "canvas_px": 128,
                    "steps": 128,
                    "seed": unit,
                    "status": "ok",
                }
                payload |= {"transforms": ["jitter"], "quality": "draft"}
                blob = pictures[int(generator.integers(len(pictures)))]
                artifacts.append(
                    (number, unit, "feature_visualization", "visualization", position, json.dumps(payload), blob, RUN)
                )
        tops += [(int(row[0]), number, unit, rank, row[1]) for rank, row in enumerate(rows[:24])]
    connection.executemany("INSERT INTO unit VALUES (?, ?, NULL)", [(number, unit) for unit in range(units)])
    connection.executemany("INSERT INTO unit_metric VALUES (?, ?, ?, ?)", metrics)
    connection.executemany("INSERT INTO artifact VALUES (?, ?, ?, ?, ?, ?, ?, ?)", artifacts)
    connection.executemany("INSERT INTO top_stimulus VALUES (?, ?, ?, ?, ?)", tops)


def main() -> None:
    """Write the atlas into a folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, help="photographs to cut the images from; gratings otherwise")
    parser.add_argument(
        "--copies", type=int, default=1, help="how many such networks come one after the other: 48 for a million units"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    units = make_synthetic_atlas(arguments.folder, arguments.images, num_copies=arguments.copies)
    print(f"{units} units in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
