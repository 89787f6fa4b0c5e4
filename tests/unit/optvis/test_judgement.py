"""Scores say what they are meant to say of pictures whose worth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from precompute.models.plain import PlainModel
from precompute.optvis.embedding import embed
from precompute.optvis.judgement import (
    References,
    Scores,
    correlate_ranks,
    flags,
    high_frequency_excess,
    judge,
    measure_selectivity,
    seed_agreement,
    similarity_auc,
)
from precompute.optvis.objectives import channel
from precompute.optvis.parameterizations import FourierImage
from precompute.optvis.render import render

SIDE = 48
COARSE, FINE = 0.1, 0.3


def grating(angle_deg: float, frequency: float, phase: float = 0.0, side: int = SIDE) -> Tensor:
    """Return a wave `[height, width]` between -1 and 1."""
    y, x = torch.meshgrid(torch.arange(side) * 1.0, torch.arange(side) * 1.0, indexing="ij")
    angle = math.radians(angle_deg)
    return torch.cos(2 * math.pi * frequency * (x * math.cos(angle) + y * math.sin(angle)) + phase)


def photographs(angle_deg: float | None, count: int, seed: int) -> Tensor:
    """Return coarse gratings with noise `[image, rgb, height, width]`, of one angle or of any: nothing fine is ever in them."""
    generator = torch.Generator().manual_seed(seed)
    images = []
    for _ in range(count):
        angle = angle_deg if angle_deg is not None else float(torch.rand((), generator=generator)) * 180
        wave = grating(angle, COARSE, float(torch.rand((), generator=generator)) * 6)
        images.append(0.5 + 0.3 * wave + 0.02 * torch.randn(SIDE, SIDE, generator=generator))
    return torch.stack(images)[:, None].expand(-1, 3, -1, -1).clamp(0, 1).contiguous()


def planted() -> PlainModel:
    """Coarse and fine filters; unit 0 answers to one coarse angle, unit 1 to that and, far more, to a fine one."""
    first, last = nn.Conv2d(3, 32, 15, padding=7, bias=False), nn.Conv2d(32, 2, 1, bias=False)
    waves = [grating(angle, frequency, side=15) for frequency in (COARSE, FINE) for angle in range(0, 180, 22)]
    kernels = [((wave - wave.mean()) / wave.norm()).expand(3, -1, -1) for wave in waves]
    weight = torch.zeros(32, 3, 15, 15)
    weight[: len(kernels)] = torch.stack(kernels)
    first.weight.data = weight
    last.weight.data = torch.zeros(2, 32, 1, 1)
    last.weight.data[0, 0], last.weight.data[1, 0] = 1.0, 1.0
    last.weight.data[1, len(kernels) // 2 + 4] = 300.0  # a fine wave, across
    return PlainModel(nn.Sequential(first, nn.ReLU(), last), SIDE, (0.5,) * 3, (0.5,) * 3)


def test_fooling_unit_is_flagged_by_its_path_and_the_honest_one_is_not() -> None:
    torch.set_num_threads(1)
    adapter = planted()
    reachable = FourierImage(SIDE, decay=1.0, cutoff=0.5)  # the usual low pass would hide the fine pattern
    objectives = [channel("2", unit) for unit in (0, 1)]
    found = render(adapter, objectives, num_steps=128, parameterization=reachable, progress=False)
    pictures = torch.stack([torch.from_numpy(picture.pixels).movedim(2, 0) for picture in found.pictures])
    tops = photographs(0.0, 6, 1)
    references = References([tops, tops], photographs(None, 24, 2))
    honest, fooling = judge(adapter, "2", pictures, [0, 1], "channel", 1.0, references)
    assert honest.path_excess is not None
    assert fooling.path_excess is not None
    assert fooling.path_excess < honest.path_excess
    assert "other_path" not in flags(honest, 2.0, 1.0, "ok")
    assert "other_path" in flags(fooling, 2.0, 1.0, "ok")


def test_held_out_examples_score_high_and_noise_scores_low() -> None:
    adapter, tops, others = planted(), photographs(0.0, 7, 3), photographs(None, 24, 4)
    noise = torch.rand((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    pictures = torch.cat([tops[:1], noise])
    natural, random = judge(adapter, "2", pictures, [0, 0], "channel", 1.0, References([tops[1:]] * 2, others))
    assert (natural.path_excess or 0) > 0.7 > (random.path_excess or 0)
    assert (natural.similarity_auc or 0) > 0.7 > (random.similarity_auc or 0)
    assert (random.high_frequency_excess or 0) > 2 > (natural.high_frequency_excess or 0)


def test_selectivity_is_measured_in_each_units_own_range() -> None:
    values = torch.tensor([[5.0, 90.0, 1.0], [5.0, 90.0, 1.0]])
    low, high = np.array([0.0, 0.0, 0.0]), np.array([5.0, 100.0, 1.0])
    ranks, margins = measure_selectivity(values, torch.tensor([0, 1]), low, high, 1.0)
    assert ranks == [1, 3]
    assert margins == pytest.approx([0.0, -0.1])
    ranks, _ = measure_selectivity(values, torch.tensor([0, 1]), low, high, -1.0)
    assert ranks == [2, 1]
    assert measure_selectivity(values, torch.tensor([0, 1]), None, None, 1.0) == ([None] * 2, [None] * 2)


def test_selectivity_leaves_out_units_without_a_range() -> None:
    ranks, _ = measure_selectivity(torch.tensor([[1.0, 9.0]]), torch.tensor([0]), np.array([0.0, 9.0]), np.array([2.0, 9.0]), 1.0)
    assert ranks == [1]
    ranks, _ = measure_selectivity(torch.tensor([[1.0, 9.0]]), torch.tensor([1]), np.array([0.0, 9.0]), np.array([2.0, 9.0]), 1.0)
    assert ranks == [None]


def test_similarity_is_a_probability() -> None:
    others = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    picture = torch.full((6,), 3.0)
    assert similarity_auc(picture, picture.expand(5, 6), others) == 1.0
    assert similarity_auc(picture, others, others) == pytest.approx(0.5)
    assert similarity_auc(picture, -picture.expand(5, 6), others) == 0.0


def test_embedding_knows_angle_scale_and_colour_but_not_contrast() -> None:
    def picture(angle: float, frequency: float, contrast: float = 0.3, blue: float = 0.0) -> Tensor:
        image = (0.5 + contrast * grating(angle, frequency)).expand(1, 3, -1, -1).clone()
        image[:, 2] += blue
        return embed(image)[0]

    reference = picture(30, 0.1)
    same = (picture(30, 0.1, contrast=0.1) - reference).norm()
    for other in (picture(120, 0.1), picture(30, 0.3), picture(30, 0.1, blue=0.3)):
        assert (other - reference).norm() > 3 * same + 1.0


def test_fine_detail_is_measured_in_octaves() -> None:
    natural = photographs(None, 12, 5)
    fine = (0.5 + 0.3 * grating(20, 0.4)).expand(1, 3, -1, -1)
    assert float(high_frequency_excess(fine, natural)) > 3
    assert high_frequency_excess(natural, natural).exp2().mean().item() == pytest.approx(1.0, rel=1e-3)


def test_ranks_share_ties_as_spearman_does() -> None:
    first, second = torch.tensor([[1.0, 2.0, 2.0, 4.0]]), torch.tensor([[10.0, 30.0, 20.0, 90.0]])
    assert float(correlate_ranks(first, second)) == pytest.approx(0.9486833, abs=1e-5)  # scipy.stats.spearmanr
    assert seed_agreement(first[0], first[0]) == pytest.approx(1.0)
    assert seed_agreement(first[0], -first[0]) == pytest.approx(-1.0)


def test_flags_say_what_failed_and_nothing_else() -> None:
    assert flags(Scores(), None, 1.0, "ok") == []
    poor = Scores(11, -0.5, 0.3, 0.0, 0.5, 0.0, 0.0, 3.0, 0.1)
    names = ["not_selective", "unlike_examples", "other_path", "high_frequency", "seeds_disagree"]
    assert flags(poor, 0.9, 0.4, "dead_start") == ["dead_start", "not_reached", "fragile", *names]
    assert Scores(path_excess=math.nan).as_payload()["path_excess"] is None
