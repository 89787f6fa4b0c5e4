"""Rows as JSON lines and as Parquet, piece by piece."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from app.bulk.columns import TABLES
from app.bulk.rows import Columns
from precompute.errors import NotOffered

MEDIA_TYPES = {"jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
ROWS_AT_ONCE = 4096


def json_lines(chunks: Iterable[Columns]) -> Iterator[bytes]:
    """Yield rows as JSON, one on each line; a number that is not finite is null."""
    for chunk in chunks:
        names = list(chunk)
        rows = list(zip(*chunk.values(), strict=True))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            lines = [
                to_json(dict(zip(names, row, strict=True)), inf_nan_mode="null") for row in rows[start : start + ROWS_AT_ONCE]
            ]
            yield b"\n".join(lines) + b"\n"


class _Pieces:
    """Looks like a file to what writes, and gives what was written so far."""

    def __init__(self) -> None:
        self.closed = False
        self._parts: list[bytes] = []
        self._num_bytes = 0

    def write(self, data: Any) -> int:
        """Keep some bytes."""
        piece = bytes(data)
        self._parts.append(piece)
        self._num_bytes += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._num_bytes

    def flush(self) -> None:
        """Do nothing: what was written is taken."""

    def close(self) -> None:
        """Say that no more comes."""
        self.closed = True

    def take(self) -> bytes:
        """Return what was written since this was asked last."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


def parquet(table: str, chunks: Iterable[Columns], metrics: Sequence[str]) -> Iterator[bytes]:
    """Yield rows as a Parquet file, one row group for each chunk.

    Args:
        table: Which rows they are.
        chunks: The rows.
        metrics: Names of the metrics, each a column of its own where rows have metrics.

    Raises:
        NotOffered: The server has no pyarrow.
    """
    arrow, writing = _load("pyarrow"), _load("pyarrow.parquet")
    schema = _schema(arrow, table, metrics)

    def pieces() -> Iterator[bytes]:
        sink = _Pieces()
        with writing.ParquetWriter(sink, schema, compression="zstd") as writer:
            for chunk in chunks:
                writer.write_table(arrow.table(_flat(chunk, metrics), schema=schema))
                yield sink.take()
        yield sink.take()

    return pieces()


def _flat(chunk: Columns, metrics: Sequence[str]) -> Columns:
    found: Columns = {}
    for name, values in chunk.items():
        if name == "metrics":
            for metric in metrics:
                found[f"metrics.{metric}"] = [_finite(value.get(metric)) for value in values]
        else:
            found[name] = values
    return found


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _schema(arrow: Any, table: str, metrics: Sequence[str]) -> Any:
    kinds = {"string": arrow.string(), "integer": arrow.int64(), "number": arrow.float64(), "boolean": arrow.bool_()}
    fields: list[Any] = []
    for column in TABLES[table]:
        if column.kind == "metrics":
            fields += [arrow.field(f"metrics.{metric}", arrow.float64()) for metric in metrics]
        else:
            fields.append(arrow.field(column.name, kinds[column.kind], nullable=column.is_nullable))
    return arrow.schema(fields)


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotOffered(
            "Parquet needs pyarrow, which is not installed on the server: `pip install 'unitscope[parquet]'` there, "
            "or ask for .jsonl, which has the same rows."
        ) from error
