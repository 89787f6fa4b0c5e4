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
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from precompute.domain import Artifact, BlobData, LayerSpec, Result, UnitMetric
from precompute.errors import UsageError
from precompute.optvis.engine import Picture, evaluate_padded, render_pictures
from precompute.optvis.judgement import References, Scores, flags, judge
from precompute.optvis.lucent_renderer import render_with_lucent
from precompute.optvis.objectives import REDUCTIONS, Objective, Reduction
from precompute.optvis.parameterizations import FourierImage, MacoImage, Parameterization, natural_magnitude
from precompute.optvis.recipe import Recipe, choose_recipe
from precompute.optvis.scores import reached_ratio
from precompute.optvis.variants import Variant, variants_of
from precompute.renderers.images import decode_image, encode_webp, quantise, stretch_contrast
from precompute.techniques.base import TECHNIQUES, Context, Technique, WorkItem

WEBP_QUALITY = 97
LARGEST_LOSSLESS_PX = 64
"""Small canvases are stored without loss: they are magnified most, and lossy WebP halves the resolution of colour."""
BYTES_PER_PIXEL = {True: 2.2, False: 0.5}


@TECHNIQUES.register("feature_visualization")
class FeatureVisualization(Technique):
    """Images that are optimised to drive one unit."""

    name = "feature_visualization"
    title = "Feature visualization"
    position = 10
    summary = "Images made from noise to drive this unit as far as they can, and how far they got."
    # What a picture reached is compared with what the images reach, and how it looks with its strongest examples.
    needs = ("statistics", "dataset_examples")

    def better_variant(self, variant: str) -> str | None:
        """Return the final picture of a draft."""
        choice = Variant.parse(variant)
        return str(replace(choice, quality="final")) if choice.quality == "draft" else None

    def plan(self, context: Context) -> list[WorkItem]:
        """Return one item for each layer and variant: first the leading picture of every layer, then the others."""
        quality, renderer = context.quality, context.renderer
        choices = [(layer, variant) for layer in context.layers for variant in variants_of(layer, quality, renderer)]
        choices.sort(key=lambda choice: _turn(*choice))  # stable: layers stay in order of execution
        return [_work_item(context, layer, variant) for layer, variant in choices]

    def compute(self, context: Context, item: WorkItem) -> Iterator[Result]:
        """Yield the pictures of each unit of the item, with their scores, in its order.

        Raises:
            UnknownName: The layer has no such unit.
            UsageError: The item's variant is none.
        """
        variant = Variant.parse(item.variant)
        layer = context.adapter.layer(item.layer)
        for unit in item.units:
            context.adapter.check_unit(layer.name, unit)
        work = _Work(context, layer, variant)
        results: dict[int, list[Result]] = {}
        for unit, found in work.results(item.units):
            results.setdefault(unit, []).extend(found)
        for unit in item.units:
            yield from results[unit]


def _turn(layer: LayerSpec, variant: Variant) -> tuple[int, int]:
    """Return when a variant has its turn: leading pictures, the other objective, the other side, other seeds, facets."""
    if variant.objective == "diversity":
        return 4, 0
    stage = 3 if variant.seed_offset else 2 if variant.sign == "negative" else 0 if variant.is_leading(layer) else 1
    return stage, REDUCTIONS.index(variant.objective)


def recipe_of(context: Context, layer: LayerSpec, variant: Variant) -> Recipe:
    """Return how the pictures of a layer are made."""
    input_px = min(context.adapter.preprocessing.crop_px)
    return choose_recipe(layer, context.adapter.layers(), variant.reduction(layer), variant.quality, input_px)


def _work_item(context: Context, layer: LayerSpec, variant: Variant) -> WorkItem:
    """Return what there is to do for one layer and variant."""
    recipe = recipe_of(context, layer, variant)
    num_bytes = round(BYTES_PER_PIXEL[recipe.canvas_px <= LARGEST_LOSSLESS_PX] * recipe.canvas_px**2)
    count = variant.num_facets
    return WorkItem(layer.name, range(layer.num_units), str(variant), True, recipe.seconds * count, num_bytes * count)


