"""Find, see, compare, share and say in Firefox, by mouse, by the keyboard alone and by touch.

Playwright drives a Firefox of its own only. The one that people use speaks WebDriver BiDi, and so does Puppeteer, which
Lighthouse brings: the journeys stand in `firefox.mjs`, and this file starts it and reads what became of them.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.visitor import node, serve
from tests.writers import TOKEN

pytestmark = pytest.mark.firefox
JOURNEYS = ["find", "see", "compare", "share", "say"]


@dataclass(frozen=True)
class Walked:
    """What became of the journeys, and where they were walked."""

    address: str
    journeys: dict[str, dict[str, str]]
    problems: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def walked(firefox: str, writable_atlas: Path, repository: Path) -> Walked:
    """Return what became of all journeys, in one Firefox."""
    puppeteer = repository / "node_modules" / "puppeteer-core"
    assert puppeteer.is_dir(), "Puppeteer is missing: `npm ci`, or `make test`, installs it"
    with serve(writable_atlas, TOKEN) as address:
        command = [node(), str(repository / "tests" / "browser" / "firefox.mjs"), firefox, address, TOKEN]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return Walked(address, found["journeys"], found["problems"], found["requests"])


@pytest.mark.parametrize("way", ["mouse", "keyboard", "touch"])
@pytest.mark.parametrize("journey", JOURNEYS)
def test_journey_in_firefox(walked: Walked, journey: str, way: str) -> None:
    assert walked.journeys[way][journey] == "ok"


def test_console_of_firefox_stays_silent(walked: Walked) -> None:
    assert walked.problems == []


def test_firefox_asks_no_other_host(walked: Walked) -> None:
    assert len(walked.requests) > 50
    assert [url for url in walked.requests if not url.startswith((walked.address, "data:"))] == []
