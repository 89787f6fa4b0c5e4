"""A walk through the app in Chromium: by links and by keyboard, with JavaScript and without, in both themes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from precompute.store.writer import AtlasWriter
from tests.browser.visitor import Scheme, Visitor, serve

pytestmark = pytest.mark.browser
UNIT = "/models/tiny_a/blocks.0.pw/7"
PAGES = ["/", "/models/tiny_a", "/models/tiny_a/blocks.0.pw", UNIT, f"{UNIT}/weights", "/stimuli/4", "/search?q=stem", "/docs"]
PAGES += ["/circuits", "/circuits/hostile-23456789", "/circuits/placed-23456789", "/circuits/new"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_journey_by_links(browser: Browser, address: str, scripts: bool) -> None:
    visitor = Visitor(browser, address, scripts=scripts)
    page = visitor.page
    page.goto("/")
    page.get_by_role("link", name="Tiny network A").click()
    page.get_by_role("heading", name="blocks.0.pw").get_by_role("link").click()
    page.get_by_role("main").locator("ul.units a").nth(7).click()
    expect(page).to_have_url(address + UNIT)
    page.get_by_role("link", name="Weights", exact=True).click()
    expect(page).to_have_url(f"{address}{UNIT}/weights")
    page.locator(".gcard:not(.start) .gwho").nth(1).click()
    expect(page.get_by_role("heading", name="What excites it")).to_be_visible()
    assert UNIT not in page.url
    page.locator("a.tile").first.click()
    assert "/stimuli/" in page.url
    page.get_by_role("main").locator("ul.units a").first.click()
    expect(page.get_by_role("heading", name="What excites it")).to_be_visible()
    page.get_by_role("navigation", name="Where you are").get_by_role("link", name="Models").click()
    expect(page).to_have_url(f"{address}/")
    visitor.finish(address)


def test_journey_by_keyboard(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNIT)
    for key, expected in [
        ("j", "/models/tiny_a/blocks.0.pw/8"),
        ("ArrowRight", "/models/tiny_a/blocks.0.pw/9"),
        ("k", "/models/tiny_a/blocks.0.pw/8"),
        ("ArrowLeft", UNIT),
        ("w", f"{UNIT}/weights"),
        ("w", UNIT),
        ("u", "/models/tiny_a/blocks.0.pw"),
        ("j", "/models/tiny_a/head.fc"),
        ("u", "/models/tiny_a"),
        ("u", "/"),
    ]:
        page.wait_for_load_state("networkidle")
        page.keyboard.press(key)
        expect(page).to_have_url(address + expected)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("/")
    page.keyboard.type("stem 3")
    page.keyboard.press("Enter")
    expect(page.locator("ol.results a").first).to_have_attribute("href", "/models/tiny_a/stem/3")
    page.wait_for_load_state("networkidle")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    visitor.finish(address)


def test_chosen_theme_is_remembered(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto("/")
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.get_by_role("button", name="Switch between light and dark").click()
    light = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert dark != light
    page.goto(UNIT)
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == light
    visitor.finish(address)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440, 3840])
def test_no_page_is_wider_than_the_window(browser: Browser, address: str, width: int, scheme: Scheme) -> None:
    visitor = Visitor(browser, address, scripts=True, width=width, scheme=scheme)
    for path in PAGES:
        visitor.page.goto(path, wait_until="networkidle")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, path
    visitor.finish(address)


def test_every_shape_of_a_diagram_has_a_colour_of_the_theme(browser: Browser, address: str) -> None:
    """A shape that no rule speaks of is filled with black."""
    visitor = Visitor(browser, address, scripts=True, scheme="light")
    black = "e => getComputedStyle(e).fill == 'rgb(0, 0, 0)' && e.getBBox().width * e.getBBox().height > 0"
    for path in PAGES:
        visitor.page.goto(path, wait_until="networkidle")
        shapes = "[...document.querySelectorAll('svg :is(path, rect, circle, line, text)')]"
        assert visitor.page.evaluate(f"{shapes}.filter({black}).map(e => e.outerHTML.slice(0, 120))") == [], path
    visitor.finish(address)


def test_unit_page_is_light(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    sizes: list[int] = []
    visitor.page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", "0"))))
    visitor.page.goto(UNIT, wait_until="networkidle")
    assert len(visitor.requests) <= 12
    assert sizes[0] <= 40_000
    assert sum(sizes) <= 400_000
    visitor.finish(address)


def test_loupe_follows_the_pointer_and_the_keyboard(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNIT, wait_until="networkidle")
    glass = page.locator(".loupe")
    expect(glass).to_have_count(0)
    lead = page.locator(".main .picture")
    lead.hover(position={"x": 40, "y": 40})
    expect(glass).to_be_visible()
    expect(glass.locator("img")).to_have_attribute("src", lead.get_attribute("href") or "")
    expect(glass.locator("img")).to_have_css("image-rendering", "pixelated")  # a canvas of 64 pixels
    first = glass.locator("img").get_attribute("style")
    lead.hover(position={"x": 200, "y": 120})
    assert glass.locator("img").get_attribute("style") != first
    page.mouse.move(5, 5)
    expect(glass).to_be_hidden()
    facet = page.get_by_role("link", name="Facet 2")
    facet.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(glass).to_be_visible()
    expect(glass.locator("img")).to_have_attribute("src", facet.get_attribute("href") or "")
    middle = glass.locator("img").get_attribute("style")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(address + UNIT)
    assert glass.locator("img").get_attribute("style") != middle
    page.keyboard.press("Escape")
    expect(glass).to_be_hidden()
    visitor.finish(address)


def test_part_under_the_loupe_is_the_part_under_the_pointer(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNIT, wait_until="networkidle")
    for name in (".main .picture", ".side .picture >> nth=3"):
        link = page.locator(name)
        link.scroll_into_view_if_needed()
        box = link.bounding_box()
        assert box is not None
        link.hover(position={"x": 0.3 * box["width"], "y": 0.7 * box["height"]})
        glass, whole = page.locator(".loupe").bounding_box(), page.locator(".loupe img").bounding_box()
        assert glass is not None
        assert whole is not None
        assert (glass["x"] + glass["width"] / 2 - whole["x"]) / whole["width"] == pytest.approx(0.3, abs=0.01)
        assert (glass["y"] + glass["height"] / 2 - whole["y"]) / whole["height"] == pytest.approx(0.7, abs=0.01)
        assert whole["width"] >= 2.5 * box["width"] - 1
    visitor.finish(address)


@pytest.mark.parametrize("width", [390, 1440])
def test_everything_unfolded_still_fits_and_nothing_moved_before(browser: Browser, address: str, width: int) -> None:
    visitor = Visitor(browser, address, scripts=True, width=width)
    page = visitor.page
    page.goto(UNIT, wait_until="networkidle")
    shift = page.evaluate(
        """() => new Promise((done) => {
             let total = 0;
             new PerformanceObserver((list) => list.getEntries().forEach((entry) => (total += entry.value)))
               .observe({ type: "layout-shift", buffered: true });
             setTimeout(() => done(total), 100);
           })"""
    )
    assert shift < 0.01
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.finish(address)


def test_pictures_of_a_layer_come_when_they_are_near(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True, width=390)
    page = visitor.page
    page.goto("/models/tiny_a/stem?limit=4096&size=l", wait_until="networkidle")
    first = page.locator(".sprite img").first
    frame, whole = page.locator(".sprite").first.bounding_box(), first.bounding_box()
    assert frame is not None
    assert whole is not None
    assert whole["width"] == pytest.approx(10 * frame["width"], abs=1)
    assert first.evaluate("image => image.complete && image.naturalWidth > 0")
    assert len([url for url in visitor.requests if "/media/sheets/" in url]) == 1
    visitor.finish(address)


def test_progress_of_a_running_build_moves_in_place(browser: Browser, fixture_atlas: Path, tmp_path: Path) -> None:
    atlas = tmp_path / "atlas"
    shutil.copytree(fixture_atlas, atlas)
    writer = AtlasWriter(atlas)
    writer.set_progress("tiny_a", "feature_visualization", 61, 84, 2.5)
    with serve(atlas) as address:
        visitor = Visitor(browser, address, scripts=True)
        visitor.page.goto("/models/tiny_a")
        said = visitor.page.locator("#progress .now")
        expect(said).to_contain_text("61 of 84")
        writer.set_progress("tiny_a", "feature_visualization", 62, 84, 2.5)
        expect(said).to_contain_text("62 of 84", timeout=15_000)
        writer.clear_progress("tiny_a")
        expect(said).to_have_count(0, timeout=15_000)
        expect(visitor.page.locator("#progress .stages")).to_be_visible()
        visitor.finish(address)
    writer.close()
