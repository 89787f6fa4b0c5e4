"""What a picture is, in words, for those who do not see it: made from metrics and labels, in one place."""

from __future__ import annotations

from app.contexts import Example, Histogram, Visualization
from app.words.formats import number, percent


def visualization(picture: Visualization, kind: str, unit: int, layer: str) -> str:
    """Return what a visualization shows, and how far it came.

    Args:
        picture: It.
        kind: What one unit of the layer is, such as a channel.
        unit: Index of the unit.
        layer: Name of its layer.
    """
    text = f"Feature visualization of {kind} {unit} of {layer}"
    if picture.facet is not None:
        text += f", facet {picture.facet + 1}"
    elif picture.objective == "neuron":
        text += " at the middle position"
    if picture.sign == "negative":
        text += ", driven down"
    return text + _reached(picture)


def _reached(picture: Visualization) -> str:
    if picture.status in {"dead_start", "never_started"}:
        return ": no start made the unit respond"
    if picture.reached_ratio is not None:
        extreme = "strongest" if picture.sign == "positive" else "lowest"
        return f": reaches {number(picture.reached_ratio, 2)} times the {extreme} photograph"
    if picture.activation is not None and picture.dataset_max is not None:
        return f": reaches {number(picture.activation)}, photographs {number(picture.dataset_max)}"
    return ""


def example(found: Example) -> str:
    """Return what an example is: its label, and how strongly the unit responds to it."""
    return f"{found.stimulus.label or 'Photograph'}, activation {number(found.activation)}"


def histogram(found: Histogram, fraction_active: float | None) -> str:
    """Return what a histogram says: its range, its highest bar, how much lies above zero."""
    edges = [edge for edge in found.edges if edge is not None]
    if len(edges) != len(found.counts) + 1 or not found.counts:
        return "Histogram of the pre-activation"
    mode = max(range(len(found.counts)), key=lambda place: found.counts[place])
    text = (
        f"Histogram of the pre-activation, from {number(edges[0])} to {number(edges[-1])}, "
        f"most often from {number(edges[mode])} to {number(edges[mode + 1])}"
    )
    return text if fraction_active is None else f"{text}; above zero at {percent(fraction_active)} of all positions"


def small(layer: str, unit: int, label: str | None = None) -> str:
    """Return what a small picture of a unit is."""
    return f"Picture of {layer} unit {unit}" + (f", {label}" if label else "")
