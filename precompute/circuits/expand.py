"""Expanded weights: the linearised map between two layers that lie any number of layers apart.

Along every path from the source to the target the kernels of the links are composed, as two convolutions in a row are one, and
the paths are added where they lie on the source's map. Nonlinearities between count as the identity, so a composed weight is
exact only where there are none. With it goes the sum of the absolute weights of all paths: where that is large and the
weight is small, paths cancel.

All kernels hold for positions whose paths stay inside every map: padding is not seen. A kernel that grows beyond what any
position of the target can reach on the source's map is cut to that; where paths leave a map and come back, the two ends then
count slightly different ones.

Source: Voss et al., "Visualizing Weights", Distill, 2021, https://distill.pub/2020/circuits/visualizing-weights/.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.circuits.graph import Array, Link, Node, Way, WeightGraph
from precompute.domain import Placement
from precompute.errors import TooManyWeights, UsageError

MAX_ELEMENTS = 40_000_000
MAX_PRODUCTS = 12_000_000_000


class _Work:
    """Makes the arrays of one question. A dry run makes none: it counts what the question would cost, before anybody waits.

    Args:
        dtype: In which it is computed.
        is_dry: Whether only to count.
    """

    def __init__(self, dtype: Any, *, is_dry: bool) -> None:
        self.dtype = dtype
        self.is_dry = is_dry
        self._left = MAX_PRODUCTS

    def spend(self, shape: tuple[int, ...], products: int) -> None:
        """Count products and the elements of an array.

        Raises:
            TooManyWeights: They are more than a server may compute while others wait.
        """
        self._left -= products
        if math.prod(shape) > MAX_ELEMENTS or self._left < 0:
            raise TooManyWeights(
                "The kernels between these layers grow too large to compose while you wait. Choose nearer layers, or ask from "
                "the other end: the inputs of one unit are smaller than the outputs."
            )

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros of a shape; in a dry run they take no memory and nothing may be added to them."""
        return np.broadcast_to(np.zeros((), self.dtype), shape) if self.is_dry else np.zeros(shape, self.dtype)

    def weights(self, link: Link) -> Array:
        """Return the array of a link; in a dry run only its shape counts."""
        array = link.load()
        return array if self.is_dry else array.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Expanded:
    """Composed kernels of some units of one layer towards all units of another.

    Attributes:
        array: `[unit, other unit, height, width]`: a kernel from each source unit to each target unit, as it lies on the
            source's map.
        placement: Where the kernels lie on the source's map.
        is_exact: Whether nothing but linear operations lies between.
        is_cut: Whether kernels grew larger than the maps and were cut.
    """

    array: Array
    placement: Placement
    is_exact: bool
    is_cut: bool = False


@dataclass(frozen=True)
class _Rows:
    """Kernels under way: `[row, height, width, unit]`, or `[row, height, width]` where row r reads unit `units[r]` alone."""

    array: Array
    placement: Placement
    units: NDArray[np.intp] | None = None
    is_cut: bool = False


def expand_inputs(
    graph: WeightGraph,
    target: str,
    units: Sequence[int],
    source: str,
    *,
    route: Way | None = None,
    dtype: Any = np.float64,
) -> Expanded:
    """Return the kernels from every unit of an earlier layer to some units of a layer.

    Args:
        graph: Of the model.
        target: The later layer.
        units: Of the target.
        source: The earlier layer.
        route: Only the paths over these layers; see `WeightGraph.links_between`.
        dtype: In which it is computed.

    Raises:
        UsageError: There is no path, or paths move over the map in ways that no kernel can hold.
    """
    links = graph.links_between(source, target, route)
    held: dict[str, _Rows] = {}
    for work in (_Work(dtype, is_dry=True), _Work(dtype, is_dry=False)):
        held = {target: _unit_rows(units, dtype)}
        for link in links:  # the last layer first: when a layer's links come, all that lies after it has been added to it
            step = _cut(_compose(held[link.target], link, work), graph.nodes[link.source], graph.nodes[target])
            known = held.get(link.source)
            held[link.source] = step if known is None else _add(known, step, graph.nodes[link.source].num_units, work)
    return _finish(graph, held.get(source), links, source, f"{source} to {target}")


