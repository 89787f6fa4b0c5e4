"""Pictures from Python: `render(model, objective)` in a script or a notebook.

>>> import torch
>>> from torch import nn
>>> from precompute.optvis.objectives import channel
>>> module = nn.Sequential(nn.Conv2d(3, 8, 7, padding=3), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
>>> found = render(module, channel("2", 0), input_px=32, num_steps=16, progress=False)
>>> found.images.shape, found.pictures[0].value > found.pictures[0].start
((1, 32, 32, 3), True)
"""

from __future__ import annotations

import base64
import html
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from precompute.domain import LayerSpec
from precompute.errors import UsageError
from precompute.models.base import ModelAdapter
from precompute.models.plain import adapt
from precompute.optvis.engine import Picture, render_pictures, with_canvas
from precompute.optvis.objectives import Objective, UnitValue
from precompute.optvis.parameterizations import FourierImage, MacoImage, Parameterization, PixelImage, natural_magnitude
from precompute.optvis.recipe import Quality, Recipe, choose_recipe
from precompute.optvis.references import photographs_in
from precompute.optvis.tensor_objectives import LucentObjective, from_lucent
from precompute.renderers.images import encode_webp, quantise, stretch_contrast

ParameterizationName = Literal["fourier", "pixel", "maco", "alpha"]


@dataclass(frozen=True)
class Rendering:
    """Pictures and how they came about; a notebook shows them.

    Attributes:
        images: Float32 `[image, height, width, channel]` between 0 and 1, contrast stretched for the eye.
        pictures: One for each image: pixels as they were optimised, value, status, robustness, trace.
    """

    images: np.ndarray
    pictures: list[Picture]

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Return the numbers beside each picture."""
        names = ("value", "start", "robustness", "status", "num_steps", "attempt")
        numbers = [{name: getattr(picture, name) for name in names} for picture in self.pictures]
        return [{"objective": str(one.objective), **found} for one, found in zip(self.pictures, numbers, strict=True)]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the pictures with their values."""
        figures = []
        for image, picture in zip(self.images, self.pictures, strict=True):
            data = base64.b64encode(encode_webp(quantise(image)).data).decode()
            words = html.escape(f"{picture.objective}: {picture.value:.3g}, {picture.status.replace('_', ' ')}")
            figures.append(
                f'<figure style="display:inline-block;margin:4px"><img width="224" src="data:image/webp;base64,{data}" '
                f'alt="{words}"><figcaption>{words}</figcaption></figure>'
            )
        return "".join(figures)


def render(
    model: ModelAdapter | nn.Module | str,
    objective: Objective | Sequence[Objective] | Any,
    *,
    seed: int = 0,
    quality: Quality = "draft",
    canvas_px: int | None = None,
    num_steps: int | None = None,
    parameterization: ParameterizationName | Parameterization = "fourier",
    photographs: Tensor | np.ndarray | str | Path | None = None,
    input_px: int | tuple[int, int] = 224,
    progress: bool = True,
) -> Rendering:
    """Return pictures of one objective, or of many, with their numbers.

    Args:
        model: A specification (`timm:resnet18@FILE`), an adapter, or any `nn.Module` (then give `input_px`).
        objective: Of `precompute.optvis.objectives`; a list of them; or one of Lucent's.
        seed: Of every random draw: the same seed gives the same picture.
        quality: `draft` (few steps) or `final` (many, on a larger canvas, and from middle layers on under noise).
        canvas_px: In place of the canvas that the layer's receptive field suggests.
        num_steps: In place of those of the quality.
        parameterization: How images are written down. `maco` needs `photographs`; `alpha` gives transparent images.
        photographs: For `maco`: `[batch, rgb, height, width]` between 0 and 1, of any size at least that of the canvas; or what
            `--images` takes: a folder, or `embedded`.
        input_px: Side of the input of a plain module.
        progress: Whether to draw a bar.

    Raises:
        UnknownName: The model has no such layer or unit.
        UsageError: Something else that was asked for is not possible.
    """
    adapter = adapt(model, input_px)
    objectives = [_ours(adapter, one) for one in (objective if isinstance(objective, list | tuple) else [objective])]
    if not objectives:
        raise UsageError("There is no objective. Give at least one, for example channel(LAYER, UNIT).")
    last = _last_layer(adapter, objectives)
    recipe = _recipe(adapter, last, objectives, quality, canvas_px, num_steps)
    chosen = _parameterization(adapter, parameterization, recipe, photographs)
    found: dict[int, list[Picture]] = {}
    recipe = with_canvas(recipe, chosen.canvas_px)
    with tqdm(total=len(objectives), unit="picture", disable=not progress, file=sys.stderr) as bar:
        for place, pictures in render_pictures(adapter, objectives, recipe, seed, chosen):
            found[place] = pictures
            bar.update()
    pictures = [picture for place in sorted(found) for picture in found[place]]
    return Rendering(np.stack([_shown(picture.pixels) for picture in pictures]), pictures)


