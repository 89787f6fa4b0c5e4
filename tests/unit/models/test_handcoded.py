"""The hand-coded network of curves gives its designed answers, to pictures that are drawn without any of its code."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

from precompute.circuits.graph import Link, Node, WeightGraph
from precompute.circuits.labels import label_kernels
from precompute.circuits.motifs import find_equivariant_chains
from precompute.circuits.paths import strongest_paths
from precompute.domain import Placement
from precompute.errors import PublicError, UnknownName, UsageError, WeightsError
from precompute.models.base import load_model
from precompute.models.curve_weights import CurveParameters, calculate_weights
from precompute.models.handcoded import HandCodedModel

SIDE = 107
RADIUS = 16.0
NO_NEGATIVE_WEIGHTS = "handcoded:curves?opposite=0&across=0"
LAYERS: tuple[str, ...] = ("gabor", "line", "early_curve", "curve", "circle")


@functools.cache
def network(spec: str = "handcoded:curves") -> HandCodedModel:
    model = load_model(spec)
    assert isinstance(model, HandCodedModel)
    return model


def painted(distances: np.ndarray, width: float = 2.0) -> np.ndarray:
    """Return a bright stroke on black from each pixel's distance to its middle, with soft edges."""
    return np.clip(width / 2 + 0.5 - distances, 0, 1)


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Return x to the right and y upwards of each pixel, from the centre of the image."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return columns - SIDE // 2, SIDE // 2 - rows


def straight(degrees: float) -> np.ndarray:
    """Return a line through the centre, from edge to edge."""
    x, y = pixels()
    return painted(np.abs(y * np.cos(np.radians(degrees)) - x * np.sin(np.radians(degrees))))


def arc(degrees: float, half_span: float = 50.0) -> np.ndarray:
    """Return part of a circle whose middle is the centre of the image, its outside towards an angle; 180 is all of it."""
    x, y = pixels()
    middle = RADIUS * np.exp(1j * np.radians(degrees))
    places = x + 1j * y + middle  # from the centre of the circle
    within = np.abs(np.degrees(np.angle(places / middle))) <= half_span
    ends = [middle * np.exp(sign * 1j * np.radians(half_span)) for sign in (-1, 1)]
    to_ends = np.minimum(*[np.abs(places - end) for end in ends])
    return painted(np.where(within, np.abs(np.abs(places) - RADIUS), to_ends))


def maps(model: HandCodedModel, images: list[np.ndarray], layer: str) -> np.ndarray:
    """Return the activations of a layer: `[image, unit, height, width]`."""
    batch = torch.from_numpy(np.stack(images)).float()[:, None].repeat(1, 3, 1, 1)
    return model.record(model.normalise(batch), [layer])[layer].numpy()


