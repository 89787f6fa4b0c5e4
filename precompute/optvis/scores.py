"""Numbers that say how far a picture may be trusted.

Paper: Zimmermann et al., "Scale Alone Does not Improve Mechanistic Interpretability in Vision Models", NeurIPS 2023,
https://arxiv.org/abs/2307.05471, for why every picture needs them; the scores themselves are ours.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from precompute.domain import VisualizationStatus
from precompute.optvis.objectives import Sign
from precompute.optvis.optimize import CHECK_EVERY, GREY, Evaluate
from precompute.optvis.transforms import AffineRange, Warp, draw_affine, lay_on

NUM_HELD_OUT = 16
HELD_OUT_SEED = 0x5EED


def measure_robustness(evaluate: Evaluate, images: Tensor, activation: Tensor, bounds: AffineRange) -> Tensor:
    """Return the mean value under 16 transforms that the loop did not see, divided by the clean value: `[batch]`.

    The transforms are the same for every picture. The result is NaN where the clean value is zero.

    Args:
        evaluate: The value of each image.
        images: Pixels `[batch, channel, height, width]` between 0 and 1; transparent ones are laid on grey.
        activation: Their clean values `[batch]`.
        bounds: Of the transforms.
    """
    if images.shape[1] == 4:
        images = lay_on(images, torch.tensor(GREY))
    canvas_px = images.shape[-1]
    matrices = draw_affine(bounds, canvas_px, [Generator().manual_seed(HELD_OUT_SEED)], NUM_HELD_OUT)
    warp = Warp(canvas_px, images.device)
    total = torch.zeros_like(activation)
    with torch.no_grad():
        for matrix in matrices:
            total += evaluate(warp(images, matrix.to(images.device).expand(len(images), 2, 3)))
    return total / NUM_HELD_OUT / torch.where(activation == 0, torch.nan, activation)


def has_succeeded(start: float, value: float, floor: float | None) -> bool:
    """Return whether one start led to a picture: its value rose and, where that is asked, ended above `floor`."""
    return value > (start if floor is None else max(start, floor))


def classify_status(attempt: int, is_success: bool, last_live_step: int, num_steps: int) -> VisualizationStatus:
    """Return what became of a picture.

    - `ok`: the first start rose and, where a unit was to be woken, ended above zero.
    - `rescued`: the first start did not; a later one, with another seed and more contrast, did.
    - `saturated`: it did, but nothing had a gradient any more during the last steps: every path to the unit sits at a
      ceiling (or has become not finite), and more steps would change nothing.
    - `dead_start`: there was a gradient, but no start woke the unit.
    - `never_started`: no start had a gradient: as far as the unit can be reached, its value does not depend on the image.

    Args:
        attempt: Which start the picture comes from, from 0.
        is_success: Of `has_succeeded`.
        last_live_step: Last step with a gradient, -1 where no attempt had any.
        num_steps: Steps of that start.
    """
    if not is_success:
        return "never_started" if last_live_step < 0 else "dead_start"
    if last_live_step < num_steps - CHECK_EVERY:
        return "saturated"
    return "rescued" if attempt else "ok"


def reached_ratio(activation: float, dataset_extreme: float | None, sign: Sign) -> tuple[float | None, str | None]:
    """Return the value reached, divided by the dataset's extreme on the same side, or None and the reason.

    1 or more means that the picture drives the unit at least as far as the best photograph. The ratio has no meaning where
    no photograph drives the unit to that side of zero at all.

    >>> reached_ratio(6.0, 3.0, "positive"), reached_ratio(-6.0, -3.0, "negative")
    ((2.0, None), (2.0, None))
    >>> reached_ratio(6.0, -1.0, "positive")
    (None, 'no image of the dataset takes the unit above zero')
    """
    if dataset_extreme is None:
        return None, "the dataset has not been measured"
    if sign == "positive" and dataset_extreme <= 0:
        return None, "no image of the dataset takes the unit above zero"
    if sign == "negative" and dataset_extreme >= 0:
        return None, "no image of the dataset takes the unit below zero"
    return activation / dataset_extreme, None
