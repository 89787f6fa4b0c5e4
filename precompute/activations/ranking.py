"""Running lists of the stimuli that a unit answers to most, with a limit on how many come from one photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_STIMULUS = -1


@dataclass
class Ranking:
    """The best stimuli of many units so far, best first.

    Attributes:
        key: float32 `[unit, place]`; `-inf` where there is none yet.
        stimulus: int32 `[unit, place]`; `NO_STIMULUS` where there is none yet.
        position: int32 `[unit, place]`, the flat index of the position.
    """

    key: np.ndarray
    stimulus: np.ndarray
    position: np.ndarray

    @classmethod
    def empty(cls, num_units: int, length: int) -> Ranking:
        """Return lists without entries."""
        shape = (num_units, length)
        return cls(
            np.full(shape, -np.inf, dtype=np.float32),
            np.full(shape, NO_STIMULUS, dtype=np.int32),
            np.zeros(shape, dtype=np.int32),
        )

    @property
    def threshold(self) -> np.ndarray:
        """Return float32 `[unit]`: what a newcomer must exceed."""
        return self.key[:, -1]

    def insert(self, units: np.ndarray, key: np.ndarray, stimulus: np.ndarray, position: np.ndarray) -> None:
        """Insert candidates `[unit, candidate]` of some units; ties keep the order in which they came.

        Args:
            units: int `[unit]`, whose lists these are.
            key: `[unit, candidate]`; `-inf` stands for no candidate.
            stimulus: `[unit, candidate]`.
            position: `[unit, candidate]`, flat.
        """
        length = self.key.shape[1]
        keys = np.concatenate([self.key[units], key], axis=1)
        stimuli = np.concatenate([self.stimulus[units], stimulus], axis=1)
        positions = np.concatenate([self.position[units], position], axis=1)
        order = np.argsort(-keys, axis=1, kind="stable")[:, :length]
        self.key[units] = np.take_along_axis(keys, order, axis=1)
        self.stimulus[units] = np.take_along_axis(stimuli, order, axis=1)
        self.position[units] = np.take_along_axis(positions, order, axis=1)


class CappedRanking:
    """A ranking in which one source (photograph) has at most `max_per_source` entries.

    Stimuli must come source by source. The best of the current source wait in a list of their own, which enters the ranking
    when the source ends: what is cut there could never have been kept, so the result is that of sorting everything.

    Args:
        num_units: Of the layer.
        length: Of the lists.
        max_per_source: Entries of one source; None where every stimulus is a source of its own.
    """

    def __init__(self, num_units: int, length: int, max_per_source: int | None) -> None:
        self.best = Ranking.empty(num_units, length)
        self.max_per_source = max_per_source
        self.current = Ranking.empty(num_units, max_per_source) if max_per_source else None
        self.current_source: str | None = None
        self._all_units = np.arange(num_units)

    def threshold(self, source: str | None = None) -> np.ndarray:
        """Return float32 `[unit]`: keys up to this can never enter; higher while `source` goes on that has its share already."""
        if self.current is not None and source is not None and source == self.current_source:
            return np.maximum(self.best.threshold, self.current.threshold)
        return self.best.threshold.copy()

    def insert(self, sources: list[str], key: np.ndarray, stimulus: np.ndarray, position: np.ndarray) -> None:
        """Insert candidates of all units.

        Args:
            sources: Of each candidate, `[candidate]`.
            key: float32 `[unit, candidate]`; `-inf` stands for no candidate.
            stimulus: int32 `[candidate]`.
            position: int32 `[unit, candidate]`.
        """
        if self.current is None:
            self._insert_into(self.best, key, stimulus, position)
            return
        start = 0
        for place, source in enumerate([*sources, None]):
            if place > start and (source is None or source != sources[start]):
                self._begin(sources[start])
                run = slice(start, place)
                self._insert_into(self.current, key[:, run], stimulus[run], position[:, run])
                start = place

    def finish(self) -> Ranking:
        """Return the final lists."""
        self._begin(None)
        return self.best

    def _begin(self, source: str | None) -> None:
        if self.current is None or source == self.current_source:
            return
        if self.current_source is not None:
            current = self.current
            self.best.insert(self._all_units, current.key, current.stimulus, current.position)
            self.current = Ranking.empty(len(self._all_units), self.current.key.shape[1])
        self.current_source = source

    def _insert_into(self, ranking: Ranking, key: np.ndarray, stimulus: np.ndarray, position: np.ndarray) -> None:
        units = np.flatnonzero((key > np.maximum(ranking.threshold, self.best.threshold)[:, None]).any(axis=1))
        if len(units):
            stimuli = np.broadcast_to(stimulus, (len(units), len(stimulus)))
            ranking.insert(units, key[units], stimuli, position[units])
