"""What the pass keeps of one layer: growing while the images stream by, then read by the techniques."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from precompute.activations.histogram import Histogram
from precompute.activations.moments import Moments
from precompute.activations.ranking import CappedRanking, Ranking
from precompute.activations.responses import ResponsePlan, Responses
from precompute.activations.summary import BatchSummary, Known, Reading
from precompute.domain import LayerSpec, stable_hash

NUM_TOP = 24
NUM_BOTTOM = 8
NUM_RANDOM = 8
NUM_QUANTILES = 8
NUM_PER_QUANTILE = 3
SAMPLE_SIZE = 128
MAX_PER_SOURCE = 3


@dataclass(frozen=True)
class Found:
    """One stimulus in a list of a unit.

    Attributes:
        stimulus: Its index.
        activation: The largest activation over positions (for bottom lists the smallest pre-activation).
        key: What it was ranked by.
        pre_activation: The pre-activation at that position; None where it is not kept: at a ceiling, and where the activation
            may fall as it rises.
        position: `(y, x)`; `(0, token)` on a sequence, `(0, 0)` without a map.
    """

    stimulus: int
    activation: float
    key: float
    pre_activation: float | None
    position: tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """The images that are kept for quantile and random examples: the same for all units, fixed before the pass.

    Attributes:
        members: int32 `[place]`, indices of stimuli, ascending.
    """

    members: np.ndarray

    @classmethod
    def draw(cls, stimuli: Sequence[int], seed: int, size: int = SAMPLE_SIZE) -> Sample:
        """Draw `size` of some images, or take all if there are fewer."""
        order = np.random.default_rng(stable_hash("sample", seed, len(stimuli))).permutation(np.sort(np.asarray(stimuli)))
        return cls(np.sort(order[:size]).astype(np.int32))

    def places_of(self, stimuli: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some images are in the sample, bool `[image]`, and the places in it of those that are."""
        places = np.minimum(np.searchsorted(self.members, stimuli), len(self.members) - 1)
        is_sampled = self.members[places] == stimuli
        return is_sampled, places[is_sampled]


