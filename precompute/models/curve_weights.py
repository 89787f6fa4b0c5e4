"""Weights of a network that finds lines and curves, calculated from stated parameters: nothing is trained or copied.

Angles are in degrees, counter-clockwise from the right as on paper (rows of an image count downwards, so y is turned over).
A line has the angle of its direction, 0 to 180. A curve has the angle of its outward normal, 0 to 360: that at which its
middle lies as seen from the centre of its circle, so 0 is `)` and 90 is the top of a ring. Every kernel is a smooth
function of place and angle, so that turning the whole specification by one step turns the kernels and moves each unit's
weights to the next unit.

Paper: Cammarata et al., "Curve Circuits", Distill 2021, https://distill.pub/2020/circuits/curve-circuits, whose hand-made
network this one follows in its layers. Its weights are not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DECIMALS = 6
"""Weights are rounded to these, so that they are the same on every machine."""


@dataclass(frozen=True)
class CurveParameters:
    """Everything that decides the network.

    Attributes:
        orientations: Of gabors and lines, over 180 degrees; there are twice as many curves, over 360.
        phases: Of the gabors of each orientation.
        turn_deg: All designed angles are turned by this.
        wavelength_px: Of the gabors.
        gabor_sigma_px: Width of their envelope.
        gabor_size, line_size, early_size, curve_size, circle_size: Sides of the kernels.
        line_length, line_width: Sigmas of a line along and across its direction, in steps of the gabors' map.
        line_sharpness: How steeply a weight falls where a line's angle differs from the designed one.
        radius_px: Of the arcs that curves are designed for, in pixels of the input.
        arc_length, arc_width: Sigmas of the early curves along and across the arc, in steps of the lines' map.
        curve_length, curve_width: Likewise of the curves.
        curve_sharpness: How steeply a weight falls where a curve's angle differs from the designed one.
        across: Strength of the negative weights for lines at right angles to the designed ones.
        opposite: Strength of the negative weights for the opposite bend.
        gabor_gain, line_gain, early_gain, curve_gain, circle_gain: Sum of the positive weights of each unit of a layer.
        threshold: What the inputs of a unit must exceed to excite it; less than nothing by this are the biases.
        early_threshold, curve_threshold: Likewise of early curves and curves, which a straight line must not excite.
    """

    orientations: int = 12
    phases: int = 6
    turn_deg: float = 0.0
    wavelength_px: float = 6.0
    gabor_sigma_px: float = 2.0
    gabor_size: int = 11
    line_size: int = 5
    line_length: float = 1.3
    line_width: float = 0.6
    line_sharpness: float = 4.0
    radius_px: float = 16.0
    early_size: int = 5
    arc_length: float = 1.5
    arc_width: float = 0.5
    curve_size: int = 5
    curve_length: float = 1.8
    curve_width: float = 0.6
    curve_sharpness: float = 6.0
    circle_size: int = 9
    across: float = 0.8
    opposite: float = 0.8
    gabor_gain: float = 3.0
    line_gain: float = 2.0
    early_gain: float = 4.0
    curve_gain: float = 4.0
    circle_gain: float = 2.0
    threshold: float = 0.05
    early_threshold: float = 0.4
    curve_threshold: float = 0.2

    @property
    def line_angles(self) -> np.ndarray:
        """Return the designed angle of each line: degrees, 0 to 180."""
        return (np.arange(self.orientations) * 180 / self.orientations + self.turn_deg) % 180

    @property
    def curve_angles(self) -> np.ndarray:
        """Return the designed angle of each early curve, and of each curve: degrees, 0 to 360."""
        return (np.arange(2 * self.orientations) * 180 / self.orientations + self.turn_deg) % 360

    @property
    def line_labels(self) -> list[str]:
        """Return what to call each line."""
        return [f"line {angle:g}°" for angle in self.line_angles]

    def curve_labels(self, kind: str) -> list[str]:
        """Return what to call each curve of a kind."""
        return [f"{kind} {angle:g}°" for angle in self.curve_angles]

    @property
    def gabor_labels(self) -> list[str]:
        """Return what to call each gabor: by the angle of its waves, and the phase, 0 for a bright line, 180 for a dark one."""
        phases = [phase * 360 / self.phases for phase in range(self.phases)]
        return [f"gabor {angle:g}°, phase {phase:g}°" for angle in self.line_angles for phase in phases]


GABOR_STRIDE, LINE_STRIDE = 2, 2
LINE_STEP_PX = GABOR_STRIDE * LINE_STRIDE
"""Of the map of lines, and of all layers after it."""


def calculate_weights(parameters: CurveParameters) -> dict[str, np.ndarray]:
    """Return the kernels of each layer: float32 `[unit, input unit, height, width]`."""
    blocks = {
        "gabor": gabor_kernels(parameters),
        "line": line_kernels(parameters),
        "early_curve": early_curve_kernels(parameters),
        "curve": curve_kernels(parameters),
        "circle": circle_kernels(parameters),
    }
    return {name: np.round(block, DECIMALS).astype(np.float32) for name, block in blocks.items()}


def gabor_kernels(parameters: CurveParameters) -> np.ndarray:
    """Return waves on the brightness of an image: `[orientation and phase, rgb, height, width]`.

    The phases of each orientation follow each other: from a bright line over a step to a dark line and back.
    No kernel answers to a plain field.
    """
    x, y = _grid(parameters.gabor_size)
    envelope = np.exp(-(x**2 + y**2) / (2 * parameters.gabor_sigma_px**2))
    across = _across(x, y, parameters.line_angles)
    phases = np.arange(parameters.phases) * 2 * np.pi / parameters.phases
    waves = np.cos(2 * np.pi * across[:, None] / parameters.wavelength_px - phases[:, None, None])
    kernels = envelope * waves
    kernels -= envelope * kernels.sum((-2, -1), keepdims=True) / envelope.sum()
    kernels = _scaled(kernels.reshape(-1, 1, *envelope.shape), parameters.gabor_gain)
    return np.repeat(kernels / 3, 3, axis=1)


def line_kernels(parameters: CurveParameters) -> np.ndarray:
    """Return lines, whatever their contrast: all phases of a gabor count alike. `[line, gabor, height, width]`."""
    x, y = _grid(parameters.line_size)
    along, across = _along(x, y, parameters.line_angles), _across(x, y, parameters.line_angles)
    places = np.exp(-(along**2) / (2 * parameters.line_length**2) - across**2 / (2 * parameters.line_width**2))
    offsets = parameters.line_angles[:, None] - parameters.line_angles
    weights = _bump(2 * offsets, parameters.line_sharpness) - _others(2 * offsets, parameters)
    kernels = places[:, None] * weights[..., None, None]
    return _scaled(np.repeat(kernels, parameters.phases, axis=1), parameters.line_gain)


def early_curve_kernels(parameters: CurveParameters) -> np.ndarray:
    """Return short arcs of lines, less the lines of the opposite arc: `[early curve, line, height, width]`."""
    arcs = _Arcs(parameters, parameters.early_size, parameters.arc_length)
    # The tangent is at right angles to the normal; twice an angle is the same for both directions of a line.
    offsets = 2 * (arcs.normals[:, None] + 90 - parameters.line_angles[:, None, None])
    lines = _opposed(arcs, _bump(offsets, parameters.line_sharpness), parameters.arc_width, parameters)
    return _scaled(lines - arcs.places(parameters.arc_width) * _others(offsets, parameters), parameters.early_gain)


def curve_kernels(parameters: CurveParameters) -> np.ndarray:
    """Return arcs of early curves, less those of the opposite arc: `[curve, early curve, height, width]`."""
    arcs = _Arcs(parameters, parameters.curve_size, parameters.curve_length)
    curves = _bump(arcs.normals[:, None] - parameters.curve_angles[:, None, None], parameters.curve_sharpness)
    return _scaled(_opposed(arcs, curves, parameters.curve_width, parameters), parameters.curve_gain)


def circle_kernels(parameters: CurveParameters) -> np.ndarray:
    """Return a ring of curves that bend inwards (a circle), and one of curves that bend outwards: `[2, curve, ...]`."""
    x, y = _grid(parameters.circle_size)
    angle = np.degrees(np.arctan2(y, x))
    ring = np.exp(-((np.hypot(x, y) - parameters.radius_px / LINE_STEP_PX) ** 2) / (2 * parameters.curve_width**2))
    bumps = ring * _bump(angle - parameters.curve_angles[:, None, None], parameters.curve_sharpness)
    outwards = ring * _bump(angle + 180 - parameters.curve_angles[:, None, None], parameters.curve_sharpness)
    both = np.stack([bumps - parameters.opposite * outwards, outwards - parameters.opposite * bumps])
    return _scaled(both, parameters.circle_gain)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x to the right and y upwards of every place of a kernel, from its centre."""
    places = np.arange(size) - (size - 1) / 2
    return np.broadcast_to(places, (size, size)), np.broadcast_to(-places[:, None], (size, size))


