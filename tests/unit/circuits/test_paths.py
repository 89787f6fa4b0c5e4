"""The strongest paths are those of a search over all of them."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from precompute.circuits.graph import Link, Node, WeightGraph
from precompute.circuits.paths import Path, shortest_paths, strongest_paths
from precompute.domain import Placement

NODES = [("a", 4), ("b", 5), ("c", 5), ("d", 3), ("e", 4)]


def graph(seed: int = 0) -> WeightGraph:
    """Return a chain of five layers with a depthwise step and a skip."""
    generator = np.random.default_rng(seed)
    arrays = {
        ("a", "b"): generator.normal(size=(5, 4, 3, 3)),
        ("b", "c"): generator.normal(size=(5, 3, 3)),
        ("c", "d"): generator.normal(size=(3, 5, 1, 1)),
        ("b", "d"): generator.normal(size=(3, 5, 1, 1)) * 0.3,
        ("d", "e"): generator.normal(size=(4, 3, 1, 1)),
    }
    links = [Link(*ends, Placement(), True, lambda array=array: array) for ends, array in arrays.items()]
    return WeightGraph([Node(*node) for node in NODES], links)


def every_path(
    weights: WeightGraph, source: tuple[str, int], target: tuple[str, int]
) -> list[tuple[float, tuple[tuple[str, int], ...]]]:
    """Return all paths with their strengths, by trying all."""
    sizes = dict(NODES)
    arrays = {(link.source, link.target): link.load() for link in weights.links}
    found = []
    for route in (("a", "b", "c", "d", "e"), ("a", "b", "d", "e")):
        for between in product(*(range(sizes[name]) for name in route[1:-1])):
            units = [source, *zip(route[1:-1], between, strict=True), target]
            strength = 1.0
            for (before, one), (after, two) in pairwise(units):
                array = arrays[before, after]
                if array.ndim == 3:
                    strength *= np.linalg.norm(array[two]) if one == two else 0.0
                else:
                    strength *= np.linalg.norm(array[two, one])
            if strength > 0:
                found.append((float(strength), tuple(units)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_strongest_paths_are_those_of_a_whole_search(seed: int) -> None:
    weights = graph(seed)
    source, target = ("a", seed % 4), ("e", 3 - seed % 4)
    expected = every_path(weights, source, target)
    found = strongest_paths(weights, source, target, 7)
    assert [path.units for path in found] == [units for _, units in expected[:7]]
    np.testing.assert_allclose([path.strength for path in found], [strength for strength, _ in expected[:7]], rtol=1e-5)
    for path in found:
        assert path.strength == pytest.approx(np.prod(path.norms), rel=1e-5)
        assert path.sign == np.prod(np.sign(path.sums))
    assert len(strongest_paths(weights, source, target, 500)) == len(expected)


def test_shortest_paths_go_over_the_fewest_layers() -> None:
    weights = graph()
    found = shortest_paths(weights, ("a", 0), ("e", 1), 3)
    expected = [units for _, units in every_path(weights, ("a", 0), ("e", 1)) if len(units) == 4][:3]
    assert [path.units for path in found] == expected
    assert shortest_paths(weights, ("e", 0), ("a", 0), 3) == []
    assert strongest_paths(weights, ("e", 0), ("a", 0), 3) == []


def test_shares_do_not_change_when_a_layer_is_scaled() -> None:
    weights = graph()
    scaled = WeightGraph(
        list(weights.nodes.values()),
        [
            Link(
                link.source, link.target, link.placement, True, lambda link=link: link.load() * (50 if link.target == "d" else 1)
            )
            for link in weights.links
        ],
    )

    def into(found: WeightGraph) -> dict[str, np.ndarray]:
        totals: dict[str, np.ndarray] = {}
        for link in found.links:
            squares = np.square(link.load()).sum(axis=(-2, -1))
            squares = squares if squares.ndim == 1 else squares.sum(axis=1)
            totals[link.target] = totals.get(link.target, 0) + squares
        return {name: np.sqrt(total) for name, total in totals.items()}

    def answer(found: WeightGraph, with_scale: bool) -> list[Path]:
        return strongest_paths(found, ("a", 1), ("e", 2), 4, scale=into(found) if with_scale else None)

    first, second = answer(weights, True), answer(scaled, True)
    assert [path.units for path in first] == [path.units for path in second]
    np.testing.assert_allclose([path.strength for path in first], [path.strength for path in second], rtol=1e-5)
    assert answer(scaled, False)[0].strength == pytest.approx(50 * answer(weights, False)[0].strength, rel=1e-5)
    assert all(path.strength <= 1 for path in first)


def test_shortest_paths_by_share_multiply_shares() -> None:
    weights = graph()
    generator = np.random.default_rng(5)
    scale = {name: generator.uniform(0.5, 5, size) for name, size in NODES}
    plain = shortest_paths(weights, ("a", 0), ("e", 1), 3)
    shared = shortest_paths(weights, ("a", 0), ("e", 1), 3, scale=scale)
    for path in shared:
        parts = [norm / scale[layer][unit] for norm, (layer, unit) in zip(path.norms, path.units[1:], strict=True)]
        assert path.strength == pytest.approx(np.prod(parts), rel=1e-5)
    assert [path.strength for path in plain] != [path.strength for path in shared]


@pytest.mark.parametrize("depth", [35, 60, 119])
def test_paths_of_deep_networks_do_not_vanish(depth: int) -> None:
    generator = np.random.default_rng(depth)
    names = [f"layer{place}" for place in range(depth + 1)]
    arrays = {ends: generator.normal(0, 0.02, (8, 8, 1, 1)).astype(np.float32) for ends in pairwise(names)}
    links = [Link(*ends, Placement(), True, lambda array=array: array) for ends, array in arrays.items()]
    deep = WeightGraph([Node(name, 8) for name in names], links)
    found = strongest_paths(deep, (names[0], 1), (names[-1], 2), 2)
    assert len(found) == 2
    # The best product of absolute weights, layer by layer, in logarithms.
    best = np.full(8, -np.inf)
    best[1] = 0.0
    for array in arrays.values():
        best = (np.log(np.abs(array[..., 0, 0].astype(np.float64))) + best).max(axis=1)
    assert np.log(found[0].strength) == pytest.approx(best[2], rel=1e-4)


def test_no_path_leads_through_a_stream_that_it_does_not_begin_in() -> None:
    names = [Node("a", 2), Node("stream", 2, True), Node("b", 2)]
    array = np.ones((2, 2, 1, 1))
    links = [Link(*ends, Placement(), True, lambda: array) for ends in (("a", "stream"), ("stream", "b"))]
    weights = WeightGraph(names, links)
    assert weights.layers_before("b") == ["stream"]
    assert weights.layers_after("a") == ["stream"]
    assert weights.layers_after("stream") == ["b"]
    assert weights.links_between("a", "b") == []


def test_nearest_layers_are_the_last_before_and_the_first_after() -> None:
    weights = graph()
    assert weights.layers_before("e") == ["a", "b", "c", "d"]
    assert weights.layers_before("e", 2) == ["c", "d"]
    assert weights.layers_after("a") == ["b", "c", "d", "e"]
    assert weights.layers_after("a", 3) == ["b", "c", "d"]
    assert weights.layers_after("e") == []
