"""What a model really executed, as a graph of values, whatever its code looks like.

One forward pass is watched at the level of torch's own operations (`TorchDispatchMode`), while hooks on every module note
which value enters and leaves it. So layers, norms, nonlinearities, skips and branches are found from what ran, in-place
operations get a new value each (static single assignment), and every value that a module boundary shows can be hooked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_SINGLE_RESULT = {"native_batch_norm", "native_layer_norm", "native_group_norm", "max_pool2d_with_indices"}


@dataclass(frozen=True)
class Operation:
    """One operation that ran.

    Attributes:
        name: Of the torch operation without the namespace, overload and in-place mark (`relu`, `convolution`); `linear` for
            a whole `nn.Linear`.
        function: The torch operation, not in-place, where there is one.
        arguments: As given, with `Value(i)` in place of every tensor.
        inputs: The values it read that depend on the model input, in order.
        output: The value it made.
        module: Path of the innermost module that was running.
        output_index: Which of its results `output` is, for operations that return several (`split`).
        kernel: Height and width of a convolution's kernel.
    """

    name: str
    function: Any
    arguments: tuple[Any, ...]
    inputs: tuple[int, ...]
    output: int
    module: str
    output_index: int = 0
    kernel: tuple[int, ...] = ()


@dataclass(frozen=True)
class Value:
    """A place for a tensor among the arguments of an operation."""

    index: int


@dataclass(frozen=True)
class Boundary:
    """Where a value can be seen: on its way into or out of a module that runs once."""

    module: str
    is_input: bool


@dataclass
class Trace:
    """The graph of one forward pass.

    Attributes:
        operations: In order of execution.
        shapes: Of each value.
        constants: Values that do not depend on the model input, with their tensors (weights as they were used).
        boundaries: For each value, the modules that show it.
        input: The value that is the model input.
        output: The value that is the model output.
        module_types: Class of each module by path.
    """

    operations: list[Operation] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[int, Tensor] = field(default_factory=dict)
    boundaries: dict[int, list[Boundary]] = field(default_factory=dict)
    input: int = -1
    output: int = -1
    module_types: dict[str, type[nn.Module]] = field(default_factory=dict)
    producers: dict[int, Operation] = field(default_factory=dict)
    consumers: dict[int, list[Operation]] = field(default_factory=dict)

    def constant(self, argument: Any) -> Tensor | None:
        """Return the tensor behind an argument, or None where it is none or depends on the input."""
        return self.constants.get(argument.index) if isinstance(argument, Value) else None

    def index(self) -> None:
        """Fill `producers` and `consumers`."""
        self.producers = {operation.output: operation for operation in self.operations}
        self.consumers = {}
        for operation in self.operations:
            for value in operation.inputs:
                self.consumers.setdefault(value, []).append(operation)


def trace_model(model: nn.Module, batch: Tensor) -> Trace:
    """Run `model` on `batch` once, without gradients, and return what it executed.

    Args:
        model: In evaluation mode.
        batch: A model input `[batch, channel, height, width]`.
    """
    recorder = _Recorder(batch)
    with torch.no_grad(), recorder.watch(model), recorder:
        result = model(batch)
    trace = recorder.trace
    if isinstance(result, Tensor):
        trace.output = recorder.value_of(result)
    trace.operations = _without_linear_internals(trace, recorder.linear_calls)
    trace.index()
    return trace


class _Recorder(TorchDispatchMode):
    """Writes down operations; keeps every tensor alive so that identities stay unique."""

    def __init__(self, batch: Tensor) -> None:
        super().__init__()
        self.trace = Trace()
        self.linear_calls: dict[int, tuple[str, int, nn.Linear]] = {}
        self._alive: list[Tensor] = []
        self._value_of: dict[int, int] = {}
        self._num_values = 0
        self._stack: list[str] = []
        self._num_calls: dict[str, int] = {}
        self.trace.input = self._new_value(batch)

    def _new_value(self, tensor: Tensor) -> int:
        value = self._num_values
        self._num_values += 1
        self._alive.append(tensor)
        self._value_of[id(tensor)] = value
        self.trace.shapes[value] = tuple(tensor.shape)
        return value

    def value_of(self, tensor: Tensor) -> int:
        """Return the current value of a tensor; one that nothing made is a constant."""
        value = self._value_of.get(id(tensor))
        if value is None:
            value = self._new_value(tensor)
            self.trace.constants[value] = tensor
        return value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs: list[int] = []
        arguments = tuple(self._note(argument, inputs) for argument in args)
        for argument in (kwargs or {}).values():
            self._note(argument, inputs)
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        outputs = result if isinstance(result, tuple | list) else [result]
        # The other results of norms and pools are statistics and indices, not maps.
        outputs = outputs[:1] if name in _SINGLE_RESULT else outputs
        for place, output in enumerate(outputs):
            if isinstance(output, Tensor):
                self._note_output(func, name, arguments, inputs, output, place)
        return result

    def _note_output(
        self, func: Any, name: str, arguments: tuple[Any, ...], inputs: list[int], output: Tensor, place: int
    ) -> None:
        value = self._new_value(output)
        live = tuple(index for index in inputs if index not in self.trace.constants)
        if not live:
            self.trace.constants[value] = output
            return
        plain = name.rstrip("_") if name.endswith("_") and not name.startswith("_") else name
        function = getattr(torch.ops.aten, plain, None)
        module = self._stack[-1] if self._stack else ""
        kernel = self.trace.shapes[arguments[1].index][2:] if plain == "convolution" else ()
        self.trace.operations.append(Operation(plain, function, arguments, live, value, module, place, kernel))

    def _note(self, argument: Any, inputs: list[int]) -> Any:
        if isinstance(argument, Tensor):
            value = self.value_of(argument)
            inputs.append(value)
            return Value(value)
        if isinstance(argument, list | tuple):
            return [self._note(item, inputs) for item in argument]
        return argument

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Note what enters and leaves every module."""
        handles = []
        for path, module in model.named_modules():
            self.trace.module_types[path] = type(module)
            handles.append(module.register_forward_pre_hook(self._enter(path)))
            handles.append(module.register_forward_hook(self._leave(path), always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for boundaries in self.trace.boundaries.values():
                boundaries[:] = [boundary for boundary in boundaries if self._num_calls[boundary.module] == 1]

    def _enter(self, path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._stack.append(path)
            self._num_calls[path] = self._num_calls.get(path, 0) + 1
            if inputs and isinstance(inputs[0], Tensor):
                value = self.value_of(inputs[0])
                self.trace.boundaries.setdefault(value, []).append(Boundary(path, is_input=True))
                if isinstance(module, nn.Linear):
                    self.linear_calls[-1 - len(self.linear_calls)] = (path, value, module)

        return hook

    def _leave(self, path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self._stack.pop()
            if isinstance(output, Tensor):
                value = self.value_of(output)
                self.trace.boundaries.setdefault(value, []).append(Boundary(path, is_input=False))
                if isinstance(module, nn.Linear):
                    last = next(key for key, call in reversed(self.linear_calls.items()) if call[0] == path)
                    self.linear_calls[value] = self.linear_calls.pop(last)

        return hook


def _without_linear_internals(trace: Trace, calls: dict[int, tuple[str, int, nn.Linear]]) -> list[Operation]:
    """Replace the reshapes and products inside each `nn.Linear` by one operation `linear`."""
    kept: list[Operation] = []
    for operation in trace.operations:
        call = calls.get(operation.output)
        if call is not None:
            path, value, module = call
            weight = Value(max(trace.shapes) + 1)
            trace.constants[weight.index] = module.weight.detach()
            trace.shapes[weight.index] = tuple(module.weight.shape)
            kept.append(Operation("linear", None, (Value(value), weight), (value,), operation.output, path))
        elif not issubclass(trace.module_types.get(operation.module, nn.Module), nn.Linear):
            kept.append(operation)
    return kept
