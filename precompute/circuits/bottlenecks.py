"""Bottlenecks: layers that only hand on, narrower than what lies around them, and how weights lead past them.

Source: Voss et al., "Visualizing Weights", Distill, 2021, https://distill.pub/2020/circuits/visualizing-weights/, which shows
the weights of InceptionV1 past its bottlenecks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from precompute.circuits.graph import WeightGraph

Neighbours = Mapping[str, Sequence[str]]


def bottlenecks(graph: WeightGraph, *, is_narrow: bool = True) -> frozenset[str]:
    """Return the bottlenecks of a model: its depthwise layers, and its layers narrower than what they read and what reads them.

    A depthwise layer is one whose units read one unit each. A layer is narrower than what it reads where it has fewer units
    than each layer directly before; layers before of different widths are concatenated, and count with all their units
    together. It is narrower than what reads it where it has fewer units than each layer directly after, and is not one of
    several that are concatenated, since the others lead round it. Layers of the same width one after the other count as one,
    so both narrow layers of a ResNet's block are bottlenecks. The first and the last layers that have weights are none.

    Args:
        graph: Of the model.
        is_narrow: Whether narrow layers count; else only depthwise ones do.
    """
    before, after = neighbours(graph, is_inputs=True), neighbours(graph, is_inputs=False)

    def width(name: str) -> int:
        return graph.nodes[name].num_units

    def widths_before(name: str) -> set[int]:
        return {width(other) for other in before.get(name, ())}

    @cache
    def is_below_inputs(name: str) -> bool:
        widths = widths_before(name)
        if len(widths) != 1:
            return sum(width(other) for other in before.get(name, ())) > width(name)
        return min(widths) > width(name) or (min(widths) == width(name) and all(map(is_below_inputs, before[name])))

    @cache
    def is_below_outputs(name: str) -> bool:
        others = after.get(name, ())
        return bool(others) and all(
            len(widths_before(other)) == 1
            and (width(other) > width(name) or (width(other) == width(name) and is_below_outputs(other)))
            for other in others
        )

    return frozenset(
        name
        for name, node in graph.nodes.items()
        if name in before
        and name in after
        and not node.is_merge
        and (node.is_depthwise or (is_narrow and is_below_inputs(name) and is_below_outputs(name)))
    )


def neighbours(graph: WeightGraph, *, is_inputs: bool) -> dict[str, list[str]]:
    """Return the layers directly before, or after, each layer that has any; streams and concatenations only where no others are.

    Args:
        graph: Of the model.
        is_inputs: Whether those before.
    """
    found: dict[str, list[str]] = {}
    for link in graph.links:
        here, there = (link.target, link.source) if is_inputs else (link.source, link.target)
        found.setdefault(here, []).append(there)
    for name, others in found.items():
        found[name] = [other for other in others if not graph.nodes[other].is_merge] or others
    return found


def ways_past(graph: WeightGraph, layer: str, skipped: frozenset[str], *, is_inputs: bool) -> dict[str, frozenset[str]]:
    """Return the next layers that are not skipped, in order of execution, each with the skipped ones on all ways to it.

    Args:
        graph: Of the model.
        layer: Where the ways begin; it may itself be one that is skipped elsewhere.
        skipped: Layers to lead past.
        is_inputs: Whether the ways lead to earlier layers.
    """
    beside = neighbours(graph, is_inputs=is_inputs)
    found: dict[str, set[str]] = {}

    def walk(name: str, passed: frozenset[str]) -> None:
        for other in beside.get(name, ()):
            if other in skipped:
                walk(other, passed | {other})
            else:
                found.setdefault(other, set()).update(passed)

    walk(layer, frozenset())
    return {name: frozenset(found[name]) for name in sorted(found, key=graph.order.__getitem__)}
