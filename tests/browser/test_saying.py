"""Saying something in Chromium: by mouse, by keyboard and on a small screen, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import Visitor, serve
from tests.writers import TOKEN

pytestmark = pytest.mark.browser
UNIT = "/models/tiny_a/stem/5"


@pytest.fixture
def writable(atlas: Path) -> Iterator[str]:
    with serve(atlas, TOKEN) as found:
        yield found


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("width", [1440, 390])
def test_label_is_written_and_stands_in_the_head(browser: Browser, writable: str, scripts: bool, width: int) -> None:
    visitor = Visitor(browser, writable, scripts=scripts, width=width)
    page = visitor.page
    page.goto(UNIT)
    page.get_by_text("Label it, or write a note").click()
    form = page.locator("form.say-form").first
    form.get_by_label("Text").fill("curves <b>& lines</b>")
    form.get_by_label("Your name").fill("Ada")
    form.get_by_label("Token").fill(TOKEN)
    form.get_by_role("button", name="Save").click()
    expect(page).to_have_url(f"{writable}{UNIT}#said")
    expect(page.locator(".people-head .label")).to_have_text("curves <b>& lines</b>")
    too_wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth") if scripts else False
    assert not too_wide
    visitor.finish(writable)


def test_s_stars_and_takes_the_star_away(browser: Browser, writable: str) -> None:
    visitor = Visitor(browser, writable, scripts=True)
    page = visitor.page
    page.goto(UNIT)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("s")
    token = page.locator("form[data-star]").get_by_label("Token")
    expect(token).to_be_focused()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator(".stars")).to_have_text("★ 1")
    page.wait_for_load_state("networkidle")
    page.locator("h1").click()
    page.keyboard.press("s")  # the token is remembered until the tab is closed
    expect(page.locator(".stars")).to_have_count(0)
    visitor.finish(writable)


def test_list_is_made_of_a_filtered_layer(browser: Browser, writable: str) -> None:
    visitor = Visitor(browser, writable, scripts=False)
    page = visitor.page
    page.goto("/models/tiny_a/stem?sort=max&min.max=1")
    shown = [link.get_attribute("href") for link in page.locator("ul.units a").all()]
    page.get_by_role("link", name="Save as a list").click()
    page.get_by_label("Title").fill("Strong ones")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Strong ones")
    assert [link.get_attribute("href") for link in page.locator(".list-items a").all()] == shown
    page.get_by_role("link", name="As a link alone").click()
    assert [link.get_attribute("href") for link in page.locator(".list-items a").all()] == shown
    visitor.finish(writable)
