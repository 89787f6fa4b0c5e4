"""The layers of a model as a graph whose links carry weights: what expanded weights, paths and motifs are computed on."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.domain import Placement

Array = NDArray[Any]
UnitKey = tuple[str, int]
"""Layer and index of a unit."""
Way = Sequence[str] | frozenset[str]
"""Which paths between two layers count: those over exactly these layers in this order; of a set, all that go over no others."""
MERGES = frozenset({"add", "concat"})
ALL_WAYS: Way = frozenset({"*"})
"""Every path. Where two layers are directly linked, no way at all stands for that link alone: the kernels that are stored."""


@dataclass(frozen=True)
class Node:
    """A layer.

    Attributes:
        name: Of the layer.
        num_units: How many units it has.
        is_merge: Whether it is a stream or a concatenation: a view of the layers that make it, which no path goes through.
        is_linear: Whether its activation is its pre-activation: no nonlinearity follows.
        map_size: Height and width of its map, or None where it has none or it is not known.
        is_depthwise: Whether each of its units reads one unit alone.
    """

    name: str
    num_units: int
    is_merge: bool = False
    is_linear: bool = False
    map_size: tuple[int, int] | None = None
    is_depthwise: bool = False


@dataclass(frozen=True)
class Link:
    """The weights from one layer to one directly after it.

    Attributes:
        source, target: Names of the layers.
        placement: Where the kernels lie on the source's map.
        is_exact: Whether nothing but linear operations lies between.
        load: Returns the array: `[target, source, height, width]`, or `[unit, height, width]`, each unit to itself.
    """

    source: str
    target: str
    placement: Placement
    is_exact: bool
    load: Callable[[], Array]


class WeightGraph:
    """All layers and links of a model.

    Args:
        nodes: The layers in order of execution.
        links: The links that have weights.
    """

    def __init__(self, nodes: Sequence[Node], links: Iterable[Link]) -> None:
        self.nodes: Mapping[str, Node] = {node.name: node for node in nodes}
        self.order = {node.name: place for place, node in enumerate(nodes)}
        self.links = tuple(links)

    @cached_property
    def _into(self) -> dict[str, list[Link]]:
        found: dict[str, list[Link]] = {}
        for link in self.links:
            found.setdefault(link.target, []).append(link)
        return found

    @cached_property
    def _before(self) -> dict[str, list[str]]:
        return {target: [link.source for link in links] for target, links in self._into.items()}

    @cached_property
    def _after(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for link in self.links:
            found.setdefault(link.source, []).append(link.target)
        return found

    def links_into(self, target: str, source: str | None = None) -> list[Link]:
        """Return the links into a layer that paths may take: those from layers with parameters, and those from `source`.

        A stream or concatenation repeats what the layers that make it give; only a path that begins there reads it.
        """
        found = self._into.get(target, [])
        return [link for link in found if link.source == source or not self.nodes[link.source].is_merge]

    def links_between(self, source: str, target: str, route: Way | None = None) -> list[Link]:
        """Return every link on a path from one layer to another, the last first.

        Args:
            source: The earlier layer.
            target: The later layer.
            route: Only the path over these layers, in order of execution, `source` and `target` left out; of a set, every path
                that goes over no other layers.
        """
        if route == ALL_WAYS:
            route = None
        if isinstance(route, frozenset):
            inside = route | {source, target}
            links = [link for link in self.links if link.source in inside and link.target in inside]
            return WeightGraph(list(self.nodes.values()), links).links_between(source, target)
        if route is not None:
            stops = [source, *route, target]
            steps = set(pairwise(stops))
            chosen = [link for link in self.links if (link.source, link.target) in steps]
            return sorted(chosen, key=lambda link: -self.order[link.target])
        reaching = self._reaching(source, target)
        chosen = [link for name in reaching if name != source for link in self.links_into(name, source)]
        return sorted(
            (link for link in chosen if link.source in reaching), key=lambda link: (-self.order[link.target], link.source)
        )

    def _reaching(self, source: str, target: str) -> set[str]:
        """Return the layers on paths from `source` to `target`, both with them; empty where there is no path."""
        span = list(self.order)[self.order[source] + 1 : self.order[target] + 1]
        forth = {source}
        for name in span:
            if any(link.source in forth for link in self.links_into(name, source)):
                forth.add(name)
        back = {target} & forth if span else set[str]()
        for name in reversed(span):
            if name in back:
                back |= {link.source for link in self.links_into(name, source) if link.source in forth}
        return back

    def layers_before(self, target: str, nearest: int | None = None) -> list[str]:
        """Return every layer that a path to `target` begins at, in order of execution; only the nearest where so asked."""
        return self._reached(target, self._before, -1, nearest)[::-1]

    def layers_after(self, source: str, nearest: int | None = None) -> list[str]:
        """Return every layer that a path from `source` ends at, in order of execution; only the nearest where so asked."""
        return self._reached(source, self._after, 1, nearest)

    def _reached(self, start: str, neighbours: Mapping[str, Sequence[str]], way: int, nearest: int | None) -> list[str]:
        # Links lead one way in the order of execution, so that taking the nearest first takes each layer in its turn.
        found: list[str] = []
        seen, pending = {start}, [(way * self.order[start], start)]
        while pending and (nearest is None or len(found) <= nearest):
            here = heapq.heappop(pending)[1]
            found.append(here)
            if self.nodes[here].is_merge and here != start:  # see `links_into`: no path goes through it
                continue
            for name in neighbours.get(here, ()):
                if name not in seen:
                    seen.add(name)
                    heapq.heappush(pending, (way * self.order[name], name))
        return found[1:]

    def routes(self, source: str, target: str, limit: int) -> tuple[list[tuple[str, ...]], int]:
        """Return the ways from one layer to another, as the layers between, the shortest first, and how many there are.

        Args:
            source: The earlier layer.
            target: The later layer.
            limit: How many are returned.
        """
        links = self.links_between(source, target)
        count = {target: 1}
        for link in links:
            count[link.source] = count.get(link.source, 0) + count.get(link.target, 0)
        into: dict[str, list[str]] = {}
        for link in links:
            into.setdefault(link.target, []).append(link.source)
        found: list[tuple[str, ...]] = []
        pending: list[tuple[str, ...]] = [()] if links else []
        while pending and len(found) < limit:
            steps = [(route, name) for route in pending for name in into.get(route[0] if route else target, [])]
            found += [route for route, name in steps if name == source]
            pending = [(name, *route) for route, name in steps if name != source][: 64 * limit]
        return found[:limit], count.get(source, 0)

    def is_exact(self, links: Iterable[Link]) -> bool:
        """Tell whether a path over these links meets nothing but linear operations."""
        chosen = list(links)
        sources = {link.source for link in chosen}
        inner = {link.target for link in chosen} & sources
        return all(link.is_exact for link in chosen) and all(self.nodes[name].is_linear for name in inner)


def squares_and_sums(array: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the squared L2 norm and the signed sum of each kernel, in float64.

    Args:
        array: `[..., height, width]`.
    """
    exact = array.astype(np.float64, copy=False)
    return np.einsum("...hw,...hw->...", exact, exact), exact.sum(axis=(-2, -1))
