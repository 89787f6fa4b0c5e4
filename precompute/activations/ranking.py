"""Running lists of the stimuli that a unit answers to most, with a limit on how many come from one photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from precompute.activations.kernels import insert_lists, insert_run

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

    def clear(self) -> None:
        """Drop all entries."""
        self.key[:], self.stimulus[:], self.position[:] = -np.inf, NO_STIMULUS, 0


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

    def threshold(self, source: str | None = None) -> np.ndarray:
        """Return float32 `[unit]`: keys up to this can never enter; higher while `source` goes on that has its share already."""
        if self.current is not None and source is not None and source == self.current_source:
            return np.maximum(self.best.threshold, self.current.threshold)
        return self.best.threshold.copy()

    def insert(self, sources: list[str], key: np.ndarray, stimulus: np.ndarray, position: np.ndarray) -> None:
        """Insert candidates of all units; of equals the earlier stays before.

        Args:
            sources: Of each candidate, `[candidate]`.
            key: float32 `[candidate, unit]`.
            stimulus: int32 `[candidate]`.
            position: int32 `[candidate, unit]`.
        """
        into = self.best if self.current is None else self.current
        for start, stop in runs_of(sources) if self.current is not None else [(0, len(sources))]:
            self._begin(sources[start])
            floor = self.best.threshold.copy()
            insert_run(start, stop, key, stimulus, position, floor, into.key, into.stimulus, into.position)

    def finish(self) -> Ranking:
        """Return the final lists."""
        self._begin(None)
        return self.best

    def _begin(self, source: str | None) -> None:
        """Let the list of the source before enter the ranking, if `source` is another."""
        if self.current is None or source == self.current_source:
            return
        if self.current_source is not None:
            current, best = self.current, self.best
            insert_lists(current.key, current.stimulus, current.position, best.key, best.stimulus, best.position)
            current.clear()
        self.current_source = source


def runs_of(sources: Sequence[str]) -> list[tuple[int, int]]:
    """Return `(start, stop)` of each run of equal neighbours.

    >>> runs_of(["cat", "cat", "cup"])
    [(0, 2), (2, 3)]
    """
    starts = [place for place in range(len(sources)) if place == 0 or sources[place] != sources[place - 1]]
    return list(zip(starts, [*starts[1:], len(sources)], strict=True))
