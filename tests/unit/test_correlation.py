"""Correlation of units, and matching them one to one."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.correlation import common_images, correlate, match, permuted, standardise, strongest
from precompute.store.matching import match_profiles

GENERATOR = np.random.default_rng(3)
PROFILES = np.maximum(GENERATOR.normal(size=(40, 8)) @ GENERATOR.normal(size=(8, 300)) + GENERATOR.normal(size=(40, 300)), 0)


def test_products_of_standardised_profiles_are_pearson_correlations() -> None:
    own, is_constant = standardise(PROFILES)
    found = correlate(own, own)
    np.testing.assert_allclose(found, np.corrcoef(PROFILES), atol=1e-5)
    assert not np.allclose(correlate(permuted(own, 0), own), np.corrcoef(PROFILES), atol=0.1)
    assert not is_constant.any()


def test_units_that_do_not_vary_correlate_with_nothing() -> None:
    flat = PROFILES.copy()
    flat[3], flat[5] = 0.0, 1000.0 + 1e-3 * GENERATOR.normal(size=300)
    own, is_constant = standardise(flat)
    assert np.flatnonzero(is_constant).tolist() == [3, 5]
    found = correlate(own, own, is_same_layer=True)
    assert not np.isfinite(found[[3, 5]]).any()
    assert not np.isfinite(found[:, [3, 5]]).any()
    rows, _ = match(found)
    assert not {3, 5} & set(rows.tolist())


def test_strongest_are_those_of_a_full_sort() -> None:
    own, _ = standardise(PROFILES)
    found = correlate(own, own, is_same_layer=True)
    units, values = strongest(found, 5)
    np.testing.assert_array_equal(units, np.argsort(-found, axis=1, kind="stable")[:, :5])
    np.testing.assert_array_equal(values, -np.sort(-found, axis=1)[:, :5])


def test_a_layer_matches_itself_unit_by_unit() -> None:
    found = match_profiles(PROFILES, PROFILES)
    np.testing.assert_array_equal(found.left, found.right)
    assert sorted(found.left.tolist()) == list(range(40))
    assert found.correlation.min() > 0.999


def test_units_in_another_order_are_found_again() -> None:
    order = np.random.default_rng(8).permutation(40)
    found = match_profiles(PROFILES, PROFILES[order])
    np.testing.assert_array_equal(order[found.right], found.left)
    assert not np.array_equal(found.left, found.right)


def test_other_images_fall_to_the_control() -> None:
    shuffled = np.take(PROFILES, np.random.default_rng(9).permutation(300), axis=1)
    found = match_profiles(PROFILES, shuffled)
    assert found.threshold is not None
    assert np.median(found.correlation) == pytest.approx(np.median(found.control), abs=0.05)
    same = match_profiles(PROFILES, PROFILES)
    assert (same.correlation > found.threshold).all()


def test_matching_is_that_of_taking_the_largest_again_and_again() -> None:
    table = np.random.default_rng(4).normal(size=(12, 9)).astype(np.float32)
    rows, columns = match(table)
    rest, expected = table.copy(), {}
    for _ in range(9):
        row, column = np.unravel_index(int(rest.argmax()), rest.shape)
        expected[int(row)] = int(column)
        rest[row], rest[:, column] = -np.inf, -np.inf
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_profiles_are_compared_on_the_images_that_both_have() -> None:
    here, there = common_images(np.array([1, 4, 6, 9], np.int32), np.array([0, 4, 9, 12], np.int32))
    assert (here.tolist(), there.tolist()) == ([1, 3], [1, 2])
