"""The weight explorer in Chromium: by mouse, by keyboard, by finger, without scripts; undo, reload, files."""

from __future__ import annotations

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
UNIT = "/models/tiny_a/blocks.0.pw/7"
SVG = "{http://www.w3.org/2000/svg}"


def begin(visitor: Visitor, path: str = f"{UNIT}/weights") -> Page:
    visitor.page.goto(path)
    expect(visitor.page.locator("[data-ready]")).to_be_attached()
    return visitor.page


def cards(page: Page) -> set[str]:
    return {str(name) for name in page.locator(".gworld .gcard").evaluate_all("found => found.map(card => card.dataset.card)")}


def lines(page: Page) -> int:
    return page.locator(".gworld path.gline").count()


def places(page: Page) -> dict[str, str]:
    return dict(
        page.locator(".gworld .gcard").evaluate_all("found => found.map(card => [card.dataset.card, card.style.transform])")
    )


def told(page: Page) -> Any:
    return page.locator("[data-role=live]")


def unfold(page: Page, card: str, side: str) -> None:
    """Unfold a card by mouse, with all of the graph in view."""
    page.keyboard.press("f")
    page.locator(f'.gworld [data-card="{card}"] .gtoggle.{"in" if side == "inputs" else "out"}').click()
    expect(told(page)).to_contain_text(f"{card.replace('/', ' ')} unfolded")


def test_three_levels_by_mouse_then_hide_undo_and_reload(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor, f"{UNIT}/weights?top=3")
    first = cards(page)
    below = next(card for card in first if card.startswith("blocks.0.dw"))
    above = next(card for card in first if card.startswith("head.fc"))
    unfold(page, below, "inputs")
    unfold(page, above, "inputs")
    other = next(card for card in sorted(cards(page) - first) if card.startswith("blocks.0.pw"))
    unfold(page, other, "inputs")
    deep, num_lines, url = cards(page), lines(page), page.url
    assert first < deep
    for card in (below, above, other):
        assert card in page.url.split("inputs=")[1]

    page.keyboard.press("f")
    page.locator(f'.gworld [data-card="{other}"] .gwho').hover()
    page.locator(f'.gworld [data-card="{other}"] [data-toggle=hide]').click()
    expect(told(page)).to_contain_text("hidden")
    assert other not in cards(page)
    expect(page.locator("[data-role=notes] .gchip")).to_have_text(other)
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(url)
    expect(page.locator(".gworld .gcard")).to_have_count(len(deep))
    assert cards(page) == deep
    page.get_by_role("button", name="Redo").click()
    expect(page.locator(f'.gworld [data-card="{other}"]')).to_have_count(0)
    page.go_back()
    expect(page.locator(f'.gworld [data-card="{other}"]')).to_have_count(1)

    page.wait_for_timeout(400)  # the cards come to rest
    before = places(page)
    page.reload()
    expect(page.locator("[data-ready]")).to_be_attached()
    assert places(page) == before
    assert (cards(page), lines(page)) == (deep, num_lines)
    visitor.finish(address)


def test_address_of_each_action_is_the_link_of_the_page_without_scripts(browser: Browser, address: str) -> None:
    path = f"{UNIT}/weights?pin=stem/3&top=4&bypass=depthwise"
    plain = Visitor(browser, address, scripts=False)
    plain.page.goto(path)
    links = dict(
        plain.page.locator("[data-action]").evaluate_all(
            "found => found.map(a => [a.closest('[data-card]').dataset.card + ' ' + a.dataset.action, a.getAttribute('href')])"
        )
    )
    plain.finish(address)
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor, path)
    module = "document.querySelector('script[type=module]').src.replace('app.js', 'graph/state.js')"
    page.evaluate(f"import({module}).then(found => {{ window.rules = found }})")
    page.wait_for_function("window.rules !== undefined")
    state = page.request.get(f"/api/v1{path}").json()["state"]
    assert len(links) > 20
    for name, href in links.items():
        card, action = name.split(" ")
        query = page.evaluate("([state, list, card]) => rules.queryOf(rules.toggled(state, list, card))", [state, action, card])
        assert href == f"{UNIT}/weights{query}", name
    visitor.finish(address)


