"""Motifs in weights, each counted against weights that were shuffled: what Zoom In found by eye, looked for everywhere.

union          A unit with two strong excitatory inputs that are built from opposite things: the cases that it unites.
opponent       Two units of a layer built from opposite things: what excites the one inhibits the other.
feed_forward   a feeds b and c, and b feeds c, all three strongly.
equivariant    Kernels that turn along a diagonal: four edges, each between other units than the one before and its kernel that
               one's turned by 90 degrees; the last one turned is the first.

A count means something only beside the count in shuffled weights. The z-score is the difference in standard deviations of the
counts in `n` shuffles: of `union`, `opponent` and `feed_forward`, the kernels into each unit are dealt out to its sources anew;
of `equivariant`, the weights of each kernel to its places. The weights into each unit stay the same set.

Sources: Olah et al., "Zoom In", Distill, 2020, https://distill.pub/2020/circuits/zoom-in/; Olah et al., "Naturally Occurring
Equivariance in Neural Networks", Distill, 2020, https://distill.pub/2020/circuits/equivariance/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["union", "opponent", "feed_forward", "equivariant"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NUM_STRONG = 4
OPPOSITE = -0.3
ONE_WAY = 0.25
"""Of the largest sum that a kernel of its norm can have: below it, the kernel is no excitation and no inhibition as a whole."""
TURNED = 0.9
TURNING = 0.25
NUM_SHUFFLES = 100
_MAX_EDGES = 2000
_MAX_BRANCHES = 8
Weights = NDArray[Any]


@dataclass(frozen=True)
class Instance:
    """One place where a motif is.

    Attributes:
        units: Indices of the units, in the order that the kind says: `union` target and its two inputs; `opponent` the two;
            `feed_forward` a, b, c; `equivariant` source and target of each of the four edges in turn.
        score: What it is ranked by, larger is clearer; 1 at most.
    """

    units: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class MotifCount:
    """How often a motif is there, and how often in shuffled weights.

    Attributes:
        kind: The motif.
        count: In the weights.
        null_mean: Mean count in shuffled weights.
        null_std: Standard deviation of the counts in shuffled weights.
        z: (count - mean) / standard deviation; None where shuffled weights all give the same count and that is the count.
        num_shuffles: How many shuffles.
        seed: Of the shuffles.
        instances: The clearest.
    """

    kind: Kind
    count: int
    null_mean: float
    null_std: float
    z: float | None
    num_shuffles: int
    seed: int
    instances: tuple[Instance, ...]


def cosines(weights: Weights) -> NDArray[np.float64]:
    """Return the cosines between the weights of units `[unit, unit]`; 0 where a unit has none.

    Args:
        weights: `[unit, …]`.
    """
    flat = weights.reshape(len(weights), -1).astype(np.float64)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)
    return unit @ unit.T


def find_unions(
    into_target: Weights, alike: NDArray[np.float64], *, seed: int = 0, num_shuffles: int = NUM_SHUFFLES, limit: int = 50
) -> MotifCount:
    """Return the unions over cases: pairs of strong excitatory inputs of a unit that are built from opposite things.

    The score of one is how opposite the two are, times the norm of the weaker as a share of the largest into the unit.

    Args:
        into_target: `[target, source, height, width]`.
        alike: Cosines between the input weights of the sources `[source, source]`.
        seed: Of the shuffles.
        num_shuffles: How many.
        limit: How many instances are returned.
    """
    strong, is_positive = _strongest(_excitation(into_target), NUM_STRONG)
    first, second = np.triu_indices(strong.shape[1], 1)
    is_pair = is_positive[:, first] & is_positive[:, second]

    def opposites(chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
        return is_pair & (alike[chosen[:, first], chosen[:, second]] < OPPOSITE)

    found = opposites(strong)
    norms = _norms(into_target)
    weight = norms / np.maximum(norms.max(axis=1, keepdims=True), 1e-30)
    instances = [
        Instance((int(unit), int(one), int(two)), -float(alike[one, two] * min(weight[unit, one], weight[unit, two])))
        for unit, pair in np.argwhere(found)
        for one, two in [(strong[unit, first[pair]], strong[unit, second[pair]])]
    ]
    generator = np.random.default_rng(seed)
    # To deal a row of weights out anew is to draw which sources its strongest ones come from.
    null = [int(opposites(_drawn(generator, strong.shape, into_target.shape[1])).sum()) for _ in range(num_shuffles)]
    return _counted("union", int(found.sum()), null, seed, instances, limit)


def find_opponents(weights: Weights, *, seed: int = 0, num_shuffles: int = NUM_SHUFFLES, limit: int = 50) -> MotifCount:
    """Return the pairs of units that are built from opposite things.

    Args:
        weights: Of all inputs of a layer's units `[unit, source, height, width]`.
        seed: Of the shuffles.
        num_shuffles: How many; each costs one product of the weights with themselves.
        limit: How many instances are returned.
    """

    def pairs(found: Weights) -> NDArray[np.intp]:
        return np.argwhere(np.triu(cosines(found) < 2 * OPPOSITE, 1))

    alike = cosines(weights)
    found = pairs(weights)
    instances = [Instance((int(one), int(two)), -float(alike[one, two])) for one, two in found]
    generator = np.random.default_rng(seed)
    null = [len(pairs(_dealt(generator, weights))) for _ in range(num_shuffles)]
    return _counted("opponent", len(found), null, seed, instances, limit)


def find_feed_forward_loops(
    a_to_b: Weights, b_to_c: Weights, a_to_c: Weights, *, seed: int = 0, num_shuffles: int = NUM_SHUFFLES, limit: int = 50
) -> MotifCount:
    """Return the feed-forward loops: a feeds b, b feeds c, and a feeds c, all three among the strongest inputs.

    Args:
        a_to_b: Norms `[b, a]`.
        b_to_c: Norms `[c, b]`.
        a_to_c: Norms `[c, a]`; these are dealt out anew in the shuffles.
        seed: Of the shuffles.
        num_shuffles: How many.
        limit: How many instances are returned.
    """
    over = _is_strong(b_to_c).astype(np.float32) @ _is_strong(a_to_b).astype(np.float32)  # [c, a]: by how many b
    direct = _is_strong(a_to_c)
    instances = []
    strong_ab, strong_bc = _is_strong(a_to_b), _is_strong(b_to_c)
    share = [norms / np.maximum(np.linalg.norm(norms, axis=1, keepdims=True), 1e-30) for norms in (a_to_b, b_to_c, a_to_c)]
    for c, a in np.argwhere(direct & (over > 0)):
        for b in np.nonzero(strong_bc[c] & strong_ab[:, a])[0]:
            score = min(float(share[0][b, a]), float(share[1][c, b]), float(share[2][c, a]))
            instances.append(Instance((int(a), int(b), int(c)), score))
    generator = np.random.default_rng(seed)
    columns = np.arange(a_to_c.shape[1])
    null = [
        int(sum(over[c, generator.choice(columns, int(row.sum()), replace=False)].sum() for c, row in enumerate(direct)))
        for _ in range(num_shuffles)
    ]
    return _counted("feed_forward", int(over[direct].sum()), null, seed, instances, limit)


def find_equivariant_chains(weights: Weights, *, seed: int = 0, num_shuffles: int = 20, limit: int = 50) -> MotifCount:
    """Return the chains of four edges whose kernels turn by 90 degrees from one to the next.

    All are counted. Four targets that read several sources alike make a chain with each choice among them, so that only the
    clearest chain of any four targets is an instance.

    Args:
        weights: `[target, source, height, width]`, kernels of at least 3 x 3.
        seed: Of the shuffles.
        num_shuffles: How many.
        limit: How many instances are returned.
    """
    found = _turning(weights)
    clearest: dict[frozenset[int], Instance] = {}
    for instance in sorted(found, key=lambda instance: (-instance.score, instance.units)):
        clearest.setdefault(frozenset(instance.units[1::2]), instance)
    generator = np.random.default_rng(seed)
    null = []
    for _ in range(num_shuffles):
        elements = weights.reshape(*weights.shape[:2], -1)
        null.append(len(_turning(generator.permuted(elements, axis=2).reshape(weights.shape))))
    return _counted("equivariant", len(found), null, seed, clearest.values(), limit)


def _turning(weights: Weights) -> list[Instance]:
    """Return the closed chains among the strongest edges."""
    num_targets = len(weights)
    energy = np.square(weights, dtype=np.float64).sum(axis=(-2, -1))
    strong, _ = _strongest(np.sqrt(energy), NUM_STRONG)
    edges = np.array([(target, int(source)) for target in range(num_targets) for source in strong[target]], np.intp)
    edges = edges[np.argsort(-energy[edges[:, 0], edges[:, 1]], kind="stable")[:_MAX_EDGES]]
    kernels = weights[edges[:, 0], edges[:, 1]].astype(np.float64)
    # What does not change when it is turned says nothing about turning.
    symmetric = sum(np.rot90(kernels, quarter, axes=(1, 2)) for quarter in range(4)) / 4
    flat = kernels.reshape(len(kernels), -1)
    lengths = np.linalg.norm(flat, axis=1)
    is_turning = np.linalg.norm((kernels - symmetric).reshape(len(kernels), -1), axis=1) > TURNING * np.maximum(lengths, 1e-30)
    edges, flat, lengths = edges[is_turning], flat[is_turning], lengths[is_turning]
    if len(edges) < 4:
        return []
    unit = flat / lengths[:, None]
    turned = np.rot90(unit.reshape(len(unit), *weights.shape[-2:]), 1, axes=(1, 2)).reshape(len(unit), -1)
    likeness = turned @ unit.T
    is_step = (likeness > TURNED) & (edges[:, None, 0] != edges[None, :, 0]) & (edges[:, None, 1] != edges[None, :, 1])
    chains: dict[tuple[int, ...], Instance] = {}
    for walk in _closed_walks(is_step, likeness):
        ends = [edges[place] for place in walk]
        score = min(float(likeness[one, two]) for one, two in pairwise([*walk, walk[0]]))
        units = tuple(int(index) for target, source in ends for index in (source, target))
        chains.setdefault(tuple(sorted(walk)), Instance(units, score))
    return list(chains.values())


def _closed_walks(is_step: NDArray[np.bool_], likeness: NDArray[np.float64]) -> Iterator[list[int]]:
    """Yield every walk over four different edges that comes back, following the likest few steps from each edge."""
    following: list[list[int]] = []
    for place, row in enumerate(is_step):
        found = np.flatnonzero(row)
        order = np.argsort(-likeness[place, found], kind="stable")[:_MAX_BRANCHES]
        following.append(found[order].tolist())
    for start in range(len(is_step)):
        walks = [[start]]
        for _ in range(3):
            walks = [[*walk, step] for walk in walks for step in following[walk[-1]] if step > start and step not in walk]
        yield from (walk for walk in walks if start in following[walk[-1]])


def _excitation(weights: Weights) -> NDArray[np.float64]:
    """Return the sum of each kernel, 0 where it adds no more than it takes away elsewhere, as an edge does."""
    sums = weights.sum(axis=(-2, -1), dtype=np.float64)
    largest = _norms(weights) * np.sqrt(weights.shape[-2] * weights.shape[-1])
    return np.where(sums > ONE_WAY * largest, sums, 0.0)


def _norms(weights: Weights) -> NDArray[np.float64]:
    return np.sqrt(np.square(weights, dtype=np.float64).sum(axis=(-2, -1)))


def _strongest(values: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the columns of the largest values of each row, the largest first, and whether each is above zero."""
    order = np.argsort(-values, axis=1, kind="stable")[:, : min(count, values.shape[1])]
    return order, np.take_along_axis(values, order, axis=1) > 0


