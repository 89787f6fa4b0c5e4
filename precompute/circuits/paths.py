"""Paths of weights between two units: the strongest, and the shortest.

The strength of a path is the product of the L2 norms of the kernels of its steps; its sign is the product of the signs of
their sums. A step's norm may be given as a share of all that comes into its target, so that layers of large weights do not win
by their size alone. A strong path says that the weights allow it, not that images use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.graph import Link, UnitKey, WeightGraph


@dataclass(frozen=True)
class Path:
    """A chain of units.

    Attributes:
        units: From the first to the last.
        strength: Product of the norms of its steps, as shares of what comes into each target where so asked.
        sign: 1 or -1, product of the signs of the steps' sums; 0 where one sum is 0.
        norms: Of each step.
        sums: Of each step.
    """

    units: tuple[UnitKey, ...]
    strength: float
    sign: int
    norms: tuple[float, ...]
    sums: tuple[float, ...]


@dataclass(frozen=True)
class StepWeights:
    """Norms and sums of all kernels of a link: `[target, source]`, or `[unit]` where each unit reads only itself."""

    norms: NDArray[np.float32]
    sums: NDArray[np.float32]


Weigh = Callable[[Link], StepWeights]


def weigh(link: Link) -> StepWeights:
    """Return norms and sums of all kernels of a link.

    Args:
        link: Its array is read once.
    """
    array = link.load()
    if array.shape[-2:] == (1, 1):
        sums = np.asarray(array[..., 0, 0], np.float32)
        return StepWeights(np.abs(sums), sums)
    flat = array.reshape(*array.shape[:-2], -1)
    return StepWeights(np.sqrt(np.einsum("...k,...k->...", flat, flat)), flat.sum(axis=-1))


def strongest_paths(
    graph: WeightGraph,
    source: UnitKey,
    target: UnitKey,
    count: int,
    *,
    weigh: Weigh = weigh,
    scale: Mapping[str, NDArray[np.float64]] | None = None,
    links: Sequence[Link] | None = None,
) -> list[Path]:
    """Return the strongest paths between two units, the strongest first.

    Walks back from the target and keeps, for each unit of each layer, the `count` strongest ways on to the target: those of
    any path among the strongest are among them.

    Args:
        graph: Of the model.
        source: The first unit.
        target: The last unit.
        count: How many paths.
        weigh: Returns norms and sums of a link, perhaps kept from an earlier question.
        scale: What the norms into each unit of a layer are divided by `[unit]`, by the name of the layer; 1 where missing.
        links: Only paths over these links; all links between the two layers otherwise.
    """
    chosen = list(links) if links is not None else graph.links_between(source[0], target[0])
    tails = {target[0]: _Tails.of_target(graph.nodes[target[0]].num_units, target[1], count)}
    for link in chosen:
        here = tails.get(link.target)
        if here is None:
            continue
        step = _step_back(here, link, weigh(link), None if scale is None else scale.get(link.target))
        known = tails.get(link.source)
        tails[link.source] = step if known is None else known.merged(step)
    if source[0] not in tails or not chosen:
        return []
    found = []
    for place in range(count):
        path = _trace(tails, source, target, place, weigh, chosen)
        if path is not None:
            found.append(path)
    return found


def shortest_paths(
    graph: WeightGraph,
    source: UnitKey,
    target: UnitKey,
    count: int,
    *,
    weigh: Weigh = weigh,
    scale: Mapping[str, NDArray[np.float64]] | None = None,
) -> list[Path]:
    """Return the strongest of the paths that go over the fewest layers.

    Args:
        graph: Of the model.
        source: The first unit.
        target: The last unit.
        count: How many paths.
        weigh: Returns norms and sums of a link.
        scale: See `strongest_paths`.
    """
    links = graph.links_between(source[0], target[0])
    fewest, most = {target[0]: 0}, {target[0]: 0}
    for link in links:
        fewest[link.source] = min(fewest.get(link.source, len(graph.nodes)), fewest[link.target] + 1)
        most[link.source] = max(most.get(link.source, 0), most[link.target] + 1)
    # A depthwise unit reads itself alone, so the route over the fewest layers may not join just these two units.
    for length in range(fewest.get(source[0], 1), most.get(source[0], 0) + 1):
        found = _paths_of_length(graph, source, target, count, weigh, links, length, scale)
        if found:
            return found
    return []


def _paths_of_length(
    graph: WeightGraph,
    source: UnitKey,
    target: UnitKey,
    count: int,
    weigh: Weigh,
    links: Sequence[Link],
    length: int,
    scale: Mapping[str, NDArray[np.float64]] | None,
) -> list[Path]:
    """Return the strongest paths of exactly so many steps."""
    stages: list[dict[str, _Tails]] = [{target[0]: _Tails.of_target(graph.nodes[target[0]].num_units, target[1], count)}]
    for _ in range(length):
        stage: dict[str, _Tails] = {}
        for link in links:
            here = stages[-1].get(link.target)
            if here is not None:
                step = _step_back(here, link, weigh(link), None if scale is None else scale.get(link.target))
                known = stage.get(link.source)
                stage[link.source] = step if known is None else known.merged(step)
        stages.append(stage)
    if source[0] not in stages[-1]:
        return []
    found = [_trace_stages(stages, source, target, place, weigh, links) for place in range(count)]
    return [path for path in found if path is not None]


@dataclass
class _Tails:
    """The strongest ways from each unit of a layer on to the target, `[unit, place]`.

    Attributes:
        strengths: Products of norms; 0 where there are no more ways.
        layers: Names of the layers that the ways go to next; `""` at the target.
        next_layer: Number of that layer in `layers`.
        next_unit: The unit there.
        next_place: Which of that unit's ways.
    """

    strengths: NDArray[np.float64]
    layers: list[str]
    next_layer: NDArray[np.int32]
    next_unit: NDArray[np.int32]
    next_place: NDArray[np.int32]

    @classmethod
    def of_target(cls, num_units: int, unit: int, count: int) -> _Tails:
        strengths = np.zeros((num_units, count))
        strengths[unit, 0] = 1.0
        nowhere = np.zeros((num_units, count), np.int32)
        return cls(strengths, [""], nowhere, nowhere, nowhere)

    def merged(self, other: _Tails) -> _Tails:
        """Return the strongest of two sets of ways."""
        count = self.strengths.shape[1]
        layers = [*self.layers, *other.layers]
        strengths = np.concatenate([self.strengths, other.strengths], axis=1)
        order = np.argsort(-strengths, axis=1, kind="stable")[:, :count]
        columns = [
            np.take_along_axis(np.concatenate(pair, axis=1), order, axis=1)
            for pair in (
                (self.next_layer, other.next_layer + np.int32(len(self.layers))),
                (self.next_unit, other.next_unit),
                (self.next_place, other.next_place),
            )
        ]
        return _Tails(np.take_along_axis(strengths, order, axis=1), layers, *columns)


def _step_back(here: _Tails, link: Link, weights: StepWeights, scale: NDArray[np.float64] | None) -> _Tails:
    norms = weights.norms
    count = here.strengths.shape[1]
    ways = here.strengths if scale is None else here.strengths / np.where(scale > 0, scale, np.inf)[:, None]
    if norms.ndim == 1:
        units = np.repeat(np.arange(len(norms), dtype=np.int32)[:, None], count, axis=1)
        places = np.repeat(np.arange(count, dtype=np.int32)[None], len(norms), axis=0)
        return _Tails(ways * norms[:, None], [link.target], np.zeros_like(units), units, places)
    used = np.nonzero(ways[:, 0] > 0)[0]
    num_sources = norms.shape[1]
    if not len(used):
        nothing = np.zeros((num_sources, count), np.int32)
        return _Tails(np.zeros((num_sources, count)), [link.target], nothing, nothing, nothing)
    # All ways of all targets side by side, the strongest of them kept for each source.
    # In 32 bits, for speed, and in parts of the largest: products over many layers are smaller than any number of 32 bits.
    largest = float(ways[used].max())
    strengths = norms[used].T[:, :, None] * (ways[used] / largest)[None].astype(np.float32)
    flat = strengths.reshape(num_sources, -1)
    kept = min(count, flat.shape[1])
    best = np.argmax(flat, axis=1)[:, None] if kept == 1 else _largest(flat, kept)
    found = np.take_along_axis(flat, best, axis=1).astype(np.float64) * largest
    units, places = used[best // count].astype(np.int32), (best % count).astype(np.int32)
    if kept < count:
        pad = [(0, 0), (0, count - kept)]
        found, units, places = np.pad(found, pad), np.pad(units, pad), np.pad(places, pad)
    return _Tails(found, [link.target], np.zeros_like(units), units, places)


def _largest(flat: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Return the places of the largest numbers of each row, the largest first, ties by place."""
    chosen = np.sort(np.argpartition(-flat, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(flat, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _trace(
    tails: Mapping[str, _Tails], source: UnitKey, target: UnitKey, place: int, weigh: Weigh, links: Sequence[Link]
) -> Path | None:
    strength = float(tails[source[0]].strengths[source[1], place])
    if strength <= 0:
        return None
    units = [source]
    while units[-1][0] != target[0]:
        here, unit = tails[units[-1][0]], units[-1][1]
        units.append((here.layers[here.next_layer[unit, place]], int(here.next_unit[unit, place])))
        place = int(here.next_place[unit, place])
    return _path(units, strength, weigh, links)


def _trace_stages(
    stages: Sequence[Mapping[str, _Tails]], source: UnitKey, target: UnitKey, place: int, weigh: Weigh, links: Sequence[Link]
) -> Path | None:
    strength = float(stages[-1][source[0]].strengths[source[1], place])
    if strength <= 0:
        return None
    units = [source]
    for stage in reversed(stages[1:]):
        here, unit = stage[units[-1][0]], units[-1][1]
        units.append((here.layers[here.next_layer[unit, place]], int(here.next_unit[unit, place])))
        place = int(here.next_place[unit, place])
    return _path(units, strength, weigh, links) if units[-1] == target else None


def _path(units: Sequence[UnitKey], strength: float, weigh: Weigh, links: Sequence[Link]) -> Path:
    by_ends = {(link.source, link.target): link for link in links}
    norms, sums = [], []
    for before, after in pairwise(units):
        weights = weigh(by_ends[before[0], after[0]])
        index = (after[1],) if weights.norms.ndim == 1 else (after[1], before[1])
        norms.append(float(weights.norms[index]))
        sums.append(float(weights.sums[index]))
    return Path(tuple(units), strength, int(np.prod(np.sign(sums))), tuple(norms), tuple(sums))
