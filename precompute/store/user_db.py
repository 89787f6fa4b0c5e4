"""`ATLAS/user.db`: circuits and short links that people write, apart from the atlas, with every revision kept.

The file is made by the first write and never by a look. Writers wait for each other; readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from precompute.circuits.circuit import Circuit, parse_stored, random_letters, write_circuit
from precompute.errors import AtlasError, Conflict, UnknownName, UsageError
from precompute.store import user_schema as schema
from precompute.store.user_file import UserFile, now

VIEW_ID_LENGTH = 10


@dataclass(frozen=True)
class CircuitRecord:
    """A stored circuit.

    Attributes:
        circuit: The document.
        revision: From 1; grows with every change.
        created_at: When it was written here first.
        updated_at: When it was changed last.
    """

    circuit: Circuit
    revision: int
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class RevisionRecord:
    """One revision of a circuit: `created`, `changed` or `deleted`."""

    revision: int
    action: str
    at: str
    document: str


class UserDb(UserFile):
    """Circuits and short links that people wrote.

    Args:
        atlas: Folder of the atlas; the database in it need not exist.
    """

    # -- looking ---------------------------------------------------------------------------------------------------

    def circuits(
        self, model_id: str | None = None, limit: int = 100, after: tuple[str, str] | None = None
    ) -> tuple[list[CircuitRecord], int]:
        """Return circuits, those changed last first, and how many there are.

        Args:
            model_id: Only those of this model.
            limit: At most so many.
            after: `(updated_at, id)` of the one before the first.
        """
        table = schema.circuit
        of_model = [] if model_id is None else [table.c.model_id == model_id]
        query = select(table).where(*of_model).order_by(table.c.updated_at.desc(), table.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(tuple_(table.c.updated_at, table.c.id) < tuple_(*after))
        count = select(func.count()).select_from(table).where(*of_model)

        def ask(connection: Connection) -> tuple[Sequence[Any], int]:
            return connection.execute(query).mappings().all(), connection.execute(count).scalar_one()

        nothing: tuple[Sequence[Any], int] = ([], 0)
        rows, total = self.read(ask, nothing)
        return [_record(row) for row in rows], total

    def circuit(self, circuit_id: str) -> CircuitRecord:
        """Return a circuit.

        Raises:
            UnknownName: There is none of that id.
        """
        table = schema.circuit
        query = select(table).where(table.c.id == circuit_id)
        row = self.read(lambda connection: connection.execute(query).mappings().first(), None)
        if row is None:
            raise self._unknown(circuit_id)
        return _record(row)

    def revisions(self, circuit_id: str) -> list[RevisionRecord]:
        """Return every revision that a circuit ever had, the first one first; also of one that was deleted."""
        table = schema.circuit_revision
        query = (
            select(table.c.revision, table.c.action, table.c.at, table.c.document)
            .where(table.c.circuit_id == circuit_id)
            .order_by(table.c.revision)
        )
        nothing: Sequence[Any] = []
        return [RevisionRecord(**row) for row in self.read(lambda c: c.execute(query).mappings().all(), nothing)]

    def view(self, view_id: str) -> str | None:
        """Return the address that a short id stands for, or None."""
        query = select(schema.saved_view.c.address).where(schema.saved_view.c.id == view_id)
        return self.read(lambda connection: connection.execute(query).scalar(), None)

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, circuit: Circuit) -> tuple[CircuitRecord, bool]:
        """Store a new circuit; the very same one may be given again.

        Returns:
            The record, and whether it is new.

        Raises:
            Conflict: Another circuit has its id.
        """
        document = write_circuit(circuit)
        with self.write() as connection:
            found = connection.execute(select(schema.circuit).where(schema.circuit.c.id == circuit.id)).mappings().first()
            if found is not None and found["document"] == document:
                return _record(found), False
            if found is not None:
                raise Conflict(
                    f"There is a circuit {circuit.id!r} already, and it is another one. "
                    "Leave 'id' out to save a copy, or send it with PUT to make it the next revision."
                )
            moment = now()
            revision = _next_revision(connection, circuit.id)
            row = {"id": circuit.id, "model_id": circuit.model, "document": document, "revision": revision}
            connection.execute(insert(schema.circuit).values(**row, created_at=moment, updated_at=moment))
            _keep(connection, circuit.id, revision, "created", document, moment)
            return CircuitRecord(circuit, revision, moment, moment), True

    def change(self, circuit: Circuit, expected_revision: int | None = None) -> CircuitRecord:
        """Store the next revision of a circuit.

        Args:
            circuit: What it is from now on.
            expected_revision: Refuse where it is another revision by now.

        Raises:
            UnknownName: There is none of that id.
            Conflict: Somebody changed it meanwhile.
        """
        document = write_circuit(circuit)
        with self.write() as connection:
            found = self._current(connection, circuit.id, expected_revision)
            moment = now()
            revision = _next_revision(connection, circuit.id)
            values = {"model_id": circuit.model, "document": document, "updated_at": moment, "revision": revision}
            connection.execute(update(schema.circuit).where(schema.circuit.c.id == circuit.id).values(**values))
            _keep(connection, circuit.id, revision, "changed", document, moment)
            return CircuitRecord(circuit, revision, found["created_at"], moment)

    def delete(self, circuit_id: str) -> None:
        """Take a circuit out of the list; its revisions stay.

        Raises:
            UnknownName: There is none of that id.
        """
        with self.write() as connection:
            found = self._current(connection, circuit_id, None)
            connection.execute(delete(schema.circuit).where(schema.circuit.c.id == circuit_id))
            revision = _next_revision(connection, circuit_id)
            _keep(connection, circuit_id, revision, "deleted", found["document"], now())

    def save_view(self, address: str) -> str:
        """Return a short id for an address; the same address has one id."""
        table = schema.saved_view
        with self.write() as connection:
            found = connection.execute(select(table.c.id).where(table.c.address == address)).scalar()
            if found is None:
                found = random_letters(VIEW_ID_LENGTH)
                connection.execute(insert(table).values(id=found, address=address, created_at=now()))
            return found

    def _current(self, connection: Connection, circuit_id: str, expected: int | None) -> Any:
        found = connection.execute(select(schema.circuit).where(schema.circuit.c.id == circuit_id)).mappings().first()
        if found is None:
            ids = connection.execute(select(schema.circuit.c.id)).scalars().all()
            raise _unknown(circuit_id, ids)
        if expected is not None and expected != found["revision"]:
            raise Conflict(
                f"Circuit {circuit_id!r} is at revision {found['revision']} by now, and not at {expected}. "
                "Get it again, bring the changes together, and send that."
            )
        return found

    def _unknown(self, circuit_id: str) -> UnknownName:
        nothing: Sequence[str] = []
        return _unknown(circuit_id, self.read(lambda c: c.execute(select(schema.circuit.c.id)).scalars().all(), nothing))


def _next_revision(connection: Connection, circuit_id: str) -> int:
    table = schema.circuit_revision
    last = connection.execute(select(func.max(table.c.revision)).where(table.c.circuit_id == circuit_id)).scalar()
    return (last or 0) + 1


def _keep(connection: Connection, circuit_id: str, revision: int, action: str, document: str, moment: str) -> None:
    row = {"circuit_id": circuit_id, "revision": revision, "action": action, "document": document, "at": moment}
    connection.execute(insert(schema.circuit_revision).values(**row))


def _record(row: Any) -> CircuitRecord:
    try:
        circuit = parse_stored(cast("str", row["document"]))
    except UsageError as error:
        raise AtlasError(f"Circuit {row['id']!r} in user.db cannot be read: {error} Its earlier revisions are kept.") from error
    return CircuitRecord(circuit, row["revision"], row["created_at"], row["updated_at"])


def _unknown(circuit_id: str, known: Sequence[str]) -> UnknownName:
    return UnknownName("circuit", circuit_id[:100], known, where="This atlas", hint="/circuits lists them.")
