"""Markdown of strangers as HTML that can do no harm: no HTML of theirs, no pictures, links to pages alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import escape

from app.words.formats import one_way

REL = "nofollow noopener noreferrer"
MAX_DEPTH = 12
_UNSEEN = re.compile("[\u00ad\u180e\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f]")


def is_page(url: str) -> bool:
    """Return whether a link may lead there: to the web, or to a page of this server.

    >>> is_page("https://example.org/a"), is_page("/models/a"), is_page("javascript:alert(1)"), is_page("//example.org")
    (True, True, False, False)
    """
    if re.search(r"[\x00-\x20\\]", url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme:
        return parts.scheme.lower() in {"http", "https"} and bool(parts.netloc)
    return not parts.netloc and (re.match(r"/(?!/)", url) is not None)


class _Renderer(RendererHTML):
    """Writes what is left of Markdown: links that name no one, and pictures as links to them."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Return the beginning of a link."""
        tokens[idx].attrs = {"href": str(tokens[idx].attrGet("href") or ""), "rel": REL}
        return self.renderToken(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Return a link in place of a picture: nothing is fetched from elsewhere."""
        token = tokens[idx]
        words = self.renderInlineAsText(token.children or [], options, env) or "picture"
        start = Token("link_open", "a", 1, attrs={"href": str(token.attrGet("src") or "")})
        return f"{self.link_open([start], 0, options, env)}{escape(words)}</a>"

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Return the beginning of a heading, which is none: headings are those of the page."""
        return "<p><strong>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Return the end of a heading."""
        return "</strong></p>\n"


def _make() -> MarkdownIt:
    found = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH}, renderer_cls=_Renderer)
    found.disable(["html_block", "html_inline"])
    found.validateLink = is_page
    return found


_MARKDOWN = _make()


class Rendered(str):
    """HTML that was made here and may stand on a page as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return the HTML: templates do not escape it again."""
        return str(self)


@lru_cache(maxsize=512)
def markdown(text: str) -> Rendered:
    """Return Markdown as HTML.

    HTML in it is shown as text. Letters that turn the direction of a text round, and those without a width, are left out.
    """
    plain = _UNSEEN.sub("", one_way(text))
    return Rendered(_MARKDOWN.render(plain))
