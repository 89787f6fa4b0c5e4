"""Which layers are bottlenecks: by width on both sides, whatever the kind of network, and what lies past them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from precompute.circuits.bottlenecks import bottlenecks, ways_past
from precompute.circuits.graph import Link, Node, WeightGraph
from precompute.domain import Placement

Plan = dict[str, tuple[int, str]]
INVERTED: Plan = {
    "stem": (32, ""),
    "a.pw": (96, "stem"),
    "a.dw": (96, "a.pw"),
    "a.pwl": (24, "a.dw"),
    "b.pw": (144, "a.pwl"),
    "b.dw": (144, "b.pw"),
    "b.pwl": (24, "b.dw"),
    "c.pw": (144, "a.pwl b.pwl"),
    "head": (200, "c.pw"),
}
RESIDUAL: Plan = {
    "stem": (64, ""),
    "a.1": (64, "stem"),
    "a.2": (64, "a.1"),
    "a.3": (256, "a.2"),
    "b.1": (64, "a.3"),
    "b.2": (64, "b.1"),
    "b.3": (256, "b.2"),
    "c.1": (64, "a.3 b.3"),
    "c.2": (64, "c.1"),
    "c.3": (256, "c.2"),
}
INCEPTION: Plan = {
    "stem": (192, ""),
    "a.1x1": (64, "stem"),
    "a.reduce": (96, "stem"),
    "a.3x3": (128, "a.reduce"),
    "a.pool": (32, "stem"),
    "b.1x1": (128, "a.1x1 a.3x3 a.pool"),
    "b.reduce": (112, "a.1x1 a.3x3 a.pool"),
    "b.3x3": (192, "b.reduce"),
    "fc": (1000, "b.1x1 b.3x3"),
}
BASIC: Plan = {"stem": (64, ""), "a": (64, "stem"), "b": (64, "a"), "c": (128, "b"), "d": (128, "c"), "fc": (10, "d")}


def graph_of(plan: Plan) -> WeightGraph:
    nodes = [Node(name, width, is_depthwise=name.endswith(".dw")) for name, (width, _) in plan.items()]
    load = partial(np.zeros, (1, 1, 1, 1))
    links = [Link(source, name, Placement(), True, load) for name, (_, inputs) in plan.items() for source in inputs.split()]
    return WeightGraph(nodes, links)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (INVERTED, {"a.dw", "a.pwl", "b.dw", "b.pwl"}),
        (RESIDUAL, {"b.1", "b.2", "c.1", "c.2"}),  # not those after the stem, which is no wider
        (INCEPTION, {"a.reduce", "b.reduce"}),  # not the branches, which others lead round
        (BASIC, set[str]()),
    ],
    ids=["inverted residuals", "residual bottlenecks", "concatenated branches", "no bottleneck"],
)
def test_bottlenecks_of_each_kind_of_network(plan: Plan, expected: set[str]) -> None:
    assert bottlenecks(graph_of(plan)) == expected


def test_depthwise_alone() -> None:
    assert bottlenecks(graph_of(INVERTED), is_narrow=False) == {"a.dw", "b.dw"}


def test_layer_as_wide_as_what_reads_it_is_none() -> None:
    wide = INVERTED | {"a.pwl": (144, "a.dw")}
    assert "a.pwl" not in bottlenecks(graph_of(wide))


def test_end_of_what_is_built_is_none() -> None:
    part = {name: INVERTED[name] for name in ("stem", "a.pw", "a.dw", "a.pwl")}
    assert bottlenecks(graph_of(part)) == {"a.dw"}
    part.pop("a.pwl")
    assert bottlenecks(graph_of(part)) == frozenset()


def test_ways_lead_to_the_next_layers_that_are_shown() -> None:
    graph = graph_of(INVERTED)
    skipped = bottlenecks(graph)
    ways = ways_past(graph, "c.pw", skipped, is_inputs=True)
    assert ways == {"a.pw": {"a.dw", "a.pwl"}, "b.pw": {"b.dw", "b.pwl"}}
    assert list(ways) == ["a.pw", "b.pw"]
    assert ways_past(graph, "a.pw", skipped, is_inputs=False) == {"b.pw": {"a.dw", "a.pwl"}, "c.pw": {"a.dw", "a.pwl"}}
    assert ways_past(graph, "b.pwl", skipped, is_inputs=True) == {"b.pw": {"b.dw"}}
    assert ways_past(graph, "stem", skipped, is_inputs=True) == {}


def test_both_ends_see_the_same_ways() -> None:
    for plan in (INVERTED, RESIDUAL, INCEPTION):
        graph = graph_of(plan)
        skipped = bottlenecks(graph)
        for name in plan.keys() - skipped:
            for other, way in ways_past(graph, name, skipped, is_inputs=True).items():
                assert ways_past(graph, other, skipped, is_inputs=False)[name] == way


def test_links_over_a_set_of_layers_are_those_of_all_paths_inside_it() -> None:
    graph = graph_of(INVERTED)
    over = frozenset({"a.dw", "a.pwl"})
    found = {(link.source, link.target) for link in graph.links_between("a.pw", "c.pw", over)}
    assert found == {("a.pw", "a.dw"), ("a.dw", "a.pwl"), ("a.pwl", "c.pw")}
    assert len(graph.links_between("a.pw", "c.pw")) > len(found)
    assert graph.links_between("a.pw", "c.pw", frozenset()) == []
