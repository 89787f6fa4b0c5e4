"""An exported site in Chromium, from files: every page of it opened, every link alive, nothing asked of a server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from app.words.markdown import REL
from tests.fixture_atlas import LAYERS, make_fixture_atlas
from tests.site_checks import files_of, problems_of

pytestmark = pytest.mark.browser
WIDE = tuple(replace(layer, num_units=64) for layer in LAYERS)
LISTED = ";".join(f"{model}/{layer.name}:0-62" for model in ("tiny_a", "tiny_b") for layer in WIDE)
EVERY = {"list": 48, "unit": 12}
"""So many pages of a kind there are for each one that is opened in the browser; of all other kinds, each page is.
The links of every page are read, whether it is opened or not."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser-export")
    make_fixture_atlas(folder / "atlas", WIDE)
    # In a process of its own: while Playwright runs, no other event loop can run in this one.
    command = ["export", str(folder / "site"), "--atlas", str(folder / "atlas"), "--list", LISTED]
    done = subprocess.run([sys.executable, "-m", "precompute.cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "site"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


class Walker:
    """One visitor, and everything that went wrong on the way."""

    def __init__(self, browser: Browser, *, scripts: bool = True) -> None:
        self.wrong: list[str] = []
        context = browser.new_context(java_script_enabled=scripts, offline=True)
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        self.page.on("pageerror", lambda error: self._note(True, str(error)))
        self.page.on("request", lambda request: self._note(not request.url.startswith("file:"), request.url))
        # What was on its way when the visitor went on is no failure.
        self.page.on(
            "requestfailed",
            lambda request: self._note(request.failure != "net::ERR_ABORTED", f"{request.url}: {request.failure}"),
        )

    def _note(self, is_wrong: bool, words: str) -> None:
        if is_wrong:
            self.wrong.append(f"{self.page.url}: {words}")


def kind_of(address: str) -> str:
    """Return whether a page is of a unit, a list of weights or partners, or something else."""
    name = address.rsplit("/", 1)[1].removesuffix(".html")
    if name.endswith((".weights", ".inputs", ".outputs")):
        return "list"
    return "unit" if name.isdigit() and "/models/" in address else "other"


def links_of(file: Path) -> list[str]:
    """Return where the links of a page lead, without what names a place on it; those of notes may lead to the web."""
    tags = [tag for tag in re.findall(r"<a\b[^>]*>", file.read_text()) if f'rel="{REL}"' not in tag]
    links = [found[1] for tag in tags if (found := re.search(r'\shref="([^"#?]+)', tag))]
    return [urljoin(file.as_uri(), unescape(link)) for link in links]


def test_five_hundred_units_from_files(browser: Browser, site: Path) -> None:
    walker = Walker(browser)
    waiting, seen = [(site / "index.html").as_uri()], set[str]()
    opened: list[str] = []
    counts = Counter[str]()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        assert Path(address.removeprefix("file://")).is_file(), address
        if not address.endswith(".html"):
            continue
        counts[kind_of(address)] += 1
        if counts[kind_of(address)] % EVERY.get(kind_of(address), 1) == 0:
            walker.page.goto(address)
            opened.append(address)
        links = links_of(Path(address.removeprefix("file://")))
        waiting += [link for link in links if link not in seen]
    assert walker.wrong == []
    files = files_of(site)
    assert problems_of(files) == []
    assert counts["unit"] == 504
    assert len([address for address in opened if kind_of(address) == "unit"]) == 504 // EVERY["unit"]
    assert len([name for name in files if name.endswith(".html")]) > 1500


def test_keys_search_and_theme_need_no_server(browser: Browser, site: Path) -> None:
    walker = Walker(browser)
    page = walker.page
    page.goto((site / "models/tiny_a/stem/7.html").as_uri())
    page.keyboard.press("j")
    page.wait_for_url("**/stem/8.html")
    page.keyboard.press("w")
    page.wait_for_url("**/stem/8.weights.html")
    page.go_back()
    page.keyboard.press("u")
    page.wait_for_url("**/stem/index.html")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") in ("dark", "light")
    page.keyboard.press("/")
    page.keyboard.type("blocks.0.pw 12")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.get_by_role("link", name="blocks.0.pw 12").first.click()
    page.wait_for_url("**/blocks.0.pw/12.html")
    assert walker.wrong == []


def test_pages_are_whole_without_scripts(browser: Browser, site: Path) -> None:
    walker = Walker(browser, scripts=False)
    walker.page.goto((site / "index.html").as_uri())
    walker.page.locator(".model-card h3 a").first.click()
    walker.page.locator("a[href$='stem/index.html']:visible").first.click()
    walker.page.locator(".units a").first.click()
    assert walker.page.locator(".tiles a").count() > 4
    assert walker.page.locator(".export-note").inner_text().startswith("Part of an atlas: 504 of 512 units.")
    assert walker.wrong == []
