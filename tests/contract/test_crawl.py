"""Every kind of address that the pages lead to, and every number that they show."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.addresses import ADDRESSES
from tests.crawl import Page, Walk, compare_numbers, not_told, walk

UNITS = ["/models/tiny_a/blocks.0.pw/7", "/models/tiny_a/stem/3", "/models/tiny_b/stem/7"]


@pytest.fixture(scope="module")
def walked(client: TestClient) -> Walk:
    return walk(client, per_kind=3, starts=ADDRESSES)


def test_no_link_is_dead(walked: Walk) -> None:
    assert walked.dead == []
    assert len(walked.num_asked) > 150
    assert sum(walked.num_asked.values()) > 450


def test_pages_show_the_numbers_of_their_twins(client: TestClient, walked: Walk) -> None:
    num_shown, untold = compare_numbers(client, walked.pages)
    assert untold == []
    assert num_shown > 1500


def test_numbers_of_another_twin_are_not_those_of_the_page(client: TestClient) -> None:
    """The control: agreement is no accident of many numbers."""
    for unit, other in zip(UNITS, UNITS[1:] + UNITS[:1], strict=True):
        shown = Page(client.get(unit).text).decimals()
        assert not_told(shown, client.get(f"/api/v1{unit}").json()) == []
        assert len(not_told(shown, client.get(f"/api/v1{other}").json())) > len(shown) / 4
