"""What leaves the explorer in Chromium: circuits, links, and the part of the picture that is in view."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from precompute.circuits.circuit import parse_circuit
from tests.browser.test_journey import Visitor, serve
from tests.waist_atlas import make_waist_atlas

pytestmark = pytest.mark.browser
UNIT = "/models/waist/c.pw/3"
TOKEN = "a-token-of-the-tests-only"


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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


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
