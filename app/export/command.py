"""What `unitscope export` does; the command line names it and never imports the app."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from app.dependencies import AtlasDoor
from app.export.selection import Selection, read_list, select
from app.export.site import write_site


def run_export(arguments: argparse.Namespace) -> int:
    """Write the site and tell how large it is."""
    started = time.monotonic()
    folder: Path = arguments.folder

    def choose(door: AtlasDoor) -> Selection:
        listed = None if arguments.list is None else read_list(arguments.list, door.annotations)
        return select(door.reader(), listed, arguments.model, arguments.layers)

    def say(words: str) -> None:
        print(f"unitscope export: {words}", file=sys.stderr, flush=True)

    written = write_site(arguments.atlas, folder, choose, say)
    seconds = time.monotonic() - started
    print(written.words)
    print(f"{written.num_pages:,} pages, {written.num_files:,} files, {written.num_bytes / 1e6:,.1f} MB in {seconds:.0f} s")
    print(f"Open {folder / 'index.html'} in a browser, or put the folder on any web server.")
    return 0
