"""Every question that the app may ask of an atlas, answered with frozen values. Nothing here can change an atlas."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Executable, func, select, text
from sqlalchemy.exc import DatabaseError

from precompute.errors import AtlasError, UnknownName
from precompute.store import schema
from precompute.store import unit_queries as queries
from precompute.store.blobs import BlobStore
from precompute.store.engine import database_path, open_reader
from precompute.store.prepared import Prepared
from precompute.store.records import (
    ArtifactRecord,
    Catalog,
    CoverageRecord,
    DatasetRecord,
    LayerRecord,
    ModelRecord,
    ProgressRecord,
    Row,
    RunRecord,
    StimulusRecord,
    ThumbRecord,
    artifact_of_row,
    grouped,
    layer_of_row,
    link_of_row,
    positions_of_text,
    stimulus_of_row,
    whole_coverage,
)
from precompute.store.task_counts import is_counted
from precompute.store.written import AtlasState, Written

_MODELS = select(schema.model, schema.dataset.c.num_images).join(schema.dataset).order_by(schema.model.c.id)
_STATE = select(
    select(schema.meta.c.value).where(schema.meta.c.key == "revision").scalar_subquery().label("revision"),
    select(func.max(schema.progress.c.updated_at)).scalar_subquery().label("said"),
)
_TABLES = text("SELECT name FROM sqlite_master WHERE type = 'table'")


class AtlasReader:
    """The read-only side of an atlas.

    Args:
        atlas: Folder of the atlas.

    Raises:
        AtlasError: There is no atlas there, or it has another schema.
    """

    def __init__(self, atlas: Path) -> None:
        self.atlas = atlas
        self.engine = open_reader(atlas)
        self.blobs = BlobStore(atlas / "blobs")
        self.file_id = database_path(atlas).stat().st_ino
        self._kept: tuple[str, dict[Any, Any]] = ("", {})
        self._recent: dict[Any, tuple[str, float, Any]] = {}
        self._state: Written[AtlasState] = Written(database_path(atlas))
        self.counted: dict[Any, Any] = {}
        """Arrays that a build counted: kept longer than answers, until they are counted again."""
        self._tables: frozenset[str] = frozenset()

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()

    @contextmanager
    def connect(self) -> Generator[Connection]:
        """Open a connection; a database that cannot be read is said in plain words.

        Raises:
            AtlasError: The database cannot be read now.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise self._unreadable(error.orig) from error

    def all(self, query: Executable, **values: Any) -> Sequence[Row]:
        """Return the rows of a query, with values for its parameters."""
        with self.connect() as connection:
            return cast("Sequence[Row]", connection.execute(query, values).mappings().all())

    def has_table(self, name: str) -> bool:
        """Return whether the atlas has a table: one of an older version lacks some until the next build."""
        if name not in self._tables:
            self._tables = frozenset(row["name"] for row in self.all(_TABLES))
        return name in self._tables

    def ask(self, query: Prepared, **values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query that was put together beforehand."""
        try:
            return query.ask(self.engine, values)
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, reason: object) -> AtlasError:
        return AtlasError(f"The atlas in {self.atlas} cannot be read ({reason}). `unitscope verify` tells what is wrong.")

    # -- the whole atlas -------------------------------------------------------------------------------------------

    def revision(self) -> str:
        """Return a text that changes whenever anything in the atlas changes."""
        return self.state().revision

    def state(self) -> AtlasState:
        """Return the revision, and when a build last said something."""
        return self._state.read(self._ask_state)

    def settled_state(self) -> AtlasState | None:
        """Return the same where it is known without asking the database, else None."""
        return self._state.peek()

    def _ask_state(self) -> AtlasState:
        row = self.all(_STATE)[0]
        return AtlasState(f"{self.file_id}-{row['revision'] or 0}", row["said"])

    def kept(self, revision: str) -> dict[Any, Any]:
        """Return a dictionary for answers that stay right until the atlas changes."""
        if self._kept[0] != revision:
            self._kept = (revision, {})
        return self._kept[1]

    def recent(self, key: object, revision: str, seconds: float, make: Callable[[], Any]) -> Any:
        """Return an answer that may be some seconds old: while a build writes, large sums need not follow every task."""
        known = self._recent.get(key)
        if known is not None and (known[0] == revision or (time.monotonic() - known[1] < seconds and self.is_building())):
            return known[2]
        answer = make()
        self._recent[key] = (revision, time.monotonic(), answer)
        return answer

    def is_building(self) -> bool:
        """Return whether a build has said something lately."""
        return self.state().is_building()

    def models(self) -> list[ModelRecord]:
        """Return all models, by name."""
        return [ModelRecord(**row) for row in self.all(_MODELS)]

    def catalog(self, model_id: str, revision: str) -> Catalog:
        """Return a model with its layers and links.

        Raises:
            UnknownName: The atlas has no such model.
        """
        kept = self.kept(revision)
        found = kept.get(("catalog", model_id))
        if found is None:
            found = kept["catalog", model_id] = self._read_catalog(model_id)
        return found

    def _read_catalog(self, model_id: str) -> Catalog:
        rows = self.all(_MODELS.where(schema.model.c.id == model_id))
        if not rows:
            known = [model.id for model in self.models()]
            raise UnknownName("model", model_id, known, where="This atlas", hint="The start page shows all of them.")
        layers = self.all(select(schema.layer).where(schema.layer.c.model_id == model_id).order_by(schema.layer.c.position))
        names = {row["id"]: row["name"] for row in layers}
        raw = self.all(select(schema.layer_link).where(schema.layer_link.c.source_layer_id.in_(list(names))))
        links = tuple(link_of_row(row, names) for row in raw)
        into, out_of = grouped((link.target, link) for link in links), grouped((link.source, link) for link in links)
        records = {row["name"]: layer_of_row(row, into.get(row["name"], ()), out_of.get(row["name"], ())) for row in layers}
        order = {name: place for place, name in enumerate(records)}
        links = tuple(sorted(links, key=lambda link: (order[link.target], order[link.source])))
        return Catalog(ModelRecord(**rows[0]), records, links)

    def dataset(self, dataset_id: str) -> DatasetRecord:
        """Return a dataset with the files that could not be used."""
        row = self.all(select(schema.dataset).where(schema.dataset.c.id == dataset_id))[0]
        skipped = self.all(
            select(schema.skipped_image).where(schema.skipped_image.c.dataset_id == dataset_id).order_by("key").limit(500)
        )
        return DatasetRecord(**row, skipped=[(item["key"], item["reason"]) for item in skipped])

    def coverage(self, catalog: Catalog, layers: Sequence[int] | None) -> list[CoverageRecord]:
        """Return how far each technique is on some layers of a model, given by row; None: on all together (`WHOLE_MODEL`)."""
        rows = [schema.WHOLE_MODEL] if layers is None else list(layers)
        if self.has_table("task_count"):
            return [CoverageRecord(**row) for row in self.ask(queries.COVERAGE, model=catalog.model.id, layers=rows)]
        # An atlas of an older version, until the next build or `unitscope upgrade`: all tasks are counted, once for a revision.
        counted = catalog.held.get("coverage")
        if counted is None:
            each = [CoverageRecord(**row) for row in self.ask(queries.TASKS_COUNTED, model=catalog.model.id)]
            counted = catalog.held["coverage"] = [*each, *whole_coverage(each)]
        return [record for record in counted if record.layer in rows]

    def is_counted(self, catalog: Catalog, technique: str | None = None) -> bool:
        """Return whether a model was counted after the last task was done: any, or one of a technique."""
        found: bool | None = catalog.held.get(("is counted", technique))
        if found is None:
            with self.connect() as connection:
                found = self.has_table("task_count") and is_counted(connection, catalog.model.id, technique)
            catalog.held["is counted", technique] = found
        return found

    def failures(self, model_id: str, limit: int = 20) -> list[tuple[int, str, int, int, str]]:
        """Return the tasks that failed: layer row, technique, first unit, last unit + 1, reason."""
        task = schema.task
        columns = (task.c.layer_id, task.c.technique, task.c.unit_start, task.c.unit_stop, task.c.error)
        query = select(*columns).where(task.c.model_id == model_id, task.c.status == "failed").limit(limit)
        return [(r["layer_id"], r["technique"], r["unit_start"], r["unit_stop"], r["error"] or "") for r in self.all(query)]

    def progress(self, model_id: str) -> ProgressRecord | None:
        """Return what a build said last, or None where none is under way."""
        table = schema.progress
        columns = (
            table.c.stage,
            table.c.num_done,
            table.c.num_total,
            table.c.per_second,
            table.c.seconds_left,
            table.c.updated_at,
        )
        rows = self.all(select(*columns).where(table.c.model_id == model_id))
        return ProgressRecord(**rows[0]) if rows else None

    # -- one unit --------------------------------------------------------------------------------------------------

    def labels(self, layer: LayerRecord, units: Iterable[int]) -> dict[int, str | None]:
        """Return the labels of some units of a layer; units without a row are left out."""
        return {row["unit_index"]: row["label"] for row in self.ask(queries.LABELS, layer=layer.row, units=list(units))}

    def metrics(self, layer: LayerRecord, units: Iterable[int]) -> dict[int, dict[str, float | None]]:
        """Return the metrics of some units of a layer."""
        found: dict[int, dict[str, float | None]] = {}
        for row in self.ask(queries.METRICS, layer=layer.row, units=list(units)):
            found.setdefault(row["unit_index"], {})[row["metric"]] = row["value"]
        return found

    def metric(self, layer: LayerRecord, name: str) -> dict[int, float]:
        """Return one metric of all units of a layer that have it."""
        table = schema.unit_metric
        query = select(table.c.unit_index, table.c.value).where(
            table.c.layer_id == layer.row, table.c.metric == name, table.c.value.is_not(None)
        )
        return {row["unit_index"]: row["value"] for row in self.all(query)}

    def artifacts(self, layer: LayerRecord, unit: int) -> list[ArtifactRecord]:
        """Return all artifacts about a unit, in their order."""
        return [artifact_of_row(row) for row in self.ask(queries.UNIT_ARTIFACTS, layer=layer.row, unit=unit)]

    def layer_artifact(self, layer: LayerRecord, kind: str) -> ArtifactRecord | None:
        """Return the artifact of a kind about a whole layer, or None where there is none."""
        table = schema.artifact
        rows = self.all(queries.ARTIFACTS.where(table.c.layer_id == layer.row, table.c.unit_index == -1, table.c.kind == kind))
        return artifact_of_row(rows[0]) if rows else None

    def layer_artifacts(self, layer: LayerRecord) -> list[ArtifactRecord]:
        """Return all artifacts about a whole layer."""
        return [artifact_of_row(row) for row in self.ask(queries.UNIT_ARTIFACTS, layer=layer.row, unit=-1)]

    def thumbs(self, layer: LayerRecord, units: Iterable[int]) -> dict[int, ThumbRecord]:
        """Return what the small pictures of some units are made of; units with nothing yet are left out."""
        wanted = list(units)
        rows = self.ask(queries.PICTURES, layer=layer.row, units=wanted)
        found = {row["unit_index"]: ThumbRecord(f"{row['blob_sha256']}.{row['extension']}", ()) for row in rows}
        missing = [unit for unit in wanted if unit not in found]
        if missing:
            rows = self.ask(queries.STRONGEST_EXAMPLES, layer=layer.row, units=missing)
            found |= {row["unit_index"]: ThumbRecord(None, positions_of_text(row["top"])) for row in rows}
        return {unit: thumb for unit, thumb in found.items() if thumb.blob_name or thumb.examples}

    def live_stamp(self) -> str:
        """Return a text that changes when a build says something new, and when it has said nothing for a while."""
        return self.state().live_stamp()

    def run(self, run_id: str) -> RunRecord | None:
        """Return the run of that id."""
        table = schema.run
        columns = [column for column in table.c if column.name != "model_id"]
        rows = self.all(select(*columns).where(table.c.id == run_id))
        return RunRecord(**rows[0]) if rows else None

    # -- images ----------------------------------------------------------------------------------------------------

    def stimuli(self, model: ModelRecord, indices: Iterable[int]) -> dict[int, StimulusRecord]:
        """Return images of a model's dataset by their index."""
        values = {"dataset": model.dataset_id, "input": model.input_key, "indices": sorted(set(indices))}
        return {row["stimulus_index"]: stimulus_of_row(row) for row in self.ask(queries.CHOSEN_STIMULI, **values)}

    def stimulus(self, stimulus_id: int) -> StimulusRecord | None:
        """Return the image of that id, or None where there is none."""
        rows = self.all(queries.STIMULI.where(schema.stimulus.c.id == stimulus_id))
        return stimulus_of_row(rows[0]) if rows else None

    def num_stimuli(self) -> int:
        """Return how many images the atlas has."""
        return int(self.all(select(func.count().label("n")).select_from(schema.stimulus))[0]["n"])

    def stimulus_neighbours(self, stimulus_id: int) -> tuple[int | None, int | None]:
        """Return the ids of the images before and after one."""
        table = schema.stimulus.c.id
        row = self.all(
            select(
                select(func.max(table)).where(table < stimulus_id).scalar_subquery().label("before"),
                select(func.min(table)).where(table > stimulus_id).scalar_subquery().label("after"),
            )
        )[0]
        return row["before"], row["after"]

    def models_of(self, stimulus: StimulusRecord) -> list[str]:
        """Return the models that were shown an image."""
        table = schema.model
        query = select(table.c.id).where(table.c.dataset_id == stimulus.dataset_id, table.c.input_key == stimulus.input_key)
        return [row["id"] for row in self.all(query.order_by(table.c.id))]
