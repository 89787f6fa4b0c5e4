"""A served atlas, and a visitor who notes what goes wrong on its pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from playwright.sync_api import Browser, Page, ViewportSize

from app.main import create_app
from app.settings import AppSettings

Scheme = Literal["dark", "light"]


@contextmanager
def serve(atlas: Path, token: str | None = None) -> Iterator[str]:
    """Serve an atlas on a free port; with a token, for writing too."""
    app = create_app(AppSettings(atlas, write_token=token))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


class Visitor:
    """A page that remembers what went wrong on it."""

    def __init__(self, browser: Browser, address: str, *, scripts: bool, width: int = 1440, scheme: Scheme = "dark") -> None:
        size = ViewportSize(width=width, height=900)
        self.context = browser.new_context(java_script_enabled=scripts, viewport=size, color_scheme=scheme, base_url=address)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on(
            "response", lambda answer: self.problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        )

    def finish(self, address: str) -> None:
        self.context.close()
        assert self.problems == []
        assert [url for url in self.requests if not url.startswith((address, "data:"))] == []
