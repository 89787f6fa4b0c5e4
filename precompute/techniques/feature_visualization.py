"""Which image would excite this unit most? An image is optimised, from noise, for one unit.

How to read it: the picture shows what raises (or, on the negative side, lowers) the unit's pre-activation. `channel` asks
for it everywhere at once and fills the canvas with the motif, `neuron` asks for the centre position alone and shows one
instance of it at its own size. `reached_ratio` says how far the picture drives the unit compared with the best photograph:
below 1 the optimisation fell short, far above 1 it left the world of photographs.

Known failure modes: the picture shows one optimum, a unit may answer to several unrelated things; what the picture holds
beside the motif is chance; a unit that nothing at the start can wake stays noise (`status`); people tell from dataset
examples more reliably what a unit does, so never read the picture without them.

Paper: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, https://distill.pub/2017/feature-visualization.
Our names: `channel` and `neuron` are the objectives of `lucid`; we read them before the nonlinearity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precompute.domain import Artifact, BlobData, LayerSpec
from precompute.errors import UnknownName, UsageError
from precompute.optvis.objectives import REDUCTIONS, SIGNS, Objective, Reduction, Sign
from precompute.optvis.recipe import Quality, Recipe, choose_recipe
from precompute.optvis.render import Picture, evaluate_padded, render
from precompute.optvis.scores import reached_ratio
from precompute.renderers.images import decode_image, encode_webp, quantise, stretch_contrast
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem

WEBP_QUALITY = 97
LARGEST_LOSSLESS_PX = 64
"""Small canvases are stored without loss: they are magnified most, and lossy WebP halves the resolution of colour."""
Choice = tuple[LayerSpec, Reduction, Sign]
NEURON_LEADS_PX = 16
"""Below this receptive field a unit's leading picture is that of one position."""
BYTES_PER_PIXEL = {True: 2.2, False: 0.5}


@dataclass(frozen=True)
class Variant:
    """One of the pictures that a unit has.

    Attributes:
        reduction, sign: Of the objective.
        quality: How much work goes into it.
    """

    reduction: Reduction
    sign: Sign
    quality: Quality

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read the text that `str` gives.

        >>> Variant.parse("neuron negative draft").sign
        'negative'

        Raises:
            UsageError: The text names no variant.
        """
        for sign in SIGNS:
            for reduction in REDUCTIONS:
                for quality in ("draft", "final"):
                    variant = cls(reduction, sign, quality)
                    if str(variant) == text:
                        return variant
        raise UsageError(f"{text!r} is not a picture. Write for example 'channel positive draft' or 'neuron negative final'.")

    def __str__(self) -> str:
        return f"{self.reduction} {self.sign} {self.quality}"

    def place_on_page(self, layer: LayerSpec) -> int:
        """Return its place among a unit's pictures: the layer's leading objective up, the other up, then both down."""
        order = _reductions(layer)
        return SIGNS.index(self.sign) * len(REDUCTIONS) + order.index(self.reduction)


@TECHNIQUES.register("feature_visualization")
class FeatureVisualization(Technique):
    """Images that are optimised to drive one unit."""

    name = "feature_visualization"
    title = "Feature visualization"
    position = 10
    summary = "Images made from noise to drive this unit as far as they can, and how far they got."
    needs = ("statistics",)  # what a picture reached is compared with what the images reach

    def better_variant(self, variant: str) -> str | None:
        """Return the final picture of a draft."""
        choice = Variant.parse(variant)
        return str(Variant(choice.reduction, choice.sign, "final")) if choice.quality == "draft" else None

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer and variant: first the leading picture of every layer, then the others."""
        leading: list[Choice] = [
            (layer, reduction, "positive")
            for reduction in REDUCTIONS
            for layer in context.layers
            if reduction == _reductions(layer)[0]
        ]
        all_choices: list[Choice] = [
            (layer, reduction, sign)
            for sign in SIGNS
            for reduction in REDUCTIONS
            for layer in context.layers
            if reduction in _reductions(layer)
        ]
        return [
            _work_item(context, layer, Variant(reduction, sign, context.quality))
            for layer, reduction, sign in dict.fromkeys(leading + all_choices)
        ]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Artifact]:
        """Yield one artifact for each unit of the item, in its order, as soon as the batch it is in is done.

        Raises:
            UnknownName: The layer has no such unit.
            UsageError: The item's variant is none.
        """
        variant = Variant.parse(item.variant)
        layer = context.adapter.layer(item.layer)
        for unit in item.units:
            if not 0 <= unit < layer.num_units:
                last = layer.num_units - 1
                raise UnknownName("unit", str(unit), [], where=layer.name, hint=f"Its units are numbered 0 to {last}.")
        recipe = _recipe(context, layer, variant)
        objectives = [Objective(layer.name, unit, variant.reduction, variant.sign) for unit in item.units]
        for pictures in render(context.adapter, objectives, recipe, context.seed):
            yield from _artifacts(context, layer, variant, recipe, pictures)