@dataclass
class LayerObservation:
    """The running summary of one layer over all images so far.

    Attributes:
        spec: The layer.
        reading: How it is read.
        sample: Which images are kept for quantile and random examples.
        num_images: Seen so far.
        top, bottom: The lists.
        sample_key, sample_position: `[unit, place]` of the sampled images.
        responses: Mean activations by image and by label.
        moments, histogram, num_active, lowest: As in a batch, over all images; `num_active` is zero where the histogram tells.
        extremes: float32 `[unit]` by name: `channel_mean_max`, `channel_mean_min`, `centre_max`, `centre_min`.
    """

    spec: LayerSpec
    reading: Reading
    sample: Sample
    top: CappedRanking
    bottom: CappedRanking
    sample_key: np.ndarray
    sample_position: np.ndarray
    moments: Moments
    histogram: Histogram
    responses: Responses
    num_active: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lowest: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    extremes: dict[str, np.ndarray] = field(default_factory=dict)
    num_images: int = 0

    @classmethod
    def begin(
        cls,
        spec: LayerSpec,
        function: Callable[[Tensor], Tensor] | None,
        sample: Sample,
        max_per_source: int | None,
        responses: ResponsePlan | None = None,
    ) -> LayerObservation:
        """Return the summary of no image."""
        units, size = spec.num_units, len(sample.members)
        infinite = np.full(units, np.inf, dtype=np.float32)
        return cls(
            spec=spec,
            reading=Reading(spec.nonlinearity, function, centre_position(spec)),
            sample=sample,
            top=CappedRanking(units, NUM_TOP, max_per_source),
            bottom=CappedRanking(units, NUM_BOTTOM, max_per_source),
            sample_key=np.full((units, size), -np.inf, dtype=np.float32),
            sample_position=np.zeros((units, size), dtype=np.int32),
            moments=Moments.empty(np.full(units, np.nan, dtype=np.float32)),
            histogram=Histogram.empty(units),
            responses=Responses.begin(units, responses or ResponsePlan()),
            num_active=np.zeros(units, dtype=np.int64),
            lowest=infinite.copy(),
            extremes={
                "channel_mean_max": -infinite,
                "channel_mean_min": infinite.copy(),
                "centre_max": -infinite,
                "centre_min": infinite.copy(),
            },
        )

    def known(self, stimuli: np.ndarray, sources: list[str]) -> Known:
        """Return what the images so far tell of the next ones."""
        source = sources[0] if len(set(sources)) == 1 else None
        high, low = self.top.threshold(source), self.bottom.threshold(source)
        is_sampled, _ = self.sample.places_of(stimuli)
        pivot = self.moments.pivot if self.num_images else None
        return Known(high, -low, is_sampled, pivot, self.histogram.exponent.copy(), self.histogram.origin.copy())

    def add(self, summary: BatchSummary, stimuli: np.ndarray, sources: list[str]) -> None:
        """Add one batch.

        Args:
            summary: Of the batch.
            stimuli: int32 `[image]`, indices of its stimuli.
            sources: `[image]`, the photograph or file of each.
        """
        self.top.insert(sources, summary.key, stimuli, summary.high_position)
        self.bottom.insert(sources, -summary.low, stimuli, summary.low_position)
        is_sampled, places = self.sample.places_of(stimuli)
        self.sample_key[:, places] = summary.key[is_sampled].T
        self.sample_position[:, places] = summary.high_position[is_sampled].T
        if self.num_images == 0:
            self.moments = Moments.empty(summary.moments.pivot)
        self.moments.add(summary.moments)
        self.histogram.add(summary.histogram)
        self.responses.add(summary.activation_mean, stimuli)
        if summary.num_active is not None:
            self.num_active = self.num_active + summary.num_active
        self.lowest = np.minimum(self.lowest, summary.low.min(axis=0))
        for name, values in (("channel_mean", summary.mean), ("centre", summary.centre)):
            self.extremes[f"{name}_max"] = np.maximum(self.extremes[f"{name}_max"], values.max(axis=0))
            self.extremes[f"{name}_min"] = np.minimum(self.extremes[f"{name}_min"], values.min(axis=0))
        self.num_images += len(stimuli)

    # -- what the techniques read --------------------------------------------------------------------------------------

    def metrics(self) -> dict[str, np.ndarray]:
        """Return float64 `[unit]` by name: of activations `mean max std fraction_active sparsity`, of pre-activations `min`."""
        count = max(self.moments.count, 1)
        highest = self.activation_of(self.top.finish().key[:, 0])
        return {
            "mean": self.moments.mean(),
            "max": highest.astype(np.float64),
            "min": self.lowest.astype(np.float64),
            "std": self.moments.std(),
            "fraction_active": self._num_active() / count,
            "sparsity": self.moments.excess_kurtosis(),
            **{name: values.astype(np.float64) for name, values in self.extremes.items()},
        }

    def _num_active(self) -> np.ndarray:
        return self.histogram.num_above_zero() if self.reading.sign_is_kept else self.num_active

    def activation_of(self, key: np.ndarray) -> np.ndarray:
        """Return the activation that belongs to what lists are ranked by."""
        if self.reading.function is None or not self.reading.is_monotone:
            return key
        result: np.ndarray = self.reading.function(torch.from_numpy(np.array(key))).numpy()
        return result

    def top_of(self, unit: int) -> list[Found]:
        """Return the stimuli with the largest activation of a unit, best first."""
        return self._listed(self.top.finish(), unit)

    def bottom_of(self, unit: int) -> list[Found]:
        """Return the stimuli with the smallest pre-activation of a unit, smallest first."""
        ranking = self.bottom.finish()
        return [
            self._found(int(stimulus), -float(key), float(key), -float(key), int(position))
            for key, stimulus, position in zip(ranking.key[unit], ranking.stimulus[unit], ranking.position[unit], strict=True)
            if stimulus >= 0
        ]

    def random_of(self, unit: int, seed: int) -> list[Found]:
        """Return stimuli drawn at random for this unit, in order of the draw."""
        generator = np.random.default_rng(stable_hash("random", self.spec.name, unit, seed))
        places = generator.permutation(len(self.sample.members))[:NUM_RANDOM]
        return [self._sampled(unit, int(place)) for place in places]

    def quantiles_of(self, unit: int, seed: int) -> list[tuple[float, float, list[Found]]]:
        """Return `(lower quantile, upper quantile, stimuli)` for each bin of the distribution of largest activations."""
        generator = np.random.default_rng(stable_hash("quantile", self.spec.name, unit, seed))
        order = np.argsort(self.sample_key[unit], kind="stable")
        result = []
        for number, members in enumerate(np.array_split(order, NUM_QUANTILES)):
            drawn = generator.permutation(members)[:NUM_PER_QUANTILE]
            found = sorted((self._sampled(unit, int(place)) for place in drawn), key=_by_activation)
            result.append((number / NUM_QUANTILES, (number + 1) / NUM_QUANTILES, found))
        return result

    def _listed(self, ranking: Ranking, unit: int) -> list[Found]:
        activations = self.activation_of(ranking.key[unit])
        return [
            self._found(int(stimulus), float(activation), float(key), self._pre_activation(key), int(position))
            for activation, key, stimulus, position in zip(
                activations, ranking.key[unit], ranking.stimulus[unit], ranking.position[unit], strict=True
            )
            if stimulus >= 0
        ]

    def _sampled(self, unit: int, place: int) -> Found:
        key = self.sample_key[unit, place : place + 1]
        position = int(self.sample_position[unit, place])
        activation, stimulus = float(self.activation_of(key)[0]), int(self.sample.members[place])
        return self._found(stimulus, activation, float(key[0]), self._pre_activation(key[0]), position)

    def _pre_activation(self, key: float) -> float | None:
        is_told = self.reading.is_monotone and (self.reading.ceiling is None or key < self.reading.ceiling)
        return float(key) if is_told else None

    def _found(self, stimulus: int, activation: float, key: float, pre_activation: float | None, position: int) -> Found:
        width = self.spec.map_size[-1] if self.spec.map_size else 1
        return Found(stimulus, activation, key, pre_activation, divmod(position, width))


def _by_activation(found: Found) -> tuple[float, int]:
    return (found.key, found.stimulus)


def centre_position(spec: LayerSpec) -> int:
    """Return the flat index of the centre position: index `size // 2` on every axis of the map.

    >>> centre_position(LayerSpec("c", "channel", 1, 0, 1, (7, 7), "convolution"))
    24
    """
    place = 0
    for size in spec.map_size:
        place = place * size + size // 2
    return place


def sources_repeat(sources: Sequence[str]) -> bool:
    """Tell whether several stimuli come from one photograph, so that lists need a limit for each."""
    return len(set(sources)) < len(sources)
