"""Pieces of pages are escaped as Jinja does it, whatever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from markupsafe import Markup, escape

from app.escaping import PieceEscaping, escape_piece

TEMPLATE = """{% macro named(text) %}<b title="{{ text }}">{{ text }}</b>{% endmacro %}
{% set kept %}{{ value }}{% endset %}{{ value }} {{ named(value) }} {{ kept }} {{ value ~ "<i>" }} {{ value|safe }} {{ [value] }}
{% autoescape false %}{{ value }}{% endautoescape %}
{% for item in [value, 1.5, true, none] %}{{ item }}{% endfor %}{{ missing }}"""


class Name(str):
    """A text that says how it is written in a page."""

    def __html__(self) -> str:
        return f"<q>{self}</q>"


VALUES = [
    "plain",
    "",
    "<script>",
    "a & b",
    "it's",
    '"',
    "ünï✓\u202e",
    Markup("<i>"),
    Name("n"),
    Path("a<b"),
    3,
    -1,
    2.5,
    True,
    None,
]


@pytest.mark.parametrize("value", VALUES)
def test_pages_are_the_same_to_the_letter(value: Any) -> None:
    usual = Environment(autoescape=True)
    quick: Any = Environment(autoescape=True)
    quick.code_generator_class = PieceEscaping
    quick.escape_piece = escape_piece
    assert quick.from_string(TEMPLATE).render(value=value) == usual.from_string(TEMPLATE).render(value=value)
    assert escape_piece(value) == escape(value)


def test_it_is_used() -> None:
    quick: Any = Environment(autoescape=True)
    quick.code_generator_class = PieceEscaping
    quick.escape_piece = lambda value: f"[{value}]"
    assert quick.from_string("{{ a }}").render(a="<") == "[<]"
