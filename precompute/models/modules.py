"""A `ModelAdapter` for any module that can be traced: what families share once the module is loaded."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from precompute.domain import LayerSpec
from precompute.errors import UnknownName, UsageError
from precompute.models.base import IMAGE, LinkWeights, ModelAdapter, Point
from precompute.models.folding import fold_and_freeze
from precompute.models.graph import find_layers
from precompute.models.linearise import incoming_weights
from precompute.models.trace import Trace, trace_model


class _Stop(Exception):
    """Raised by a hook when all that was asked for has been seen."""


class TracedModel(ModelAdapter):
    """A model whose layers are found by running it once.

    Subclasses set the attributes of `ModelAdapter` and then call `prepare`.
    """

    def prepare(self, module: nn.Module, example: Tensor) -> None:
        """Trace the module, find its layers, and make the folded copy.

        Args:
            module: With its weights.
            example: A model input `[1, channel, height, width]`.

        Raises:
            UsageError: The model holds no layer that can be read.
        """
        self.module = module.eval().requires_grad_(False)
        self.trace: Trace = trace_model(self.module, example)
        found = find_layers(self.trace)
        if not found:
            raise UsageError(
                f"{self.title} has no convolution or linear layer that can be read. `unitscope models` lists others."
            )
        self._points = {point.spec.name: point for point in found}
        self._last_links: tuple[str, list[LinkWeights]] = ("", [])
        self._layers: tuple[LayerSpec, ...] | None = None
        self.folded = fold_and_freeze(self.module, self.trace, found)
        self._own = threading.local()

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn pixels `[batch, rgb, height, width]` between 0 and 1 into the model input; differentiable."""
        shift, gain = self._shift_and_gain(pixels.device)
        return torch.addcmul(shift, pixels, gain)

    @functools.lru_cache(maxsize=4)  # noqa: B019 - a model lives as long as its process
    def _shift_and_gain(self, device: torch.device) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.preprocessing.mean, self.preprocessing.std))
        shift, gain = (values.float().reshape(1, 3, 1, 1).to(device) for values in (-mean / std, 1 / std))
        return shift, gain

    def layers(self) -> tuple[LayerSpec, ...]:
        """Return every layer in order of execution, with the layers directly before and after."""
        if self._layers is None:
            sources = {name: self._sources(name) for name in self._points}
            merges = {name for name, point in self._points.items() if point.spec.operation in {"add", "concat"}}
            self._layers = tuple(
                replace(
                    point.spec,
                    # A stream or concat point is a view of the layers with parameters, never an input beside them.
                    inputs=tuple(source for source in sources[name] if source not in merges),
                    outputs=tuple(other for other in self._points if name in sources[other] and not {name, other} <= merges),
                )
                for name, point in self._points.items()
            )
        return self._layers

    def boundary(self, name: str) -> str:
        """Return the path of the module whose output is a layer's pre-activation.

        Raises:
            UsageError: It is the input of a module that is read, and the output of none.
        """
        self.layer(name)
        found = self._points[name].boundary
        if found.is_input:
            raise UsageError(f"No module's output is the pre-activation of {name!r}. Choose another layer.")
        return found.module

    def _sources(self, name: str) -> list[str]:
        """Return the layers with parameters directly before, and the stream and concat points on the way to them."""
        return [link.source for link in incoming_weights(self.trace, self._points, name, num_units=1)]

    def weights_between(self, source: str, target: str) -> LinkWeights:
        """Return the weights from a layer to one directly after it.

        Raises:
            UnknownName: A layer does not exist, or `source` is not directly before `target`.
        """
        self.layer(source)
        self.layer(target)
        if self._last_links[0] != target:  # kept for the other sources of the same target; all targets would fill the memory
            self._last_links = (target, incoming_weights(self.trace, self._points, target))
        links = self._last_links[1]
        for link in links:
            if link.source == source:
                return link
        raise UnknownName("layer directly before it", source, [link.source for link in links], where=target)

    def image_weights(self, layer: str) -> LinkWeights | None:
        """Return the weights from the model input to a layer directly after it, or None where another layer lies between."""
        if self.layer(layer).inputs:
            return None
        # The walk back stops at layers: for this once, the model input is one of them.
        value = self.trace.input
        spec = replace(self._points[layer].spec, name=IMAGE, operation=IMAGE, position=-1)
        image = replace(self._points[layer], spec=spec, pre_value=value, activation_value=value)
        links = incoming_weights(self.trace, {**self._points, IMAGE: image}, layer)
        return next((link for link in links if link.source == IMAGE), None)

    def record(self, batch: Tensor, layers: Sequence[str], point: Point = "activation") -> dict[str, Tensor]:
        """Run the model as it was loaded and return clones of what the layers held, on each layer's own axes."""
        held: dict[str, Tensor] = {}

        def keep(name: str, tensor: Tensor) -> None:
            held[name] = tensor.clone()

        with torch.no_grad(), self._watch(self.module, layers, keep):
            self.module(batch)
        if point == "activation":
            for name in layers:
                function = self._points[name].function
                held[name] = held[name] if function is None else function(held[name])
        return held

    def stream(self, batch: Tensor, layers: Sequence[str], consume: Callable[[str, Tensor], None]) -> None:
        """Run the folded copy once and hand each layer's pre-activation to `consume`; stop after the last layer."""
        waiting = set(layers)

        def hand_over(name: str, tensor: Tensor) -> None:
            consume(name, tensor)
            waiting.discard(name)
            if not waiting:
                raise _Stop

        folded = self._folded_of_this_thread()
        with torch.inference_mode(), self._watch(folded, layers, hand_over):
            try:
                folded(batch.contiguous(memory_format=torch.channels_last))
            except _Stop:
                return

    def pre_activations(self, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Run the folded, frozen copy up to the last of some layers and return their pre-activations; differentiable."""
        held: dict[str, Tensor] = {}
        waiting = set(layers)

        def hand_over(name: str, tensor: Tensor) -> None:
            waiting.discard(name)
            # What runs next may write over it.
            held[name] = tensor.clone() if waiting else tensor
            if not waiting:
                raise _Stop

        folded = self._folded_of_this_thread()
        with self._watch(folded, layers, hand_over):
            try:
                folded(batch.contiguous(memory_format=torch.channels_last))
            except _Stop:
                return held
        raise RuntimeError(f"{', '.join(sorted(waiting))} did not run")

    def move_to(self, device: torch.device) -> None:
        """Move the folded copy, which pictures and the pass are made with, to another device."""
        self.folded.to(device)
        self._own = threading.local()
        self.device = device

    def nonlinearity(self, layer: str) -> Callable[[Tensor], Tensor] | None:
        """Return the function from a layer's pre-activation to its activation, or None where none follows."""
        self.layer(layer)
        return self._points[layer].function

    def logits(self, batch: Tensor) -> Tensor:
        """Run the model as it was loaded and return its outputs `[batch, class]`."""
        with torch.no_grad():
            result: Tensor = self.module(batch)
        return result

    def _folded_of_this_thread(self) -> nn.Module:
        """Return the folded copy; another thread gets modules of its own around the same parameters.

        Hooks belong to modules: on shared ones, the hooks of one thread would see what another runs.
        """
        if threading.current_thread() is threading.main_thread():
            return self.folded
        own: nn.Module | None = getattr(self._own, "folded", None)
        if own is None:
            shared = {id(tensor): tensor for tensor in [*self.folded.parameters(), *self.folded.buffers()]}
            own = self._own.folded = copy.deepcopy(self.folded, shared)
        return own

    @contextmanager
    def _watch(self, module: nn.Module, layers: Sequence[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
        handles = []
        for name in layers:
            self.layer(name)
            point = self._points[name]
            watched = module.get_submodule(point.boundary.module)
            if point.boundary.is_input:
                handles.append(watched.register_forward_pre_hook(_before(name, see)))
            else:
                handles.append(watched.register_forward_hook(_after(name, see)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _before(name: str, see: Callable[[str, Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        see(name, inputs[0])

    return hook


def _after(name: str, see: Callable[[str, Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        see(name, output)

    return hook
