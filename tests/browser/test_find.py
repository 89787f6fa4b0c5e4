"""Finding in the browser: suggestions by keyboard, sliders by mouse and keys, an image that is chosen; and without scripts."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from precompute.bench.synthetic_atlas import picture
from tests.browser.test_journey import Visitor, serve

pytestmark = pytest.mark.browser
UNITS = "/models/tiny_a/units"


@pytest.fixture(scope="module")
def address(fixture_atlas: Path) -> Iterator[str]:
    with serve(fixture_atlas) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    buffer = io.BytesIO()
    Image.fromarray(picture(np.random.default_rng(5), 90)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return path


def box_of(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Search units, layers and labels")


@pytest.mark.parametrize("width", [1440, 390])
def test_suggestions_are_walked_by_keyboard(browser: Browser, address: str, width: int) -> None:
    visitor = Visitor(browser, address, scripts=True, width=width)
    page = visitor.page
    page.goto("/models/tiny_a")
    page.keyboard.press("/")
    box = box_of(page)
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("class 7")
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    expect(box).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(box).not_to_have_attribute("aria-activedescendant", "suggestion-0")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_have_value("class 7")
    page.keyboard.type(" ")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/models/tiny_a/head.fc/7$"))
    page.go_back()
    expect(page).to_have_url(re.compile("/models/tiny_a$"))
    visitor.finish(address)


def test_suggestions_are_chosen_by_mouse_and_hostile_ones_are_text(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto("/")
    box_of(page).click()
    page.keyboard.type("script")
    option = page.get_by_role("option").filter(has_text='<script>alert("label")</script>').first
    expect(option).to_be_visible()
    option.click()
    page.wait_for_url(re.compile("/(stimuli|models)/"))
    box_of(page).fill("stem")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?q=stem"))
    visitor.finish(address)


def test_sliders_narrow_the_list_by_keyboard_and_say_so_in_the_address(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNITS)
    before = page.locator("h1 + p").inner_text()
    page.get_by_text("Ranges").click()
    slider = page.get_by_role("slider", name="Least Max")
    slider.focus()
    said = slider.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"min\.max="))
    slider = page.get_by_role("slider", name="Least Max")
    expect(slider).to_have_value("1")
    assert slider.get_attribute("aria-valuetext") != said
    assert page.locator("h1 + p").inner_text() != before
    page.get_by_label("Least Max, as a number").fill("")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(lambda url: "min.max" not in url)
    assert page.locator("h1 + p").inner_text() == before
    visitor.finish(address)


def test_a_slider_is_dragged_without_moving_the_page(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(f"{UNITS}?min.std=0.1")
    place = page.locator(".metric-bins").first.bounding_box()
    slider = page.get_by_role("slider", name="Greatest Max")
    field = slider.bounding_box()
    assert field is not None
    page.mouse.move(field["x"] + field["width"] - 8, field["y"] + field["height"] / 2)
    page.mouse.down()
    page.mouse.move(field["x"] + field["width"] / 2, field["y"] + field["height"] / 2, steps=4)
    number = page.get_by_label("Greatest Max, as a number")
    assert number.input_value() != ""
    assert page.locator(".metric-bins").first.bounding_box() == place
    page.mouse.up()
    page.wait_for_url(re.compile(r"max\.max="))
    assert "min.std=0.1" in page.url
    visitor.finish(address)


@pytest.mark.parametrize("scripts", [True, False])
def test_an_image_finds_what_looks_like_it(browser: Browser, address: str, image: Path, scripts: bool) -> None:
    visitor = Visitor(browser, address, scripts=scripts)
    page = visitor.page
    page.goto("/search")
    page.get_by_label("An image").set_input_files(image)
    if not scripts:
        page.get_by_role("button", name="Find what looks like it").click()
    page.wait_for_url(re.compile(r"/search/example\?like="))
    expect(page.get_by_role("heading", name="Units whose examples look like it")).to_be_visible()
    assert page.locator(".likenesses li").count() == 24
    page.locator(".likenesses a").first.click()
    page.get_by_role("link", name="What looks like it").click()
    page.wait_for_url(re.compile(r"/search/example\?stimulus="))
    visitor.finish(address)


def test_without_scripts_fields_and_a_button_filter(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=False)
    page = visitor.page
    page.goto(UNITS)
    page.get_by_text("Ranges").click()
    assert page.locator("input[type=range]:visible").count() == 0
    page.get_by_label("Least Max, as a number").fill("2")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile(r"min\.max=2"))
    box_of(page).fill("stem 3")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?q=stem"))
    visitor.finish(address)
