"""Motifs that were planted are found far above chance, and none are found where none were planted."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.circuits.motifs import (
    cosines,
    find_equivariant_chains,
    find_feed_forward_loops,
    find_opponents,
    find_unions,
)

NUM_SOURCES, NUM_TARGETS = 64, 48


def random_layer(seed: int, side: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    before = generator.normal(size=(NUM_SOURCES, 40, side, side))
    into = generator.normal(size=(NUM_TARGETS, NUM_SOURCES, side, side)) * 0.3
    return before, into


def planted_unions(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    before, into = random_layer(seed)
    generator = np.random.default_rng(seed + 1)
    for number in range(count):
        one, two = 2 * number, 2 * number + 1
        before[two] = -before[one] + 0.3 * generator.normal(size=before[one].shape)
        into[number, one] += 1.5
        into[number, two] += 1.5
    return before, into


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_unions(seed: int) -> None:
    before, into = planted_unions(seed, 8)
    found = find_unions(into, cosines(before), seed=seed)
    assert found.z is not None
    assert found.z > 5
    assert {(number, 2 * number, 2 * number + 1) for number in range(8)} <= {
        (unit, min(pair), max(pair)) for unit, *pair in (instance.units for instance in found.instances)
    }
    before, into = planted_unions(seed, 8)
    shuffled = np.random.default_rng(9).permutation(NUM_SOURCES)
    nothing = find_unions(into[:, shuffled], cosines(before), seed=seed)  # the same weights from other units
    assert nothing.z is None or nothing.z < 3
    none = find_unions(random_layer(seed)[1], cosines(random_layer(seed)[0]), seed=seed)
    assert none.z is None or abs(none.z) < 3


def test_unions_of_weak_inputs_come_last() -> None:
    before, into = planted_unions(0, 8)
    alike = cosines(before)
    usual = find_unions(into, alike).instances
    faint = into.copy()
    strongest = {one.units[0] for one in usual[:1]}
    for target in strongest:  # one input that takes away, far stronger than those that excite
        faint[target, 63] = -50
    weakened = find_unions(faint, alike).instances
    assert usual[0].units[0] in strongest
    assert weakened[-1].units[0] in strongest
    assert 0 < weakened[-1].score < 0.1 * usual[0].score


def test_kernels_that_add_on_one_side_alone_excite_nothing() -> None:
    before, into = planted_unions(0, 8)
    planted = {(number, *sorted((2 * number, 2 * number + 1))) for number in range(8)}
    alike = cosines(before)

    def found(weights: np.ndarray) -> set[tuple[int, ...]]:
        return {(one.units[0], *sorted(one.units[1:])) for one in find_unions(weights, alike).instances}

    assert planted <= found(into)
    edges = into.copy()
    for number in range(8):  # a small sum on a large edge, larger than any other sum
        for source in (2 * number, 2 * number + 1):
            edges[number, source] = 1.5 + 20 * np.array([[-1.0, 0.0, 1.0]] * 3)
    assert not planted & found(edges)


def test_planted_opponents() -> None:
    _, into = random_layer(3)
    into[5] = -into[11]
    into[20] = -0.5 * into[40]
    found = find_opponents(into, seed=1, num_shuffles=20)
    assert found.count == 2
    assert {instance.units for instance in found.instances} == {(5, 11), (20, 40)}
    assert found.z is not None
    assert found.z > 5
    none = find_opponents(random_layer(3)[1], seed=1, num_shuffles=20)
    assert none.count == 0
    assert none.z is None


def test_planted_feed_forward_loops() -> None:
    generator = np.random.default_rng(4)
    a_to_b, b_to_c, a_to_c = (np.abs(generator.normal(size=(40, 40))) for _ in range(3))
    for number in range(8):
        a_to_b[number, number] = b_to_c[number, number] = a_to_c[number, number] = 9
    found = find_feed_forward_loops(a_to_b, b_to_c, a_to_c)
    assert {(number,) * 3 for number in range(8)} <= {instance.units for instance in found.instances}
    clear = [np.where(norms > 5, norms, 0) for norms in (a_to_b, b_to_c, a_to_c)]
    only = find_feed_forward_loops(*clear)
    assert only.count == 8
    assert only.z is not None
    assert only.z > 5
    turned = find_feed_forward_loops(clear[0], clear[1], np.roll(clear[2], 1, axis=1))
    assert turned.count == 0


@pytest.mark.parametrize("side", [3, 5])
def test_planted_rotated_chains(side: int) -> None:
    _, into = random_layer(5, side)
    generator = np.random.default_rng(6)
    sources, targets = generator.permutation(NUM_SOURCES)[:16], generator.permutation(NUM_TARGETS)[:16]
    expected = set()
    for number in range(4):
        kernel = generator.normal(size=(side, side))
        kernel -= sum(np.rot90(kernel, quarter) for quarter in range(4)) / 4
        chain = list(range(4 * number, 4 * number + 4))
        for quarter, place in enumerate(chain):
            into[targets[place], sources[place]] = 9 * np.rot90(kernel, quarter) / np.linalg.norm(kernel)
        expected.add(tuple(int(unit) for place in chain for unit in (sources[place], targets[place])))
    found = find_equivariant_chains(into)
    firsts = {int(sources[4 * number]) for number in range(4)}
    assert expected <= {_from(instance.units, firsts) for instance in found.instances}
    assert found.z is not None
    assert found.z > 5
    place = 2  # one kernel of the first chain turned too far
    into[targets[place], sources[place]] = np.rot90(into[targets[place], sources[place]], 1)
    broken = find_equivariant_chains(into)
    assert broken.count == found.count - 1


def test_chains_to_the_same_targets_are_counted_and_listed_once() -> None:
    _, into = random_layer(5)
    generator = np.random.default_rng(6)
    kernel = generator.normal(size=(3, 3))
    kernel -= sum(np.rot90(kernel, quarter) for quarter in range(4)) / 4
    into *= 0.01
    for target in range(4):
        for source in (target, 10 + target):  # each target reads two sources alike
            into[target, source] = 9 * np.rot90(kernel, target)
    found = find_equivariant_chains(into)
    assert found.count >= 16
    assert [frozenset(instance.units[1::2]) for instance in found.instances].count(frozenset(range(4))) == 1
    assert len({frozenset(instance.units[1::2]) for instance in found.instances}) == len(found.instances)


def _from(units: tuple[int, ...], firsts: set[int]) -> tuple[int, ...]:
    """Return a chain as it is when it begins at one of some sources."""
    place = next((2 * step for step, source in enumerate(units[::2]) if source in firsts), 0)
    return units[place:] + units[:place]


def test_same_seed_same_counts() -> None:
    before, into = planted_unions(1, 8)
    first, second, other = (find_unions(into, cosines(before), seed=seed) for seed in (4, 4, 5))
    assert first == second
    assert other.null_mean != first.null_mean
