"""The tables of an atlas. This module alone defines them; only `precompute.store` speaks SQL.

    dataset 1--n stimulus                 the images that were shown; `blob` holds what the model saw, without loss
    dataset 1--n skipped_image            the files that could not be used, and why
    model   1--n layer 1--n unit          what was looked at
    layer   n--n layer  (layer_link)      which layer is directly before which, with the whole array of weights (`.npy`)
    unit    1--n unit_metric              numbers that one sorts and filters by
    unit    1--n artifact                 every other result: technique, kind, position, JSON payload, blob
    stimulus 1--n top_stimulus            which units an image is a top example of
    run                                   code version, settings, seed, device and times of a build
    task                                  the ledger: what is done, failed (with the error) or to do
    progress                              what the running build is doing now
    blob                                  every file of the store: sha256, extension, size
    meta                                  schema version and revision (grows with every change; the base of every ETag)

Counted from the above by a build, so that no page has to (`precompute.store.counting`, `indexing`, `looks`); an atlas of an older
version has none of it until the next build or `unitscope upgrade`:

    task_count                            numbers of tasks, kept in step with the ledger by triggers (`task_counts`)
    model_count, unit_column              every metric of all units of a model as one array, in the order of `model_count`
    metric_count, facet_count             histograms of metrics and numbers of units, per layer and per model
    first_unit                            the units of each layer to show first
    example_count                         of which units each image is an example
    search_entry (and search_word)        names that a search finds, and the full-text index of their words
    dataset_look                          what each image looks like (`precompute.appearance`)

Everything about a unit is keyed by `(layer_id, unit_index)`. No table has a column for one technique.

Payloads of artifacts, by kind:

`histogram`      {"edges": [n + 1 numbers], "counts": [n integers], "n": positions counted} of the pre-activation
`examples`       {"num_images": n, "top": [row], "bottom": [row], "quantiles": [{"q": upper, "q_low": lower, "items": [row]}],
                 "random": [row]}; a row is [stimulus index, activation, y, x, pre_activation]; positions of units without a
                 map are 0; for "bottom" the activation is the smallest pre-activation
`visualization`  the fields of a visualization of the API but its image, which is the blob, and "sign" (positive, negative),
                 "quality" (draft, final)
`filters`        about a layer that reads the image: {"is_exact": linear all the way, "kernel_shape": [height, width],
                 "input_gain": [what the input normalisation multiplies each channel by], "maximum": largest size of a weight};
                 the blob is the array [unit, rgb, height, width], float32, per unit of pixel value from 0 to 1, the gain in it

About layers, with an array as blob:

`profile`        {"num_images": n, "scale": number, "reduction": words}; [unit, image], float16: mean activation over positions
                 divided by the scale, on each image of the sample that all models with the dataset share
`profile_images` {"num_images": n}; [image], int32: the stimulus index of each column of the profile, ascending
`label_responses` {"labels": [names], "num_images": [n of each], "eta_squared_chance": number}; [unit] of mean [label], overall,
                 eta_squared, chance_max: see `activations.responses.LabelResponses`
`similar_units`  {"k": n, "num_images": n, "num_layers": n with profiles, "num_compared": n of them};
                 [unit] of `correlation.SIMILAR_ROW`
`layout`         {"method": name, "num_images": n, "num_placed": n, "k": n, "neighbours_kept": share of each unit's k nearest by
                 correlation that are among its k nearest here, "neighbours_kept_by_chance": number}; [unit, 2], float32, from -1
                 to 1; not a number for units that do not vary
`example_maps`   {"map_size": [height, width], "reduction": "largest", "order": "top, quantiles"}; [unit, place, height, width],
                 uint8: the activation as a share of the unit's scale, 255 for all of it, 0 for zero and below
`example_scales` {}; [unit], float32: the largest activation of the unit's examples; zero or below: it has no maps
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 3
OLDER_VERSIONS = (2,)
"""Those that lack some tables and indexes but have the rest as it is here: a writer adds what is missing."""

metadata = MetaData()


def _reference(name: str, target: str, *, nullable: bool = True, primary_key: bool = False) -> Column[Any]:
    """Return a column whose type is that of the column it refers to, `table.column`."""
    return Column(name, ForeignKey(target), nullable=nullable and not primary_key, primary_key=primary_key)


meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("extension", String, nullable=False),
    Column("num_bytes", Integer, nullable=False),
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", String, primary_key=True),  # content hash of the list of keys and of how they were cut
    Column("title", String, nullable=False),
    Column("num_images", Integer, nullable=False),
    Column("num_skipped", Integer, nullable=False, default=0),
    Column("credits", JSON, nullable=False),  # [{"source", "title", "author", "licence", "url"}]
)

stimulus = Table(
    "stimulus",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("dataset_id", "dataset.id", nullable=False),
    Column("stimulus_index", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("label", String),
    Column("source", String, nullable=False),
    Column("width", Integer, nullable=False),  # of the stored image: the model input, before normalisation
    Column("height", Integer, nullable=False),
    _reference("blob_sha256", "blob.sha256", nullable=False),
    Column("input_key", String, nullable=False),  # how the image became the model input; models with equal keys share rows
    UniqueConstraint("dataset_id", "input_key", "stimulus_index"),
)

skipped_image = Table(
    "skipped_image",
    metadata,
    _reference("dataset_id", "dataset.id", nullable=False),
    Column("key", String, nullable=False),
    Column("reason", String, nullable=False),
    PrimaryKeyConstraint("dataset_id", "key"),
)

run = Table(
    "run",
    metadata,
    Column("id", String, primary_key=True),  # hash of code version, settings, seed, weights and dataset
    _reference("model_id", "model.id", nullable=False),
    Column("code_version", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("device", String, nullable=False),
    Column("started_at", String, nullable=False),
    Column("finished_at", String),
)

model = Table(
    "model",
    metadata,
    Column("id", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("spec", String, nullable=False),
    Column("weights_origin", String, nullable=False),
    Column("weights_sha256", String, nullable=False),
    Column("weights_source", String, nullable=False),  # the package, file or hub entry
    Column("input_size", JSON, nullable=False),  # [channels, height, width]
    Column("input_key", String, nullable=False),
    Column("preprocessing", JSON, nullable=False),  # {"resize_px", "crop_px", "interpolation", "mean", "std"}
    _reference("dataset_id", "dataset.id", nullable=False),
    Column("num_layers", Integer, nullable=False),
    Column("num_units", Integer, nullable=False),
    Column("num_parameters", Integer, nullable=False),
    Column("labels", JSON),  # names of the classes in order of output, or null
    Column("checks", JSON, nullable=False),  # [{"stimulus", "top": [{"label", "probability"}]}]: is the right model loaded?
    Column("built_at", String, nullable=False),
)

layer = Table(
    "layer",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("model_id", "model.id", nullable=False),
    Column("name", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("nonlinearity", String),
    Column("num_units", Integer, nullable=False),
    Column("unit_axis", Integer, nullable=False),
    Column("map_size", JSON, nullable=False),
    Column("receptive_field_px", Integer),
    Column("stride_px", Integer),
    Column("offset_px", JSON, nullable=False),  # [y, x]
    UniqueConstraint("model_id", "name"),
)

layer_link = Table(
    "layer_link",
    metadata,
    _reference("source_layer_id", "layer.id", nullable=False),
    _reference("target_layer_id", "layer.id", nullable=False),
    Column("is_exact", Integer),  # 1 exact, 0 linearised; null until the weights are built
    Column("kernel_shape", JSON),  # [height, width]
    Column("layout", String),  # `full`: array [target, source, height, width]; `diagonal`: [unit, height, width], unit to itself
    Column("placement", JSON),  # {"stride", "start": [y, x], "is_mean"}: where the kernels lie on the source's map
    _reference("blob_sha256", "blob.sha256"),
    PrimaryKeyConstraint("source_layer_id", "target_layer_id"),
)

unit = Table(
    "unit",
    metadata,
    _reference("layer_id", "layer.id", nullable=False),
    Column("unit_index", Integer, nullable=False),
    Column("label", String),  # what it is known to be: the class, for units of the classifier
    PrimaryKeyConstraint("layer_id", "unit_index"),
)

unit_metric = Table(
    "unit_metric",
    metadata,
    _reference("layer_id", "layer.id", nullable=False),
    Column("unit_index", Integer, nullable=False),
    Column("metric", String, nullable=False),
    Column("value", Float),
    PrimaryKeyConstraint("layer_id", "unit_index", "metric"),
    Index("unit_metric_by_value", "layer_id", "metric", "value", "unit_index"),
    sqlite_with_rowid=False,
)

artifact = Table(
    "artifact",
    metadata,
    _reference("layer_id", "layer.id", nullable=False),
    Column("unit_index", Integer, nullable=False),  # -1: about the layer
    Column("technique", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("payload", JSON, nullable=False),
    _reference("blob_sha256", "blob.sha256"),
    _reference("run_id", "run.id", nullable=False),
    PrimaryKeyConstraint("layer_id", "unit_index", "kind", "position", "technique"),
)

top_stimulus = Table(
    "top_stimulus",
    metadata,
    Column("stimulus_index", Integer, nullable=False),
    _reference("layer_id", "layer.id", nullable=False),
    Column("unit_index", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("activation", Float, nullable=False),
    PrimaryKeyConstraint("layer_id", "unit_index", "rank"),
    Index("top_stimulus_by_stimulus", "stimulus_index", "layer_id", "rank", "unit_index"),
    sqlite_with_rowid=False,
)

task = Table(
    "task",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("technique", String, nullable=False),
    _reference("layer_id", "layer.id", nullable=False),
    Column("unit_start", Integer, nullable=False),
    Column("unit_stop", Integer, nullable=False),
    Column("variant", String, nullable=False, default=""),  # what tells tasks on the same units apart: objective, sign, quality
    Column("priority", Float, nullable=False, default=0.0),  # smaller first
    Column("status", String, nullable=False),  # todo | done | failed
    Column("error", String),
    _reference("run_id", "run.id"),
    Column("seconds", Float),
    PrimaryKeyConstraint("model_id", "technique", "layer_id", "unit_start", "unit_stop", "variant"),
    Index("task_by_status", "model_id", "status", "priority"),
)

progress = Table(
    "progress",
    metadata,
    _reference("model_id", "model.id", primary_key=True),
    Column("stage", String, nullable=False),
    Column("num_done", Integer, nullable=False),
    Column("num_total", Integer, nullable=False),
    Column("per_second", Float),
    Column("seconds_left", Float),
    Column("updated_at", Float, nullable=False),  # Unix time: a row that no longer moves belongs to a build that stopped
    Column("process_id", Integer, nullable=False),
)

WHOLE_MODEL = -1
"""The layer of a count that is about all layers of a model."""

task_count = Table(
    "task_count",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("layer_id", Integer, nullable=False),  # or WHOLE_MODEL
    Column("technique", String, nullable=False),
    Column("variant", String, nullable=False),
    Column("status", String, nullable=False),
    Column("num_tasks", Integer, nullable=False),
    Column("num_units", Integer, nullable=False),
    PrimaryKeyConstraint("model_id", "layer_id", "technique", "variant", "status"),
    sqlite_with_rowid=False,
)

model_count = Table(
    "model_count",
    metadata,
    _reference("model_id", "model.id", primary_key=True),
    Column("stamp", String, nullable=False),  # changes with every count
    Column("counted_at", String, nullable=False),
    Column("layers", JSON, nullable=False),  # [[layer id, number of units]] in the order of execution: the order of the arrays
)

unit_column = Table(
    "unit_column",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("name", String, nullable=False),  # a metric: float64, or not a number; `facet=value`: bits; `looks`: float32
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("model_id", "name"),
)

metric_count = Table(
    "metric_count",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("layer_id", Integer, nullable=False),  # or WHOLE_MODEL
    Column("metric", String, nullable=False),
    Column("num_units", Integer, nullable=False),  # with a value
    Column("scale", String, nullable=False),  # linear; or stretched: each bin away from the median is wider than the one before
    Column("edges", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    PrimaryKeyConstraint("model_id", "layer_id", "metric"),
)

facet_count = Table(
    "facet_count",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("layer_id", Integer, nullable=False),  # or WHOLE_MODEL
    Column("facet", String, nullable=False),  # visualization, status, flag
    Column("value", String, nullable=False),
    Column("num_units", Integer, nullable=False),
    PrimaryKeyConstraint("model_id", "layer_id", "facet", "value"),
)

first_unit = Table(
    "first_unit",
    metadata,
    _reference("layer_id", "layer.id", nullable=False),
    Column("rank", Integer, nullable=False),
    Column("unit_index", Integer, nullable=False),
    PrimaryKeyConstraint("layer_id", "rank"),
    sqlite_with_rowid=False,
)

example_count = Table(
    "example_count",
    metadata,
    _reference("model_id", "model.id", nullable=False),
    Column("stimulus_index", Integer, nullable=False),
    Column("num_units", Integer, nullable=False),  # that have the image among their top examples
    Column("num_layers", Integer, nullable=False),  # with such units
    Column("layers", JSON, nullable=False),  # [[layer id, number of units]] of those with most
    Column(
        "strongest", LargeBinary, nullable=False
    ),  # units that have it among their first examples: places in the arrays, int32
    PrimaryKeyConstraint("model_id", "stimulus_index"),
)

search_entry = Table(
    "search_entry",
    metadata,
    Column("id", Integer, primary_key=True),  # kind * 2^32 + place: the words of one kind are a range of rows
    Column("title", String, nullable=False),
    Column("folded", String, nullable=False),  # the title in small letters, without diacritics
    Column("model_id", String),
    Column("layer_id", Integer),
    Column("unit_index", Integer),
    Column("stimulus_id", Integer),
    Column("num_images", Integer),
    Index("search_entry_by_name", "folded"),
)

dataset_look = Table(
    "dataset_look",
    metadata,
    _reference("dataset_id", "dataset.id", nullable=False),
    Column("input_key", String, nullable=False),
    Column("version", String, nullable=False),  # of the description
    Column("mean", JSON, nullable=False),  # of each number over the images, and its standard deviation
    Column("std", JSON, nullable=False),
    Column("stimuli", LargeBinary, nullable=False),  # stimulus indices, int32
    Column("data", LargeBinary, nullable=False),  # [image, number], float32, (value - mean) / std
    PrimaryKeyConstraint("dataset_id", "input_key"),
)
