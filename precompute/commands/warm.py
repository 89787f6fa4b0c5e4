"""`unitscope warm`: every page of an atlas is made ahead, so that nobody waits for the first time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from precompute.commands.serve import ATLAS_VARIABLE, THREADS_VARIABLE
from precompute.errors import AtlasError


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "warm",
        help="make the pages of an atlas ahead, at the lowest priority",
        description="Example: unitscope warm --atlas atlas. A server may run meanwhile; what is made is kept under ATLAS/cache.",
    )
    parser.add_argument("--atlas", required=True, metavar="DIR", type=Path, help="the folder of the atlas")
    parser.set_defaults(run=run_warm)


def run_warm(arguments: argparse.Namespace) -> int:
    """Make the pages.

    Raises:
        AtlasError: Nothing can be kept there.
    """
    atlas: Path = arguments.atlas
    if atlas.is_dir() and not os.access(atlas, os.W_OK):
        raise AtlasError(f"The pages would be kept in {atlas / 'cache'}, and {atlas} cannot be written.")
    # The app is named, not imported: precompute never sees it.
    words = [sys.executable, "-m", "app.warming"]
    environment = {THREADS_VARIABLE: "1", **os.environ, ATLAS_VARIABLE: str(atlas)}
    return subprocess.run(words, env=environment, check=False).returncode  # noqa: S603 - our own words
