"""`unitscope annotations`: what people said, as a file to keep, to share and to merge, and a backup of all they wrote."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from precompute.errors import UsageError

EXAMPLE = """\
examples:
  unitscope annotations export annotations.jsonl --atlas atlas
  unitscope annotations export - --atlas atlas --kind list
  unitscope annotations import annotations.jsonl --atlas atlas
  unitscope annotations backup backups/user-2026-11-29.db --atlas atlas
to restore a backup: stop the server, remove user.db, user.db-wal and user.db-shm from the atlas, and copy the backup to user.db
"""


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    text = "export and import labels, notes, stars and lists; back up what people wrote"
    parser = commands.add_parser(
        "annotations", help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    exported = actions.add_parser(
        "export", help="write them as JSON Lines", description="One annotation a line, in the order of their creation."
    )
    exported.add_argument("file", metavar="FILE", help="where to; - for the standard output")
    exported.add_argument("--kind", choices=("label", "note", "star", "list"), help="only of this kind")
    imported = actions.add_parser(
        "import",
        help="merge a file by ids: the state with more revisions counts",
        description="All lines are checked before anything is saved; the same file twice changes nothing.",
    )
    imported.add_argument("file", metavar="FILE", help="JSON Lines; - for the standard input")
    imported.add_argument("--json", action="store_true", help="print one JSON object")
    backup = actions.add_parser(
        "backup",
        help="copy user.db, also while people write",
        description="Annotations, circuits and short links, as one SQLite file. A file that is there is never written over.",
    )
    backup.add_argument("file", metavar="FILE", type=Path, help="the file to make")
    for action in actions.choices.values():
        action.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    parser.set_defaults(run=run_annotations)


def run_annotations(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    from precompute.store.engine import open_reader

    if arguments.action != "backup":  # which copies what people wrote, whatever became of the atlas
        open_reader(arguments.atlas).dispose()  # says what is wrong where there is no atlas
    return {"export": _export, "import": _import, "backup": _backup}[arguments.action](arguments)


def _export(arguments: argparse.Namespace) -> int:
    from precompute.annotations.lines import write_lines
    from precompute.store.annotations import Annotations

    found = [one for one in Annotations(arguments.atlas).everything() if arguments.kind is None or one.kind == arguments.kind]
    text = write_lines(found)
    if arguments.file == "-":
        sys.stdout.write(text)
        return 0
    _write(Path(arguments.file), text.encode())
    print(f"{arguments.file}: {len(found)} annotations, {sum(one.is_deleted for one in found)} of them deleted")
    return 0


def _write(path: Path, data: bytes) -> None:
    """Put a file in its place in one step."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name a file in a folder that is there.") from error


def _import(arguments: argparse.Namespace) -> int:
    from precompute.annotations.document import models_of
    from precompute.annotations.lines import read_lines
    from precompute.store.annotations import Annotations
    from precompute.store.reader import AtlasReader

    annotations = read_lines(_read(arguments.file))
    records = Annotations(arguments.atlas).merge(annotations)
    counts = Counter(record.outcome for record in records)
    reader = AtlasReader(arguments.atlas)
    known = {model.id for model in reader.models()}
    reader.close()
    strange = sorted({name for one in annotations for name in models_of(one)} - known)
    outcomes = {name: counts.get(name, 0) for name in ("new", "changed", "deleted", "unchanged", "older")}
    if arguments.json:
        print(json.dumps({"annotations": len(records), **outcomes, "unknown_models": strange}))
        return 0
    print(
        f"{arguments.file}: {len(records)} annotations: {outcomes['new']} new, {outcomes['changed']} changed, "
        f"{outcomes['deleted']} deleted, {outcomes['unchanged']} unchanged, {outcomes['older']} older than here and left"
    )
    if strange:
        print(f"This atlas has no model {', '.join(strange[:5])}: what is said of it is kept, and shown once it is built.")
    return 0


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}. Name a file of JSON Lines, or - for the input.") from error


def _backup(arguments: argparse.Namespace) -> int:
    from precompute.store.backup import back_up

    made = back_up(arguments.atlas, arguments.file)
    print(
        f"{made.path}: {made.num_bytes:,} bytes, {made.num_annotations} annotations, {made.num_circuits} circuits; "
        f"to restore, stop the server and copy it to {arguments.atlas / 'user.db'}, without the -wal and -shm files beside it"
    )
    return 0
