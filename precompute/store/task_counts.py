"""Numbers of tasks by layer, technique and status, kept in step with the ledger by the database itself.

There are as many tasks as units, and more; pages that tell how far a build is read a handful of counts. Triggers change a count
in the transaction that changes a task, so that the two always agree, whoever writes and whenever a build is killed.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, func, insert, literal, select, text

from precompute.store import schema

_KEY = ("model_id", "layer_id", "technique", "variant", "status")
# Each count is of a layer, and of the model (WHOLE_MODEL, -1). No statement here has an OR clause or ON CONFLICT: in a trigger,
# that of the statement that fired it would count instead.
_ADD = """
    INSERT INTO task_count (model_id, layer_id, technique, variant, status, num_tasks, num_units)
    SELECT NEW.model_id, place.layer_id, NEW.technique, NEW.variant, NEW.status, 0, 0
    FROM (SELECT NEW.layer_id AS layer_id UNION ALL SELECT -1) AS place
    WHERE NOT EXISTS (
        SELECT 1 FROM task_count AS known WHERE known.model_id = NEW.model_id AND known.layer_id = place.layer_id
        AND known.technique = NEW.technique AND known.variant = NEW.variant AND known.status = NEW.status
    );
    UPDATE task_count SET num_tasks = num_tasks + 1, num_units = num_units + (NEW.unit_stop - NEW.unit_start)
    WHERE model_id = NEW.model_id AND layer_id IN (NEW.layer_id, -1)
    AND technique = NEW.technique AND variant = NEW.variant AND status = NEW.status;
"""
_TAKE = """
    UPDATE task_count SET num_tasks = num_tasks - 1, num_units = num_units - (OLD.unit_stop - OLD.unit_start)
    WHERE model_id = OLD.model_id AND layer_id IN (OLD.layer_id, -1)
    AND technique = OLD.technique AND variant = OLD.variant AND status = OLD.status;
    DELETE FROM task_count
    WHERE model_id = OLD.model_id AND layer_id IN (OLD.layer_id, -1)
    AND technique = OLD.technique AND variant = OLD.variant AND status = OLD.status AND num_tasks = 0;
"""
_FIRST = "task_counted_when_added"
_TRIGGERS = (
    f"CREATE TRIGGER {_FIRST} AFTER INSERT ON task BEGIN {_ADD} END",
    f"CREATE TRIGGER task_counted_when_gone AFTER DELETE ON task BEGIN {_TAKE} END",
    "CREATE TRIGGER task_counted_when_changed AFTER UPDATE OF status ON task WHEN OLD.status <> NEW.status "
    f"BEGIN {_TAKE} {_ADD} END",
)


def keep_task_counts(connection: Connection) -> None:
    """Count the tasks of an atlas that were never counted, and let the database keep the counts from then on."""
    is_kept = text("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = :name")
    if connection.execute(is_kept, {"name": _FIRST}).first() is not None:
        return
    # Rows first: only they open a transaction, and the triggers must not be there without the counts.
    connection.execute(delete(schema.task_count))
    columns = [schema.task_count.c[name] for name in (*_KEY, "num_tasks", "num_units")]
    numbers = func.count(), func.sum(schema.task.c.unit_stop - schema.task.c.unit_start)
    for layer in (schema.task.c.layer_id, literal(schema.WHOLE_MODEL)):
        key = [layer if name == "layer_id" else schema.task.c[name] for name in _KEY]
        groups = [schema.task.c[name] for name in _KEY if name != "layer_id" or layer is schema.task.c.layer_id]
        connection.execute(insert(schema.task_count).from_select(columns, select(*key, *numbers).group_by(*groups)))
    for trigger in _TRIGGERS:
        connection.execute(text(trigger))


COUNTED_TASKS = "counted_tasks"
"""Among the arrays of a model: what was done when it was counted."""
EXAMPLES_FROM = "dataset_examples"
"""The technique that says which images are the examples of a unit."""


def tasks_done(connection: Connection, model_id: str) -> bytes:
    """Return a text that changes whenever something of a model is done."""
    table = schema.task_count.c
    query = select(table.technique, table.variant, table.num_units).where(
        table.model_id == model_id, table.layer_id == schema.WHOLE_MODEL, table.status == "done"
    )
    return json.dumps([list(row) for row in connection.execute(query.order_by(table.technique, table.variant))]).encode()


def is_counted(connection: Connection, model_id: str, technique: str | None = None) -> bool:
    """Return whether a model was counted after the last task was done: any, or one of a technique."""
    table = schema.unit_column.c
    query = select(table.data).where(table.model_id == model_id, table.name == COUNTED_TASKS)
    data = connection.execute(query).scalar()
    if data is None:
        return False
    then, now = (
        [row for row in json.loads(text) if technique in (None, row[0])] for text in (data, tasks_done(connection, model_id))
    )
    return then == now
