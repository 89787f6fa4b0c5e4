"""Partners as columns say what rows would say one by one."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from precompute.store.arrays import Direction, Side
from precompute.store.partners import RANKINGS, Partners, PartnerTable, PartnerWeight, Ranking, all_partners, join, ranked
from precompute.store.reader import AtlasReader


def made(seed: int, num: int = 40) -> Partners:
    """Return partners in two layers and a stream of them, with equal norms among them and some spreads unknown."""
    generator = np.random.default_rng(seed)
    tables = []
    for layer, is_view in (("b", False), ("a", False), ("stream", True)):
        squares = np.round(generator.random(num), 1)
        spreads = np.where(generator.random(num) < 0.2, np.nan, generator.random(num))
        tables.append(
            PartnerTable(layer, is_view, range(num), squares, generator.normal(size=num), generator.random(num), spreads)
        )
    return join(tables)


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("is_ascending", [False, True])
def test_order_is_that_of_rows_ties_and_unknowns_included(ranking: Ranking, is_ascending: bool) -> None:
    partners = made(0)
    expected = ranked(partners.rows()[::-1], ranking, is_ascending=is_ascending)
    assert partners.ranked(ranking, is_ascending=is_ascending).rows() == expected
    assert expected != ranked(partners.rows(), "norm", is_ascending=True) or (ranking, is_ascending) == ("norm", True)


def test_shares_are_of_the_direct_ones_and_of_each_view_apart() -> None:
    rows = made(1).rows()
    for layers in (("a", "b"), ("stream",)):
        assert sum(row.share or 0.0 for row in rows if row.layer in layers) == pytest.approx(1)
    assert {row.contribution is None for row in rows} == {True, False}


def test_sign_and_layer_leave_the_order_and_drop_the_rest() -> None:
    partners = made(2)
    rows = partners.rows()
    assert partners.of_sign("+").rows() == [row for row in rows if row.sum > 0]
    assert partners.of_sign("-").rows() == [row for row in rows if row.sum < 0]
    assert partners.of_sign(None) is partners
    assert partners.of_layers(["stream", "none"]).rows() == [row for row in rows if row.layer == "stream"]


def test_rows_are_found_by_layer_and_unit() -> None:
    partners = made(3)
    for place, row in enumerate(partners.rows()):
        assert partners.row(row.layer, row.unit) == (place, row)
    assert partners.row("a", 400) is None
    assert partners.row("none", 0) is None


def test_number_for_most_of_the_norm_is_the_fewest_that_reach_it() -> None:
    partners = made(4).of_layers(["a", "b"])
    shares = sorted((row.share or 0.0 for row in partners.rows()), reverse=True)
    found = partners.num_for_most
    assert found is not None
    assert sum(shares[:found]) >= 0.9 - 1e-9
    assert sum(shares[: found - 1]) < 0.9
    assert partners.take(slice(0)).num_for_most is None
    # Those of streams hold the others once more, and do not count, unless there are no others.
    everyone = made(4)
    assert everyone.repeating == {"stream"}
    assert everyone.num_for_most == found
    assert everyone.of_layers(["stream"]).num_for_most == made(4).of_layers(["stream"]).num_for_most is not None
    assert join([]).rows() == []


def test_all_partners_of_an_atlas_are_the_kernels_one_by_one(fixture_atlas: Path) -> None:
    reader = AtlasReader(fixture_atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    seen = 0
    for layer in catalog.layers.values():
        for direction in get_args(Direction):
            rows = all_partners(Side(reader, catalog, layer, 0, direction)).rows()
            seen += len(rows)
            assert rows == ranked(rows, "norm")
            assert all(isinstance(row, PartnerWeight) and row.norm >= 0 for row in rows)
    assert seen > 50
