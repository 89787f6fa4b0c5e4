"""A walk along the links of a site, pages and twins, and the numbers that a page shows beside those of its twin."""

from __future__ import annotations

import bisect
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

HTML, JSON = "text/html", "application/json"
ALTERNATE = re.compile(r'<([^>]+)>; rel="alternate"; type="application/json"')
# A decimal that is no part of a name, such as `blocks.3.1.conv_pw`.
DECIMAL = re.compile(r"(?<![\w.])\d[\d,]*\.\d+(?:e[−-]?\d+)?(?!\.?\w)")
# Shown as they are, as percent, or as a share of hundred.
FACTORS = (1.0, 100.0, 0.01)


class Page(HTMLParser):
    """What a page leads to, and what its main part says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.words: list[str] = []
        self._open: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[tag] += 1
        self.links += [value for name, value in attrs if name in {"href", "src", "data-src", "data-twin"} and value]

    def handle_endtag(self, tag: str) -> None:
        self._open[tag] -= 1

    def handle_data(self, data: str) -> None:
        if self._open["main"] > 0 and self._open["script"] + self._open["textarea"] <= 0:
            self.words.append(data)

    def decimals(self) -> list[str]:
        """Return every decimal that the main part shows, as it stands there."""
        return DECIMAL.findall(" ".join(self.words))


@dataclass
class Walk:
    """What became of a walk.

    Attributes:
        num_asked: How many addresses were asked for, of each kind.
        dead: Addresses that did not answer, with the status.
        pages: The addresses of pages that answered.
    """

    num_asked: Counter[str] = field(default_factory=lambda: Counter[str]())
    dead: list[tuple[str, int]] = field(default_factory=lambda: list[tuple[str, int]]())
    pages: list[str] = field(default_factory=lambda: list[str]())


def kind_of(address: str) -> str:
    """Return an address without what tells one of its kind from another: numbers, layers, files, values of the query."""
    path, _, query = address.partition("?")
    path = re.sub(r"^(.*/models/[^/]+/)(?!units|events)[^/]+", r"\1LAYER", path)
    path = re.sub(r"/(media|static)/.*\.", r"/\1/FILE.", re.sub(r"/\d+(?=/|$)", "/N", path))
    names = sorted({part.partition("=")[0] for part in query.split("&") if part})
    return f"{path}?{','.join(names)}"


def walk(client: TestClient, per_kind: int, starts: Sequence[str] = ("/",), seed: int = 0) -> Walk:
    """Ask for some addresses, and follow links at random until `per_kind` addresses of every kind were asked for."""
    rng = random.Random(seed)
    waiting, seen, done = list(starts), set[str](), Walk()
    while waiting:
        place = rng.randrange(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        if address not in starts and done.num_asked[kind_of(address)] >= per_kind:
            continue
        done.num_asked[kind_of(address)] += 1
        answer = client.get(address, follow_redirects=False)
        if answer.status_code not in {200, 204, 303}:
            done.dead.append((address, answer.status_code))
            continue
        if answer.headers.get("content-type", "").startswith(HTML):
            done.pages.append(address)
        waiting += [found for found in _links(answer) if found not in seen]
    return done


def _links(answer: Response) -> Iterator[str]:
    if "location" in answer.headers:
        yield answer.headers["location"]
        return
    kind = answer.headers.get("content-type", "").partition(";")[0]
    found: list[str] = []
    if kind == HTML:
        found = Page(answer.text).links + ALTERNATE.findall(answer.headers.get("link", ""))
    elif kind == JSON:
        found = list(_links_of(answer.json()))
    for address in found:
        if address.startswith("/") and not address.startswith("//"):
            yield address.partition("#")[0]


def _links_of(value: Any) -> Iterator[str]:
    """Yield what stands under `links` anywhere in a twin, and the next page of lists."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "links":
                yield from (address for address in part.values() if isinstance(address, str))
            elif key == "next" and isinstance(part, str):
                yield part
            else:
                yield from _links_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from _links_of(part)


def leaves_of(value: Any) -> Iterator[Any]:
    """Yield everything in a twin that is neither a list nor an object."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from leaves_of(part)
    else:
        yield value


def not_told(shown: list[str], twin: Any) -> list[str]:
    """Return the decimals that are no rounding of any number of a twin, and no end of a name such as `blocks.3.1`."""
    missing: list[str] = []
    leaves = list(leaves_of(twin))
    numbers = sorted(abs(leaf) for leaf in leaves if isinstance(leaf, (int, float)) and not isinstance(leaf, bool))
    names = [leaf for leaf in leaves if isinstance(leaf, str)]
    for text in shown:
        if any(f".{text}." in f"{name}." for name in names):
            continue
        mantissa, _, exponent = text.replace(",", "").replace("−", "-").partition("e")
        size = float(mantissa) * 10.0 ** int(exponent or 0)
        half = 0.5000001 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        for factor in FACTORS:
            place = bisect.bisect_left(numbers, (size - half) / factor)
            if place < len(numbers) and numbers[place] <= (size + half) / factor:
                break
        else:
            missing.append(text)
    return missing


def compare_numbers(client: TestClient, pages: list[str]) -> tuple[int, list[tuple[str, list[str]]]]:
    """Return how many decimals pages show, and which of them their twins do not tell, page by page."""
    num_shown, untold = 0, list[tuple[str, list[str]]]()
    for address in pages:
        answer = client.get(address)
        twin = ALTERNATE.search(answer.headers.get("link", ""))
        if twin is None or address == "/docs/words":  # sentences that explain what numbers mean
            continue
        shown = Page(answer.text).decimals()
        num_shown += len(shown)
        missing = not_told(shown, client.get(twin[1]).json())
        if missing:
            untold.append((address, missing))
    return num_shown, untold