def _ours(adapter: ModelAdapter, objective: Any) -> Objective:
    """Return an objective of ours, made of Lucent's where it is one.

    Raises:
        UnknownName: It names a layer or unit that the model does not have.
    """
    found = objective if isinstance(objective, Objective) else _from_lucent(adapter, objective)
    for name in found.layers:
        adapter.layer(name)
    if isinstance(found, UnitValue):
        adapter.check_unit(found.layer, found.unit)
    return found


def _from_lucent(adapter: ModelAdapter, objective: Any) -> LucentObjective:
    if not callable(objective):
        raise UsageError(f"{objective!r} is no objective. Give for example channel(LAYER, UNIT), or an objective of Lucent.")
    return from_lucent(adapter, objective)


def _last_layer(adapter: ModelAdapter, objectives: Sequence[Objective]) -> LayerSpec:
    return max((adapter.layer(name) for one in objectives for name in one.layers), key=lambda layer: layer.position)


def _recipe(
    adapter: ModelAdapter,
    layer: LayerSpec,
    objectives: Sequence[Objective],
    quality: Quality,
    canvas_px: int | None,
    num_steps: int | None,
) -> Recipe:
    """Return how the pictures are made: as a build makes those of the last layer that is looked at."""
    are_neurons = all(isinstance(one, UnitValue) and one.reduction == "neuron" for one in objectives)
    input_px = min(adapter.preprocessing.crop_px)
    recipe = choose_recipe(layer, adapter.layers(), "neuron" if are_neurons else "channel", quality, input_px)
    if num_steps is not None:
        if num_steps < 1:
            raise UsageError(f"{num_steps} steps are not possible. Give at least one.")
        recipe = replace(recipe, num_steps=num_steps)
    if canvas_px is None:
        return recipe
    if canvas_px < 8:
        raise UsageError(f"A canvas of {canvas_px} pixels is too small. Give at least 8.")
    return with_canvas(recipe, canvas_px)


def _parameterization(
    adapter: ModelAdapter,
    name: ParameterizationName | Parameterization,
    recipe: Recipe,
    photographs: Tensor | np.ndarray | str | Path | None,
) -> Parameterization:
    if not isinstance(name, str):
        return name
    if name == "maco":
        if photographs is None:
            raise UsageError("maco takes the magnitudes of its spectrum from photographs. Give photographs=.")
        return MacoImage(natural_magnitude(_crops(adapter, photographs, recipe.canvas_px)))
    if name == "pixel":
        return PixelImage(recipe.canvas_px)
    if name not in ("fourier", "alpha"):
        raise UsageError(f"There is no parameterization {name!r}. There are fourier, pixel, maco and alpha.")
    return FourierImage(recipe.canvas_px, recipe.decay, recipe.cutoff, has_alpha=name == "alpha")


def _crops(adapter: ModelAdapter, photographs: Tensor | np.ndarray | str | Path, canvas_px: int) -> Tensor:
    """Return photographs of the size of the canvas `[batch, rgb, height, width]`.

    Raises:
        UsageError: They are no such thing, or too few.
    """
    if isinstance(photographs, str | Path):
        crops = photographs_in(adapter, str(photographs)).crops_for_spectrum(canvas_px)
        if crops is None:
            raise UsageError(f"{photographs} holds a single image, which is no measure of what is natural. Give more.")
        return crops
    batch = torch.as_tensor(photographs)
    is_batch = batch.ndim == 4 and batch.shape[1] == 3 and batch.is_floating_point()
    if not is_batch or not bool(((batch >= 0) & (batch <= 1)).all()):
        raise UsageError(
            f"photographs= wants numbers between 0 and 1 `[batch, rgb, height, width]`, not {batch.dtype} of shape "
            f"{tuple(batch.shape)}. `photographs_of` makes them of uint8 images; a folder or 'embedded' works, too."
        )
    return cut_centres(batch.float(), canvas_px)


def cut_centres(photographs: Tensor, canvas_px: int) -> Tensor:
    """Return the square centres of photographs `[batch, rgb, height, width]`.

    Raises:
        UsageError: They are smaller than the canvas.
    """
    height, width = photographs.shape[2:]
    if min(height, width) < canvas_px:
        raise UsageError(f"Photographs of {height} x {width} pixels are smaller than the canvas, {canvas_px}.")
    top, left = (height - canvas_px) // 2, (width - canvas_px) // 2
    return photographs[:, :, top : top + canvas_px, left : left + canvas_px]


def _shown(pixels: np.ndarray) -> np.ndarray:
    """Return the picture as it is shown; opacity stays as it is."""
    stretched = stretch_contrast(pixels[..., :3])
    return np.concatenate([stretched, pixels[..., 3:]], 2) if pixels.shape[2] == 4 else stretched


def photographs_of(images: Sequence[np.ndarray]) -> Tensor:
    """Return photographs as `render` takes them, from uint8 arrays `[height, width, rgb]` of one size."""
    return torch.from_numpy(np.stack(images)).movedim(3, 1).float() / 255.0