class _Work:
    """Pictures of one variant of one layer."""

    def __init__(self, context: Context, layer: LayerSpec, variant: Variant) -> None:
        self.context, self.layer, self.variant = context, layer, variant
        self.recipe = recipe_of(context, layer, variant)
        self.reduction: Reduction = variant.reduction(layer)
        self.seed = context.seed + variant.seed_offset
        self.direction = 1.0 if variant.sign == "positive" else -1.0
        self.parameterization = self._parameterization()

    def results(self, units: Sequence[int]) -> Iterator[tuple[int, list[Result]]]:
        """Yield unit and results of each picture, in the order in which pictures are finished."""
        objectives = [self.variant.objective_of(self.layer, unit) for unit in units]
        ended: list[tuple[int, Picture]] = []
        for place, pictures in self._draw(objectives):
            ended += [(units[place], picture) for picture in pictures]
            while len(ended) >= self.recipe.batch_size:
                yield from self._judged(ended[: self.recipe.batch_size])
                ended = ended[self.recipe.batch_size :]
        if ended:
            yield from self._judged(ended)

    def _draw(self, objectives: Sequence[Objective]) -> Iterator[tuple[int, list[Picture]]]:
        adapter = self.context.adapter
        if self.variant.renderer == "lucent":
            return render_with_lucent(adapter, objectives, self.recipe, self.seed)
        return render_pictures(adapter, objectives, self.recipe, self.seed, self.parameterization)

    def _parameterization(self) -> Parameterization:
        """Return how images are written down.

        Raises:
            UsageError: It is made of the build's images, and there are not enough.
        """
        if self.variant.renderer != "maco":
            return FourierImage(self.recipe.canvas_px, self.recipe.decay, self.recipe.cutoff)
        photographs = self.context.photographs
        if photographs is None:
            raise UsageError("maco takes the magnitudes of its spectrum from images, and there are none. Give --images.")
        crops = photographs.crops_for_spectrum(self.recipe.canvas_px)
        if crops is None:
            raise UsageError("maco takes the magnitudes of its spectrum from images, and one is no measure. Give two or more.")
        return MacoImage(natural_magnitude(crops))

    def _settings(self) -> dict[str, Any]:
        """Return what decides a picture beside its recipe."""
        if self.variant.renderer == "lucent":
            return {}
        rate = self.parameterization.learning_rate or self.recipe.learning_rate
        return {"learning_rate": rate, **self.parameterization.settings()}

    def _judged(self, pictures: Sequence[tuple[int, Picture]]) -> Iterator[tuple[int, list[Result]]]:
        """Yield the results of pictures, scored as they stand in the file."""
        blobs = [_encode(picture.pixels) for _, picture in pictures]
        files = [decode_image(blob.data) for blob in blobs]
        values = [self.variant.value_of(self.layer, unit) for unit, _ in pictures]
        reached = [picture.value for _, picture in pictures]
        if self.variant.num_facets > 1:  # optimised with a penalty that is not part of what the unit answers
            optimised = [picture.pixels for _, picture in pictures]
            reached = evaluate_padded(self.context.adapter, values, optimised, self.recipe.batch_size)
        shown = evaluate_padded(self.context.adapter, values, files, self.recipe.batch_size)
        scores = self._scores([unit for unit, _ in pictures], files)
        for place, (unit, picture) in enumerate(pictures):
            numbers = (self.direction * reached[place], self.direction * shown[place])
            payload = self._payload(unit, picture, numbers, scores[place])
            number = self.variant.place_on_page(self.layer, picture.facet)
            artifact = Artifact(self.layer.name, unit, "feature_visualization", "visualization", number, payload, blobs[place])
            yield unit, [artifact, *self._metrics(unit, payload)]

    def _scores(self, units: Sequence[int], files: Sequence[np.ndarray]) -> list[Scores]:
        """Return the scores of a batch of pictures, as they stand in their files."""
        canvas_px = self.recipe.canvas_px
        missing = self.recipe.batch_size - len(files)
        pixels = torch.from_numpy(np.stack([*files, *[files[0]] * missing])).movedim(3, 1).float() / 255.0
        photographs = self.context.photographs
        padded = [*units, *[units[0]] * missing]
        top = None if photographs is None else [photographs.top_crops(self.layer, unit, canvas_px) for unit in padded]
        others = None if photographs is None else photographs.random_crops(self.layer, canvas_px)
        low, high = (self._extremes(side) for side in ("min", "max"))
        references = References(top, others, low, high, self._earlier(padded))
        found = judge(self.context.adapter, self.layer.name, pixels, padded, self.reduction, self.direction, references)
        return found[: len(units)]

    def _earlier(self, units: Sequence[int]) -> list[np.ndarray | None]:
        """Return the first seed's picture of each unit, where this is another seed and there is one."""
        read = self.context.read_picture
        if read is None or not self.variant.seed_offset:
            return [None] * len(units)
        place = replace(self.variant, seed_offset=0).place_on_page(self.layer)
        return [read(self.layer.name, unit, place) for unit in units]

    def _extremes(self, side: str) -> np.ndarray | None:
        """Return the dataset's largest or smallest values of the same reduction `[unit]`, or None where there are none."""
        reduction = "centre" if self.reduction == "neuron" else "channel_mean"
        return self.context.metrics.get(self.layer.name, {}).get(f"{reduction}_{side}")

    def _payload(self, unit: int, picture: Picture, numbers: tuple[float, float], scores: Scores) -> dict[str, Any]:
        """Return the numbers beside a picture."""
        activation, shown = numbers
        extremes = self._extremes("max" if self.direction > 0 else "min")
        extreme = None if extremes is None else _finite(float(extremes[unit]))
        ratio, ratio_note = reached_ratio(activation, extreme, self.variant.sign)
        facet = {"facet": picture.facet} if self.variant.num_facets > 1 else {}
        return {
            "objective": self.variant.objective,
            "sign": self.variant.sign,
            "parameterization": "fourier" if self.variant.renderer == "unitscope" else self.variant.renderer,
            "renderer": "lucent" if self.variant.renderer == "lucent" else "unitscope",
            "quality": self.variant.quality,
            "variant": str(self.variant),
            **facet,
            "activation": _finite(activation),
            "activation_shown": _finite(shown),
            "dataset_max": extreme,
            "reached_ratio": None if ratio is None else _finite(ratio),
            "reached_note": ratio_note,
            "robustness": _finite(picture.robustness),
            "start": _finite(self.direction * picture.start),
            "trace": [_finite(self.direction * value, 4) for value in picture.trace],
            "status": picture.status,
            "attempt": picture.attempt,
            "canvas_px": self.recipe.canvas_px,
            "steps": picture.num_steps,
            "seed": self.seed,
            "transforms": [self.recipe.bounds.as_payload()],
            **self._settings(),
            "scores": scores.as_payload(),
            "flags": flags(scores, ratio, picture.robustness, picture.status),
        }

    def _metrics(self, unit: int, payload: dict[str, Any]) -> Iterator[UnitMetric]:
        """Yield what pages sort and filter by: the leading picture's scores, and the agreement of another seed with it."""
        scores = payload["scores"]
        if self.variant.seed_offset:
            yield UnitMetric(self.layer.name, unit, "picture_seed_agreement", scores["seed_agreement"])
        if not self.variant.is_leading(self.layer):
            return
        numbers = {
            "reached_ratio": payload["reached_ratio"],
            "robustness": payload["robustness"],
            "num_flags": float(len(payload["flags"])),
            **{name: scores[name] for name in scores if name not in ("seed_agreement", "path_chance")},
        }
        for name, value in numbers.items():
            yield UnitMetric(self.layer.name, unit, f"picture_{name}", value)


def _encode(pixels: np.ndarray) -> BlobData:
    """Return the file that is shown: contrast stretched, at the size at which the network sees it."""
    image = quantise(stretch_contrast(pixels))
    return encode_webp(image, None if len(image) <= LARGEST_LOSSLESS_PX else WEBP_QUALITY)


def _finite(value: float, digits: int | None = None) -> float | None:
    """Return a number that JSON can hold, or None."""
    if not math.isfinite(value):
        return None
    return value if digits is None else float(f"{value:.{digits}g}")
