"""`unitscope export`: a part of an atlas as a site of files."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

# The app is named, not imported: precompute never sees it.
COMMAND = ("app.export.command", "run_export")


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        help="write pages as files that need no server",
        description="Example: unitscope export site --atlas atlas --list 'resnet18/layer1.0.conv1:0-9;resnet18/fc:281'",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the site; it must not exist, or be empty")
    parser.add_argument(
        "--atlas", default=Path("atlas"), metavar="DIR", type=Path, help="the folder of the atlas; default ./atlas"
    )
    text = "only these units: MODEL/LAYER:1.2.8-11;MODEL/LAYER:*, a file with such lines, or the id of a list that people made"
    parser.add_argument("--list", metavar="LIST", help=text)
    parser.add_argument("--model", action="append", default=[], metavar="ID", help="only this model; may be given again")
    parser.add_argument(
        "--layers", action="append", default=[], metavar="GLOB", help="only layers of such names; may be given again"
    )
    parser.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the site."""
    module, name = COMMAND
    return int(getattr(importlib.import_module(module), name)(arguments))
