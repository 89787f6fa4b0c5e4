"""Markdown of strangers: whatever is written, no element, attribute or address comes out that could do something."""

from __future__ import annotations

import html
import time
from html.parser import HTMLParser
from itertools import product

import pytest

from app.words.markdown import REL, is_page, markdown

TAGS = {"p", "strong", "em", "a", "ul", "ol", "li", "blockquote", "pre", "code", "br", "hr"}
ATTRIBUTES = {"a": {"href", "rel"}, "code": {"class"}, "ol": {"start"}}
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=https://evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<style>*{background:url(https://evil.example)}</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=//evil.example>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml ?><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](java&#x0A;script:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](%6aavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://x/1)",
    "[x](//evil.example)",
    "[x](/\\evil.example)",
    "[x](\\\\evil.example)",
    "[x](https:evil.example)",
    "[x](https://)",
    "[x](mailto:a@b.example)",
    "[x](relative)",
    "[x](#said)",
    '[x](https://e.example "onmouseover=alert(1)")',
    '[x](https://e.example" onmouseover="alert(1))',
    "[x](<https://e.example> onload=alert(1))",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![](data:image/png;base64,AAAA)",
    '![x" onerror="alert(1)](https://e.example/a.png)',
    "![![x](https://a.example/1)](https://b.example/2)",
    "[![x](https://a.example/1)](javascript:alert(1))",
    "<javascript:alert(1)>",
    "<https://e.example/<script>>",
    "<data:text/html,x>",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "[x][1]\n\n[1]: https://e.example '\"><script>alert(1)</script>'",
    '```js" onclick="alert(1)\ncode\n```',
    "```<script>\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "    </pre><script>alert(1)</script>",
    "# <script>alert(1)</script>\n\nTitle\n===\n<b>x</b>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "x\u202e<tpircs>\u2066",
    "\u200bjava\u200bscript\ufeff:",
    "[x](java\u200bscript:alert(1))",
    "<\u200bscript>alert(1)</script>",
    "[[[[x](javascript:1)](javascript:2)](javascript:3)](javascript:4)",
    "[a](https://e.example/[b](javascript:alert(1)))",
    "***<script>*** alert(1)",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "\0<script>alert(1)</script>",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "<a/href='/docs'onclick=alert(1)>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
]


class Strict(HTMLParser):
    """Collects everything on a rendered text that is not plainly allowed, and the text that a reader sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name: value or "" for name, value in attrs}
        if tag not in TAGS or set(names) - ATTRIBUTES.get(tag, set()):
            self.problems.append(f"<{tag} {names}>")
        if tag == "a":
            self.links.append(names.get("href", ""))
            if names.get("rel") != REL or "href" not in names:
                self.problems.append(f"link without its attributes: {names}")
        if tag not in {"br", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes what is not open")

    def handle_comment(self, data: str) -> None:
        self.problems.append("a comment")

    def handle_decl(self, decl: str) -> None:
        self.problems.append("a declaration")

    def handle_pi(self, data: str) -> None:
        self.problems.append("an instruction")

    def unknown_decl(self, data: str) -> None:
        self.problems.append("a declaration")


def checked(text: str) -> Strict:
    found = Strict()
    found.feed(markdown(text))
    found.close()
    return found


def is_safe(link: str) -> bool:
    return link.startswith(("https://", "http://")) or (link.startswith("/") and not link.startswith(("//", "/\\")))


@pytest.mark.parametrize("text", ATTACKS, ids=lambda text: repr(text[:40]))
def test_attack_comes_out_as_text(text: str) -> None:
    found = checked(text)
    assert found.problems == []
    assert found.open == []
    assert [link for link in found.links if not is_safe(link)] == []


def test_attacks_inside_each_other_come_out_as_text() -> None:
    frames = ["> %s", "- %s", "*%s*", "**%s**", "`%s`", "[%s](/docs)", "![%s](/docs)", "# %s", "1. > - %s", "[x](%s)", "<%s>"]
    for frame, inner, text in product(frames, frames, ATTACKS):
        found = checked(frame % (inner % text))
        assert found.problems == [], (frame, inner, text)
        assert [link for link in found.links if not is_safe(link)] == [], (frame, inner, text)


def test_checker_finds_what_is_dangerous() -> None:
    for text in ATTACKS[:10]:
        found = Strict()
        found.feed(text)
        assert found.problems != [], text


def test_plain_markdown_is_rendered() -> None:
    text = "# Head\n\n*a* **b** `c`\n\n- one\n- two\n\n1. x\n\n> q\n\n    code\n\n[p](/models/a?b=1&c=2) <https://e.example/>"
    rendered = markdown(text)
    for piece in (
        "<p><strong>Head</strong></p>",
        "<em>a</em> <strong>b</strong> <code>c</code>",
        "<li>one</li>",
        "<ol>",
        "<blockquote>",
        "<pre><code>code\n</code></pre>",
        f'<a href="/models/a?b=1&amp;c=2" rel="{REL}">p</a>',
        f'<a href="https://e.example/" rel="{REL}">',
    ):
        assert piece in rendered
    assert checked(text).problems == []


def test_picture_becomes_a_link_to_it() -> None:
    assert (
        markdown("![a *cat*](https://e.example/cat.png)") == f'<p><a href="https://e.example/cat.png" rel="{REL}">a cat</a></p>\n'
    )


def test_letters_that_turn_or_hide_are_left_out() -> None:
    shown = html.unescape(markdown("a\u202eb\u200bc\u2066d\ufeffe\u00adf\U000e0041g"))
    assert shown == "<p>abcdefg</p>\n"
    assert "\u05e9" in markdown("\u05e9\u05dc\u05d5\u05dd")


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://e.example", True),
        ("HTTP://e.example/a", True),
        ("/models/a", True),
        ("/", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("//e.example", False),
        ("///e.example", False),
        ("https:///e.example", False),
        ("http://[", False),
        ("", False),
        ("docs", False),
        ("?q=1", False),
    ],
)
def test_only_the_web_and_own_pages_are_led_to(url: str, is_allowed: bool) -> None:
    assert is_page(url) is is_allowed


LONG = [
    "[" * 10_000,
    "[](" * 3_300,
    "![" * 5_000,
    "*a_" * 3_300,
    "> " * 5_000,
    "- " * 5_000,
    "`" * 10_000,
    "<" * 10_000,
    "&" * 10_000,
    "[a]: b\n" * 1_400,
    "\\" * 10_000,
    "**a " * 2_500,
    "[a](/b)" * 1_400,
    "a" * 10_000,
    "((" * 5_000,
    "".join("`" * n + " " for n in range(140)),
    "\n".join(" " * n + "- a" for n in range(130)),
    "<https:" * 1_400,
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: repr(text[:8]))
def test_longest_text_is_rendered_soon(text: str) -> None:
    started = time.process_time()
    found = checked(text)
    assert found.problems == []
    assert time.process_time() - started < 3.0
