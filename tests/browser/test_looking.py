"""Looking closer in Chromium: activation maps, the map of a layer, comparing, sharing; with and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
LAYER = "/models/tiny_a/blocks.0.pw"
UNIT = f"{LAYER}/7"


def zoom_of(page: Page) -> float:
    """Return how many times as large as at first the map is drawn."""
    return float(page.evaluate("() => new DOMMatrix(getComputedStyle(document.querySelector('.layer-map > svg')).transform).a"))


def test_activation_maps_by_mouse_and_keyboard(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNIT)
    tiles = page.locator(".tiles a.tile")
    maps = page.locator(".heat:not([hidden])")
    expect(maps).to_have_count(0)
    tiles.nth(1).hover()
    expect(tiles.nth(1).locator(".heat:not([hidden])")).to_have_count(1)
    tiles.nth(0).focus()
    page.mouse.move(2, 2)
    expect(maps).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    expect(tiles.nth(1).locator(".heat:not([hidden])")).to_have_count(1)
    expect(maps).to_have_count(1)
    button = page.get_by_role("button", name="Show where it is active")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(maps).to_have_count(page.locator("a.tile").count())
    visitor.finish(address)


def test_first_tap_shows_the_activation_map_and_the_second_opens(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, base_url=address)
    page = context.new_page()
    page.goto(UNIT)
    tile = page.locator(".tiles a.tile").first
    target = tile.get_attribute("href")
    tile.tap()
    expect(tile.locator(".heat:not([hidden])")).to_have_count(1)
    expect(page).to_have_url(f"{address}{UNIT}")
    tile.tap()
    expect(page).to_have_url(f"{address}{target}")
    context.close()


def test_map_of_a_layer_is_zoomed_by_keys(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(f"{LAYER}?view=map")
    page.locator(".layer-map[data-live]").focus()
    assert zoom_of(page) == 1
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert zoom_of(page) == pytest.approx(1.96)
    page.keyboard.press("-")
    assert zoom_of(page) == pytest.approx(1.4)
    page.keyboard.press("0")
    assert zoom_of(page) == 1
    unit = page.locator(".layer-map a").first
    unit.focus()
    target = unit.get_attribute("href")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}{target}")
    visitor.finish(address)


def test_map_of_a_layer_is_zoomed_by_two_fingers(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, base_url=address)
    page = context.new_page()
    page.goto(f"{LAYER}?view=map")
    frame = page.locator(".layer-map[data-live]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert zoom_of(page) > 2
    assert page.evaluate("() => window.visualViewport.scale") == 1
    page.get_by_role("button", name="0: the whole map").tap()
    assert zoom_of(page) == 1
    context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("width", [1440, 390])
def test_units_are_compared_from_a_unit(browser: Browser, address: str, scripts: bool, width: int) -> None:
    visitor = Visitor(browser, address, scripts=scripts, width=width)
    page = visitor.page
    page.goto(UNIT)
    page.get_by_role("link", name="Compare with the nearest").click()
    expect(page).to_have_url(re.compile(r"/compare\?units=tiny_a/blocks\.0\.pw/7,"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_role("main").locator(f"a[href='{UNIT}']").count() > 0
    if scripts:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    visitor.finish(address)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("width", [1440, 390])
def test_share_panel_opens_and_lies_on_top(browser: Browser, address: str, scripts: bool, width: int) -> None:
    visitor = Visitor(browser, address, scripts=scripts, width=width)
    page = visitor.page
    page.goto(UNIT)
    page.locator(".sharing > summary").click()
    link = page.get_by_role("textbox", name="Link", exact=False).first
    expect(link).to_be_visible()
    link.click(timeout=2000)
    assert UNIT in link.input_value()
    box = page.locator(".sharing-panel").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    if scripts:
        assert link.input_value().startswith(address)
        page.keyboard.press("Escape")
        expect(link).to_be_hidden()
        expect(page.locator(".sharing > summary")).to_be_focused()
    visitor.finish(address)


def test_map_and_maps_are_read_without_scripts(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=False, width=390)
    page = visitor.page
    page.goto(f"{LAYER}?view=map")
    expect(page.get_by_role("button", name="Nearer")).to_be_hidden()
    unit = page.locator(".layer-map a").first
    target = unit.get_attribute("href")
    unit.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}{target}")
    expect(page.get_by_role("button", name="Show where it is active")).to_be_hidden()
    visitor.finish(address)
