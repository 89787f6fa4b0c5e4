"""`unitscope circuits`: list, import, export and delete the circuits of an atlas, on the machine where it is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from precompute.errors import UsageError

EXAMPLE = """\
examples:
  unitscope circuits list --atlas atlas
  unitscope circuits import curves.json --atlas atlas
  unitscope circuits import --shipped --atlas atlas
  unitscope circuits export curves-from-lines-23456789 --atlas atlas > curves.json
  unitscope circuits delete curves-from-lines-23456789 --atlas atlas
"""


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    text = "list, import, export and delete circuits: units and edges with notes and claims"
    parser = commands.add_parser(
        "circuits", help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="the circuits of an atlas", description="One circuit a line.")
    listed.add_argument("--model", metavar="ID", help="only those of this model")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    imported = actions.add_parser("import", help="save circuits from files", description="Every unit must exist in the atlas.")
    imported.add_argument("files", nargs="*", metavar="FILE", help="a document, or - for the standard input")
    imported.add_argument("--shipped", action="store_true", help="those that come with the program, of models of this atlas")
    imported.add_argument("--replace", action="store_true", help="let a circuit that is there already have a next revision")
    for action, help_text in (("export", "print a circuit as a document"), ("delete", "take a circuit out of the list")):
        one = actions.add_parser(action, help=help_text, description=help_text)
        one.add_argument("id", metavar="ID", help="the circuit, as `list` shows it")
    for action in actions.choices.values():
        action.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    parser.set_defaults(run=run_circuits)


def run_circuits(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    from precompute.store.engine import open_reader

    open_reader(arguments.atlas).dispose()  # says what is wrong where there is no atlas
    return {"list": _list, "import": _import, "export": _export, "delete": _delete}[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from precompute.store.user_db import UserDb

    records, _ = UserDb(arguments.atlas).circuits(arguments.model, limit=1_000_000)
    rows = [
        {
            "id": record.circuit.id,
            "model": record.circuit.model,
            "title": record.circuit.title,
            "num_units": len(record.circuit.units),
            "num_edges": len(record.circuit.edges),
            "num_claims": len(record.circuit.claims),
            "revision": record.revision,
            "updated_at": record.updated_at,
        }
        for record in records
    ]
    if arguments.json:
        print(json.dumps({"circuits": rows}))
        return 0
    for row in rows:
        print(f"{row['id']:50} {row['model']:28} {row['num_units']:>4} units {row['num_edges']:>5} edges  {row['title']}")
    if not rows:
        print(f"{arguments.atlas}: no circuit yet")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    if arguments.shipped == bool(arguments.files):
        raise UsageError("Name files with circuits, or --shipped for those that come with the program; one of the two.")
    return _import_shipped(arguments) if arguments.shipped else _import_files(arguments)


def _import_shipped(arguments: argparse.Namespace) -> int:
    from precompute.store.shipped import save_shipped

    for circuit_id, outcome in save_shipped(arguments.atlas):
        print(f"{circuit_id}: {outcome}")
    return 0


def _import_files(arguments: argparse.Namespace) -> int:
    from precompute.circuits.circuit import parse_circuit
    from precompute.store.circuits import admit
    from precompute.store.reader import AtlasReader
    from precompute.store.user_db import UserDb

    reader, users = AtlasReader(arguments.atlas), UserDb(arguments.atlas)
    circuits = [(name, admit(reader, parse_circuit(_read(name)))) for name in arguments.files]  # all are checked, then saved
    known = {record.circuit.id for record in users.circuits(limit=1_000_000)[0]}
    for name, circuit in circuits:
        if arguments.replace and circuit.id in known:
            print(f"{name}: {circuit.id}, revision {users.change(circuit).revision}")
            continue
        record, is_new = users.add(circuit)
        print(f"{name}: {circuit.id}, {'saved' if is_new else f'there already, revision {record.revision}'}")
    reader.close()
    return 0


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}. Name a file with one circuit, or - for the input.") from error


def _export(arguments: argparse.Namespace) -> int:
    from precompute.circuits.circuit import write_circuit
    from precompute.store.user_db import UserDb

    sys.stdout.write(write_circuit(UserDb(arguments.atlas).circuit(arguments.id).circuit))
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from precompute.store.user_db import UserDb

    UserDb(arguments.atlas).delete(arguments.id)
    print(f"{arguments.id}: deleted; its revisions are kept in {arguments.atlas / 'user.db'}")
    return 0
