"""Motifs in weights, each counted against weights that were shuffled: what Zoom In found by eye, looked for everywhere.

union          A unit with two strong excitatory inputs that are built from opposite things: the cases that it unites.
opponent       Two units of a layer built from opposite things: what excites the one inhibits the other.
feed_forward   a feeds b and c, and b feeds c, all three strongly.
equivariant    Kernels that turn along a diagonal: four edges, each between other units than the one before and its kernel that
               one's turned by 90 degrees; the last one turned is the first. No edge counts in two chains.

A count means something only beside the count in shuffled weights; `NULLS` says what is shuffled. The z-score is the difference
in standard deviations of the counts in `n` shuffles, and `p` the share of counts that are at least as high, the true weights
counted among the shuffles. Kernels keep their shape in all shuffles: those of trained networks are smooth, and smooth kernels
are often like each other turned. Of `equivariant`, four kernels that make a chain still do in 24 of 256 shuffles.

Sources: Olah et al., "Zoom In", Distill, 2020, https://distill.pub/2020/circuits/zoom-in/; Olah et al., "Naturally Occurring
Equivariance in Neural Networks", Distill, 2020, https://distill.pub/2020/circuits/equivariance/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["union", "opponent", "feed_forward", "equivariant"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NUM_STRONG = 4
OPPOSITE = -0.3
ONE_WAY = 0.25
"""Of the largest sum that a kernel of its norm can have: below it, the kernel is no excitation and no inhibition as a whole."""
TURNED = 0.97
"""Cosine above which a kernel is another one turned; unrelated smooth kernels of 3 x 3 often reach 0.9."""
TURNING = 0.25
NUM_SHUFFLES = 100
NUM_TURNS = 50
NULLS: Mapping[Kind, str] = {
    "union": "The kernels into each unit are dealt out to its sources anew.",
    "opponent": "The kernels into each unit are dealt out to its sources anew.",
    "feed_forward": "The kernels from a's layer into each c are dealt out to its sources anew; where c reads the sum of a's "
    "layer and b's, those from b's layer along with them.",
    "equivariant": "All kernels into a unit are turned together, by 0, 90, 180 or 270 degrees at random.",
}
"""What is shuffled."""
_MAX_EDGES = 1000
_MAX_BRANCHES = 4
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
        z: (count - mean) / standard deviation, which counts as no less than 1 / sqrt(num_shuffles): where shuffled weights all
            give the same count, z says no more than that; None where that is the count as well.
        p: (1 + number of shuffles with a count at least as high) / (num_shuffles + 1).
        num_shuffles: How many shuffles.
        seed: Of the shuffles.
        instances: The clearest.
    """

    kind: Kind
    count: int
    null_mean: float
    null_std: float
    z: float | None
    p: float
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
    a_to_b: Weights,
    b_to_c: Weights,
    a_to_c: Weights,
    *,
    copies: NDArray[np.bool_] | None = None,
    seed: int = 0,
    num_shuffles: int = NUM_SHUFFLES,
    limit: int = 50,
) -> MotifCount:
    """Return the feed-forward loops: a feeds b, b feeds c, and a feeds c, all three among the strongest inputs.

    Where c reads the sum of a's layer and b's, unit i of the one and unit i of the other are one channel to c: a loop over both
    would count one weight twice, and is none. Dealing out anew spreads evenly what is read: sources that many c read raise z.

    Args:
        a_to_b: Norms `[b, a]`.
        b_to_c: Norms `[c, b]`.
        a_to_c: Norms `[c, a]`; these are dealt out anew in the shuffles, and with any copies those of b along with them.
        copies: Whether c reads unit i of a's layer and of b's as one channel `[i]`, see `find_copies`; None for none.
        seed: Of the shuffles.
        num_shuffles: How many.
        limit: How many instances are returned.
    """
    strong_ab, strong_bc, strong_ac = (_is_strong(norms) for norms in (a_to_b, b_to_c, a_to_c))
    share = [norms / np.maximum(np.linalg.norm(norms, axis=1, keepdims=True), 1e-30) for norms in (a_to_b, b_to_c, a_to_c)]
    is_tied = False
    if copies is not None and copies.any():
        is_tied = True
        np.fill_diagonal(strong_ab, strong_ab.diagonal() & ~copies)
    feeds = strong_ab.astype(np.float32)

    def count(from_b: NDArray[np.bool_], from_a: NDArray[np.bool_]) -> int:
        return int((from_b.astype(np.float32) @ feeds)[from_a].sum())

    instances: list[Instance] = []
    for c, a in np.argwhere(strong_ac):
        for b in np.flatnonzero(strong_bc[c] & strong_ab[:, a]):
            score = min(float(share[0][b, a]), float(share[1][c, b]), float(share[2][c, a]))
            instances.append(Instance((int(a), int(b), int(c)), score))
    generator = np.random.default_rng(seed)
    null: list[int] = []
    for _ in range(num_shuffles):
        order = np.argsort(generator.random(strong_ac.shape), axis=1)
        from_a, from_b = (
            np.take_along_axis(strong, order, axis=1) if is_tied or strong is strong_ac else strong
            for strong in (strong_ac, strong_bc)
        )
        null.append(count(from_b, from_a))
    return _counted("feed_forward", len(instances), null, seed, instances, limit)


