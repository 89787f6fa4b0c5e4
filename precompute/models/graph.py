"""Layers found in a trace: what makes units, where they are read, how they are connected, what they can see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from precompute.domain import LayerSpec, UnitKind
from precompute.errors import UsageError
from precompute.models.trace import Boundary, Operation, Trace

NONLINEARITIES = {
    "relu", "hardtanh", "silu", "gelu", "hardswish", "leaky_relu", "elu", "sigmoid", "hardsigmoid", "tanh", "mish", "softplus",
    "clamp", "clamp_min", "celu", "selu", "prelu", "_prelu_kernel", "rrelu", "log_sigmoid", "softsign",
}  # fmt: skip
NORMALISATIONS = {"native_batch_norm", "native_group_norm"}
SUMS = {"add"}
# Operations that move or mix the unit axis of a four-dimensional value but leave every position in its place.
LAYOUT_ONLY = {"permute", "transpose", "linear", "native_layer_norm"}


@dataclass(frozen=True)
class LayerPoint:
    """A layer with the values where it is read.

    Attributes:
        spec: What the rest of the project sees.
        maker: The operation whose output its units are, before the normalisation.
        norm: The normalisation between, or None.
        pre_value: The value that is the pre-activation.
        activation_value: The value that is the activation (equal to `pre_value` where no nonlinearity follows).
        boundary: Where the pre-activation can be seen.
        function: From pre-activation to activation, or None.
    """

    spec: LayerSpec
    maker: Operation
    norm: Operation | None
    pre_value: int
    activation_value: int
    boundary: Boundary
    function: Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class Field:
    """What one position of a value can see: theoretical, from the arithmetic of the operations.

    Attributes:
        size_px: Height and width of the receptive field.
        stride_px: Distance of neighbouring positions.
        start_px: `(y, x)` of the first pixel that position (0, 0) sees; negative inside the padding.
    """

    size_px: tuple[int, int]
    stride_px: int
    start_px: tuple[int, int]


def find_layers(trace: Trace) -> list[LayerPoint]:
    """Return every layer of a traced model in order of execution, without its inputs and outputs."""
    fields = receptive_fields(trace)
    points: dict[str, LayerPoint] = {}
    for operation in trace.operations:
        point = _point_of(trace, operation, fields)
        if point is None:
            continue
        name = point.spec.name
        is_repeated_block = name in points and point.spec.operation in {"add", "concat"}
        if name not in points or is_repeated_block:
            points.pop(name, None)
            points[name] = point
    ordered = list(points.values())
    last = ordered[-1] if ordered else None
    result = []
    for position, point in enumerate(ordered):
        is_classifier = point is last and trace.shapes[point.pre_value][1:] == trace.shapes.get(trace.output, ())[1:]
        is_default = point.spec.operation not in {"add", "concat"} and not is_classifier
        result.append(replace(point, spec=replace(point.spec, position=position, is_default=is_default)))
    return result


def _point_of(trace: Trace, operation: Operation, fields: dict[int, Field]) -> LayerPoint | None:
    kind = _operation_kind(trace, operation)
    if kind is None or not operation.module:
        return None
    norm, pre_value = _normalised(trace, operation) if kind not in {"add", "concat"} else (None, operation.output)
    act = _nonlinearity_after(trace, pre_value)
    boundary = _boundary(trace, pre_value)
    if boundary is None:
        return None
    shape = trace.shapes[pre_value]
    unit_axis = len(shape) - 1 if kind == "linear" else 1
    map_size = tuple(size for axis, size in enumerate(shape) if axis not in (0, unit_axis))
    field = fields.get(pre_value)
    side, start = square_field(field) if len(map_size) == 2 and field is not None else (None, (0, 0))
    unit_kind: UnitKind = "neuron" if kind == "linear" else "stream" if kind == "add" else "channel"
    spec = LayerSpec(
        name=operation.module,
        kind=unit_kind,
        num_units=shape[unit_axis],
        position=0,
        unit_axis=unit_axis,
        map_size=map_size,
        operation=kind,
        nonlinearity=_name_of(trace, act) if act is not None else None,
        receptive_field_px=side,
        stride_px=field.stride_px if field is not None and side is not None else None,
        offset_px=start,
    )
    function = _function_of(trace, act) if act is not None else None
    return LayerPoint(spec, operation, norm, pre_value, act.output if act is not None else pre_value, boundary, function)


def _operation_kind(trace: Trace, operation: Operation) -> str | None:
    if operation.name == "linear":
        return "linear"
    if operation.name == "convolution":
        weight = trace.constant(operation.arguments[1])
        is_transposed = bool(operation.arguments[6])
        if weight is None or weight.ndim != 4 or is_transposed:
            return None
        groups = int(operation.arguments[8])
        return "convolution" if groups == 1 else "depthwise" if groups == weight.shape[0] else "grouped"
    shape = trace.shapes[operation.output]
    if len(shape) == 4 and operation.name in SUMS and len(operation.inputs) == 2:
        return "add" if trace.shapes[operation.inputs[0]] == trace.shapes[operation.inputs[1]] else None
    if len(shape) == 4 and operation.name == "cat" and len(operation.inputs) > 1 and _cat_axis(operation) == 1:
        return "concat"
    return None


def _cat_axis(operation: Operation) -> int:
    return int(operation.arguments[1]) % 4 if len(operation.arguments) > 1 else 0


def _normalised(trace: Trace, operation: Operation) -> tuple[Operation | None, int]:
    """Follow a layer's output through the normalisation that alone reads it."""
    readers = trace.consumers.get(operation.output, [])
    if len(readers) == 1 and readers[0].name in NORMALISATIONS and readers[0].inputs[0] == operation.output:
        return readers[0], readers[0].output
    return None, operation.output


