"""No word without an explanation: labels of pages are terms, and all terms are explained in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from fastapi.testclient import TestClient

from app.words import glossary
from precompute.domain import UNIT_KINDS, VISUALIZATION_STATUSES, WeightsOrigin

LAYER = "/models/tiny_a/blocks.0.pw"
UNIT = f"{LAYER}/7"
# What has a unit, and what stands next to it. The page of the API is made of names alone, and says what each is.
PAGES = [
    "/",
    "/models/tiny_a",
    LAYER,
    f"{LAYER}?view=map",
    "/models/tiny_a/stem?picture=filter",
    UNIT,
    f"{LAYER}/3",
    "/models/tiny_a/stem/5",
    "/models/tiny_a/head.fc/3",
    f"{UNIT}/weights",
    f"{UNIT}/weights?direction=inputs",
    f"{UNIT}/weights?direction=inputs&view=kernels",
    f"{UNIT}/factors",
    f"{UNIT}/similar",
    f"{UNIT}/common?with=blocks.0.pw/8",
    f"{UNIT}/paths?to=head.fc/3",
    f"{LAYER}/motifs",
    "/models/tiny_a/units",
    f"/compare?units={UNIT.removeprefix('/models/')},tiny_a/blocks.0.pw/8",
    "/compare?left=tiny_a/stem&right=tiny_b/stem",
    "/stimuli/4",
    "/search/example?stimulus=4",
    "/circuits/placed-23456789",
    "/lists",
    "/annotations",
]
INTERACTIVE = {"a", "button", "summary", "label", "select", "textarea"}
VOID = {"img", "input", "br", "link", "meta", "hr", "path", "rect", "circle", "line", "image", "use"}


@dataclass
class Label:
    """What names a number or a control: its words, and the explanations that stand in it."""

    text: str = ""
    told: list[str] = field(default_factory=list[str])


class Labels(HTMLParser):
    """Collects the labels and the terms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[tuple[str, str]] = []
        self.open: dict[int, Label] = {}
        self.found: list[Label] = []
        self.terms: list[tuple[str, dict[str, str | None], list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "abbr":
            title = given.get("title") or ""
            self.terms.append((title, given, [name for name, _ in self.path if name in INTERACTIVE]))
            for label in self.open.values():
                label.told.append(title)
        if tag not in VOID:
            self.path.append((tag, given.get("class") or ""))
            if self._is_label(tag, given.get("class") or ""):
                self.open[len(self.path)] = Label()

    def _is_label(self, tag: str, style: str) -> bool:
        is_head = tag == "th" and any(name == "thead" for name, _ in self.path)
        is_explained_beside = any(name == "dl" and style == "scores" for name, style in self.path)
        is_named = is_head and not any(name == "table" and "of-units" in style for name, style in self.path)
        return (tag == "dt" and not is_explained_beside) or tag == "legend" or is_named or "named" in style.split()

    def handle_data(self, data: str) -> None:
        for label in self.open.values():
            label.text += data

    def handle_endtag(self, tag: str) -> None:
        while self.path and tag not in VOID:
            if label := self.open.pop(len(self.path), None):
                self.found.append(label)
            if self.path.pop()[0] == tag:
                return


def labels_of(html: str) -> Labels:
    """Return the labels and terms of the content of a page; the help of the keyboard says itself what keys do."""
    parser = Labels()
    parser.feed(html[html.index("<main") : html.index("</main>")])
    return parser


@pytest.fixture(scope="module")
def explanations(client: TestClient) -> set[str]:
    return {item["text"] for item in client.get("/api/v1/docs/words").json()["items"]}


@pytest.mark.parametrize("path", PAGES)
def test_every_label_is_a_term_that_the_words_explain(client: TestClient, explanations: set[str], path: str) -> None:
    found = labels_of(client.get(path).text)
    assert [label.text.strip()[:60] for label in found.found if not explanations & set(label.told)] == []


@pytest.mark.parametrize("path", PAGES)
def test_every_term_can_be_reached_and_is_in_the_words(client: TestClient, explanations: set[str], path: str) -> None:
    terms = labels_of(client.get(path).text).terms
    assert [title for title, _, _ in terms if title not in explanations] == []
    assert [title for title, given, _ in terms if given.get("tabindex") != "0"] == []
    assert [title for title, _, around in terms if around] == [], "a tap on it would follow the link or press the control"


def test_page_of_a_unit_has_labels_and_terms(client: TestClient) -> None:
    found = labels_of(client.get(UNIT).text)
    assert len(found.found) > 30
    assert {"Sparsity", "Parameterization", "Weights"} <= {label.text for label in found.found}
    assert len(found.terms) > 50


def test_label_without_explanation_is_found() -> None:
    table = "<table><thead><tr><th><abbr title='T'>Norm</abbr></th></tr></thead></table>"
    html = f"<main><dl><dt>Sum</dt><dd>1</dd></dl>{table}</main>"
    assert [(label.text, label.told) for label in labels_of(html).found] == [("Sum", []), ("Norm", ["T"])]


def test_names_that_templates_ask_for_are_in_the_glossary(repository: Path) -> None:
    pattern = re.compile(r"""\b(?:term|field)\("([a-z_-]+)", """)
    asked = {name for path in (repository / "templates").rglob("*.html") for name in pattern.findall(path.read_text())}
    assert len(asked) > 100
    assert asked - glossary.TERMS.keys() == set()


def test_closed_sets_are_explained_in_full() -> None:
    names = [
        *UNIT_KINDS,
        *(f"origin_{origin}" for origin in get_args(WeightsOrigin)),
        *(f"status_{status}" for status in VISUALIZATION_STATUSES),
        *(f"operation_{name}" for name in ("convolution", "depthwise", "grouped", "linear", "add", "concat")),
    ]
    assert [name for name in names if name not in glossary.TERMS] == []


def test_explanations_are_short_sentences() -> None:
    assert [name for name, text in glossary.TERMS.items() if not text.endswith((".", "?")) or len(text) > 260] == []