def find_copies(b_to_c: Weights, a_to_c: Weights) -> NDArray[np.bool_]:
    """Return whether c reads unit i of a's layer and unit i of b's with equal kernels, as it reads what was added `[i]`.

    Args:
        b_to_c: Kernels `[c, b, height, width]`.
        a_to_c: Kernels `[c, a, height, width]`.
    """
    if b_to_c.shape != a_to_c.shape:
        return np.zeros(a_to_c.shape[1], np.bool_)
    return (b_to_c == a_to_c).all(axis=(0, 2, 3)) & (a_to_c != 0).any(axis=(0, 2, 3))


def find_equivariant_chains(weights: Weights, *, seed: int = 0, num_shuffles: int = NUM_TURNS, limit: int = 50) -> MotifCount:
    """Return the chains of four edges whose kernels turn by 90 degrees from one to the next, no two with an edge in common.

    The clearest is taken first; of chains that are as clear, the one whose kernels have the largest norms.

    Args:
        weights: `[target, source, height, width]`, square kernels of at least 3 x 3.
        seed: Of the shuffles.
        num_shuffles: How many.
        limit: How many instances are returned.
    """
    edges, kernels = _turning_edges(weights)
    is_apart = (edges[:, None] != edges[None]).all(axis=2)
    instances: list[Instance] = []
    for walk, score in zip(*_disjoint_chains(kernels, is_apart), strict=True):
        units = tuple(int(index) for target, source in edges[walk] for index in (source, target))
        instances.append(Instance(units, float(score)))
    generator = np.random.default_rng(seed)
    null: list[int] = []
    for _ in range(num_shuffles):
        # Those into one unit together: composed over a depthwise layer, all of them have one shape.
        quarters = generator.integers(4, size=len(weights))[edges[:, 0]]
        turned = np.empty_like(kernels)
        for quarter in range(4):
            turned[quarters == quarter] = np.rot90(kernels[quarters == quarter], quarter, axes=(1, 2))
        null.append(len(_disjoint_chains(turned, is_apart)[0]))
    return _counted("equivariant", len(instances), null, seed, instances, limit)


