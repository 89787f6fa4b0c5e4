"""What leaves the explorer in Chromium: circuits, links, and the part of the picture that is in view."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from precompute.circuits.circuit import parse_circuit
from tests.browser.visitor import Visitor, serve
from tests.waist_atlas import make_waist_atlas
from tests.writers import TOKEN

pytestmark = pytest.mark.browser
UNIT = "/models/waist/c.pw/3"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waist_atlas(tmp_path_factory.mktemp("waist") / "atlas")


@pytest.fixture(scope="module")
def reading(atlas: Path) -> Iterator[str]:
    with serve(atlas) as found:
        yield found


@pytest.fixture(scope="module")
def writing(atlas: Path) -> Iterator[str]:
    with serve(atlas, TOKEN) as found:
        yield found


def begin(visitor: Visitor, query: str = "") -> Page:
    visitor.page.goto(f"{UNIT}/weights{query}")
    expect(visitor.page.locator("[data-ready]")).to_be_attached()
    return visitor.page


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_explorer_becomes_a_circuit_with_the_same_units_and_numbers(browser: Browser, writing: str, scripts: bool) -> None:
    visitor = Visitor(browser, writing, scripts=scripts)
    page = visitor.page
    page.goto(f"{UNIT}/weights?bypass=1&top=3")
    if scripts:
        expect(page.locator("[data-ready]")).to_be_attached()
        page.get_by_label("Partners").select_option("4")  # the link follows the state
        expect(page).to_have_url(f"{writing}{UNIT}/weights?top=4&bypass=1")
    state = page.request.get(f"/api/v1{page.url.removeprefix(writing)}").json()
    page.get_by_role("link", name="Save as circuit").click()
    assert len(json.loads(page.locator("textarea").input_value())["edges"]) == len(state["edges"])
    page.locator("input[name=token]").fill(TOKEN)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Around c.pw 3")
    rows = page.locator("table.edges tbody tr")
    expect(rows).to_have_count(len(state["edges"]))
    circuit = page.request.get(f"/api/v1{page.url.removeprefix(writing)}").json()
    saved, explored = (sorted((edge["sum"], edge["norm"]) for edge in one["edges"]) for one in (circuit, state))
    assert np.allclose(saved, explored, rtol=1e-9, atol=0)
    told = [row.locator("td.num").first.inner_text() for row in rows.all()]
    assert told == [f"{'+' if edge['sum'] > 0 else '−'}{abs(edge['sum']):.4g}" for edge in circuit["edges"]]
    cards = {f"{card['layer']} / {card['unit']}" for column in state["columns"] for card in column["units"]}
    assert {heading.inner_text() for heading in page.locator(".circuit-units h3").all()} == cards
    visitor.finish(writing)


def test_reading_server_gives_the_circuit_as_a_file(browser: Browser, reading: str, tmp_path: Path) -> None:
    visitor = Visitor(browser, reading, scripts=True, width=390)
    page = begin(visitor, "?bypass=1&top=3")
    page.get_by_role("link", name="Save as circuit").click()
    expect(page.locator("textarea")).to_have_count(0)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the document").click()
    waiting.value.save_as(tmp_path / "circuit.json")
    circuit = parse_circuit((tmp_path / "circuit.json").read_bytes())
    assert {edge.source.layer for edge in circuit.edges} == {"a.pw", "b.pw"}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="Back to the explorer").click()
    expect(page).to_have_url(f"{reading}{UNIT}/weights?top=3&bypass=1")
    visitor.finish(reading)


def box_of_start(page: Page) -> dict[str, float]:
    found = page.locator(".gcard.start").bounding_box()
    assert found is not None
    return {side: float(found[side]) for side in ("x", "y", "width", "height")}


def drag(page: Page, dx: int, dy: int) -> None:
    frame = page.locator(".graph").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 30, frame["y"] + 30)
    page.mouse.down()
    page.mouse.move(frame["x"] + 30 + dx, frame["y"] + 30 + dy, steps=4)
    page.mouse.up()


def test_what_is_in_view_is_in_the_address_and_comes_back(browser: Browser, reading: str) -> None:
    visitor = Visitor(browser, reading, scripts=True)
    page = begin(visitor, "?top=3")
    first = box_of_start(page)
    page.wait_for_timeout(400)
    assert "camera" not in page.url  # nobody moved anything
    drag(page, 90, 50)
    expect(page).to_have_url(re.compile("camera="))
    dragged = page.url
    page.keyboard.press("+")
    expect(page).not_to_have_url(dragged)
    expect(page).to_have_url(re.compile(r"weights\?top=3&camera=[-0-9.]+,[-0-9.]+,[0-9.]+$"))
    moved = box_of_start(page)
    assert abs(moved["x"] - first["x"]) > 20
    page.reload()
    expect(page.locator("[data-ready]")).to_be_attached()
    again = box_of_start(page)
    for side in moved:
        assert again[side] == pytest.approx(moved[side], abs=0.5)
    page.locator(".gcard.start .gtoggle.in").click()  # the next state keeps it, and undo brings it back
    expect(page).to_have_url(re.compile("inputs=none&top=3&camera="))
    page.wait_for_timeout(300)
    drag(page, -60, 40)
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"weights\?top=3&camera="))
    expect(page.locator(".gworld path.gline")).to_have_count(3)
    page.wait_for_timeout(400)  # the cards come to rest
    back = box_of_start(page)
    assert back["x"] == pytest.approx(moved["x"], abs=0.5)
    page.keyboard.press("f")
    expect(page).to_have_url(f"{reading}{UNIT}/weights?top=3")
    page.reload()
    expect(page.locator("[data-ready]")).to_be_attached()
    assert box_of_start(page)["x"] == pytest.approx(first["x"], abs=0.5)
    visitor.finish(reading)


def copied(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


LONG = "?hide=" + ",".join(f"{layer}.{kind}/{unit}" for layer in "ab" for kind in ("pw", "dw") for unit in range(20))


def test_short_link_leads_to_the_same_picture(browser: Browser, writing: str) -> None:
    visitor = Visitor(browser, writing, scripts=True)
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = begin(visitor, "?top=2")
    copy = page.get_by_role("button", name="Copy link")
    copy.click()
    expect(page.locator("[data-role=live]")).to_have_text("Address copied")
    assert copied(page) == f"{writing}{UNIT}/weights?top=2"

    page = begin(visitor, LONG)
    long = page.url
    assert len(long) > 600
    copy.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="A short link")
    expect(dialog.get_by_label("Token")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-role=live]")).to_have_text("Nothing copied")
    copy.click()
    dialog.get_by_role("button", name="Copy the long address").click()
    expect(page.locator("[data-role=live]")).to_have_text("Long address copied")
    assert copied(page) == long
    copy.click()
    dialog.get_by_label("Token").fill("another")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("The token is another one")
    dialog.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("[data-role=live]")).to_contain_text("Short link copied: /v/")
    short = copied(page)
    assert len(short) < 60
    copy.click()  # the token is not asked for again
    expect(dialog).to_have_count(0)
    page.goto(short)
    expect(page).to_have_url(long)
    assert visitor.problems  # the wrong token
    assert all("401" in words for words in visitor.problems)
    visitor.context.close()


def test_reading_server_copies_the_long_address(browser: Browser, reading: str) -> None:
    visitor = Visitor(browser, reading, scripts=True)
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = begin(visitor, LONG)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("[data-role=live]")).to_have_text("Address copied")
    assert copied(page) == page.url
    visitor.finish(reading)
