"""Queries that are put together once: asked through SQLAlchemy's own layers, the small ones of a page take four times as long."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Integer, SelectBase, column, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import BindParameter

_DIALECT: Any = sqlite.dialect  # its parameters have no types


class Prepared:
    """A query as text.

    Args:
        statement: With named parameters.
        payloads: Columns that hold JSON.
    """

    def __init__(self, statement: SelectBase, payloads: Sequence[str] = ()) -> None:
        compiled = statement.compile(dialect=_DIALECT(paramstyle="named"))
        self._text = str(compiled)
        self._given: Mapping[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._names = [str(found.key) for found in statement.selected_columns]
        self._payloads = tuple(payloads)

    def ask(self, engine: Engine, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows.

        Args:
            engine: Of the atlas.
            values: Of the parameters; a list stands for the values of `one_of`.
        """
        given = {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self._text, {**self._given, **given})
            rows = [dict(zip(self._names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            connection.close()
        loads: Callable[[str], Any] = json.loads
        for name in self._payloads:
            for row in rows:
                row[name] = None if row[name] is None else loads(row[name])
        return rows


def one_of(values: BindParameter[Any]) -> SelectBase:
    """Return what a column is held against with `in_`: the whole numbers of a list of any length, one parameter."""
    return select(column("value", Integer)).select_from(func.json_each(values).table_valued("value"))
