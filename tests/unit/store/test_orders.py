"""Metrics in order: ranges and walks are those of a comparison of every value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from precompute.store.orders import Order, buckets_of, sorted_places

Numbers = NDArray[np.float64]
KINDS: dict[str, Callable[[np.random.Generator, int], Numbers]] = {
    "all different": lambda generator, count: generator.normal(size=count),
    "many equal": lambda generator, count: generator.integers(0, 5, count) / 4,
    "most are zero": lambda generator, count: np.maximum(generator.normal(-1, 1, count), 0),
    "one value": lambda _, count: np.full(count, 0.25),
    "none has a value": lambda _, count: np.full(count, np.nan),
    "some have none": lambda generator, count: np.where(generator.random(count) < 0.3, np.nan, generator.integers(0, 9, count)),
    "infinite": lambda generator, count: np.where(generator.random(count) < 0.3, np.inf, -generator.random(count)),
}


def order_of(values: Numbers) -> Order:
    places = sorted_places(values)
    return Order(values, places, buckets_of(places), int(np.count_nonzero(~np.isnan(values))))


def all_orders() -> list[tuple[str, Order]]:
    generator = np.random.default_rng(0)
    return [(f"{name}, {count}", order_of(make(generator, count))) for name, make in KINDS.items() for count in (1, 7, 300, 3000)]


ORDERS = dict(all_orders())


@pytest.mark.parametrize("name", ORDERS)
def test_range_lets_through_what_a_comparison_does(name: str) -> None:
    order = ORDERS[name]
    bounds = [*np.unique(order.values[np.isfinite(order.values)])[::37].tolist(), -2.0, 0.0, 0.1, 0.25, 3.0, 99.0]
    for low in [None, *bounds]:
        for high in [None, *bounds]:
            expected = ~np.isnan(order.values)
            expected &= True if low is None else order.values >= low
            expected &= True if high is None else order.values <= high
            assert np.array_equal(order.between(low, high), expected), (low, high)


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("size", [1, 16, 5000])
@pytest.mark.parametrize("name", ORDERS)
def test_walk_goes_on_after_any_unit(name: str, size: int, is_descending: bool) -> None:
    order = ORDERS[name]
    values, count = order.values, len(order.values)
    expected = np.lexsort((np.arange(count), -values if is_descending else values)).tolist()
    assert np.concatenate(list(order.walk(None, is_descending=is_descending, size=size))).tolist() == expected
    for rank in {0, count // 3, count // 2, count - 1}:
        place = expected[rank]
        after = (None if np.isnan(values[place]) else float(values[place]), place)
        walked = [*order.walk(after, is_descending=is_descending, size=size)]
        assert [int(found) for part in walked for found in part] == expected[rank + 1 :]


def test_walk_goes_on_after_a_value_that_is_gone() -> None:
    order = order_of(np.array([3.0, 1.0, np.nan, 2.0]))
    rising = [*order.walk((1.5, 1), is_descending=False, size=2)]
    falling = [*order.walk((2.5, 0), is_descending=True, size=2)]
    assert np.concatenate(rising).tolist() == [3, 0, 2]
    assert np.concatenate(falling).tolist() == [3, 1, 2]
