"""The most alike units of all layers, against the plain way: one whole table of correlations."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.activations.nearest import Candidates, nearest_units
from precompute.correlation import NONE, NUM_SIMILAR, permuted, standardise

SIZES, POSITIONS, SEED = (300, 40, 5), (2, 5, 9), 3


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    generator = np.random.default_rng(0)
    layers = [generator.normal(size=(size, 30)).astype(np.float32) for size in SIZES]
    layers[0][7] = 1.0
    return Candidates.of([(place, standardise(values)[0]) for place, values in zip(POSITIONS, layers, strict=True)])


def whole(candidates: Candidates, place: int, profiles: np.ndarray, *, is_within: bool) -> np.ndarray:
    """Return the correlations of the units of a layer with those that may be listed; minus infinity for all others."""
    own = candidates.units_of(place)
    found = profiles @ candidates.profiles.T
    found[np.arange(len(found)), np.arange(own.start, own.stop)] = -np.inf
    found[:, ~candidates.varies] = -np.inf
    is_own = np.zeros(found.shape[1], dtype=bool)
    is_own[own] = True
    found[:, is_own != is_within] = -np.inf
    return found


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nearest_are_those_of_the_whole_table(candidates: Candidates, place: int) -> None:
    table, num_compared = nearest_units(candidates, place, SEED)
    own = candidates.profiles[candidates.units_of(place)]
    varies = own.any(axis=1)
    assert num_compared == 3
    assert table["is_constant"].tolist() == (~varies).tolist()
    for side, is_within in (("within", True), ("other", False)):
        expected = whole(candidates, place, own, is_within=is_within)
        highest = -np.sort(-expected, axis=1)[varies][:, :NUM_SIMILAR]
        highest = np.where(np.isfinite(highest), highest, np.nan)
        np.testing.assert_allclose(table[f"{side}_correlation"][varies], highest, atol=1e-6)
        chance = whole(candidates, place, permuted(own, SEED), is_within=is_within).max(axis=1)
        np.testing.assert_allclose(table[f"{side}_chance"][varies], chance[varies], atol=1e-6)
    for row in np.flatnonzero(varies):
        for layer, unit, value in zip(*(table[row][f"other_{name}"] for name in ("layer", "unit", "correlation")), strict=True):
            other = candidates.units_of(POSITIONS.index(layer)).start + unit
            assert candidates.profiles[other] @ own[row] == pytest.approx(value, abs=1e-6)


def test_units_that_do_not_vary_have_none_and_are_nobodys(candidates: Candidates) -> None:
    table, _ = nearest_units(candidates, 0, SEED)
    assert (table[7]["within_unit"] == NONE).all()
    assert np.isnan(table[7]["other_correlation"]).all()
    assert not (table["within_unit"] == 7).any()


def test_large_models_compare_the_layers_around(candidates: Candidates) -> None:
    assert candidates.near(1, limit=345) == (0, 3)
    assert candidates.near(1, limit=344) == (0, 2)
    assert candidates.near(2, limit=45) == (1, 3)
    table, num_compared = nearest_units(candidates, 2, SEED, limit=45)
    assert num_compared == 2
    assert set(table["other_layer"].ravel().tolist()) == {5}
    assert nearest_units(candidates, 0, SEED, limit=1)[1] == 1
