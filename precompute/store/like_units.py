"""Search by example: the units whose strongest examples look most like an image, and what its numbers find in another order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from precompute.store import schema
from precompute.store.columns import UnitColumns
from precompute.store.likeness import exact_scores, first_places, scores_of, shuffled, without_own
from precompute.store.looks import NUM_EXAMPLES, LooksRecord
from precompute.store.many import owners_of
from precompute.store.reader import AtlasReader
from precompute.store.records import StimulusRecord

Places = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LikeUnits:
    """The units that are most like an image.

    Attributes:
        places: Of the units in the arrays of the model, the best first.
        scores: See `precompute.store.likeness`.
        shuffled_top: The best score of the image's numbers in another order, over all units.
    """

    places: Places
    scores: Scores
    shuffled_top: float


def best_units(columns: UnitColumns, looks: LooksRecord, direction: NDArray[np.float32], own: Places, count: int) -> LikeUnits:
    """Return the units with the best scores.

    Args:
        columns: The units of the model, with their looks.
        looks: Of the dataset.
        direction: Of the image, at length 1.
        own: Places of the units that have the image itself among their strongest examples, rising.
        count: How many units.
    """
    means, other = columns.looks(), shuffled(direction)
    bounds = columns.looks_bounds()
    if bounds is None:  # an atlas of an older version, until the next build or `unitscope upgrade`
        scores, others = scores_of(looks, means, direction, other)
        scores[own] = without_own(looks, means[own], direction, NUM_EXAMPLES)
        places = first_places(-scores, count)
        return LikeUnits(places, scores[places], float(others.max()))

    def score(places: Places, own: Places = own) -> Scores:
        found = exact_scores(looks, means[places], direction)
        is_own = _are_among(places, own)
        rest = without_own(looks, means[places[is_own]], direction, NUM_EXAMPLES)
        found[is_own] = np.minimum(found[is_own], rest)
        return found

    asked = _asked(looks, direction)
    places, scores = bounds[0].largest(asked, count, score)
    if own.size and scores.size and scores[0] > direction @ asked:
        # A unit is more like the image than the image itself. Only then may the rest of some unit's examples be more like it
        # than all of them, which the search does not expect.
        everything = score(np.arange(len(means)), own[:0])
        everything[own] = without_own(looks, means[own], direction, NUM_EXAMPLES)
        places = first_places(-everything, count)
        scores = everything[places]
    top = bounds[1].largest(_asked(looks, other), 1, lambda found: exact_scores(looks, means[found], other))[1]
    return LikeUnits(places, scores, float(top[0]))


def _asked(looks: LooksRecord, direction: NDArray[np.float32]) -> NDArray[np.float64]:
    return direction.astype(np.float64) - looks.mean_direction


def _are_among(places: Places, own: Places) -> NDArray[np.bool_]:
    if not own.size:
        return np.zeros(len(places), dtype=bool)
    return own[np.minimum(np.searchsorted(own, places), len(own) - 1)] == places


def strongest_owners(reader: AtlasReader, columns: UnitColumns, stimulus: StimulusRecord) -> Places:
    """Return the places of the units of a model that have an image among their first `NUM_EXAMPLES` examples, rising."""
    if columns.looks_bounds() is None:  # as above
        starts = ((columns.layer_start(row), unit) for row, unit in owners_of(reader, stimulus.index, NUM_EXAMPLES))
        return np.array(sorted(start + unit for start, unit in starts if start is not None), dtype=np.int64)
    table = schema.example_count.c
    rows = reader.all(select(table.strongest).where(table.model_id == columns.model_id, table.stimulus_index == stimulus.index))
    return np.frombuffer(rows[0]["strongest"] if rows else b"", "<i4").astype(np.int64)
