"""What the web process is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class AppSettings:
    """Settings of the web app.

    Attributes:
        atlas: Folder of the atlas that is shown; it need not exist yet.
        static: Folder of style sheets and scripts.
        templates: Folder of the page templates.
        max_composed_bytes: How much of the strips and sheets that were composed once is kept under `ATLAS/cache`; 0 for none.
        public_url: Scheme and host at which people reach the server, without a slash at the end; None where it is not known.
        write_token: Who knows it may write circuits and short links; None: nobody may.
    """

    atlas: Path
    static: Path = Path(__file__).resolve().parent.parent / "static"
    templates: Path = Path(__file__).resolve().parent.parent / "templates"
    max_composed_bytes: int = 4 << 30
    public_url: str | None = None
    write_token: str | None = field(default=None, repr=False)
