"""How far a picture may be trusted: scores of the finished image, each against photographs.

Paper: Zimmermann et al. 2023, https://arxiv.org/abs/2307.05471, for why every picture needs them; Geirhos et al., "Don't
Trust Your Eyes: On the (Un)reliability of Feature Visualizations", ICML 2024, https://arxiv.org/abs/2306.04719, for the path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from precompute.models.base import ModelAdapter, units_first
from precompute.optvis.embedding import embed
from precompute.optvis.objectives import Reduction, centre_index

NUM_PATH_CROPS = 4
CHUNK = 16
"""Crops are shown to the network so many at a time, padded: a fixed size keeps the kernels the same."""
HIGH_FREQUENCY = 0.25
"""In cycles per pixel: from here on, a share of power is called high."""

FRAGILE, UNSELECTIVE_RANK, UNLIKE, TOO_HIGH, DISAGREEING = 0.5, 10, 0.5, 2.0, 0.5
OTHER_PATH = 0.1
"""Limits of the flags; README, "Decisions", says what they were measured on."""


@dataclass(frozen=True)
class Scores:
    """Numbers about one finished picture; None where there was nothing to compare it with.

    Attributes:
        selectivity_rank: Place of the unit among all of its layer on its own picture, 1 for the first, each measured in its
            own range over the dataset.
        selectivity_margin: Its value less that of the best other, in these ranges.
        similarity_auc: Probability that a top example looks more like the picture than a photograph taken at random: 0.5 is
            chance.
        path_similarity: Rank correlation between what the picture and the top examples excite in the layers before, mean over
            layers; of path_baseline among the top examples themselves, and path_chance between them and random photographs.
        path_excess: Where that lies between chance (0) and baseline (1).
        high_frequency_excess: Octaves by which its share of fine detail exceeds that of photographs.
        seed_agreement: Correlation of what the layer answers to this picture and to that of another seed.
    """

    selectivity_rank: int | None = None
    selectivity_margin: float | None = None
    similarity_auc: float | None = None
    path_similarity: float | None = None
    path_baseline: float | None = None
    path_chance: float | None = None
    path_excess: float | None = None
    high_frequency_excess: float | None = None
    seed_agreement: float | None = None

    def as_payload(self) -> dict[str, float | int | None]:
        """Return them as JSON."""
        return {name: value if value is None or math.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class References:
    """What a batch of pictures is compared with.

    Attributes:
        top: Crops of each unit's top examples `[crop, rgb, height, width]`, of the size of the canvas; None where unknown.
        others: Crops from anywhere, the same for all units of a layer, likewise.
        low, high: Smallest and largest value of each unit of the layer over the dataset `[unit]`, of the same reduction.
        earlier: The picture of each unit from another seed, uint8 `[height, width, rgb]`, or None.
    """

    top: Sequence[Tensor | None] | None = None
    others: Tensor | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    earlier: Sequence[np.ndarray | None] = field(default_factory=tuple)


def judge(
    adapter: ModelAdapter,
    layer: str,
    pictures: Tensor,
    units: Sequence[int],
    reduction: Reduction,
    direction: float,
    references: References,
) -> list[Scores]:
    """Return the scores of a batch of pictures.

    Args:
        adapter: The model.
        layer: Of the units.
        pictures: `[batch, rgb, height, width]` between 0 and 1, padded to a fixed size.
        units: The unit of each picture.
        reduction: How positions become one number.
        direction: 1, or -1 for the negative side.
        references: What they are compared with.
    """
    values = read_all_units(adapter, layer, pictures, reduction)
    ranks, margins = measure_selectivity(values, torch.tensor(list(units)), references.low, references.high, direction)
    agreements = _agreements(adapter, layer, values, references.earlier, reduction)
    looks = _looks(pictures, references)
    paths = _paths(adapter, layer, pictures, references)
    return [
        Scores(
            selectivity_rank=ranks[row],
            selectivity_margin=margins[row],
            seed_agreement=agreements[row],
            similarity_auc=looks[row][0],
            high_frequency_excess=looks[row][1],
            **paths[row],
        )
        for row in range(len(units))
    ]


def read_all_units(adapter: ModelAdapter, layer: str, images: Tensor, reduction: Reduction) -> Tensor:
    """Return the value of every unit of a layer for images `[batch, rgb, height, width]`: `[batch, unit]`."""
    spec = adapter.layer(layer)
    with torch.no_grad():
        tensor = adapter.pre_activation(adapter.normalise(images.to(adapter.device)), layer).cpu()
    maps = units_first(tensor, spec.unit_axis).float()
    sizes = [size for axis, size in enumerate(tensor.shape) if axis not in (0, spec.unit_axis % tensor.ndim)]
    return maps.mean(2) if reduction == "channel" else maps[:, :, centre_index(sizes)]


def measure_selectivity(
    values: Tensor, units: Tensor, low: np.ndarray | None, high: np.ndarray | None, direction: float
) -> tuple[list[int | None], list[float | None]]:
    """Return for each picture the rank of its unit among all of the layer, and its margin over the best other.

    Values of different units cannot be compared as they are; each is placed in its unit's own range over the dataset, 0 for
    the lowest and 1 for the highest image. Units without a range are left out.

    Args:
        values: Of all units `[batch, unit]`.
        units: int64 `[batch]`.
        low: Smallest values over the dataset `[unit]`.
        high: Largest.
        direction: 1, or -1 where the lowest value is wanted.
    """
    if low is None or high is None or values.shape[1] < 2:
        return [None] * len(units), [None] * len(units)
    bottom, top = (torch.from_numpy(np.asarray(side, dtype=np.float32)) for side in (low, high))
    width = top - bottom
    is_known = width > 1e-6 * (top.abs() + bottom.abs() + 1e-12)
    placed = (values - bottom) / torch.where(is_known, width, 1.0)
    placed = torch.where(is_known, placed if direction > 0 else 1 - placed, -torch.inf)
    own = placed.gather(1, units[:, None])
    others = placed.scatter(1, units[:, None], -torch.inf)
    ranks = 1 + (others > own).sum(1)
    margins = own[:, 0] - others.amax(1)
    known = is_known[units]
    return (
        [int(rank) if bool(is_there) else None for rank, is_there in zip(ranks, known, strict=True)],
        [float(margin) if bool(is_there) else None for margin, is_there in zip(margins, known, strict=True)],
    )


def _agreements(
    adapter: ModelAdapter, layer: str, values: Tensor, earlier: Sequence[np.ndarray | None], reduction: Reduction
) -> list[float | None]:
    """Return the agreement of each picture with an earlier one of the same unit, None where there is none."""
    known = [row for row, picture in enumerate(earlier) if picture is not None and picture.shape[0] >= 8]
    found: list[float | None] = [None] * len(values)
    for row in known:
        picture = earlier[row]
        if picture is None or values.shape[1] < 2:
            continue
        pixels = torch.from_numpy(picture.copy()).movedim(2, 0)[None].float() / 255.0
        other = read_all_units(adapter, layer, pixels, reduction)[0]
        found[row] = seed_agreement(values[row], other)
    return found


def seed_agreement(first: Tensor, second: Tensor) -> float:
    """Return the rank correlation of what a layer answers to two pictures, both `[unit]`: 1 for the same, 0 for unrelated."""
    return float(correlate_ranks(first[None], second[None])[0])


# -- looks -----------------------------------------------------------------------------------------------------------


def _looks(pictures: Tensor, references: References) -> list[tuple[float | None, float | None]]:
    """Return the similarity and the excess of fine detail of each picture."""
    if references.others is None:
        return [(None, None)] * len(pictures)
    own, others = embed(pictures), embed(references.others)
    excess = high_frequency_excess(pictures, references.others)
    found: list[tuple[float | None, float | None]] = []
    for row in range(len(pictures)):
        top = None if references.top is None else references.top[row]
        auc = None if top is None else similarity_auc(own[row], embed(top), others)
        found.append((auc, float(excess[row])))
    return found


def similarity_auc(picture: Tensor, top: Tensor, others: Tensor) -> float:
    """Return the probability that a top example is nearer to the picture than another photograph; ties count half.

    Args:
        picture: `[feature]`.
        top: `[crop, feature]`.
        others: `[crop, feature]`; features are measured in their spread over these.
    """
    spread = others.std(0, correction=0).clamp(min=1e-3)
    near, far = (((crops - picture) / spread).norm(dim=1) for crops in (top, others))
    difference = far[None, :] - near[:, None]
    return float(((difference > 0).float() + 0.5 * (difference == 0).float()).mean())


def high_frequency_excess(pixels: Tensor, natural: Tensor) -> Tensor:
    """Return log2 of each picture's share of fine detail over that of photographs `[batch]`: 1 is twice as much.

    Args:
        pixels: `[batch, rgb, height, width]`.
        natural: Photographs of the same size.
    """
    return torch.log2(_share_of_detail(pixels) / _share_of_detail(natural).mean())


def _share_of_detail(pixels: Tensor) -> Tensor:
    """Return the share of power above `HIGH_FREQUENCY` `[batch]`, windowed so that edges of the canvas do not count."""
    side = pixels.shape[-1]
    window = torch.hann_window(side, periodic=False)
    grey = pixels.float().mean(1)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window[:, None] * window[None, :]).abs().square()
    frequency = torch.fft.fftfreq(side)
    is_high = torch.hypot(*torch.meshgrid(frequency, frequency, indexing="ij")) > HIGH_FREQUENCY
    return power[:, is_high].sum(1) / power.sum((1, 2)).clamp(min=1e-12) + 1e-5


# -- paths -----------------------------------------------------------------------------------------------------------


def _paths(adapter: ModelAdapter, layer: str, pictures: Tensor, references: References) -> list[dict[str, float | None]]:
    """Return the path scores of each picture."""
    before = layers_before(adapter, layer)
    known = [] if references.top is None else [row for row, top in enumerate(references.top) if top is not None and len(top) > 1]
    nothing: dict[str, float | None] = {}
    if references.others is None or references.top is None or not before or not known:
        return [nothing] * len(pictures)
    crops = [top[:NUM_PATH_CROPS] for top in references.top if top is not None and len(top) > 1]
    seen = path_of(adapter, before, torch.cat([pictures, references.others, *crops]))
    chance = {name: means[len(pictures) : len(pictures) + len(references.others)] for name, means in seen.items()}
    found = [nothing] * len(pictures)
    first = len(pictures) + len(references.others)
    for row, top in zip(known, crops, strict=True):
        natural = {name: means[first : first + len(top)] for name, means in seen.items()}
        found[row] = compare_paths({name: means[row] for name, means in seen.items()}, natural, chance)
        first += len(top)
    return found


def layers_before(adapter: ModelAdapter, layer: str) -> list[str]:
    """Return the layers that a layer is computed from, with at least eight units: fewer make no ranks."""
    known = {spec.name: spec for spec in adapter.layers()}
    reached: set[str] = set()
    waiting = [layer]
    while waiting:
        for name in known[waiting.pop()].inputs:
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return [spec.name for spec in adapter.layers() if spec.name in reached and spec.num_units >= 8]


def path_of(adapter: ModelAdapter, layers: Sequence[str], images: Tensor) -> dict[str, Tensor]:
    """Return the mean activation of every unit of some layers for images `[batch, rgb, height, width]`: `[batch, unit]` each."""
    functions = {name: adapter.nonlinearity(name) for name in layers}
    axes = {name: adapter.layer(name).unit_axis for name in layers}
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    for first in range(0, len(images), CHUNK):
        part = images[first : first + CHUNK]
        missing = CHUNK - len(part)
        padded = torch.cat([part, part[:1].expand(missing, -1, -1, -1)]) if missing else part

        def keep(name: str, tensor: Tensor, count: int = len(part)) -> None:
            function = functions[name]
            held = tensor if function is None else function(tensor.clone())
            found[name].append(units_first(held, axes[name]).float().mean(2)[:count].cpu())

        adapter.stream(adapter.normalise(padded.to(adapter.device)), layers, keep)
    return {name: torch.cat(parts) for name, parts in found.items()}


def compare_paths(own: dict[str, Tensor], natural: dict[str, Tensor], chance: dict[str, Tensor]) -> dict[str, float | None]:
    """Return how a picture's path lies between those of its unit's top examples and of random photographs.

    Units differ in how active they are on any image at all, which alone makes paths look alike; each is therefore measured
    in its own mean and spread over the random photographs.

    Args:
        own: For each layer, the picture's mean activations `[unit]`.
        natural: Those of the top examples `[crop, unit]`.
        chance: Those of random photographs `[crop, unit]`.
    """
    similarity, baseline, random = [], [], []
    for name, others in chance.items():
        mean, spread = others.mean(0), others.std(0, correction=0) + 1e-6
        picture, top, rest = ((values - mean) / spread for values in (own[name][None], natural[name], others))
        similarity.append(float(_correlate_all(picture, top).mean()))
        count = len(top)
        pairs = _correlate_all(top, top)
        baseline.append(float((pairs.sum() - pairs.diagonal().sum()) / (count * (count - 1))))
        random.append(float(_correlate_all(top, rest).mean()))
    middle = [sum(values) / len(values) for values in (similarity, baseline, random)]
    room = middle[1] - middle[2]
    return {
        "path_similarity": middle[0],
        "path_baseline": middle[1],
        "path_chance": middle[2],
        "path_excess": (middle[0] - middle[2]) / room if room > 0.02 else None,
    }


def _correlate_all(first: Tensor, second: Tensor) -> Tensor:
    """Return the rank correlation of every row of one with every row of the other: `[first, second]`."""
    return _standardised_ranks(first) @ _standardised_ranks(second).T


def correlate_ranks(first: Tensor, second: Tensor) -> Tensor:
    """Return the Spearman correlation of rows `[batch, unit]`: `[batch]`."""
    return (_standardised_ranks(first) * _standardised_ranks(second)).sum(1)


def _standardised_ranks(values: Tensor) -> Tensor:
    """Return ranks `[batch, unit]`, equal values sharing their mean rank, of mean 0 and length 1."""
    order = values.sort(1).values
    below = torch.searchsorted(order.contiguous(), values.contiguous())
    upto = torch.searchsorted(order.contiguous(), values.contiguous(), right=True)
    ranks = (below + upto).double()
    centred = ranks - ranks.mean(1, keepdim=True)
    return (centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)).float()


# -- flags -----------------------------------------------------------------------------------------------------------


def flags(scores: Scores, reached_ratio: float | None, robustness: float, status: str) -> list[str]:
    """Return what failed, in the order of the page.

    - `dead_start`, `never_started`: the status.
    - `not_reached`: the picture drives the unit less than the best photograph does.
    - `fragile`: less than half of the value is left under held-out transforms.
    - `not_selective`: ten or more other units answer more, each in its own range.
    - `unlike_examples`: top examples look less like it than photographs taken at random do.
    - `other_path`: its path is hardly nearer to that of the top examples than random photographs' paths are.
    - `high_frequency`: four times the fine detail of photographs.
    - `seeds_disagree`: pictures of two seeds excite different units.
    """
    found = {
        status: status in ("dead_start", "never_started"),
        "not_reached": reached_ratio is not None and reached_ratio < 1,
        "fragile": robustness < FRAGILE,
        "not_selective": (scores.selectivity_rank or 1) > UNSELECTIVE_RANK,
        "unlike_examples": _is_below(scores.similarity_auc, UNLIKE),
        "other_path": _is_below(scores.path_excess, OTHER_PATH),
        "high_frequency": (scores.high_frequency_excess or 0.0) > TOO_HIGH,
        "seeds_disagree": _is_below(scores.seed_agreement, DISAGREEING),
    }
    return [name for name, is_failed in found.items() if is_failed]


def _is_below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit
