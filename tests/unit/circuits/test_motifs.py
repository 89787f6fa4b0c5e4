"""Motifs that were planted are found far above chance, and none are found where none were planted."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.circuits.motifs import (
    cosines,
    find_copies,
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


def residual_pair(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return norms a to b, and the kernels of b and of a into c, which reads their sum."""
    generator = np.random.default_rng(seed)
    a_to_b = np.abs(generator.normal(size=(40, 40)))
    np.fill_diagonal(a_to_b, 9)  # a block keeps its channels in their order
    stream = generator.normal(size=(60, 40, 1, 1))
    return a_to_b, stream, stream.copy()


@pytest.mark.parametrize("seed", range(4))
def test_one_channel_read_twice_is_no_loop(seed: int) -> None:
    a_to_b, b_to_c, a_to_c = residual_pair(seed)
    norms = [np.abs(kernels[:, :, 0, 0]) for kernels in (b_to_c, a_to_c)]
    taken_twice = find_feed_forward_loops(a_to_b, *norms)
    assert taken_twice.z is not None
    assert taken_twice.z > 5
    assert {(a, b) for a, b, _ in (one.units for one in taken_twice.instances[:20])} <= {(unit, unit) for unit in range(40)}
    copies = find_copies(b_to_c, a_to_c)
    assert copies.all()
    found = find_feed_forward_loops(a_to_b, *norms, copies=copies)
    assert found.count > 0
    assert all(a != b for a, b, _ in (one.units for one in found.instances))
    assert found.z is not None
    assert abs(found.z) < 3
    planted = a_to_b.copy()
    for c in range(60):  # of the two channels that c reads most, one feeds the other
        one, two = np.argsort(-norms[1][c])[:2]
        planted[two, one] += 4
    clear = find_feed_forward_loops(planted, *norms, copies=copies)
    assert clear.z is not None
    assert clear.z > 5


def test_only_equal_kernels_are_copies() -> None:
    _, b_to_c, a_to_c = residual_pair(0)
    a_to_c[3, 7] += 1e-3
    a_to_c[:, 9] = b_to_c[:, 9] = 0
    assert np.flatnonzero(~find_copies(b_to_c, a_to_c)).tolist() == [7, 9]
    assert not find_copies(b_to_c[:, :-1], a_to_c).any()


def turning_kernel(generator: np.random.Generator, side: int) -> np.ndarray:
    kernel = generator.normal(size=(side, side))
    kernel -= sum(np.rot90(kernel, quarter) for quarter in range(4)) / 4
    return 9 * kernel / np.linalg.norm(kernel)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_planted_rotated_chains(side: int, seed: int) -> None:
    _, into = random_layer(seed, side)
    generator = np.random.default_rng(seed + 1)
    sources, targets = generator.permutation(NUM_SOURCES)[:32], generator.permutation(NUM_TARGETS)[:32]
    expected = set()
    for number in range(8):
        kernel = turning_kernel(generator, side)
        chain = list(range(4 * number, 4 * number + 4))
        for quarter, place in enumerate(chain):
            into[targets[place], sources[place]] = np.rot90(kernel, quarter)
        expected.add(tuple(int(unit) for place in chain for unit in (sources[place], targets[place])))
    found = find_equivariant_chains(into)
    firsts = {int(sources[4 * number]) for number in range(8)}
    assert expected <= {_from(instance.units, firsts) for instance in found.instances}
    assert found.z is not None
    assert found.z > 5
    assert found.p == pytest.approx(1 / 51)
    place = 2  # one kernel of the first chain turned too far
    into[targets[place], sources[place]] = np.rot90(into[targets[place], sources[place]], 1)
    broken = find_equivariant_chains(into)
    assert broken.count == found.count - 1


def blurred(seed: int, shape: tuple[int, int], side: int, sigma_px: float) -> np.ndarray:
    """Return kernels of noise as smooth as learnt ones, in which nothing is planted."""
    noise = np.random.default_rng(seed).normal(size=(*shape, side + 12, side + 12))
    places = np.arange(side + 12)
    weights = np.exp(-((places[None] - places[6:-6, None]) ** 2) / (2 * sigma_px**2))
    return np.einsum("yi,tsij,xj->tsyx", weights, noise, weights, optimize=True)


SMOOTH = [(3, 0.7), (3, 1.0), (5, 1.0), (5, 1.5)]


