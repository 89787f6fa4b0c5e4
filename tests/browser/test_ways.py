"""Five journeys, each by mouse, by the keyboard alone and by touch on a phone, with JavaScript and without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visitor import PHONE, WAYS, Hand, Visitor, Way, serve
from tests.writers import TOKEN

pytestmark = pytest.mark.browser
LAYER = "/models/tiny_a/blocks.0.pw"
UNIT = f"{LAYER}/7"
Journey = Callable[[Page, Hand, bool], None]


@pytest.fixture(scope="module")
def writable(writable_atlas: Path) -> Iterator[str]:
    """Return the address of a server where who knows the token may write."""
    with serve(writable_atlas, TOKEN) as found:
        yield found


def find(page: Page, hand: Hand, scripts: bool) -> None:
    """From the start page to a unit by its name, and to the units of one layer by a facet."""
    page.goto("/")
    hand.write(page.get_by_role("combobox", name="Search units, layers and labels"), "stem 3")
    page.keyboard.press("Enter")
    hand.press(page.locator("ol.results a").first)
    expect(page).to_have_url(re.compile("/models/tiny_a/stem/3$"))
    page.goto("/models/tiny_a/units")
    hand.press(page.get_by_role("navigation", name="Layers of these units").get_by_role("link", name="head.fc"))
    expect(page.locator("h1 + p")).to_contain_text("12 units of 84 in 1 layer")


def see(page: Page, hand: Hand, scripts: bool) -> None:
    """From the picture of a unit to what its numbers mean, to an image that excites it, and to another unit that it excites."""
    page.goto(UNIT)
    hand.press(page.get_by_text("What do these numbers mean?"))
    expect(page.get_by_text("Place of this unit among all units of its layer")).to_be_visible()
    example = page.locator(".tiles.top a.tile").nth(1)
    hand.press(example)
    if scripts and hand.way == "touch":  # the first tap shows where the unit is active
        expect(example.locator(".heat:not([hidden])")).to_have_count(1)
        hand.press(example)
    expect(page).to_have_url(re.compile("/stimuli/"))
    hand.press(page.get_by_role("main").locator("ul.units a").nth(2))
    expect(page.get_by_role("heading", name="What excites it")).to_be_visible()
    hand.press(page.get_by_role("link", name="Weights", exact=True))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Weights of")


def compare(page: Page, hand: Hand, scripts: bool) -> None:
    """From the grid of a layer to two of its units side by side, and one of them out again."""
    page.goto(LAYER)
    hand.press(page.get_by_role("link", name="Choose units to compare"))
    for unit in (4, 8):
        hand.press(page.locator(f"input[value='tiny_a/blocks.0.pw/{unit}']"))
    if scripts:
        expect(page.get_by_text("2 chosen.")).to_be_visible()
    hand.press(page.get_by_role("button", name="Compare"))
    expect(page.get_by_role("heading", level=1)).to_have_text("2 units side by side")
    hand.press(page.get_by_role("link", name="take out").first)
    expect(page).to_have_url(re.compile(r"/compare\?units=tiny_a/blocks\.0\.pw/8$"))


def share(page: Page, hand: Hand, scripts: bool) -> None:
    """To the link of a page that keeps its meaning, and along it."""
    page.goto(UNIT)
    hand.press(page.locator(".sharing > summary"))
    pinned = page.get_by_role("textbox", name="Pinned link")
    expect(pinned).to_be_visible()
    if scripts:
        hand.press(page.get_by_role("button", name="Copy Pinned link"))
        expect(page.locator(".sharing [role=status]")).not_to_be_empty()
    here = page.url.removesuffix(UNIT)
    page.goto(pinned.input_value().replace("http://SERVER", here))
    expect(page).to_have_url(re.compile(r"/blocks\.0\.pw/7\?build="))
    expect(page.get_by_role("heading", level=1)).to_contain_text("blocks.0.pw 7")


def say(page: Page, hand: Hand, scripts: bool) -> None:
    """A label that somebody writes stands in the head of the page."""
    text = f"stripes, by {hand.way} {'with' if scripts else 'without'} scripts"
    page.goto("/models/tiny_a/stem/6")
    hand.press(page.get_by_text("Label it, or write a note"))
    form = page.locator("form.say-form").first
    hand.write(form.get_by_label("Text"), text)
    hand.write(form.get_by_label("Your name"), "Ada")
    hand.write(form.get_by_label("Token"), TOKEN)
    hand.press(form.get_by_role("button", name="Save"))
    expect(page.locator(".people-labels").get_by_text(text, exact=True)).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("journey", [find, see, compare, share, say], ids=lambda journey: journey.__name__)
def test_journey(browser: Browser, writable: str, journey: Journey, way: Way, scripts: bool) -> None:
    visitor = Visitor(browser, writable, scripts=scripts, way=way)
    visitor.page.set_default_timeout(30_000)
    journey(visitor.page, visitor.hand, scripts)
    visitor.finish(writable)


def test_c_adds_a_unit_to_those_compared_last(browser: Browser, writable: str) -> None:
    visitor = Visitor(browser, writable, scripts=True)
    page = visitor.page
    page.goto(UNIT)
    page.keyboard.press("c")
    expect(page.get_by_role("heading", level=1)).to_have_text("One unit so far")
    page.goto(f"{LAYER}/9")
    expect(page.get_by_role("link", name="Compare with 1 unit", exact=True)).to_be_visible()
    page.keyboard.press("c")
    expect(page).to_have_url(f"{writable}/compare?units=tiny_a/blocks.0.pw/7,tiny_a/blocks.0.pw/9")
    page.goto(UNIT)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("compare it with the units that were compared last")
    page.keyboard.press("Escape")
    page.goto("/compare")
    page.goto(UNIT)
    expect(page.get_by_role("link", name="Compare", exact=True)).to_have_attribute("href", "/compare?units=tiny_a/blocks.0.pw/7")
    visitor.finish(writable)


LEADING = {
    UNIT: ".main .picture",
    LAYER: "ul.units",
    "/models/tiny_a/units": "ul.units",
    "/compare?units=tiny_a/stem/4": ".picture-of",
}


@pytest.mark.parametrize(("path", "picture"), LEADING.items())
def test_pictures_lead_on_a_phone(browser: Browser, writable: str, path: str, picture: str) -> None:
    visitor = Visitor(browser, writable, scripts=True, way="touch")
    visitor.page.goto(path)
    box = visitor.page.locator(picture).first.bounding_box()
    assert box is not None
    assert box["y"] < (0.4 if path == UNIT else 0.6) * PHONE["height"]
    visitor.finish(writable)


def test_filter_is_folded_on_a_phone_and_open_beside_it(browser: Browser, writable: str) -> None:
    phone = Visitor(browser, writable, scripts=False, way="touch")
    phone.page.goto(f"{LAYER}?sort=max")
    sort = phone.page.get_by_label("Sort by")
    expect(sort).to_be_hidden()
    phone.hand.press(phone.page.get_by_text("Sort and filter: sort max"))
    sort.select_option("mean")
    phone.hand.press(phone.page.get_by_role("button", name="Show"))
    expect(phone.page).to_have_url(re.compile("sort=mean"))
    phone.finish(writable)
    wide = Visitor(browser, writable, scripts=True)
    wide.page.goto(LAYER)
    wide.page.get_by_label("Sort by").select_option("max")
    expect(wide.page).to_have_url(re.compile("sort=max"))
    wide.finish(writable)


def test_no_more_boxes_than_can_be_compared(browser: Browser, writable: str) -> None:
    visitor = Visitor(browser, writable, scripts=True)
    page = visitor.page
    page.goto(f"{LAYER}?choose=tiny_a/stem/1,tiny_a/blocks.0.pw/2")
    boxes = page.locator(".choice input")
    button = page.get_by_role("button", name="Compare")
    for unit in (3, 4, 5, 6):
        expect(boxes.nth(7)).to_be_enabled()
        boxes.nth(unit).check()
    expect(boxes.nth(7)).to_be_disabled()
    expect(page.get_by_text("6 chosen, no more can be compared.")).to_be_visible()
    for unit in (2, 3, 4, 5, 6):
        boxes.nth(unit).uncheck()
    expect(button).to_be_disabled()
    visitor.finish(writable)
