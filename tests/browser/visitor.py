"""A served atlas, and a visitor who notes what goes wrong on its pages."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import uvicorn
from playwright.sync_api import Browser, Locator, Page, ViewportSize

from app.main import create_app
from app.settings import AppSettings

Scheme = Literal["dark", "light"]
Way = Literal["mouse", "keyboard", "touch"]
WAYS: tuple[Way, ...] = get_args(Way)
PHONE = ViewportSize(width=390, height=844)
MAX_KEYS = 400
# A grid of pictures is one stop of the Tab key; arrows walk through it.
STEP = """(target) => {
  if (target === document.activeElement) return "";
  const grid = target.tabIndex < 0 ? target.closest(".units, .tiles, .bins, .wall, .few, .kernel-grid") : null;
  return grid?.contains(document.activeElement) ? "ArrowRight" : "Tab";
}"""
# About how many stops lie before a target, or, below zero, after it, where that is nearer; the last few are walked one by one.
STOPS = """(target) => {
  const kinds = "a[href], button, input, select, textarea, summary, [tabindex]";
  const isStop = (one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility();
  const stops = [...document.querySelectorAll(kinds)].filter(isStop);
  if (!stops.includes(target)) return 0;
  const ahead = stops.indexOf(target) - stops.indexOf(document.activeElement);
  return ahead > stops.length / 2 ? ahead - stops.length : ahead;
}"""


def node() -> str:
    """Return the path of Node: the machine's, or the one that a Python package brings."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    assert found is not None, "Node is missing: `make test` installs it"
    return found


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


class Hand:
    """How a visitor presses and writes: with a mouse, with the keyboard and nothing else, or with a finger."""

    def __init__(self, page: Page, way: Way) -> None:
        self.page = page
        self.way = way

    def press(self, target: Locator) -> None:
        if self.way == "keyboard":
            self._go_to(target)
            self.page.keyboard.press("Space" if target.get_attribute("type") == "checkbox" else "Enter")
        elif self.way == "touch":
            target.tap()
        else:
            target.click()

    def write(self, target: Locator, text: str) -> None:
        if self.way == "keyboard":
            self._go_to(target)
        else:
            self.press(target)
        self.page.keyboard.type(text)

    def _go_to(self, target: Locator) -> None:
        stops = target.evaluate(STOPS)
        tab = "Tab" if stops >= 0 else "Shift+Tab"
        for _ in range(abs(stops) - 3):
            self.page.keyboard.press(tab)
        for _ in range(MAX_KEYS):
            key = target.evaluate(STEP)
            if not key:
                return
            self.page.keyboard.press(tab if key == "Tab" else key)
        raise AssertionError(f"{target} cannot be reached by the keyboard")


class Visitor:
    """A page that remembers what went wrong on it, and the hand of whoever looks at it; a finger comes with a phone."""

    def __init__(
        self,
        browser: Browser,
        address: str,
        *,
        scripts: bool,
        width: int = 1440,
        scheme: Scheme = "dark",
        way: Way = "mouse",
    ) -> None:
        is_phone = way == "touch"
        self.context = browser.new_context(
            java_script_enabled=scripts,
            viewport=PHONE if is_phone else ViewportSize(width=width, height=900),
            color_scheme=scheme,
            base_url=address,
            has_touch=is_phone,
            is_mobile=is_phone,
        )
        self.page: Page = self.context.new_page()
        self.hand = Hand(self.page, way)
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