def _turning_edges(weights: Weights) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the strongest edges whose kernels change when they are turned.

    Returns:
        Target and source `[edge, 2]`, the largest norm first, and the kernels with norm 1 `[edge, height, width]`.
    """
    energy = np.square(weights, dtype=np.float64).sum(axis=(-2, -1))
    strong, _ = _strongest(np.sqrt(energy), NUM_STRONG)
    edges = np.array([(target, int(source)) for target in range(len(weights)) for source in strong[target]], np.intp)
    edges = edges[np.argsort(-energy[edges[:, 0], edges[:, 1]], kind="stable")[:_MAX_EDGES]]
    kernels = weights[edges[:, 0], edges[:, 1]].astype(np.float64)
    # What does not change when it is turned says nothing about turning.
    symmetric = sum(np.rot90(kernels, quarter, axes=(1, 2)) for quarter in range(4)) / 4
    lengths = np.linalg.norm(kernels, axis=(1, 2))
    is_turning = np.linalg.norm(kernels - symmetric, axis=(1, 2)) > TURNING * np.maximum(lengths, 1e-30)
    return edges[is_turning], (kernels[is_turning] / lengths[is_turning, None, None]).astype(np.float32)


def _disjoint_chains(kernels: NDArray[np.float32], is_apart: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return chains without an edge in common `[chain, 4]`, as places among the edges, and the least likeness of each.

    Args:
        kernels: Of the edges, with norm 1 `[edge, height, width]`.
        is_apart: Whether two edges have different sources and different targets `[edge, edge]`.
    """
    flat = kernels.reshape(len(kernels), kernels.shape[1] * kernels.shape[2])
    likeness = np.rot90(kernels, 1, axes=(1, 2)).reshape(flat.shape) @ flat.T
    is_step = (likeness > TURNED) & is_apart
    # Most edges lead nowhere, or nothing leads to them.
    linked = np.flatnonzero(is_step.any(axis=0) & is_step.any(axis=1))
    walks = linked[_closed_walks(is_step[np.ix_(linked, linked)], likeness[np.ix_(linked, linked)])]
    scores = likeness[walks, np.roll(walks, -1, axis=1)].min(axis=1)
    # Rounded, so that of chains that are equally clear up to rounding the strongest edges decide, on every machine.
    order = np.lexsort((*np.sort(walks, axis=1).T[::-1], -scores.round(4)))
    chosen = _disjoint(walks[order], len(kernels))
    return walks[order][chosen], scores[order][chosen]


def _closed_walks(is_step: NDArray[np.bool_], likeness: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return walks over four different edges that come back `[walk, 4]`, following the likest few steps from each edge."""
    if not len(is_step):
        return np.zeros((0, 4), np.intp)
    value = np.where(is_step, likeness, -np.inf)
    count = min(_MAX_BRANCHES, len(value))
    following = np.argpartition(-value, count - 1, axis=1)[:, :count]
    following[np.take_along_axis(value, following, axis=1) == -np.inf] = -1
    walks = np.arange(len(is_step))[:, None]
    for _ in range(3):
        steps = following[walks[:, -1]]
        is_new = (steps >= 0) & (steps[:, :, None] != walks[:, None, :]).all(axis=2)
        before, column = np.nonzero(is_new)
        walks = np.concatenate([walks[before], steps[before, column][:, None]], axis=1)
    return walks[is_step[walks[:, -1], walks[:, 0]]]


def _disjoint(walks: NDArray[np.intp], num_edges: int) -> list[int]:
    """Return the places of walks, the first first, that have no edge in common with one taken before."""
    is_taken = [False] * num_edges
    chosen: list[int] = []
    for place, (one, two, three, four) in enumerate(walks.tolist()):
        if not (is_taken[one] or is_taken[two] or is_taken[three] or is_taken[four]):
            is_taken[one] = is_taken[two] = is_taken[three] = is_taken[four] = True
            chosen.append(place)
    return chosen


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
    floor = float(1 / np.sqrt(len(counts)))
    z = None if spread == 0 and count == mean else (count - mean) / max(spread, floor)
    p = (1 + int((counts >= count).sum())) / (len(counts) + 1)
    ordered = sorted(instances, key=lambda instance: (-instance.score, instance.units))
    return MotifCount(kind, count, mean, spread, z, p, len(counts), seed, tuple(ordered[:limit]))