def _is_strong(norms: Weights) -> NDArray[np.bool_]:
    order, is_positive = _strongest(norms.astype(np.float64), NUM_STRONG)
    found = np.zeros(norms.shape, np.bool_)
    np.put_along_axis(found, order, is_positive, axis=1)
    return found


def _drawn(generator: np.random.Generator, shape: tuple[int, ...], num_sources: int) -> NDArray[np.intp]:
    """Draw different sources for each row."""
    keys = generator.random((shape[0], num_sources))
    return np.argpartition(keys, min(shape[1], num_sources - 1), axis=1)[:, : shape[1]]


def _dealt(generator: np.random.Generator, weights: Weights) -> Weights:
    order = np.argsort(generator.random(weights.shape[:2]), axis=1)
    return np.take_along_axis(weights, order[:, :, None, None], axis=1)


def _counted(kind: Kind, count: int, null: Iterable[int], seed: int, instances: Iterable[Instance], limit: int) -> MotifCount:
    counts = np.array(list(null), np.float64)
    mean, spread = float(counts.mean()), float(counts.std(ddof=1)) if len(counts) > 1 else 0.0
    # Counts in shuffles that never differ are no more certain than one part in their number.
    floor = 1 / np.sqrt(len(counts))
    z = None if spread == 0 and count == mean else (count - mean) / max(spread, floor)
    ordered = sorted(instances, key=lambda instance: (-instance.score, instance.units))
    return MotifCount(kind, count, mean, spread, z, len(counts), seed, tuple(ordered[:limit]))
