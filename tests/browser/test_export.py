"""An exported site in Chromium, from files: every page of it opened, every link alive, nothing asked of a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from precompute.cli import main
from tests.fixture_atlas import LAYERS, make_fixture_atlas
from tests.site_checks import files_of, problems_of

pytestmark = pytest.mark.browser
WIDE = tuple(replace(layer, num_units=64) for layer in LAYERS)
LISTED = ";".join(f"{model}/{layer.name}:0-62" for model in ("tiny_a", "tiny_b") for layer in WIDE)
EVERY = 8
"""So many weight pages and lists of partners there are for each one that is opened; of all other kinds, each page is."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser-export")
    make_fixture_atlas(folder / "atlas", WIDE)
    assert main(["export", str(folder / "site"), "--atlas", str(folder / "atlas"), "--list", LISTED]) == 0
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
        self.page.on("requestfailed", lambda request: self._note(True, f"{request.url}: {request.failure}"))

    def _note(self, is_wrong: bool, words: str) -> None:
        if is_wrong:
            self.wrong.append(f"{self.page.url}: {words}")


def test_five_hundred_units_from_files(browser: Browser, site: Path) -> None:
    walker = Walker(browser)
    waiting, seen = [(site / "index.html").as_uri()], set[str]()
    opened: list[str] = []
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        assert Path(address.removeprefix("file://")).is_file(), address
        is_list = address.endswith((".weights.html", ".inputs.html", ".outputs.html"))
        if not address.endswith(".html") or (is_list and len(seen) % EVERY):
            continue
        walker.page.goto(address)
        opened.append(address)
        links = walker.page.eval_on_selector_all("a[href]", "links => links.map(link => link.href.split('#')[0].split('?')[0])")
        waiting += [link for link in links if link not in seen]
    assert walker.wrong == []
    files = files_of(site)
    assert problems_of(files) == []
    units = [address for address in opened if address.rsplit("/", 1)[1].removesuffix(".html").isdigit() and "/models/" in address]
    assert len(units) == 504
    assert len([name for name in files if name.endswith(".html")]) > 2000


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
    walker.page.locator("h2 a").first.click()
    walker.page.locator(".layer-row h3 a, .rows h3 a, a[href*='stem']").first.click()
    walker.page.locator(".units a").first.click()
    assert walker.page.locator(".tiles a").count() > 4
    assert walker.page.locator(".export-note").inner_text().startswith("Part of an atlas: 504 of 512 units.")
    assert walker.wrong == []
