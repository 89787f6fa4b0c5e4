"""Weights between layers: the linearised map from a source's activation to a target's pre-activation.

Walking back from a layer's input, normalisations and constant gains scale the weights, concatenations slice them, sums branch,
average pooling spreads them, max pooling counts as average pooling, nonlinearities and gates count as the identity (and make
the edge `linearised`). The walk collects every layer with parameters that it meets first on each path: the layers directly
before. All numbers come from the tensors that the model really used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from precompute.circuits.expand import add_kernels
from precompute.domain import Placement
from precompute.errors import UsageError
from precompute.models.base import LinkWeights
from precompute.models.graph import NONLINEARITIES, LayerPoint, window_of
from precompute.models.trace import Operation, Trace

PASS_THROUGH = {
    "view", "_unsafe_view", "reshape", "alias", "detach", "clone", "dropout", "native_dropout", "contiguous",
    "_to_copy", "as_strided", "squeeze", "unsqueeze", "expand",
}  # fmt: skip


@dataclass(frozen=True)
class _Walk:
    """Weights on their way back: `array` maps the channels of `value` to the target's units.

    Attributes:
        value: Where the walk stands.
        array: float64 `[target, channel, height, width]`, or `[unit, height, width]` where each unit reads only itself.
        is_exact: Whether only linear operations were met.
        placement: Where the kernels lie on the map of `value`.
    """

    value: int
    array: np.ndarray
    is_exact: bool
    placement: Placement = Placement()


def incoming_weights(
    trace: Trace, points: Mapping[str, LayerPoint], target: str, *, num_units: int | None = None
) -> list[LinkWeights]:
    """Return the weights of one layer to every layer directly before it, in order of execution.

    Layers with parameters end a path; stream and concat points on the way are collected too and passed.

    Args:
        trace: Of the model.
        points: Its layers by name.
        target: Name of the layer whose inputs are wanted.
        num_units: Compute the weights of its first units only: enough to learn which layers are directly before.
    """
    activations: dict[int, list[LayerPoint]] = {}
    for source in points.values():
        for value in {source.activation_value, source.pre_value}:
            activations.setdefault(value, []).append(source)
    found: dict[str, _Walk] = {}
    pending = list(_first_steps(trace, points[target], num_units))
    while pending:
        walk = pending.pop()
        is_end = False
        for source in activations.get(walk.value, []):
            if source.spec.name == target:
                continue
            is_merge = source.spec.operation in {"add", "concat"}
            # A stream that is read before its nonlinearity is not that stream's activation.
            if is_merge and walk.value != source.activation_value:
                continue
            is_exact = walk.is_exact and walk.value == source.activation_value
            reached = replace(walk, is_exact=is_exact)
            known = found.get(source.spec.name)
            found[source.spec.name] = reached if known is None else _sum(known, reached)
            is_end = is_end or not is_merge
        if not is_end:
            pending.extend(_steps_back(trace, walk))
    order = {name: point.spec.position for name, point in points.items()}
    links = []
    for source_name in sorted(found, key=order.__getitem__):
        walk = found[source_name]
        layout = "diagonal" if walk.array.ndim == 3 else "full"
        array = np.ascontiguousarray(walk.array, dtype=np.float32)
        links.append(LinkWeights(source_name, target, array, layout, walk.is_exact, walk.placement))
    return links


def _sum(first: _Walk, second: _Walk) -> _Walk:
    """Add two stacks of kernels that reach the same source by different paths, each where it lies on the source's map.

    Raises:
        UsageError: They lie on it in ways that no kernel can hold.
    """
    ways = [(walk.placement.stride, walk.placement.is_mean) for walk in (first, second)]
    if ways[0] != ways[1]:
        raise UsageError("Two paths between the same layers move over the map differently; their sum has no kernel.")
    arrays = [first.array, second.array]
    if arrays[0].ndim != arrays[1].ndim:
        arrays = [_as_full(array) for array in arrays]
    array, start = add_kernels(arrays[0], first.placement.start, arrays[1], second.placement.start)
    return _Walk(first.value, array, first.is_exact and second.is_exact, replace(first.placement, start=start))


def _as_full(array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        return array
    full = np.zeros((array.shape[0], *array.shape), dtype=array.dtype)
    units = np.arange(array.shape[0])
    full[units, units] = array
    return full


def _first_steps(trace: Trace, target: LayerPoint, num_units: int | None) -> Iterator[_Walk]:
    maker = target.maker
    if target.spec.operation in {"add", "concat"}:
        identity = np.ones((target.spec.num_units, 1, 1))
        yield from _steps_back(trace, _Walk(maker.output, identity, is_exact=True))
        return
    weight = trace.constant(maker.arguments[1])
    if weight is None:
        return
    is_depthwise = target.spec.operation == "depthwise"
    first = None if is_depthwise else num_units
    array = _unit_kernels(maker, weight.detach()[:first].double().numpy(), weight.shape[0])
    is_exact = True
    if target.norm is not None:
        gain, is_exact = _norm_gain(trace, target.norm)
        array = array * gain[:first].reshape(-1, *[1] * (array.ndim - 1))
    window = window_of(maker)
    placement = Placement()
    if window is not None:
        _, stride, padding, dilation = window
        array = _dilated(array, dilation)
        placement = Placement(stride, (-padding[0], -padding[1]))
    yield _Walk(maker.inputs[0], array, is_exact, placement)


def _dilated(array: np.ndarray, dilation: int) -> np.ndarray:
    if dilation == 1:
        return array
    height, width = ((side - 1) * dilation + 1 for side in array.shape[-2:])
    spread = np.zeros((*array.shape[:-2], height, width), dtype=array.dtype)
    spread[..., ::dilation, ::dilation] = array
    return spread


def _unit_kernels(maker: Operation, weight: np.ndarray, num_targets: int) -> np.ndarray:
    """Return the weights of the first units as `full` or `diagonal` kernels; groups become zeros elsewhere."""
    if maker.name == "linear":
        return weight[:, :, None, None]
    groups = int(maker.arguments[8])
    if groups == 1:
        return weight
    per_group = weight.shape[1]
    if groups == num_targets and per_group == 1:
        return weight[:, 0]
    full = np.zeros((len(weight), per_group * groups, *weight.shape[2:]))
    for target in range(len(weight)):
        start = (target // (num_targets // groups)) * per_group
        full[target, start : start + per_group] = weight[target]
    return full


def _norm_gain(trace: Trace, norm: Operation) -> tuple[np.ndarray, bool]:
    """Return what a normalisation multiplies each channel by, and whether that is all (running statistics) or only its gain."""
    channels = trace.shapes[norm.output][1]
    if norm.name == "native_batch_norm":
        gain, _, _, variance, is_training, _, epsilon = norm.arguments[1:8]
        spread = trace.constant(variance)
        if spread is not None and not is_training:
            return _numbers(trace.constant(gain), channels) / np.sqrt(spread.double().numpy() + epsilon), True
    position = 1 if norm.name != "native_layer_norm" else 2
    return _numbers(trace.constant(norm.arguments[position]), channels), False


def _numbers(tensor: Tensor | None, count: int) -> np.ndarray:
    return np.ones(count) if tensor is None else tensor.detach().double().numpy()


def _steps_back(trace: Trace, walk: _Walk) -> Iterator[_Walk]:
    """Yield where the walk goes from a value: one step, or one for each branch of a sum or concatenation."""
    operation = trace.producers.get(walk.value)
    if operation is not None and operation.inputs and operation.name in _STEPS:
        yield from _STEPS[operation.name](trace, operation, walk)


def _branch(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    for place, value in enumerate(operation.inputs):
        sign = -1.0 if operation.name == "sub" and place == 1 else 1.0
        if trace.shapes[value] == trace.shapes[walk.value]:
            yield replace(walk, value=value, array=walk.array * sign)


def _through_norm(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    gain, is_linear = _norm_gain_on_path(trace, operation)
    yield replace(walk, value=operation.inputs[0], array=_scaled(walk.array, gain), is_exact=walk.is_exact and is_linear)


def _through_pool(_trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    window = window_of(operation)
    if window is None:
        return
    kernel, stride, padding, _ = window
    reached = replace(walk, value=operation.inputs[0], is_exact=walk.is_exact and operation.name == "avg_pool2d")
    if not walk.placement.is_mean:  # the mean of a pooled map is, away from its border, the mean of the map
        start = tuple(place * stride - pad for place, pad in zip(walk.placement.start, padding, strict=True))
        placement = Placement(walk.placement.stride * stride, (start[0], start[1]))
        reached = replace(reached, array=spread_over_pool(walk.array, kernel, stride), placement=placement)
    yield reached


def _through_mean(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    """A mean over a whole map is read as one number; an adaptive pooling between is an average pooling of equal windows."""
    before, after = trace.shapes[operation.inputs[0]], trace.shapes[operation.output]
    reached = replace(walk, value=operation.inputs[0])
    if len(before) != 4 or before == after:
        yield reached
    elif len(after) != 4 or after[2:] == (1, 1):
        yield replace(reached, placement=Placement(is_mean=True))
    elif before[2] % after[2] == 0 and before[2] // after[2] == before[3] // after[3]:
        side = before[2] // after[2]
        start = (walk.placement.start[0] * side, walk.placement.start[1] * side)
        array = spread_over_pool(walk.array, (side, side), side)
        yield replace(reached, array=array, placement=Placement(walk.placement.stride * side, start))


def _through_padding(_trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    left, _right, top, *_rest = [*operation.arguments[1], 0, 0]
    start = (walk.placement.start[0] - top, walk.placement.start[1] - left)
    yield replace(walk, value=operation.inputs[0], placement=replace(walk.placement, start=start))


def _through_nonlinearity(_trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    yield replace(walk, value=operation.inputs[0], is_exact=False)


def _unchanged(_trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    yield replace(walk, value=operation.inputs[0])


def _through_view(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    # A fifth axis regroups the channels (shuffles): the walk would name the wrong units, so it ends here.
    if 5 in {len(trace.shapes[operation.inputs[0]]), len(trace.shapes[operation.output])}:
        return
    yield replace(walk, value=operation.inputs[0], array=_unflatten(trace, operation, walk.array))


def _split(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    start = 0
    array = _as_full(walk.array)
    for value in operation.inputs:
        stop = start + trace.shapes[value][1]
        yield replace(walk, value=value, array=array[:, start:stop])
        start = stop


def _norm_gain_on_path(trace: Trace, operation: Operation) -> tuple[np.ndarray, bool]:
    if operation.name == "native_layer_norm":
        gain = trace.constant(operation.arguments[2])
        return np.ones(1) if gain is None else gain.detach().double().numpy(), False
    return _norm_gain(trace, operation)


def _scaled(array: np.ndarray, gain: np.ndarray) -> np.ndarray:
    gain = gain.reshape(-1)
    return array * (gain[:, None, None] if gain.size > 1 else gain)


def _scale(trace: Trace, operation: Operation, walk: _Walk) -> Iterator[_Walk]:
    """A constant gain scales exactly; a gate computed from the input counts as the identity on what has the map."""
    if len(operation.inputs) == 1:
        others = [
            argument
            for argument in operation.arguments[:2]
            if trace.constant(argument) is not None or isinstance(argument, int | float)
        ]
        factor = others[0] if others else 1.0
        constant = trace.constant(factor)
        gain = np.asarray(factor, dtype=float).reshape(1) if constant is None else constant.detach().double().numpy()
        yield replace(walk, value=operation.inputs[0], array=_scaled(walk.array, 1 / gain if operation.name == "div" else gain))
        return
    shape = trace.shapes[walk.value]
    for value in operation.inputs:
        if trace.shapes[value] == shape:
            yield replace(walk, value=value, is_exact=False)
            return


def spread_over_pool(array: np.ndarray, kernel: tuple[int, int], stride: int) -> np.ndarray:
    """Return the kernels as they read the map before a pooling: each weight spread over the window it averages.

    Args:
        array: `[..., height, width]`.
        kernel: Height and width of the pooling window.
        stride: Of the pooling.
    """
    height, width = array.shape[-2:]
    spread = np.zeros((*array.shape[:-2], (height - 1) * stride + kernel[0], (width - 1) * stride + kernel[1]), array.dtype)
    share = array / (kernel[0] * kernel[1])
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            spread[..., y : y + (height - 1) * stride + 1 : stride, x : x + (width - 1) * stride + 1 : stride] += share
    return spread


def _unflatten(trace: Trace, operation: Operation, array: np.ndarray) -> np.ndarray:
    """Give the weights of a linear layer on a flattened map their height and width back."""
    before, after = trace.shapes[operation.inputs[0]], trace.shapes[operation.output]
    if len(before) == 4 and len(after) == 2 and array.ndim == 4 and array.shape[1] == before[1] * before[2] * before[3]:
        return array.reshape(array.shape[0], *before[1:])
    return array


_Step = Callable[[Trace, Operation, _Walk], Iterator[_Walk]]
_STEPS: dict[str, _Step] = {
    "cat": _split,
    **dict.fromkeys(("add", "sub"), _branch),
    **dict.fromkeys(("native_batch_norm", "native_group_norm", "native_layer_norm"), _through_norm),
    **dict.fromkeys(("mul", "div"), _scale),
    **dict.fromkeys(("avg_pool2d", "max_pool2d_with_indices"), _through_pool),
    **dict.fromkeys(("mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d"), _through_mean),
    "constant_pad_nd": _through_padding,
    **dict.fromkeys(NONLINEARITIES, _through_nonlinearity),
    # Kernels count units and map positions, not axes.
    **dict.fromkeys(("permute", "transpose"), _unchanged),
    **dict.fromkeys(PASS_THROUGH, _through_view),
}
