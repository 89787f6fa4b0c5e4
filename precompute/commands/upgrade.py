"""`unitscope upgrade`: an atlas of an older version gets the tables that came later; every result stays."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from precompute.errors import AtlasError


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "upgrade",
        help="bring an older atlas up to date, keeping every result",
        description="Example: unitscope upgrade --atlas atlas",
    )
    parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    parser.set_defaults(run=run_upgrade)


def run_upgrade(arguments: argparse.Namespace) -> int:
    """Add what an atlas lacks.

    Raises:
        AtlasError: There is none, it cannot be written, or its schema is newer or too old.
    """
    from precompute.counted import count_uncounted
    from precompute.store.engine import database_path, lacks_tables, read_schema
    from precompute.store.schema import SCHEMA_VERSION
    from precompute.store.writer import AtlasWriter

    atlas: Path = arguments.atlas
    if not database_path(atlas).is_file():
        raise AtlasError(f"There is no atlas in {atlas} to upgrade. `unitscope build` makes one.")
    before, is_lacking = read_schema(atlas), lacks_tables(atlas)
    writer = AtlasWriter(atlas)
    try:
        counted = count_uncounted(writer)
    finally:
        writer.close()
    if before != SCHEMA_VERSION:
        print(f"The atlas in {atlas} now has schema {SCHEMA_VERSION}; before, it had {before}. Every result is kept.")
    elif is_lacking:
        print(f"The atlas in {atlas} has schema {SCHEMA_VERSION} and got the tables that it lacked. Every result is kept.")
    elif not counted:
        print(f"The atlas in {atlas} has schema {SCHEMA_VERSION} already: nothing to do.")
    for model_id in counted:
        print(f"Counted what the pages of {model_id} show.")
    return 0