def _along(x: np.ndarray, y: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    angle = np.radians(degrees)[:, None, None]
    return x * np.cos(angle) + y * np.sin(angle)


def _across(x: np.ndarray, y: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    return _along(x, y, degrees + 90)


class _Arcs:
    """The arcs of all designed angles, each through the centre of its kernel.

    Attributes:
        normals: Angle of the arc's normal at each place: degrees, `[curve, height, width]`.
        distances: Of each place from the arc, in steps of the map; likewise.
        nearness: 1 in the middle of the arc, less along it; likewise.
    """

    def __init__(self, parameters: CurveParameters, size: int, length: float) -> None:
        x, y = _grid(size)
        radius = parameters.radius_px / LINE_STEP_PX
        degrees = parameters.curve_angles[:, None, None]
        x, y = x + radius * np.cos(np.radians(degrees)), y + radius * np.sin(np.radians(degrees))
        self.normals = np.degrees(np.arctan2(y, x))
        self.distances = np.hypot(x, y) - radius
        along = radius * np.radians((self.normals - degrees + 180) % 360 - 180)
        self.nearness = np.exp(-(along**2) / (2 * length**2))

    def places(self, width: float) -> np.ndarray:
        """Return how near each place is to the arc, whose width is a sigma: `[curve, 1, height, width]`."""
        return (self.nearness * np.exp(-(self.distances**2) / (2 * width**2)))[:, None]


def _bump(offsets: np.ndarray, sharpness: float) -> np.ndarray:
    """Return 1 where there is no offset, falling smoothly towards 180 degrees."""
    return np.exp(sharpness * (np.cos(np.radians(offsets)) - 1))


def _others(offsets: np.ndarray, parameters: CurveParameters) -> np.ndarray:
    """Return how much is taken away for a line by twice its offset: most at right angles."""
    return parameters.across * _bump(offsets + 180, parameters.line_sharpness)


def _opposed(arcs: _Arcs, preferred: np.ndarray, width: float, parameters: CurveParameters) -> np.ndarray:
    """Return the preferred inputs along the arc, less those of the arc half a turn further."""
    kernels = preferred * arcs.places(width)
    return kernels - parameters.opposite * np.roll(kernels, parameters.orientations, axis=0)


def _scaled(kernels: np.ndarray, gain: float) -> np.ndarray:
    """Scale so that the positive weights of each unit have a sum."""
    return gain * kernels / np.maximum(kernels, 0).sum((1, 2, 3), keepdims=True)