@pytest.mark.parametrize(("side", "sigma_px"), SMOOTH)
@pytest.mark.parametrize("seed", range(4))
def test_smooth_noise_has_no_more_chains_than_by_chance(side: int, sigma_px: float, seed: int) -> None:
    into = blurred(seed, (NUM_TARGETS, NUM_SOURCES), side, sigma_px)
    found = find_equivariant_chains(into, seed=seed)
    assert found.z is None or abs(found.z) < 3
    assert found.p > 1 / 51


@pytest.mark.parametrize(("side", "sigma_px"), [(3, 1.0), (5, 1.5)])
def test_shuffles_that_roughen_kernels_would_find_chains_in_noise(side: int, sigma_px: float) -> None:
    into = blurred(0, (NUM_TARGETS, NUM_SOURCES), side, sigma_px)
    generator = np.random.default_rng(1)
    rough = [generator.permuted(into.reshape(*into.shape[:2], -1), axis=2).reshape(into.shape) for _ in range(10)]
    counts = [find_equivariant_chains(weights, num_shuffles=2).count for weights in rough]
    assert find_equivariant_chains(into, num_shuffles=2).count > np.mean(counts) + 5 * max(np.std(counts), 0.5)


@pytest.mark.parametrize("seed", range(4))
def test_kernels_of_one_shape_into_each_unit_are_no_finding(seed: int) -> None:
    """As weights over a depthwise layer are: were they turned one by one, a unit would read what it never could."""
    factors = np.random.default_rng(seed).normal(size=(144, 24, 1, 1))
    found = find_equivariant_chains(factors * blurred(seed, (144, 1), 3, 1.0), seed=seed)
    assert found.null_mean > 0
    assert found.z is not None
    assert abs(found.z) < 3


def test_kernels_that_look_alike_from_all_sides_are_no_finding() -> None:
    distance = np.hypot(*np.mgrid[-2:3, -2:3])
    surround = np.exp(-(distance**2)) - 0.25 * np.exp(-(distance**2) / 4)
    strengths = np.random.default_rng(0).normal(size=(NUM_TARGETS, NUM_SOURCES, 1, 1))
    found = find_equivariant_chains(strengths * surround)
    assert (found.count, found.null_mean, found.z, found.p) == (0, 0, None, 1)
    uneven = strengths * surround + 0.2 * blurred(1, (NUM_TARGETS, NUM_SOURCES), 5, 1.0)
    found = find_equivariant_chains(uneven)
    assert found.z is None or abs(found.z) < 3
    lopsided = strengths * np.where(np.arange(5) > 2, surround, 0)  # the twin: half of it does turn
    assert find_equivariant_chains(lopsided).null_mean > 0


def test_no_edge_counts_in_two_chains() -> None:
    _, into = random_layer(5)
    kernel = turning_kernel(np.random.default_rng(6), 3)
    into *= 0.01
    for target in range(4):
        for source in (target, 10 + target):  # each target reads two sources alike: 16 choices of one each
            into[target, source] = np.rot90(kernel, target)
    found = find_equivariant_chains(into)
    among = [instance.units for instance in found.instances if set(instance.units[1::2]) == set(range(4))]
    assert len(among) == 2
    edges = [edge for one in found.instances for edge in zip(one.units[::2], one.units[1::2], strict=True)]
    assert len(edges) == len(set(edges)) == 4 * found.count


def test_p_counts_the_weights_themselves_among_the_shuffles() -> None:
    before, into = planted_unions(0, 8)
    found = find_unions(into, cosines(before), num_shuffles=19)
    assert found.p == pytest.approx(1 / 20)
    assert find_opponents(into, num_shuffles=9).p == 1
    into[5] = -into[11]
    never = find_opponents(into, num_shuffles=9)
    assert (never.null_std, never.p) == (0, pytest.approx(0.1))
    assert never.z == pytest.approx((never.count - never.null_mean) * 3)


def _from(units: tuple[int, ...], firsts: set[int]) -> tuple[int, ...]:
    """Return a chain as it is when it begins at one of some sources."""
    place = next((2 * step for step, source in enumerate(units[::2]) if source in firsts), 0)
    return units[place:] + units[:place]


def test_same_seed_same_counts() -> None:
    before, into = planted_unions(1, 8)
    first, second, other = (find_unions(into, cosines(before), seed=seed) for seed in (4, 4, 5))
    assert first == second
    assert other.null_mean != first.null_mean
