"""What units answer to whole images: the mean activation over positions, image by image and label by label.

Means are kept and not the largest activations: many images reach the ceiling of a clamped nonlinearity (relu6), where their
largest activations are all equal, while their means still differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from precompute.domain import stable_hash

MAX_PROFILE_IMAGES = 1024
MIN_LABELS = 2


@dataclass(frozen=True)
class ResponsePlan:
    """Which images enter the profiles, and the label of each image.

    Attributes:
        members: int32 `[place]`, indices of the stimuli of the profiles, ascending.
        labels: Names of the labels, sorted; none where the images have fewer than two.
        label_of: From stimulus to the place of its label; images without a label are left out.
        dealt: The same labels dealt out to the same images at random: the control.
    """

    members: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    labels: tuple[str, ...] = ()
    label_of: Mapping[int, int] = field(default_factory=dict)
    dealt: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def make(cls, dataset_id: str, labels: Mapping[int, str | None]) -> ResponsePlan:
        """Return the plan for a dataset; it depends on nothing else, so profiles of several models can be compared.

        Args:
            dataset_id: Seeds the draws.
            labels: From stimulus to its label or None, of all images.
        """
        stimuli = np.array(sorted(labels), dtype=np.int32)
        drawn = np.random.default_rng(stable_hash("responses", dataset_id)).permutation(stimuli)[:MAX_PROFILE_IMAGES]
        names = tuple(sorted({name for name in labels.values() if name is not None}))
        if len(names) < MIN_LABELS:
            return cls(np.sort(drawn))
        places = {name: place for place, name in enumerate(names)}
        label_of = {int(stimulus): places[name] for stimulus in stimuli if (name := labels[int(stimulus)]) is not None}
        order = np.random.default_rng(stable_hash("labels", dataset_id)).permutation(list(label_of.values()))
        return cls(np.sort(drawn), names, label_of, dict(zip(label_of, order.tolist(), strict=True)))

    def places_of(self, stimuli: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some images are in the profiles, bool `[image]`, and the places of those that are."""
        if not len(self.members):
            return np.zeros(len(stimuli), dtype=bool), np.zeros(0, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.members, stimuli), len(self.members) - 1)
        is_member = self.members[places] == stimuli
        return is_member, places[is_member]


@dataclass
class Responses:
    """The mean activations of one layer over all images so far.

    Attributes:
        plan: Which images, which labels.
        profile: float32 `[place, unit]`, the mean activation on each image of the profiles; NaN for images not seen.
        label_sum: float64 `[label, unit]`, summed over the images of the label.
        dealt_sum: float64 `[label, unit]`, the same with the labels dealt out at random.
        label_count: int64 `[label]`, images of each label.
        squares: float64 `[unit]`, the squared mean activations summed over all images with a label.
    """

    plan: ResponsePlan
    profile: np.ndarray
    label_sum: np.ndarray
    dealt_sum: np.ndarray
    label_count: np.ndarray
    squares: np.ndarray

    @classmethod
    def begin(cls, num_units: int, plan: ResponsePlan) -> Responses:
        """Return the responses to no image."""
        shape = (len(plan.labels), num_units)
        return cls(
            plan,
            np.full((len(plan.members), num_units), np.nan, dtype=np.float32),
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(len(plan.labels), dtype=np.int64),
            np.zeros(num_units),
        )

    def add(self, mean: np.ndarray, stimuli: np.ndarray) -> None:
        """Add a batch: float32 `[image, unit]`, the mean activation over positions."""
        is_member, places = self.plan.places_of(stimuli)
        self.profile[places] = mean[is_member]
        for values, stimulus in zip(mean.astype(np.float64), stimuli.tolist(), strict=True):
            label = self.plan.label_of.get(stimulus)
            if label is not None:
                self.label_sum[label] += values
                self.dealt_sum[self.plan.dealt[stimulus]] += values
                self.label_count[label] += 1
                self.squares += values * values

    def by_label(self) -> LabelResponses | None:
        """Return the mean activation by label with its controls, or None where there are not two labels with images."""
        if np.count_nonzero(self.label_count) < MIN_LABELS:
            return None
        return summarise_labels(self.plan.labels, self.label_sum, self.dealt_sum, self.label_count, self.squares)


@dataclass(frozen=True)
class LabelResponses:
    """Mean activation by label.

    Attributes:
        labels: Names of those that have images.
        count: int64 `[label]`, images of each.
        mean: float32 `[unit, label]`.
        overall: float32 `[unit]`, over all images with a label.
        eta_squared: float32 `[unit]`, share of the variance over images that lies between labels; NaN without variance.
        eta_squared_chance: What a random split into groups of the same sizes gives on average: (labels - 1) / (images - 1).
        chance_max: float32 `[unit]`, the largest group mean in one random split into groups of the same sizes.
    """

    labels: Sequence[str]
    count: np.ndarray
    mean: np.ndarray
    overall: np.ndarray
    eta_squared: np.ndarray
    eta_squared_chance: float
    chance_max: np.ndarray


def summarise_labels(
    labels: Sequence[str], total: np.ndarray, dealt: np.ndarray, count: np.ndarray, squares: np.ndarray
) -> LabelResponses:
    """Return means and shares of variance from the sums `[label, unit]`; labels without images are left out."""
    used = count > 0
    names = [name for name, is_used in zip(labels, used, strict=True) if is_used]
    number = count[used][:, None].astype(np.float64)
    means, images = total[used] / number, float(number.sum())
    overall = total.sum(axis=0) / images
    between = (number * (means - overall) ** 2).sum(axis=0)
    within_all = squares - images * overall**2
    # What is left of a difference of nearly equal sums is rounding, not variance.
    varies = within_all > 1e-9 * np.maximum(squares, 1e-300)
    eta = np.where(varies, between / np.where(varies, within_all, 1.0), np.nan)
    return LabelResponses(
        names,
        count[used],
        means.T.astype(np.float32),
        overall.astype(np.float32),
        np.minimum(eta, 1.0).astype(np.float32),
        (len(names) - 1) / max(images - 1, 1.0),
        (dealt[used] / number).max(axis=0).astype(np.float32),
    )