def test_keyboard_alone(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    start = cards(page)
    page.keyboard.press("ArrowRight")  # into the graph, to the unit of the page
    expect(page.locator(".gcard.start .gwho")).to_be_focused()
    page.keyboard.press("ArrowRight")
    card = str(page.evaluate("document.activeElement.closest('[data-card]').dataset.card"))
    assert card.startswith("head.fc")
    page.keyboard.press("i")
    expect(told(page)).to_contain_text(f"inputs of {card.replace('/', ' ')} unfolded")
    assert start < cards(page)
    page.keyboard.press("e")
    expect(page.locator(".gpop.shown")).to_be_visible()
    expect(told(page)).to_contain_text("of what feeds the target")
    page.keyboard.press("Escape")
    expect(page.locator(".gpop.shown")).to_have_count(0)
    page.keyboard.press("p")
    expect(told(page)).to_contain_text("pinned")
    expect(page.locator(f'.gworld [data-card="{card}"]')).to_have_class("gcard pinned")
    page.keyboard.press("h")
    expect(told(page)).to_contain_text("hidden")
    assert card not in cards(page)
    assert page.evaluate("document.activeElement.closest('[data-card]') !== null")
    for _ in range(3):
        address_before = page.url
        page.keyboard.press("u")
        expect(page).not_to_have_url(address_before)
    expect(page.locator(".gworld .gcard")).to_have_count(len(start))
    assert cards(page) == start
    page.keyboard.press("Control+y")
    expect(told(page)).to_contain_text("cards")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("unfold or fold inputs")
    page.keyboard.press("Escape")
    page.locator(".gcard.start .gwho").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(address + UNIT)
    visitor.finish(address)


def test_drag_moves_and_opens_nothing_and_the_wheel_zooms(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    world = page.locator(".gworld")
    before, url = world.get_attribute("style"), page.url
    box = page.locator(".gcard.start .gwho").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 70, steps=4)
    page.mouse.up()
    moved = page.locator(".gcard.start .gwho").bounding_box()
    assert moved is not None
    assert moved["x"] - box["x"] == pytest.approx(100, abs=1)
    assert page.url.split("?")[0] == url  # nothing was opened
    page.mouse.wheel(0, -300)
    assert world.get_attribute("style") not in (before, None)
    larger = page.locator(".gcard.start .gwho").bounding_box()
    assert larger is not None
    assert larger["width"] > 1.2 * box["width"]
    visitor.finish(address)


def test_line_under_the_pointer_tells_its_kernel(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor, f"{UNIT}/weights?outputs=none&top=1")
    page.keyboard.press("f")
    ends = [page.locator(f".gworld .gcard{kind}").bounding_box() for kind in (":not(.start)", ".start")]
    assert ends[0] is not None
    assert ends[1] is not None
    middle = ((ends[0]["x"] + ends[0]["width"] + ends[1]["x"]) / 2, ends[0]["y"] + ends[0]["height"] / 2)
    page.mouse.move(middle[0], middle[1] + 60)
    expect(page.locator(".gpop.shown")).to_have_count(0)
    page.mouse.move(*middle)
    expect(page.locator(".gpop.shown")).to_be_visible()
    edge = page.request.get(f"/api/v1{UNIT}/weights?outputs=none&top=1").json()["edges"][0]
    expect(page.locator(".gpop .gcells rect")).to_have_count(sum(len(row) for row in edge["kernel"]))
    expect(page.locator(".gpop .gends b").first).to_have_text(str(edge["source_unit"]))
    visitor.finish(address)


def test_many_lines_are_drawn_on_a_canvas_where_their_elements_would_be(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor, f"{UNIT}/weights?inputs=blocks.0.pw/7,head.fc/1&top=20&between=1")
    canvas = page.locator(".gworld canvas")
    assert page.request.get(f"/api/v1{page.url.removeprefix(address)}").json()["edges"][260:]
    expect(canvas).to_be_visible()
    assert lines(page) == 0
    page.locator(".gcard.start .gwho").focus()
    page.keyboard.press("e")  # one line stands out, as an element
    expect(page.locator(".gworld path.glit.chosen")).to_have_count(1)
    ink = """async ([dx]) => {
        const path = document.querySelector("path.glit.chosen"), canvas = document.querySelector(".gworld canvas");
        const point = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
        const box = canvas.getBoundingClientRect();
        const [x, y] = [(point.x + dx - box.left) * canvas.width / box.width, (point.y - box.top) * canvas.height / box.height];
        const pen = new OffscreenCanvas(3, 3).getContext("2d", {willReadFrequently: true});
        pen.drawImage(canvas, 1 - Math.round(x), 1 - Math.round(y));
        return pen.getImageData(0, 0, 3, 3).data.filter((_, at) => at % 4 === 3).some(Boolean);
    }"""
    assert page.evaluate(ink, [0])
    assert not page.evaluate(ink, [-3000])
    before = canvas.get_attribute("style")
    box = page.locator(".graph").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 700, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 800, box["y"] + 20, steps=3)
    assert canvas.get_attribute("style") == before  # it moves with the picture
    page.mouse.move(box["x"] + 1300, box["y"] + 20, steps=3)
    assert canvas.get_attribute("style") != before  # its edge had come into view
    page.mouse.up()
    page.locator(".gcard.start .gwho").focus()
    page.keyboard.press("e")
    assert page.evaluate(ink, [0])
    page.locator("input[name=between]").uncheck()
    expect(canvas).to_be_hidden()
    assert lines(page) > 20
    visitor.finish(address)


