"""Expanded weights are the composed convolutions, the Jacobian of the linearised network, and its response to data."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from precompute.circuits import expand as expand_module
from precompute.circuits.expand import Expanded, expand_inputs, expand_outputs, gross_weights
from precompute.circuits.graph import WeightGraph
from precompute.domain import Placement
from precompute.errors import UsageError
from precompute.models.modules import TracedModel
from precompute.models.plain import PlainModel
from tests.tiny import woken
from tests.unit.circuits.networks import Ends, graph_of, linearised

SIDE = 64


class Branches(nn.Module):
    """As GoogLeNet builds: four branches, one of them over a max pooling with padding, concatenated, twice; strides before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Block(3, 6, 7, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.first, self.second = Mixed(6), Mixed(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[batch, 5]`."""
        return self.head(self.second(self.first(self.pool(self.stem(x)))).mean((2, 3)))


class Block(nn.Module):
    """A convolution, its normalisation, a rectifier."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, side, stride, dilation * (side // 2), dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation."""
        return self.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Four branches."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.one = Block(before, 4, 1)
        self.three_reduce, self.three = Block(before, 3, 1), Block(3, 6, 3)
        self.five_reduce, self.five = Block(before, 2, 1), Block(2, 3, 5, dilation=2)
        self.pool, self.pooled = nn.MaxPool2d(3, 1, 1), Block(before, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenation."""
        branches = [self.one(x), self.three(self.three_reduce(x)), self.five(self.five_reduce(x)), self.pooled(self.pool(x))]
        return torch.cat(branches, 1)


class Strides(nn.Module):
    """Strides, groups, a depthwise convolution with padding on one side only, a skip with a strided projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Block(3, 8, 3, stride=2)
        self.grouped = Block(8, 8, 3, groups=2)
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.deep = nn.Conv2d(8, 8, 3, 2, 0, groups=8, bias=False)
        self.mix = Block(8, 6, 1)
        self.skip = nn.Conv2d(8, 6, 1, 2, bias=False)
        self.last = Block(6, 5, 3)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[batch, 4]`."""
        x = self.grouped(self.stem(x))
        x = self.mix(self.deep(self.pad(x))) + self.skip(x)
        return self.head(self.last(x).mean((2, 3)))


CASES: dict[str, list[tuple[str, str]]] = {
    "branches": [
        ("stem.conv", "first.three.conv"),
        ("first.three.conv", "second.five.conv"),
        ("first", "second.three.conv"),
        ("stem.conv", "second.pooled.conv"),
        ("stem.conv", "second"),
        ("first.five.conv", "head"),
    ],
    "strides": [
        ("stem.conv", "mix.conv"),
        ("grouped.conv", "last.conv"),
        ("stem.conv", "last.conv"),
        ("deep", "head"),
        ("stem.conv", "head"),
    ],
    "resnet": [
        ("conv1.3", "layer1.0.conv2"),
        ("layer1.0.conv1", "layer2.0.conv1"),
        ("layer2.0.conv1", "layer3.0.conv2"),
        ("layer1.0", "layer2.0.conv2"),
        ("conv1.0", "layer3.0"),
        ("layer3.0.conv1", "fc"),
    ],
}


@functools.cache
def case(name: str) -> tuple[TracedModel, WeightGraph, Ends, Tensor]:
    """Return a model, its weights, its linearised twin and a batch."""
    if name == "resnet":
        import timm

        model: Any = PlainModel(woken(timm.create_model("test_resnet")), 256)
    else:
        model = PlainModel(woken({"branches": Branches, "strides": Strides}[name]()), SIDE)
    generator = torch.Generator().manual_seed(3)
    batch = torch.randn(2, 3, *model.preprocessing.crop_px, generator=generator, dtype=torch.float64)
    return model, graph_of(model), Ends(linearised(model.module), functools.partial(_seen_at, model)), batch


def _seen_at(model: TracedModel, layer: str) -> str:
    """Return the module whose output a layer is; a stream is its block, since nonlinearities are identities here."""
    return layer if model.layer(layer).operation == "add" else model.boundary(layer)


def placed(expanded: Expanded, unit: int, place: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """Return a unit's kernels where they lie on the source's map `[source unit, y, x]` for a position of the target."""
    kernels = expanded.array[unit]
    where = expanded.placement
    if where.is_mean:
        return np.broadcast_to(kernels / (size[0] * size[1]), (kernels.shape[0], *size))
    found = np.zeros((kernels.shape[0], *size))
    top, left = (where.start[axis] + place[axis] * where.stride for axis in (0, 1))
    ys, xs = np.arange(kernels.shape[1]) + top, np.arange(kernels.shape[2]) + left
    inside = np.ix_((ys >= 0) & (ys < size[0]), (xs >= 0) & (xs < size[1]))
    found[:, ys[(ys >= 0) & (ys < size[0])][:, None], xs[(xs >= 0) & (xs < size[1])][None]] = kernels[:, inside[0], inside[1]]
    return found


def interior(maps: np.ndarray, margin: int) -> np.ndarray:
    """Leave out the border, where paths through padding are lost."""
    return maps[:, margin:-margin, margin:-margin] if margin else maps


PAIRS = [(name, *pair) for name, pairs in CASES.items() for pair in pairs]


@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=[f"{n}:{s}->{t}" for n, s, t in PAIRS])
def test_expanded_kernels_are_the_jacobian(name: str, source: str, target: str) -> None:
    model, graph, ends, batch = case(name)
    num_units = model.layer(target).num_units
    for unit in {0, num_units // 2, num_units - 1}:
        gradient, place = ends.jacobian(source, target, unit, batch[:1])
        found = expand_inputs(graph, target, [unit], source)
        if found.placement.is_mean:  # away from the border each position of the mean counts alike
            middle = [slice(size // 2 - 2, size // 2 + 2) for size in gradient.shape[1:]]
            total = gradient[:, middle[0], middle[1]].mean(axis=(1, 2)) * gradient[0].size
            np.testing.assert_allclose(found.array[0, :, 0, 0], total, rtol=1e-5, atol=1e-6 * np.abs(total).max())
            continue
        expected = placed(found, 0, place, gradient.shape[1:])
        assert np.abs(gradient).max() > 0
        # The adapter keeps weights in 32 bits; the padding is not seen by kernels, which the middle of a map does not reach.
        np.testing.assert_allclose(expected, gradient, rtol=1e-4, atol=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=[f"{n}:{s}->{t}" for n, s, t in PAIRS])
def test_both_ends_see_the_same_kernels(name: str, source: str, target: str) -> None:
    model, graph, _, _ = case(name)
    unit, other = model.layer(target).num_units - 1, model.layer(source).num_units // 2
    from_target = expand_inputs(graph, target, [unit], source)
    from_source = expand_outputs(graph, source, [other], target)
    assert from_target.array.shape[1] == model.layer(source).num_units
    assert from_source.array.shape[1] == model.layer(target).num_units
    size = (200, 200)
    place = (40, 40)
    one = placed(from_target, 0, place, size)[other]
    two = placed(from_source, 0, place, size)[unit]
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12 * max(np.abs(one).max(), 1e-9))
    assert from_target.is_exact == from_source.is_exact


def test_expanded_kernels_explain_data() -> None:
    """The linearised target minus what the kernels say of the source is a constant for each unit, away from the border."""
    for name, source, target in (("strides", "stem.conv", "last.conv"), ("branches", "stem.conv", "first.three.conv")):
        model, graph, ends, batch = case(name)
        with torch.no_grad():
            start, end = ends.run(source, target, batch)
        units = list(range(model.layer(target).num_units))
        for links, limit in ((graph, 1e-5), (graph_of(model, flip=_middle_link(graph, source, target)), None)):
            found = expand_inputs(links, target, units, source)
            predicted = _correlate(found, start.detach().numpy(), end.shape[-2:])
            margin = 1 + found.array.shape[-1] // found.placement.stride
            rest = (end.detach().numpy() - predicted)[:, :, margin:-margin, margin:-margin]
            assert rest.size
            spread = rest.std(axis=(0, 2, 3)) / end.detach().numpy().std(axis=(0, 2, 3))
            if limit is None:
                assert spread.max() > 1e-2, "the twin with a flipped kernel must fail"
            else:
                assert spread.max() < limit


def _middle_link(graph: WeightGraph, source: str, target: str) -> tuple[str, str]:
    links = [link for link in graph.links_between(source, target) if link.load().shape[-1] > 1]
    return links[0].source, links[0].target


def _correlate(found: Expanded, maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    pad = 40
    padded = np.pad(maps, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    out = np.zeros((len(maps), len(found.array), *size))
    side_y, side_x = found.array.shape[-2:]
    stride = found.placement.stride
    for y in range(size[0]):
        for x in range(size[1]):
            top, left = y * stride + found.placement.start[0] + pad, x * stride + found.placement.start[1] + pad
            out[:, :, y, x] = np.einsum("bchw,uchw->bu", padded[:, :, top : top + side_y, left : left + side_x], found.array)
    return out


def test_composed_convolutions_by_hand() -> None:
    """Two stacks of kernels compose as torch convolves the one with the other, at stride 2 as well."""
    generator = np.random.default_rng(0)
    for stride in (1, 2):
        first = generator.normal(size=(4, 3, 3, 3))
        second = generator.normal(size=(2, 4, 3, 3))
        graph = two_layers(first, second, stride)
        found = expand_inputs(graph, "c", [0, 1], "a").array
        spread = torch.zeros(2, 4, 2 * stride + 1, 2 * stride + 1, dtype=torch.float64)
        spread[:, :, ::stride, ::stride] = torch.from_numpy(second)
        expected = nn.functional.conv_transpose2d(spread, torch.from_numpy(first)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        flipped = expand_inputs(two_layers(first[..., ::-1, ::-1], second, stride), "c", [0, 1], "a").array
        assert not np.allclose(flipped, expected)


def two_layers(first: np.ndarray, second: np.ndarray, stride: int = 1) -> WeightGraph:
    from precompute.circuits.graph import Link, Node

    names = "abc"
    counts = [first.shape[1] if first.ndim == 4 else first.shape[0], first.shape[0], second.shape[0]]
    nodes = [Node(name, count) for name, count in zip(names, counts, strict=True)]
    links = [
        Link("a", "b", Placement(stride, (-1, -1)), True, lambda: first),
        Link("b", "c", Placement(1, (-1, -1)), True, lambda: second),
    ]
    return WeightGraph(nodes, links)


def test_routes_add_up_and_absolute_paths_show_cancelling() -> None:
    _, graph, _, _ = case("branches")
    source, target = "stem.conv", "second.three_reduce.conv"
    routes, count = graph.routes(source, target, 50)
    assert count == len(routes) == 4
    assert ("first.five_reduce.conv", "first.five.conv") in routes
    whole = expand_inputs(graph, target, [1], source)
    parts = [expand_inputs(graph, target, [1], source, route=route) for route in routes]
    size, place = (80, 80), (20, 20)
    total = sum(placed(part, 0, place, size) for part in parts)
    np.testing.assert_allclose(total, placed(whole, 0, place, size), rtol=1e-9, atol=1e-12)
    gross = gross_weights(graph, source, target, 1, is_inputs=True)
    each = sum(gross_weights(graph, source, target, 1, is_inputs=True, route=route) for route in routes)
    np.testing.assert_allclose(gross, each, rtol=1e-9)
    net = np.abs(whole.array[0]).sum(axis=(-2, -1))
    assert (gross >= net * (1 - 1e-9)).all()
    assert (gross > 1.5 * net).any()
    np.testing.assert_allclose(gross_weights(graph, source, target, 3, is_inputs=False)[1], gross[3], rtol=1e-9)


def test_planted_paths_that_cancel() -> None:
    first = np.ones((2, 1, 1, 1))
    second = np.array([[[[1.0]], [[-1.0]]]])
    graph = two_layers(first, second)
    assert expand_inputs(graph, "c", [0], "a").array.item() == 0
    assert gross_weights(graph, "a", "c", 0, is_inputs=True).tolist() == [2.0]


def test_exact_only_without_a_nonlinearity_between() -> None:
    _, graph, _, _ = case("strides")
    assert expand_inputs(graph, "mix.conv", [0], "grouped.conv").is_exact  # nothing follows the depthwise convolution
    assert not expand_inputs(graph, "mix.conv", [0], "stem.conv").is_exact
    with pytest.raises(UsageError, match=r"No path of weights leads from mix\.conv to stem\.conv"):
        expand_inputs(graph, "stem.conv", [0], "mix.conv")


@pytest.mark.parametrize("expand", [expand_inputs, expand_outputs])
@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=[f"{n}:{s}->{t}" for n, s, t in PAIRS])
def test_too_large_a_question_is_refused_before_anything_is_computed(
    expand: Any, name: str, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = case(name)[1]
    start, end = (target, source) if expand is expand_inputs else (source, target)
    spent: list[int] = []
    real = expand_module._Work.spend

    def spend(work: Any, shape: tuple[int, ...], products: int) -> None:
        spent.append(products)
        real(work, shape, products)

    monkeypatch.setattr(expand_module._Work, "spend", spend)
    expand(graph, start, [0], end)
    half = len(spent) // 2
    assert spent[:half] == spent[half:]  # the dry run counts what is then done
    monkeypatch.setattr(expand_module, "MAX_PRODUCTS", sum(spent[:half]) - 1)
    monkeypatch.setattr(expand_module, "_product", lambda *_: pytest.fail("computed before it was refused"))
    with pytest.raises(UsageError, match="too large to compose"):
        expand(graph, start, [0], end)