def at_centre(model: HandCodedModel, images: list[np.ndarray], layer: str) -> np.ndarray:
    """Return what the units in the centre say: `[image, unit]`."""
    held = maps(model, images, layer)
    return held[:, :, held.shape[2] // 2, held.shape[3] // 2]


def apart(one: np.ndarray, other: np.ndarray, turn: float = 360.0) -> np.ndarray:
    """Return how far angles are apart, in degrees."""
    return np.abs((one - other + turn / 2) % turn - turn / 2)


# -- answers ---------------------------------------------------------------------------------------------------------------


def test_lines_prefer_their_designed_angle() -> None:
    shown = np.arange(0.0, 180.0, 3.0)
    best = shown[at_centre(network(), [straight(angle) for angle in shown], "line").argmax(0)]
    designed = network().parameters.line_angles
    assert apart(best, designed, 180).max() <= 3
    assert apart(np.roll(best, 1), designed, 180).min() >= 12  # each unit its own


SHOWN = np.arange(0.0, 360.0, 5.0)


@functools.cache
def radial_tuning(spec: str) -> np.ndarray:
    """Return `[angle, unit]` of the curves."""
    return at_centre(network(spec), [arc(angle) for angle in SHOWN], "curve")


def echoes(tuning: np.ndarray) -> np.ndarray:
    """Return the largest answer to arcs that bend the other way, as a share of the largest at all, of each unit."""
    is_opposite = apart(SHOWN[:, None], network().parameters.curve_angles) >= 135
    return np.where(is_opposite, tuning, 0).max(0) / tuning.max(0)


def test_curves_prefer_their_designed_angle_and_not_the_opposite_one() -> None:
    tuning = radial_tuning("handcoded:curves")
    designed = network().parameters.curve_angles
    assert apart(SHOWN[tuning.argmax(0)], designed).max() <= 8
    assert apart(SHOWN[tuning.argmax(0)], np.roll(designed, 1)).min() > 8
    assert tuning.max(0).min() > 0.8 * tuning.max(0).max()
    assert echoes(tuning).max() <= 0.1


def test_curves_without_negative_weights_answer_to_the_opposite_bend_too() -> None:
    assert echoes(radial_tuning(NO_NEGATIVE_WEIGHTS)).min() > 0.3


@pytest.mark.parametrize(("spec", "is_told_apart"), [("handcoded:curves", True), (NO_NEGATIVE_WEIGHTS, False)])
def test_curves_tell_an_arc_from_a_straight_line_anywhere(spec: str, is_told_apart: bool) -> None:
    to_lines = maps(network(spec), [straight(angle) for angle in range(0, 180, 10)], "curve").max()
    assert (to_lines < 0.4 * radial_tuning(spec).max(0).min()) == is_told_apart


def test_a_circle_is_found_at_its_centre_and_an_arc_is_none() -> None:
    ring = np.roll(arc(0, 180), round(RADIUS), axis=1)
    found = maps(network(), [ring, arc(0)], "circle")
    middle = found.shape[-1] // 2
    assert np.unravel_index(found[0, 0].argmax(), found.shape[2:]) == (middle, middle)
    assert found[0, 0].max() > 2 * max(found[0, 1].max(), found[1, 0].max())


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.9, 0.1, 0.4)])
def test_a_plain_field_excites_nothing(colour: tuple[float, float, float]) -> None:
    field = torch.tensor(colour).reshape(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
    held = network().record(network().normalise(field), LAYERS)
    assert all(tensor.max() == 0 for tensor in held.values())
    field = field.clone()
    field[..., SIDE // 2 :] *= 0.2  # a step is no plain field
    assert (network().record(field, ["gabor"])["gabor"].max() > 0) == (max(colour) > 0)


# -- weights ---------------------------------------------------------------------------------------------------------------


def strongest(kernels: np.ndarray, sign: int, count: int = 3) -> np.ndarray:
    """Return the inputs with the largest norm among those of one sign of sum, of each unit: `[unit, place]`."""
    norms = np.linalg.norm(kernels, axis=(2, 3)) * (np.sign(kernels.sum((2, 3))) == sign)
    return np.argsort(-norms, axis=1, kind="stable")[:, :count]


def is_as_designed(kernels: np.ndarray, designed: np.ndarray) -> bool:
    """Tell whether a curve's strongest inputs lie along its tangent, and the strongest against it on the opposite side."""
    along = apart(designed[strongest(kernels, 1)], designed[:, None])
    against = apart(designed[strongest(kernels, -1)], designed[:, None])
    return bool(along.max() <= 30 and against.min() >= 120)


def test_strongest_inputs_of_curves_lie_along_their_tangent_and_the_negative_ones_opposite() -> None:
    kernels = network().weights_between("early_curve", "curve").array
    designed = network().parameters.curve_angles
    assert is_as_designed(kernels, designed)
    shuffled = np.random.default_rng(0).permutation(24)
    assert not is_as_designed(kernels[:, shuffled], designed)


def early_curve_inputs(kernels: np.ndarray) -> list[tuple[list[set[int]], list[set[int]], set[int]]]:
    """Return of each early curve, counted from its own number: the first lines by norm and by sum, and those that excite it.

    Lines at the same angle to either side of the tangent are as strong but for rounding, so they stand together.
    """
    norms, sums = np.linalg.norm(kernels, axis=(2, 3)), kernels.sum((2, 3))
    found: list[tuple[list[set[int]], list[set[int]], set[int]]] = []
    for unit in range(24):
        by_norm, by_sum = ([(int(line) - unit) % 12 for line in np.argsort(-values[unit])] for values in (norms, sums))
        excite = {(int(line) - unit) % 12 for line in np.flatnonzero(sums[unit] > 0)}
        found.append(([{by_norm[0]}, set(by_norm[1:3]), {by_norm[-1]}], [{by_sum[0]}, set(by_sum[1:3]), {by_sum[-1]}], excite))
    return found


def test_inputs_of_an_early_curve_are_first_the_line_across_by_norm_and_the_tangent_by_sum() -> None:
    kernels = network().weights_between("line", "early_curve").array
    expected = ([{0}, {5, 7}, {6}], [{6}, {5, 7}, {0}], {4, 5, 6, 7, 8})
    assert early_curve_inputs(kernels) == [expected] * 24
    assert all(found != expected for found in early_curve_inputs(np.roll(kernels, 1, axis=1)))
    sums = np.stack([kernels[unit].sum((1, 2))[(unit + np.array([0, 5, 6, 7])) % 12] for unit in range(24)])
    np.testing.assert_allclose(sums, np.broadcast_to([-1.3, 0.26, 0.32, 0.26], sums.shape), atol=0.06)


def test_lines_beside_the_tangent_excite_an_early_curve_on_one_arm_and_inhibit_it_on_the_other() -> None:
    kernels = network().weights_between("line", "early_curve").array

    def likeness_turned(steps: int) -> list[float]:
        """Return how like each kernel is to itself turned by 180 degrees: -1 where the arms have opposite signs."""
        chosen = [kernels[unit, (unit + steps) % 12] for unit in range(24)]
        return [float(np.sum(kernel * np.rot90(kernel, 2)) / np.sum(kernel**2)) for kernel in chosen]

    assert max(likeness_turned(5) + likeness_turned(7)) < -0.8
    assert min(likeness_turned(0) + likeness_turned(6)) > 0.6
    adds = np.maximum(kernels, 0).sum((2, 3))
    takes = np.maximum(-kernels, 0).sum((2, 3))
    across, beside = ([(adds / takes)[unit, (unit + steps) % 12] for unit in range(24)] for steps in (0, 5))
    assert max(across) < 0.001
    assert min(beside) > 1


def test_kernel_of_the_early_curve_of_the_same_angle_is_called_a_line_along_the_tangent() -> None:
    kernels = network().weights_between("early_curve", "curve").array
    for unit in range(24):
        own, opposite, beside = label_kernels(kernels[unit, [unit, (unit + 12) % 24, (unit + 6) % 24]])
        assert own is not None
        assert opposite is not None
        assert beside is not None
        assert (own.shape, own.sign, own.is_clear) == ("line", 1, True)
        assert (opposite.shape, opposite.sign, opposite.is_clear) == ("line", -1, True)
        tangent = (unit + 6) % 12 * 15
        assert own.angle_deg is not None
        assert apart(np.array(own.angle_deg), np.array(tangent), 180) <= 1e-6
        assert opposite.angle_deg == own.angle_deg
        assert not beside.is_clear


@pytest.mark.parametrize("curve", range(24))
def test_strongest_path_from_a_line_beside_the_tangent_leads_over_the_early_curve_of_the_same_angle(curve: int) -> None:
    model = network()
    nodes = [Node(layer.name, layer.num_units) for layer in model.layers()]
    found = [model.weights_between(*pair) for pair in pairwise(LAYERS)]
    links = [Link(w.source, w.target, Placement(), w.is_exact, functools.partial(np.asarray, w.array)) for w in found]
    graph = WeightGraph(nodes, links)
    for beside in (5, 7):
        best = strongest_paths(graph, ("line", (curve + beside) % 12), ("curve", curve), 1)[0]
        assert best.units[1] == ("early_curve", curve)
    other = strongest_paths(graph, ("line", (curve + 1) % 12), ("curve", curve), 1)[0]
    assert other.units[1] != ("early_curve", curve)


def moved(blocks: dict[str, np.ndarray], steps: int, is_turned: bool = True) -> dict[str, np.ndarray]:
    """Return weights with each unit's given to the unit some steps further, kernels as they are.

    Args:
        blocks: Of each layer.
        steps: Less than nothing for units before.
        is_turned: Whether kernels are to be turned too: past half a turn a gabor is its own mirror image, with phases backwards.
    """
    count, phases = CurveParameters().orientations, CurveParameters().phases
    lines, curves = (np.arange(count) - steps) % count, (np.arange(2 * count) - steps) % (2 * count)
    is_mirrored = is_turned & (np.arange(count) < steps)
    places = np.where(is_mirrored[:, None], -np.arange(phases) % phases, np.arange(phases))
    gabors = (lines[:, None] * phases + places).ravel()
    units: dict[str, np.ndarray] = dict(zip(LAYERS, [gabors, lines, curves, curves, np.arange(2)], strict=True))
    inputs: dict[str, np.ndarray] = dict(zip(LAYERS, [np.arange(3), *list(units.values())[:-1]], strict=True))
    return {name: block[units[name]][:, inputs[name]] for name, block in blocks.items()}


def test_turning_the_specification_by_a_step_moves_every_weight_to_the_next_unit() -> None:
    blocks = calculate_weights(CurveParameters())
    before = moved(blocks, -1, is_turned=False)
    for name, block in calculate_weights(CurveParameters(turn_deg=15)).items():
        np.testing.assert_allclose(block, before[name], atol=2e-6, err_msg=name)
        assert np.abs(block - blocks[name]).max() > 1e-3


def test_a_quarter_turn_turns_kernels_exactly() -> None:
    blocks = calculate_weights(CurveParameters())
    for name, block in moved(blocks, 6).items():
        np.testing.assert_allclose(np.rot90(block, axes=(2, 3)), blocks[name], atol=2e-6, err_msg=name)
        assert np.abs(block - blocks[name]).max() > 0.01


def test_a_step_turns_kernels_as_far_as_a_grid_allows() -> None:
    blocks = calculate_weights(CurveParameters())
    angle = np.radians(15)
    matrix = torch.tensor([[[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]]).float()
    for name, block in moved(blocks, 1).items():
        grid = functional.affine_grid(matrix.expand(len(block), -1, -1), list(block.shape), align_corners=True)
        resampled = functional.grid_sample(torch.from_numpy(block), grid, mode="bicubic", align_corners=True).numpy()
        likeness, unturned = (np.corrcoef(found.ravel(), blocks[name].ravel())[0, 1] for found in (resampled, block))
        assert likeness > 0.9, name
        assert likeness > unturned + 0.02, name


def test_turning_an_image_by_a_quarter_turns_the_maps_and_moves_units() -> None:
    image = np.roll(arc(20, 80), (7, 3), axis=(0, 1))
    upright, of_turned = maps(network(), [image, np.rot90(image).copy()], "curve")
    expected = np.roll(np.rot90(upright, axes=(1, 2)), 6, axis=0)
    assert np.abs(of_turned - expected).max() < 1e-4 * upright.max()
    assert np.abs(of_turned - np.roll(expected, 1, axis=0)).max() > 0.1 * upright.max()


# -- the family ------------------------------------------------------------------------------------------------------------


def test_every_unit_has_a_label() -> None:
    model = network()
    labels = {layer.name: model.unit_labels(layer.name) or [] for layer in model.layers()}
    assert {layer.name: len(set(labels[layer.name])) for layer in model.layers()} == {
        layer.name: layer.num_units for layer in model.layers()
    }
    assert labels["curve"][3] == "curve 45°"
    assert labels["line"][2] == "line 30°"
    assert labels["gabor"][7] == "gabor 15°, phase 60°"


def test_weights_are_those_of_the_parameters_and_the_specification_names_them() -> None:
    model = network("handcoded:curves?radius_px=20")
    assert model.parameters.radius_px == 20
    assert model.weights.origin == "hand-coded"
    assert "radius_px=20" in model.weights.source
    assert load_model(str(model.spec)).weights.sha256 == model.weights.sha256 != network().weights.sha256


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("handcoded:curve", UnknownName, "Did you mean 'curves'"),
        ("handcoded:curves@random:0", WeightsError, "are calculated, not read"),
        ("handcoded:curves?oposite=0", UnknownName, "Did you mean 'opposite'"),
        ("handcoded:curves?radius_px=wide", UsageError, "'wide' is not a number"),
        ("handcoded:curves?radius_px=nan", PublicError, "must be above 0"),
        ("handcoded:curves?turn_deg=inf", UsageError, "turn_deg=inf"),
        ("handcoded:curves?line_size=4", UsageError, "must be odd"),
        ("handcoded:curves?orientations=1000", UsageError, "must be at most 64"),
        ("handcoded:curves?phases=1.5", UsageError, "is not a whole number"),
    ],
)
def test_what_cannot_be_calculated_is_refused_with_the_reason(spec: str, kind: type[PublicError], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_model(spec)


@pytest.mark.parametrize(("layer", "source", "least"), [("curve", "early_curve", 24), ("early_curve", "line", 20)])
def test_motifs_find_what_turns(layer: str, source: str, least: int) -> None:
    """Each of 24 units has 4 strong inputs, in 24 orbits of four quarter turns: all of them, unless the fourth input is a tie."""
    weights = network().weights_between(source, layer).array
    found = find_equivariant_chains(weights)
    assert least <= found.count <= 24
    assert found.z is not None
    assert found.z > 3.5
    assert found.p == pytest.approx(1 / 51)
    step = len(weights) // 4
    turns = [[(after - before) % len(weights) for before, after in pairwise(one.units[1::2])] for one in found.instances]
    assert sum(set(turn) in ({step}, {3 * step}) for turn in turns) >= 20
    astray = np.random.default_rng(0).integers(4, size=len(weights))  # the twin: each unit turned by itself
    turned = np.stack([np.rot90(kernels, quarter, axes=(1, 2)) for kernels, quarter in zip(weights, astray, strict=True)])
    nothing = find_equivariant_chains(turned)
    assert nothing.z is not None
    assert nothing.z < 3