def test_bar_changes_the_picture_and_says_what_it_is(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    page.get_by_label("Partners").select_option("2")
    expect(page).to_have_url(f"{address}{UNIT}/weights?top=2")
    expect(page.locator(".gworld .gcard")).to_have_count(5)
    page.get_by_role("checkbox", name="weights between").check()
    expect(page).to_have_url(f"{address}{UNIT}/weights?top=2&between=1")
    page.get_by_label("Sign").select_option("-")
    expect(page.locator(".gworld path.gline.positive")).to_have_count(0)
    page.locator("[data-role=slider]").fill("90")
    expect(page.locator(".gworld .gcard")).to_have_count(1)
    expect(page).to_have_url(f"{address}{UNIT}/weights?top=2&min=0.5&between=1&sign=-")
    page.get_by_role("button", name="Reset").click()
    expect(page).to_have_url(f"{address}{UNIT}/weights")
    visitor.finish(address)


def test_bottlenecks_are_left_out_and_come_back(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    before = cards(page)
    assert any(card.startswith("blocks.0.dw") for card in before)
    page.locator("select[name=bypass]").select_option("1")
    expect(page).to_have_url(f"{address}{UNIT}/weights?bypass=1")
    expect(told(page)).to_contain_text("no bottlenecks")
    expect(page.locator("[data-role=notes]")).to_contain_text("1 layer is a bottleneck")
    assert {card.split("/")[0] for card in cards(page)} == {"stem", "blocks.0.pw", "head.fc"}
    page.locator(".gcard.start .gwho").focus()
    for _ in range(9):  # inputs come first, from the top
        page.keyboard.press("e")
        if "composed over" in (told(page).text_content() or ""):
            break
    expect(told(page)).to_contain_text("linearised, composed over blocks.0.dw")
    expect(page.locator(".gpop")).to_contain_text("composed over")
    page.keyboard.press("u")
    expect(page).to_have_url(f"{address}{UNIT}/weights")
    expect(page.locator("[data-role=notes]")).not_to_contain_text("bottleneck")
    assert cards(page) == before
    visitor.finish(address)


def test_files_open_by_themselves(browser: Browser, address: str, tmp_path: Path) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    count, num_lines = len(cards(page)), lines(page)
    num_pictures = page.locator(".gworld .gcard image").count()
    assert count - 1 <= num_pictures <= count  # one unit has no picture
    files: dict[str, Path] = {}
    for name in ("SVG picture", "PNG picture", "JSON", "GraphML"):
        page.locator(".gexport summary").click()
        with page.expect_download() as waiting:
            page.locator(".gexport").get_by_text(name, exact=True).click()
        files[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name])
        page.evaluate("document.querySelector('.gexport').removeAttribute('open')")
    root = ElementTree.parse(files["SVG picture"]).getroot()  # noqa: S314 - our own file
    assert root.tag == f"{SVG}svg"
    hrefs = [image.get("href", "") for image in root.iter(f"{SVG}image")]
    assert len(hrefs) == num_pictures
    assert all(href.startswith("data:image/png;base64,") for href in hrefs)
    assert len([path for path in root.iter(f"{SVG}path") if path.get("stroke-opacity") != "1"]) == num_lines
    with Image.open(files["PNG picture"]) as picture:
        assert picture.width >= 1.9 * float(root.get("width", "0"))
        assert np.asarray(picture.convert("L"), np.float64).std() > 5
    assert len(ElementTree.parse(files["GraphML"]).getroot().findall(".//{*}node")) == count  # noqa: S314
    assert b'"columns"' in files["JSON"].read_bytes()
    lone = browser.new_page()
    asked: list[str] = []
    lone.on("request", lambda request: asked.append(request.url))
    lone.goto(files["SVG picture"].as_uri())
    assert lone.evaluate("document.querySelectorAll('image').length") == num_pictures
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    with Image.open(io.BytesIO(lone.screenshot())) as seen:
        assert np.asarray(seen.convert("L"), np.float64).std() > 5
    lone.close()
    visitor.finish(address)


def test_trouble_is_said_and_the_picture_stays(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=True)
    page = begin(visitor)
    before, url = cards(page), page.url
    page.route("**/api/v1/**", lambda route: route.abort())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("o")
    expect(page.locator("[data-role=notes] .pending")).to_be_visible()
    assert (cards(page), page.url) == (before, url)
    visitor.context.close()


def test_without_scripts_the_page_is_links_and_a_table(browser: Browser, address: str) -> None:
    visitor = Visitor(browser, address, scripts=False, width=390)
    page = visitor.page
    page.goto(f"{UNIT}/weights?top=3")
    rows = page.locator(".gtable tbody tr")
    before = rows.count()
    expect(rows.first).to_be_visible()
    assert before == 6
    page.get_by_role("link", name="Unfold inputs of head.fc").first.click()
    assert "inputs=" in page.url
    assert rows.count() == before + 2
    page.get_by_label("Partners").select_option("2")
    page.get_by_role("button", name="Show").click()
    assert "top=2" in page.url
    assert "inputs=" in page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.finish(address)


def test_finger_and_small_window(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, base_url=address)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{UNIT}/weights?top=3")
    expect(page.locator("[data-ready]")).to_be_attached()
    before = cards(page)
    page.locator(".gcard.start .gwho").tap()
    expect(page.locator("[data-role=current]")).to_contain_text("blocks.0.pw 7")
    assert UNIT + "/weights" in page.url  # the first tap chooses
    sizes = page.locator(
        ".gcurrent button, .gbar button:not(.no-js, .gexport button), .gcard.start .gtoggle, .gzoom button"
    ).evaluate_all("found => found.map(button => button.getBoundingClientRect()).map(box => Math.min(box.width, box.height))")
    assert min(sizes) >= 40
    page.locator("[data-role=current] [data-toggle=inputs]").tap()
    expect(told(page)).to_contain_text("folded")
    assert cards(page) < before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert problems == []
    context.close()


def test_embedded_graph_works_in_a_frame_of_another_page(browser: Browser, address: str, tmp_path: Path) -> None:
    for name, query in (("embed", "embed=1&top=2"), ("plain", "top=2")):
        frame = f'<iframe width="900" height="600" src="{address}{UNIT}/weights?{query}"></iframe>'
        (tmp_path / f"{name}.html").write_text(f"<!doctype html>{frame}")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # another origin
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/embed.html")
        inner = page.frame_locator("iframe")
        expect(inner.locator(".gworld .gcard")).to_have_count(5)
        expect(inner.locator("form.gbar")).to_have_count(0)
        inner.locator(".gcard.start .gtoggle.in").click()
        expect(inner.locator(".gworld .gcard")).to_have_count(3)
        expect(inner.get_by_role("link", name="Open in unitscope")).to_have_attribute("href", f"{UNIT}/weights?inputs=none&top=2")
        page.goto(f"http://127.0.0.1:{server.server_port}/plain.html")
        expect(inner.locator(".gworld .gcard")).to_have_count(0)
        assert page.frames[1].url == "chrome-error://chromewebdata/"
        page.close()
        server.shutdown()
