"""Ways to the graph in Chromium: by Tab, when a proxy answers instead of the server, and past labels that would turn a page."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from precompute.store.indexing import index_names
from precompute.store.writer import AtlasWriter
from tests.browser.visitor import Visitor, serve

pytestmark = pytest.mark.browser
LAYER = "/models/tiny_a/blocks.0.pw"
UNIT = f"{LAYER}/7"
LONG, TURNING = "w" * 300, "to the \u202eright"
LABELLED = [
    UNIT,
    f"{UNIT}/weights",
    f"{UNIT}/factors",
    LAYER,
    "/search?q=www",
]


@pytest.fixture(scope="module")
def address(fixture_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an atlas whose units have labels that are long, and some that turn what follows them."""
    atlas = tmp_path_factory.mktemp("labelled") / "atlas"
    shutil.copytree(fixture_atlas, atlas)
    with closing(sqlite3.connect(atlas / "atlas.db")) as database, database:
        database.execute("UPDATE unit SET label = ?", (LONG,))
        database.execute("UPDATE unit SET label = ? WHERE unit_index % 2 = 0", (TURNING,))
    with closing(AtlasWriter(atlas)) as writer:
        index_names(writer)
    with serve(atlas) as found:
        yield found


def begin(visitor: Visitor) -> Page:
    visitor.page.goto(f"{UNIT}/weights")
    expect(visitor.page.locator("[data-ready]")).to_be_attached()
    return visitor.page


def answering(status: int, kind: str, body: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, content_type=kind, body=body)


def test_error_of_a_proxy_is_said_in_plain_words(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    notes = page.locator("[data-role=notes] .pending")
    page.keyboard.press("ArrowRight")
    for status, kind, body, words in (
        (502, "text/html", "xx <html>", "status 502 (Bad Gateway)"),
        (200, "text/html", "<html>please log in", "answered with a page"),
        (400, "application/problem+json", '{"detail": "So it is."}', "So it is."),
    ):
        page.route("**/api/v1/**", answering(status, kind, body))
        page.keyboard.press("o")
        expect(notes).to_contain_text(words)
        expect(notes).not_to_contain_text("JSON")
    page.unroute("**/api/v1/**")
    page.keyboard.press("o")
    expect(notes).to_have_count(0)
    visitor.context.close()


def test_graph_is_the_second_stop_of_the_keyboard(browser: Browser, address: str) -> None:
    for scripts in (True, False):
        visitor = Visitor(browser, address, scripts=scripts)
        page = visitor.page
        page.goto(f"{UNIT}/weights")
        if scripts:
            expect(page.locator("[data-ready]")).to_be_attached()
        expect(page.locator("footer .keys")).to_be_visible(visible=scripts)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.locator("a:focus")).to_have_text("Skip to the graph")
        page.keyboard.press("Enter")
        if scripts:
            expect(page.locator(".gcard.start .gwho")).to_be_focused()
            assert page.url == f"{address}{UNIT}/weights"  # no step of the history: undo stays what it was
        else:
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('#graph') !== null")
        visitor.context.close()


def test_skipping_to_the_content_is_no_step_of_the_history(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    before = page.evaluate("history.length")
    page.locator(".skip[href='#main']").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.evaluate("history.length") == before
    assert page.url == f"{address}{UNIT}/weights"
    visitor.context.close()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", LABELLED)
def test_long_label_widens_no_page(browser: Browser, address: str, path: str, width: int) -> None:
    visitor = Visitor(browser, address, scripts=False, width=width)
    visitor.page.goto(path)
    assert LONG in visitor.page.content()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.context.close()


def test_label_does_not_turn_what_stands_beside_it(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(f"{UNIT}/factors")
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069") & set(page.title())
    page.goto("/models/tiny_a/blocks.0.pw/8")
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069") & set(page.title())
    assert "to the right" in page.title()
    label = page.locator("h1 .label")
    expect(label).to_have_text(TURNING)
    # Words behind the label stand to its right; without isolation they would stand to the left of its end.
    places = """(label, isolation) => {
      label.style.unicodeBidi = isolation;
      const behind = document.createElement("i");
      behind.textContent = "behind";
      label.after(behind);
      const [left, right] = [behind.getBoundingClientRect().left, label.getBoundingClientRect().right];
      behind.remove();
      return left >= right - 1;
    }"""
    assert label.evaluate(places, "")
    assert not label.evaluate(places, "normal")
    visitor.context.close()
