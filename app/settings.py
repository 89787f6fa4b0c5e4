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
        max_kept_bytes: How much of the pages that were made once is kept under `ATLAS/cache/pages`; 0 for none.
        max_ready_bytes: How much of them is kept in memory.
        requests_per_second: How many requests one client may send for as long as it likes; 0: any number.
        public_url: Scheme and host at which people reach the server, without a slash at the end; None where it is not known.
        write_token: Who knows it may write annotations, circuits and short links; None: nobody may.
    """

    atlas: Path
    static: Path = Path(__file__).resolve().parent.parent / "static"
    templates: Path = Path(__file__).resolve().parent.parent / "templates"
    max_composed_bytes: int = 4 << 30
    max_kept_bytes: int = 1 << 30
    max_ready_bytes: int = 128 << 20
    requests_per_second: float = 0.0
    public_url: str | None = None
    write_token: str | None = field(default=None, repr=False)