def expand_outputs(
    graph: WeightGraph,
    source: str,
    units: Sequence[int],
    target: str,
    *,
    route: Way | None = None,
    dtype: Any = np.float64,
) -> Expanded:
    """Return the kernels from some units of a layer to every unit of a later layer.

    Args:
        graph: Of the model.
        source: The earlier layer.
        units: Of the source.
        target: The later layer.
        route: Only the paths over these layers.
        dtype: In which it is computed.

    Raises:
        UsageError: There is no path, or paths move over the map in ways that no kernel can hold.
    """
    links = graph.links_between(source, target, route)
    held: dict[str, _Rows] = {}
    for work in (_Work(dtype, is_dry=True), _Work(dtype, is_dry=False)):
        held = {source: _unit_rows(units, dtype)}
        for link in sorted(links, key=lambda link: (graph.order[link.target], link.source)):
            step = _cut(_extend(held[link.source], link, work), graph.nodes[source], graph.nodes[link.target])
            known = held.get(link.target)
            held[link.target] = step if known is None else _add(known, step, graph.nodes[link.target].num_units, work)
    return _finish(graph, held.get(target), links, target, f"{source} to {target}")


def gross_weights(
    graph: WeightGraph, source: str, target: str, unit: int, *, is_inputs: bool, route: Way | None = None
) -> NDArray[np.float64]:
    """Return the sum of the absolute weights of all paths between a unit and each unit of another layer.

    A path goes through one unit and one element of a kernel at each step; its weight is the product. The sum is at least the
    sum of the absolute values of the expanded kernel, and equal to it where no path cancels another.

    Args:
        graph: Of the model.
        source: The earlier layer.
        target: The later layer.
        unit: Of the target where `is_inputs`, else of the source.
        is_inputs: Whether the other layer is the source.
        route: Only the paths over these layers.
    """
    links = graph.links_between(source, target, route)
    start, end = (target, source) if is_inputs else (source, target)
    held = {start: np.zeros(graph.nodes[start].num_units)}
    held[start][unit] = 1.0
    for link in links if is_inputs else sorted(links, key=lambda link: graph.order[link.target]):
        here, there = (link.target, link.source) if is_inputs else (link.source, link.target)
        sizes = np.abs(link.load()).sum(axis=(-2, -1), dtype=np.float64)
        step = held[here] * sizes if sizes.ndim == 1 else held[here] @ sizes if is_inputs else sizes @ held[here]
        held[there] = held[there] + step if there in held else step
    return held.get(end, np.zeros(graph.nodes[end].num_units))


def add_kernels(
    first: Array, first_start: tuple[int, int], second: Array, second_start: tuple[int, int]
) -> tuple[Array, tuple[int, int]]:
    """Add two stacks of kernels where they lie on the map, and return the sum with its start.

    Args:
        first: `[..., height, width]`.
        first_start: `(y, x)` on the map of its first element.
        second: Of the same kind.
        second_start: Of the second.
    """
    start, size = _box(first, first_start, second, second_start)
    total = np.zeros((*first.shape[:-2], *size), np.result_type(first, second))
    for array, place in ((first, first_start), (second, second_start)):
        top, left = place[0] - start[0], place[1] - start[1]
        total[..., top : top + array.shape[-2], left : left + array.shape[-1]] += array
    return total, start