def _nonlinearity_after(trace: Trace, value: int) -> Operation | None:
    readers = trace.consumers.get(value, [])
    return readers[0] if len(readers) == 1 and readers[0].name in NONLINEARITIES else None


def _name_of(trace: Trace, operation: Operation) -> str:
    if operation.name == "hardtanh" and tuple(operation.arguments[1:3]) == (0, 6):
        return "relu6"
    return operation.name.removeprefix("_").removesuffix("_kernel")


def _function_of(trace: Trace, operation: Operation) -> Callable[[Tensor], Tensor]:
    rest: list[Any] = []
    for argument in operation.arguments[1:]:
        constant = trace.constant(argument)
        if constant is not None and constant.numel() > 1:
            raise UsageError(
                f"{operation.name.strip('_')} in {operation.module!r} has a parameter for each unit, which cannot be read yet. "
                "Take an architecture with another nonlinearity."
            )
        # Without axes of its own, so that it fits whatever layout the values come in.
        rest.append(argument if constant is None else constant.reshape(()))
    return partial(_apply, operation.function, tuple(rest))


def _apply(function: Any, rest: tuple[Any, ...], tensor: Tensor) -> Tensor:
    result: Tensor = function(tensor, *rest)
    return result


def _boundary(trace: Trace, value: int) -> Boundary | None:
    """Prefer the way out of a module, the innermost one; else the way into the next."""
    seen = trace.boundaries.get(value, [])
    outs = [boundary for boundary in seen if not boundary.is_input]
    ins = [boundary for boundary in seen if boundary.is_input]
    return outs[0] if outs else ins[-1] if ins else None


# -- receptive fields ------------------------------------------------------------------------------------------------


def receptive_fields(trace: Trace) -> dict[int, Field]:
    """Return what every value with a map can see, from the arithmetic of kernels, strides, padding and dilation.

    Gates that multiply a map by one number per channel (squeeze-and-excitation) see the whole image; they are left out, so
    the field is that of what the gate multiplies. Values that lost their map (global pooling) have no entry.
    """
    fields = {trace.input: Field((1, 1), 1, (0, 0))}
    for operation in trace.operations:
        field = _field_after(trace, operation, fields)
        if field is not None:
            fields[operation.output] = field
    return fields


def _field_after(trace: Trace, operation: Operation, fields: dict[int, Field]) -> Field | None:
    shape = trace.shapes[operation.output]
    known = [fields[value] for value in operation.inputs if value in fields and _has_map_of(trace, value, shape, operation.name)]
    if not known or len(shape) != 4:
        return None
    window = window_of(operation)
    if window is not None:
        return _slide(known[0], *window)
    if operation.name == "constant_pad_nd":
        left, _right, top, *_rest = [*operation.arguments[1], 0, 0]
        field = known[0]
        return replace(field, start_px=(field.start_px[0] - top * field.stride_px, field.start_px[1] - left * field.stride_px))
    if operation.name in LAYOUT_ONLY:
        return known[0]
    if trace.shapes[operation.inputs[0]][2:] != shape[2:]:
        return None
    return _union(known)


def _has_map_of(trace: Trace, value: int, shape: tuple[int, ...], name: str) -> bool:
    """Leave gates `[batch, channel, 1, 1]` out of the fields of what they multiply."""
    sizes = trace.shapes[value]
    return len(sizes) == 4 and not (name == "mul" and sizes[2:] == (1, 1) and shape[2:] != (1, 1))


def _slide(field: Field, kernel: tuple[int, int], stride: int, padding: tuple[int, int], dilation: int) -> Field:
    size = tuple(field.size_px[axis] + (kernel[axis] - 1) * dilation * field.stride_px for axis in (0, 1))
    start = tuple(field.start_px[axis] - padding[axis] * field.stride_px for axis in (0, 1))
    return Field((size[0], size[1]), field.stride_px * stride, (start[0], start[1]))


def _union(fields: list[Field]) -> Field | None:
    if len({field.stride_px for field in fields}) > 1:
        return None
    start = [min(field.start_px[axis] for field in fields) for axis in (0, 1)]
    end = [max(field.start_px[axis] + field.size_px[axis] for field in fields) for axis in (0, 1)]
    return Field((end[0] - start[0], end[1] - start[1]), fields[0].stride_px, (start[0], start[1]))


def square_field(field: Field) -> tuple[int, tuple[int, int]]:
    """Return side and `(y, x)` start of the smallest square around a field, which is square itself unless kernels are not."""
    side = max(field.size_px)
    start = [field.start_px[axis] - (side - field.size_px[axis]) // 2 for axis in (0, 1)]
    return side, (start[0], start[1])


def window_of(operation: Operation) -> tuple[tuple[int, int], int, tuple[int, int], int] | None:
    """Return `((height, width), stride, (pad y, pad x), dilation)` of a convolution or pooling."""
    arguments = operation.arguments
    if operation.name == "convolution" and operation.kernel:
        stride, padding, dilation = arguments[3], arguments[4], arguments[5]
        kernel = (operation.kernel[0], operation.kernel[-1])
        return kernel, max(stride), (padding[0], padding[-1]), max(dilation)
    if operation.name in {"max_pool2d_with_indices", "avg_pool2d"}:
        kernel = (arguments[1][0], arguments[1][-1])
        stride = max(arguments[2]) if len(arguments) > 2 and arguments[2] else max(kernel)
        padding = arguments[3] if len(arguments) > 3 and arguments[3] else [0, 0]
        dilation = max(arguments[4]) if operation.name.startswith("max") and len(arguments) > 4 and arguments[4] else 1
        return (kernel, stride, (padding[0], padding[-1]), dilation)
    return None
