"""The description of the API as a file: `python -m app.openapi docs/openapi.json` writes it anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from app.main import create_app, openapi_of
from app.settings import AppSettings


def openapi_text() -> str:
    """Return the description of the API, the same on every machine."""
    document = openapi_of(create_app(AppSettings(Path("atlas"))))
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file."""
    if len(arguments) != 1:
        print("usage: python -m app.openapi FILE", file=sys.stderr)
        return 2
    Path(arguments[0]).write_text(openapi_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