def _box(
    first: Array, first_start: tuple[int, int], second: Array, second_start: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return where the smallest box that holds two kernels begins, and its size."""
    starts = np.array([first_start, second_start])
    ends = starts + np.array([first.shape[-2:], second.shape[-2:]])
    top, left = starts.min(axis=0).tolist()
    bottom, right = ends.max(axis=0).tolist()
    return (top, left), (bottom - top, right - left)


def _add_rows(
    first: Array, first_start: tuple[int, int], second: Array, second_start: tuple[int, int], work: _Work
) -> tuple[Array, tuple[int, int]]:
    if not work.is_dry:
        return add_kernels(first, first_start, second, second_start)
    start, size = _box(first, first_start, second, second_start)
    return work.zeros((*first.shape[:-2], *size)), start


def _unit_rows(units: Sequence[int], dtype: Any) -> _Rows:
    return _Rows(np.ones((len(units), 1, 1), dtype), Placement(), np.asarray(units, np.intp))


def _finish(graph: WeightGraph, rows: _Rows | None, links: list[Link], other: str, ends: str) -> Expanded:
    if not links or rows is None:
        raise UsageError(f"No path of weights leads from {ends}.")
    array = (
        rows.array
        if rows.units is None
        else _spread(rows, graph.nodes[other].num_units, _Work(rows.array.dtype, is_dry=False)).array
    )
    top, bottom, left, right = _support(array)
    placement = rows.placement
    if not placement.is_mean:
        placement = replace(placement, start=(placement.start[0] + top, placement.start[1] + left))
    cut = array[:, top:bottom, left:right]
    return Expanded(np.ascontiguousarray(cut.transpose(0, 3, 1, 2)), placement, graph.is_exact(links), rows.is_cut)


def _cut(rows: _Rows, source: Node, target: Node) -> _Rows:
    """Cut kernels to what the positions of the target can reach on the source's map, where they are larger."""
    if rows.placement.is_mean or source.map_size is None or target.map_size is None:
        return rows
    bounds: list[tuple[int, int]] = []
    for axis in (0, 1):
        start, size = rows.placement.start[axis], rows.array.shape[1 + axis]
        first = -start - (target.map_size[axis] - 1) * rows.placement.stride
        bounds.append((max(0, first), max(1, min(size, source.map_size[axis] - start))))
    (top, bottom), (left, right) = bounds
    if (top, left) == (0, 0) and (bottom, right) == rows.array.shape[1:3]:
        return rows
    start = (rows.placement.start[0] + top, rows.placement.start[1] + left)
    kept = rows.array[:, top:bottom, left:right]
    return replace(rows, array=kept, placement=replace(rows.placement, start=start), is_cut=True)


def _support(array: Array) -> tuple[int, int, int, int]:
    """Return the box `(top, bottom, left, right)` of `[row, height, width, unit]` outside which all is zero."""
    is_used = (array != 0).any(axis=(0, 3))
    ys, xs = np.nonzero(is_used.any(axis=1))[0], np.nonzero(is_used.any(axis=0))[0]
    if not len(ys):
        return 0, 1, 0, 1
    return int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1


def _spread(rows: _Rows, num_units: int, work: _Work) -> _Rows:
    if rows.units is None:
        return rows
    full = work.zeros((*rows.array.shape, num_units))
    if not work.is_dry:
        full[np.arange(len(full)), :, :, rows.units] = rows.array
    return _Rows(full, rows.placement, is_cut=rows.is_cut)


def _add(first: _Rows, second: _Rows, num_units: int, work: _Work) -> _Rows:
    ways = {(rows.placement.stride, rows.placement.is_mean) for rows in (first, second)}
    if len(ways) > 1:
        raise UsageError(
            "Two paths move over the map differently (one of them takes its mean, perhaps): they have no common kernel."
        )
    if first.units is not None and second.units is not None:
        array, start = _add_rows(first.array, first.placement.start, second.array, second.placement.start, work)
        return _Rows(array, replace(first.placement, start=start), first.units, first.is_cut or second.is_cut)
    first, second = _spread(first, num_units, work), _spread(second, num_units, work)
    moved = (np.moveaxis(first.array, 3, 1), np.moveaxis(second.array, 3, 1))
    array, start = _add_rows(moved[0], first.placement.start, moved[1], second.placement.start, work)
    is_cut = first.is_cut or second.is_cut
    return _Rows(np.moveaxis(array, 1, 3), replace(first.placement, start=start), is_cut=is_cut)


def _compose(rows: _Rows, link: Link, work: _Work) -> _Rows:
    """Return kernels of a link's target as kernels of its source: one step back.

    The target at position p of its map reads the source at `p * stride + start + element`, so element a of the kernel under
    way and element b of the link meet at `a * stride + b`.
    """
    array = work.weights(link)
    if rows.placement.is_mean or link.placement.is_mean:
        array = array.sum(axis=(-2, -1), keepdims=True)
        total = rows.array.sum(axis=(1, 2), keepdims=True)
        return replace(_slide(replace(rows, array=total), array, 1, work), placement=Placement(is_mean=True))
    stride = link.placement.stride
    placement = Placement(
        rows.placement.stride * stride,
        (
            rows.placement.start[0] * stride + link.placement.start[0],
            rows.placement.start[1] * stride + link.placement.start[1],
        ),
    )
    return replace(_slide(rows, array, stride, work), placement=placement)


def _slide(rows: _Rows, array: Array, stride: int, work: _Work) -> _Rows:
    """Compose without placement; see `_compose`."""
    height, width = ((size - 1) * stride + side for size, side in zip(rows.array.shape[1:3], array.shape[-2:], strict=True))
    elements = np.moveaxis(array, (-2, -1), (0, 1))  # [y, x, target(, source)]
    if rows.units is not None:
        elements = elements[:, :, rows.units]
    is_diagonal = rows.units is not None and array.ndim == 3
    num_last = () if is_diagonal else (rows.array.shape[3] if array.ndim == 3 else array.shape[1],)
    shape = (len(rows.array), height, width, *num_last)
    work.spend(shape, rows.array.size * array.size // max(1, _paired(rows, array)))
    out = work.zeros(shape)
    for y in range(array.shape[-2] if not work.is_dry else 0):
        for x in range(array.shape[-1]):
            here = out[
                :,
                y : y + (rows.array.shape[1] - 1) * stride + 1 : stride,
                x : x + (rows.array.shape[2] - 1) * stride + 1 : stride,
            ]
            here += _product(rows, elements[y, x], is_diagonal)
    return _Rows(out, rows.placement, rows.units if is_diagonal else None, rows.is_cut)


def _paired(rows: _Rows, array: Array) -> int:
    """Return over how many units the rows and the link meet: each element of the one meets so many of the other less often."""
    return array.shape[0] if rows.units is not None or array.ndim == 3 else rows.array.shape[3]


def _product(rows: _Rows, weights: Array, is_diagonal: bool) -> Array:
    """Multiply kernels under way with one element of a link: `[target]`, `[target, source]`, or the rows' own of either."""
    if rows.units is None:
        return rows.array * weights if weights.ndim == 1 else rows.array @ weights
    if is_diagonal:
        return rows.array * weights[:, None, None]
    return rows.array[..., None] * weights[:, None, None, :]


def _extend(rows: _Rows, link: Link, work: _Work) -> _Rows:
    """Return kernels towards a link's source as kernels towards its target: one step forward.

    `rows` are kernels from some units to each unit of the link's source, as they lie on the first layer's map; element a of
    the link moves them by `a` times their stride.
    """
    array = work.weights(link)
    own = rows.placement
    if own.is_mean or link.placement.is_mean:
        total = replace(rows, array=rows.array.sum(axis=(1, 2), keepdims=True))
        summed = array.sum(axis=(-2, -1), keepdims=True)
        return replace(_slide_forward(total, summed, 1, work), placement=Placement(is_mean=True))
    placement = Placement(
        own.stride * link.placement.stride,
        (
            link.placement.start[0] * own.stride + own.start[0],
            link.placement.start[1] * own.stride + own.start[1],
        ),
    )
    return replace(_slide_forward(rows, array, own.stride, work), placement=placement)


def _slide_forward(rows: _Rows, array: Array, stride: int, work: _Work) -> _Rows:
    sides = array.shape[-2:]
    height, width = ((side - 1) * stride + size for side, size in zip(sides, rows.array.shape[1:3], strict=True))
    elements = np.moveaxis(array, (-2, -1), (0, 1))  # [y, x, target(, source)]
    if rows.units is not None:
        elements = elements[..., rows.units]
    is_diagonal = rows.units is not None and array.ndim == 3
    num_last = () if is_diagonal else (array.shape[0],)
    shape = (len(rows.array), height, width, *num_last)
    work.spend(shape, rows.array.size * array.size // max(1, _paired(rows, array)))
    out = work.zeros(shape)
    for y in range(sides[0] if not work.is_dry else 0):
        for x in range(sides[1]):
            top, left = y * stride, x * stride
            here = out[:, top : top + rows.array.shape[1], left : left + rows.array.shape[2]]
            here += _product(rows, elements[y, x].T, is_diagonal)
    return _Rows(out, rows.placement, rows.units if is_diagonal else None, rows.is_cut)