def _reductions(layer: LayerSpec) -> tuple[Reduction, ...]:
    """Return the objectives that say something about a layer, the leading one first.

    Without positions both read the same number. Where nothing but linear operations lies between the image and the unit,
    the mean over positions depends on the mean colour alone, and says nothing about the pattern; where there is little more
    than that between, the mean is driven by the border of the canvas, and one position shows the pattern far better.
    """
    if not layer.map_size:
        return ("channel",)
    if not layer.inputs and len(layer.map_size) == 2:
        return ("neuron",)
    if layer.receptive_field_px is not None and layer.receptive_field_px < NEURON_LEADS_PX:
        return ("neuron", "channel")
    return ("channel", "neuron")


def _recipe(context: Context, layer: LayerSpec, variant: Variant) -> Recipe:
    """Return how the pictures of a layer are made."""
    input_px = min(context.adapter.preprocessing.crop_px)
    return choose_recipe(layer, context.adapter.layers(), variant.reduction, variant.quality, input_px)


def _work_item(context: Context, layer: LayerSpec, variant: Variant) -> WorkItem:
    """Return what there is to do for one layer and variant."""
    recipe = _recipe(context, layer, variant)
    num_bytes = round(BYTES_PER_PIXEL[recipe.canvas_px <= LARGEST_LOSSLESS_PX] * recipe.canvas_px**2)
    return WorkItem(layer.name, range(layer.num_units), str(variant), True, recipe.seconds, num_bytes)


def _artifacts(
    context: Context, layer: LayerSpec, variant: Variant, recipe: Recipe, pictures: Sequence[Picture]
) -> Iterator[Artifact]:
    """Yield one batch of pictures as they are stored, each with the value of the stored file."""
    blobs = [_encode(picture.pixels) for picture in pictures]
    shown = evaluate_padded(
        context.adapter,
        [picture.objective for picture in pictures],
        [decode_image(blob.data) for blob in blobs],
        recipe.batch_size,
    )
    place = variant.place_on_page(layer)
    for picture, blob, activation_shown in zip(pictures, blobs, shown, strict=True):
        payload = _payload(context, layer, variant, recipe, picture, activation_shown)
        yield Artifact(layer.name, picture.objective.unit, "feature_visualization", "visualization", place, payload, blob)


def _encode(pixels: np.ndarray) -> BlobData:
    """Return the file that is shown: contrast stretched, at the size at which the network sees it."""
    image = quantise(stretch_contrast(pixels))
    return encode_webp(image, None if len(image) <= LARGEST_LOSSLESS_PX else WEBP_QUALITY)


def _payload(
    context: Context, layer: LayerSpec, variant: Variant, recipe: Recipe, picture: Picture, activation_shown: float
) -> dict[str, Any]:
    """Return the numbers beside a picture."""
    extreme = _dataset_extreme(context, layer, picture.objective)
    ratio, ratio_note = reached_ratio(picture.activation, extreme, variant.sign)
    return {
        "objective": variant.reduction,
        "sign": variant.sign,
        "parameterization": "fourier",
        "quality": variant.quality,
        "activation": _finite(picture.activation),
        "activation_shown": _finite(activation_shown),
        "dataset_max": extreme,
        "reached_ratio": None if ratio is None else _finite(ratio),
        "reached_note": ratio_note,
        "robustness": _finite(picture.robustness),
        "start": _finite(picture.start),
        "trace": [_finite(value, 4) for value in picture.trace],
        "status": picture.status,
        "attempt": picture.attempt,
        "canvas_px": recipe.canvas_px,
        "steps": picture.num_steps,
        "seed": context.seed,
        "transforms": [recipe.bounds.as_payload()],
        "decay": recipe.decay,
        "cutoff": recipe.cutoff,
    }


def _dataset_extreme(context: Context, layer: LayerSpec, objective: Objective) -> float | None:
    """Return the largest value of the same reduction over the dataset; the smallest, for the negative side."""
    side = "max" if objective.sign == "positive" else "min"
    reduction = "centre" if objective.reduction == "neuron" else "channel_mean"
    values = context.metrics.get(layer.name, {}).get(f"{reduction}_{side}")
    return None if values is None else _finite(float(values[objective.unit]))


def _finite(value: float, digits: int | None = None) -> float | None:
    """Return a number that JSON can hold, or None."""
    if not math.isfinite(value):
        return None
    return value if digits is None else float(f"{value:.{digits}g}")
