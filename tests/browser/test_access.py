"""What axe finds on every kind of page, light and dark, wide and narrow: nothing. And the keyboard alone, on each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
MODEL = "/models/tiny_a"
LAYER = f"{MODEL}/blocks.0.pw"
UNIT = f"{LAYER}/7"
PAGES = [
    "/",
    MODEL,
    LAYER,
    f"{LAYER}?sort=max&size=l",
    f"{LAYER}/motifs",
    UNIT,
    f"{LAYER}/2",
    f"{UNIT}/weights",
    f"{UNIT}/weights?direction=inputs",
    f"{UNIT}/factors",
    f"{UNIT}/similar",
    f"{UNIT}/common?with=blocks.0.pw/8",
    f"{UNIT}/paths?to=head.fc/3",
    "/stimuli/4",
    "/search?q=stem",
    "/search?q=",
    "/circuits",
    "/circuits/placed-23456789",
    "/circuits/hostile-23456789",
    "/circuits/new",
    f"{LAYER}?view=map",
    f"{LAYER}?choose=tiny_a/blocks.0.pw/3,tiny_a/stem/1",
    "/compare?units=tiny_a/blocks.0.pw/7",
    "/compare?units=tiny_a/blocks.0.pw/7,tiny_a/blocks.0.pw/8",
    "/lists",
    "/annotations",
    "/search/example",
    f"{MODEL}/units",
    "/docs",
    "/docs/words",
    "/models/nothing",
]


def axe_script(repository: Path) -> str:
    """Return the text of axe."""
    path = repository / "node_modules" / "axe-core" / "axe.min.js"
    assert path.is_file(), "axe is missing: `npm ci`, or `make test`, installs it"
    return path.read_text(encoding="utf-8")


def findings(page: Page) -> list[str]:
    """Return what axe finds on a page."""
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(browser: Browser, address: str, repository: Path, path: str) -> None:
    context = browser.new_context(base_url=address, reduced_motion="reduce")
    page = context.new_page()
    page.goto(path)
    page.evaluate(axe_script(repository))
    found: dict[str, list[str]] = {}
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found[f"{width} {scheme}"] = findings(page)
    context.close()
    assert {place: problems for place, problems in found.items() if problems} == {}


def test_axe_finds_what_is_wrong(browser: Browser, address: str, repository: Path) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto(UNIT)
    page.evaluate(axe_script(repository))
    page.evaluate("() => document.querySelector('main img').removeAttribute('alt')")
    assert [problem.split(":")[0] for problem in findings(page)] == ["image-alt", "link-name"], (
        "a picture without words, and so a link without"
    )
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_headings_are_in_order_and_landmarks_are_there(browser: Browser, address: str, path: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(path)
    levels = [
        int(tag[1]) for tag in page.locator("main :is(h1, h2, h3, h4)").evaluate_all("all => all.map((one) => one.tagName)")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    context.close()


def test_grid_is_one_stop_and_arrows_walk_through_it(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(LAYER)
    links = page.locator("ul.units a")
    assert [links.nth(n).get_attribute("tabindex") for n in range(3)] == ["0", "-1", "-1"]
    links.first.focus()
    page.keyboard.press("ArrowRight")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    columns = page.evaluate("() => getComputedStyle(document.querySelector('ul.units')).gridTemplateColumns.split(' ').length")
    expect(links.nth(1 + columns)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(links.last).to_be_focused()
    page.keyboard.press("Home")
    expect(links.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}{LAYER}/0")
    visitor.finish(address)


COVERED = """() => {
  const one = document.activeElement;
  if (one === document.body) return "";
  const box = one.getBoundingClientRect();
  const places = [0.5, 0.2, 0.8].flatMap((x) => [0.5, 0.2, 0.8].map((y) => [box.x + x * box.width, box.y + y * box.height]));
  const isSeen = ([x, y]) => {
    const top = document.elementFromPoint(x, y);
    return top !== null && [one, ...(one.labels ?? [])].some((part) => part.contains(top));
  };
  return places.some(isSeen) ? "" : one.outerHTML.slice(0, 200);
}"""


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", [MODEL, f"{LAYER}?choose=none", f"{MODEL}/units?choose=none", UNIT, f"{UNIT}/weights"])
def test_what_has_the_focus_is_never_covered(browser: Browser, address: str, path: str, width: int) -> None:
    """Bars that stay at an edge of the window lie over what is below them: success criterion 2.4.11 of WCAG 2.2."""
    visitor = Visitor(browser, address, scripts=True, width=width)
    visitor.page.goto(path)
    if "choose" in path:
        visitor.page.locator(".choice input").first.focus()
        for _ in range(23):
            visitor.page.keyboard.press("ArrowRight")
            assert visitor.page.evaluate(COVERED) == ""
    for key in ("Tab", "Shift+Tab"):
        for _ in range(60):
            visitor.page.keyboard.press(key)
            assert visitor.page.evaluate(COVERED) == ""
    visitor.finish(address)


def test_keys_go_where_the_help_says(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = visitor.page
    page.goto(UNIT)
    for keys, target in [
        ("j", f"{LAYER}/8"),
        ("k", UNIT),
        ("g l", LAYER),
        ("g m", MODEL),
        ("g c", "/circuits"),
        ("g w", "/docs/words"),
        ("g d", "/docs"),
        ("g h", "/"),
    ]:
        for key in keys.split():
            page.keyboard.press(key)
        expect(page).to_have_url(f"{address}{target}")
        page.wait_for_load_state("load")  # before it, nobody listens to the keys
    page.keyboard.press("?")
    help_text = page.get_by_role("dialog").inner_text()
    for words in ("search", "go to the models", "light or dark", "in a grid of pictures"):
        assert words in help_text
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()
    page.keyboard.type("g h")
    expect(page.get_by_role("combobox", name="Search")).to_have_value("g h")
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Search")).not_to_be_focused()
    visitor.finish(address)


def test_words_are_explained_by_tab_and_by_tap(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, has_touch=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(UNIT)
    term = page.locator("main abbr[tabindex='0']").first
    term.focus()
    tip = page.get_by_role("tooltip")
    expect(tip).to_have_text(term.get_attribute("title") or "missing")
    box = tip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.get_by_text("Sparsity", exact=True).tap()
    expect(tip).to_contain_text("kurtosis")
    context.close()


def test_words_are_explained_without_scripts(browser: Browser, address: str) -> None:
    size = ViewportSize(width=390, height=844)
    context = browser.new_context(base_url=address, java_script_enabled=False, has_touch=True, is_mobile=True, viewport=size)
    page = context.new_page()
    page.goto(UNIT)
    word = page.locator("abbr", has_text="Sparsity").first
    word.tap()
    told = word.evaluate("e => { const s = getComputedStyle(e, '::after'); return [s.content, s.position, s.width]; }")
    assert "kurtosis" in told[0]
    assert told[1] == "fixed"
    assert 200 < float(told[2].removesuffix("px")) <= 390
    page.locator("abbr", has_text="Max").first.tap()
    assert word.evaluate("e => getComputedStyle(e, '::after').content") == "none"
    context.close()


@pytest.mark.parametrize("width", [390, 1440, 2560, 3840])
def test_no_page_is_wider_than_the_window(browser: Browser, address: str, width: int) -> None:
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 1000})
    page = context.new_page()
    for path in ("/", MODEL, LAYER, UNIT, "/docs/words"):
        page.goto(path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, path
    context.close()


def test_back_leads_to_the_same_place(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True, width=390)
    page = visitor.page
    page.goto(LAYER)
    page.evaluate("() => window.scrollTo(0, 700)")
    before = page.evaluate("() => window.scrollY")
    assert before > 300
    page.locator("ul.units a").nth(15).click()
    page.wait_for_url("**/blocks.0.pw/15")
    page.go_back()
    expect(page).to_have_url(f"{address}{LAYER}")
    page.wait_for_function("(y) => Math.abs(window.scrollY - y) < 200", arg=before)
    visitor.finish(address)


def test_forced_colours_and_print_leave_the_content(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, forced_colors="active")
    page = context.new_page()
    page.goto(UNIT)
    expect(page.get_by_role("heading", name="What excites it")).to_be_visible()
    page.emulate_media(media="print", forced_colors="none")
    expect(page.get_by_role("heading", name="What excites it")).to_be_visible()
    expect(page.locator(".steps:visible")).to_have_count(0)
    expect(page.locator(".sections")).to_be_hidden()
    context.close()
