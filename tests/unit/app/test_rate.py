"""How often one client may ask: what is counted, who counts as one, what is remembered, and what the refused are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import rate
from app.main import create_app
from app.rate import RateLimit, client_of
from app.server import create_app_from_environment
from app.settings import AppSettings
from precompute.commands.serve import ServeOptions, is_loopback
from precompute.errors import UsageError


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(10, clock)
    assert [limit.take("a") for _ in range(40)] == [0.0] * 40
    assert limit.take("a") == pytest.approx(0.1)
    assert limit.take("b") == 0.0
    clock.now += 0.11
    assert limit.take("a") == 0.0
    assert limit.take("a") > 0
    clock.now += 1000
    assert [limit.take("a") > 0 for _ in range(41)] == [False] * 40 + [True]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MAX_CLIENTS", 50)
    limit = RateLimit(1, Clock())
    for number in range(500):
        limit.take(f"10.0.0.{number}")
        limit.take("always here")
    assert len(limit) == 50
    assert limit.take("always here") > 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("no:address", "no:address"),
        ("x" * 500, "x" * 64),
    ],
)
def test_who_counts_as_one_client(host: str, expected: str) -> None:
    assert client_of({"client": (host, 1)}) == expected
    assert client_of({"client": None}) == ""


def test_the_refused_are_told_when_to_ask_again(fixture_atlas: Path) -> None:
    with TestClient(create_app(AppSettings(fixture_atlas, requests_per_second=0.5))) as client:
        answers = [client.get("/healthz") for _ in range(3)]
        refused = client.get("/models/tiny_a")
        assert client.head("/").content == b""
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["content-security-policy"].startswith("default-src 'self'")
    assert set(refused.json()) == {"type", "title", "status", "detail", "instance"}
    assert (refused.json()["status"], refused.json()["instance"]) == (429, "/models/tiny_a")


def test_a_header_alone_makes_nobody_another_client(fixture_atlas: Path) -> None:
    with TestClient(create_app(AppSettings(fixture_atlas, requests_per_second=0.5))) as client:
        found = [client.get("/healthz", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code for number in range(4)]
    assert found == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ServeOptions(), 0.0),
        (ServeOptions("localhost"), 0.0),
        (ServeOptions("::1"), 0.0),
        (ServeOptions("0.0.0.0"), 100.0),
        (ServeOptions("192.0.2.7", rate_limit=0), 0.0),
        (ServeOptions("127.0.0.1", rate_limit=7.5), 7.5),
        (ServeOptions("127.0.0.1", proxy="127.0.0.1"), 100.0),
    ],
)
def test_who_is_limited_without_a_word(options: ServeOptions, expected: float) -> None:
    assert options.requests_per_second == expected


@pytest.mark.parametrize("rate_limit", [-1.0, float("nan"), float("inf")])
def test_impossible_rates_are_refused(rate_limit: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--rate-limit takes a number"):
        ServeOptions(rate_limit=rate_limit)
    monkeypatch.setenv("UNITSCOPE_ATLAS", str(tmp_path))
    monkeypatch.setenv("UNITSCOPE_REQUESTS_PER_SECOND", str(rate_limit))
    with pytest.raises(UsageError, match="is no number of requests"):
        create_app_from_environment()


def test_hosts_by_name_are_not_taken_for_this_machine() -> None:
    assert [is_loopback(host) for host in ("127.0.0.5", "::1", "localhost", "example.org", "10.0.0.1")] == [True] * 3 + [
        False
    ] * 2
