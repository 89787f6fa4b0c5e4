"""What the web process is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AppSettings:
    """Settings of the web app.

    Attributes:
        atlas: Folder of the atlas that is shown; it need not exist yet.
        static: Folder of style sheets and scripts.
        templates: Folder of the page templates.
        keeps_composed: Whether strips and sheets of pictures that were composed once are kept under `ATLAS/cache`.
    """

    atlas: Path
    static: Path = Path(__file__).resolve().parent.parent / "static"
    templates: Path = Path(__file__).resolve().parent.parent / "templates"
    keeps_composed: bool = True
