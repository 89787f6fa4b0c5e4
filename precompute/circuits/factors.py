"""Which few patterns are the kernels of a unit made of?

The weights between a unit, or several units of one layer, and one other layer are split into their positive and negative
parts: a matrix without negative numbers, a row for each partner and sign, a column for each unit and place of the kernel. It is
factored into a few products of a column (how much each partner takes part, and with which sign) and a row (where in the kernel):
one-sided non-negative matrix factorization. A product is one pattern: "these partners, there".

The updates are hierarchical alternating least squares. Restarts begin with drawn maps, and the loadings follow from them, so
that the order of the partners changes nothing; the restart with the smallest error is kept.

Failure modes: any table of numbers can be factored. How much smaller the error is than that of shuffled weights says whether
there is structure: the control is part of the result. A factor need not be one thing; other numbers of factors cut otherwise.

Papers: Voss et al., "Visualizing Weights", Distill 2021, https://distill.pub/2020/circuits/visualizing-weights, and Petrov et
al., "Weight Banding", Distill 2021, https://distill.pub/2020/circuits/weight-banding, for the one-sided factorization and its
colours; Cichocki and Phan, "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor Factorizations", 2009.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MAX_FACTORS = 6
NUM_RESTARTS = 5
NUM_FINALISTS = 2
NUM_FIRST_STEPS = 15
NUM_STEPS = 300
TOLERANCE = 1e-6
"""Steps end where the squared error falls by less than this share of the whole in one step."""
CHECK_EVERY = 10
NUM_SHUFFLES = 10
LARGE_TABLE = 30_000
"""Numbers in a table. Larger ones have fewer shuffles: their errors hardly differ, and each takes longer."""
FEWEST_SHUFFLES = 3
NUMBERS_AT_ONCE = 300_000


@dataclass(frozen=True)
class Control:
    """The relative error that the same factorization leaves where the weights of each unit are dealt anew to all its places.

    Attributes:
        mean, std: Over the shuffles.
        num_shuffles: How many.
        seed: Of the shuffles.
    """

    mean: float
    std: float
    num_shuffles: int
    seed: int


@dataclass(frozen=True)
class Factorization:
    """Weights as a sum of few patterns, the one that explains most first.

    Attributes:
        positive: `[factor, partner]`, how much each partner takes part with its positive weights; with `negative`, the loadings
            of a factor have norm one.
        negative: `[factor, partner]`, likewise with its negative weights.
        maps: `[factor, unit, height, width]`, never negative: where, and how strongly, each unit has the pattern.
        shares: `[factor]`, the squared norm of each pattern alone, as a share of that of the weights.
        error: Norm of what is left over, relative to that of the weights.
        control: The same for shuffled weights; None where it was not asked for.
        seed: Of the restarts.
    """

    positive: Array
    negative: Array
    maps: Array
    shares: Array
    error: float
    control: Control | None
    seed: int

    @property
    def loadings(self) -> Array:
        """Return `[factor, partner]` with sign: positive less negative."""
        return self.positive - self.negative


def factorize(weights: NDArray[Any], num_factors: int, *, num_shuffles: int | None = None, seed: int = 0) -> Factorization:
    """Factor weights into few patterns.

    Args:
        weights: `[unit, partner, height, width]`.
        num_factors: How many at most; a table with fewer rows or columns has fewer.
        num_shuffles: Of the control; None for as many as fit the size of the table, 0 for no control.
        seed: Of restarts and shuffles.

    Raises:
        ValueError: The weights are empty, not finite, or all zero, or `num_factors` is not 1 to 6.
    """
    if not 1 <= num_factors <= MAX_FACTORS:
        raise ValueError(f"{num_factors} factors are not possible: 1 to {MAX_FACTORS}.")
    numbers = np.asarray(weights, np.float64)
    scale = float(np.abs(numbers).max()) if numbers.size else 0.0
    if not np.isfinite(scale) or scale == 0:
        raise ValueError("There is nothing to factor: the weights are empty, zero, or not finite.")
    num_units, num_partners, height, width = numbers.shape
    table = _table(numbers / scale)
    count = min(num_factors, *table.shape)
    # Drawn on the side of the maps, so that the order of the partners does not matter.
    starts = np.random.default_rng([seed, 0]).uniform(0.1, 1.0, (NUM_RESTARTS, count, table.shape[1]))
    loadings, maps = (found[0] for found in _best(table[None], starts))
    sizes = np.linalg.norm(loadings, axis=1)
    # A factor that came out empty has a map and loadings of zeros.
    loadings = loadings / np.where(sizes > 0, sizes, 1.0)[:, None]
    maps = maps * sizes[:, None]
    order = np.argsort(-np.linalg.norm(maps, axis=1), kind="stable")
    loadings, maps = loadings[order], maps[order]
    if num_shuffles is None:
        num_shuffles = max(FEWEST_SHUFFLES, min(NUM_SHUFFLES, NUM_SHUFFLES * LARGE_TABLE // table.size))
    return Factorization(
        positive=loadings[:, :num_partners],
        negative=loadings[:, num_partners:],
        maps=maps.reshape(count, num_units, height, width) * scale,
        shares=np.square(maps).sum(axis=1) / float(np.square(table).sum()),
        error=_error(table, loadings, maps),
        control=_control(numbers / scale, starts, num_shuffles, seed) if num_shuffles else None,
        seed=seed,
    )


def _table(weights: Array) -> Array:
    """Return `[sign and partner, unit and place]` of weights `[unit, partner, height, width]`."""
    flat = np.moveaxis(weights, 1, 0).reshape(weights.shape[1], -1)
    return np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)])


def _error(table: Array, loadings: Array, maps: Array) -> float:
    return float(np.linalg.norm(table - loadings.T @ maps) / np.linalg.norm(table))


def _control(weights: Array, starts: Array, num_shuffles: int, seed: int) -> Control:
    errors = [
        _error(table, loadings, maps)
        for tables in _shuffled(weights, num_shuffles, seed)
        for table, loadings, maps in zip(tables, *_best(tables, starts), strict=True)
    ]
    return Control(float(np.mean(errors)), float(np.std(errors)), num_shuffles, seed)


def _shuffled(weights: Array, num_shuffles: int, seed: int) -> Iterator[Array]:
    """Yield tables `[table, row, column]` of shuffled weights, several at a time where they are small."""
    generator = np.random.default_rng([seed, 1])
    at_once = max(1, NUMBERS_AT_ONCE // (2 * weights.size))
    for first in range(0, num_shuffles, at_once):
        dealt = [
            generator.permuted(weights.reshape(len(weights), -1), axis=1).reshape(weights.shape)
            for _ in range(min(at_once, num_shuffles - first))
        ]
        yield np.stack([_table(shuffled) for shuffled in dealt])


@dataclass
class _Descent:
    """Several tables, each with several restarts, improved together.

    Attributes:
        tables: `[table, row, column]`.
        loadings: `[table, restart, factor, row]`.
        maps: `[table, restart, factor, column]`.
    """

    tables: Array
    loadings: Array
    maps: Array

    def run(self, num_steps: int, *, is_to_the_end: bool = True) -> Array:
        """Improve loadings and maps by turns, and return the squared errors `[table, restart]`."""
        wholes = np.square(self.tables).sum(axis=(1, 2))[:, None]
        errors = np.full(self.maps.shape[:2], np.inf)
        turned = self.tables.swapaxes(1, 2)
        for step in range(num_steps):
            _improve(self.loadings, self._times(self.maps, turned), self.maps @ self.maps.swapaxes(2, 3))
            products, squares = self._times(self.loadings, self.tables), self.loadings @ self.loadings.swapaxes(2, 3)
            _improve(self.maps, products, squares)
            if step % CHECK_EVERY == CHECK_EVERY - 1 or step == num_steps - 1:
                last = errors
                fitted = 2 * (products * self.maps).sum(axis=(2, 3))
                errors = wholes - fitted + (squares * (self.maps @ self.maps.swapaxes(2, 3))).sum(axis=(2, 3))
                if is_to_the_end and np.all(last - errors <= TOLERANCE * CHECK_EVERY * wholes):
                    break
        return errors

    def keep_best(self, errors: Array, count: int) -> None:
        """Go on with the restarts of the smallest error."""
        best = np.argsort(errors, axis=1, kind="stable")[:, :count, None, None]
        self.loadings = np.take_along_axis(self.loadings, best, axis=1)
        self.maps = np.take_along_axis(self.maps, best, axis=1)

    @staticmethod
    def _times(side: Array, tables: Array) -> Array:
        """Return one side of all restarts times the tables, with one product for each table."""
        found = side.reshape(len(side), -1, side.shape[3]) @ tables
        return found.reshape(*side.shape[:3], -1)


def _best(tables: Array, starts: Array) -> tuple[Array, Array]:
    """Return the loadings `[table, factor, row]` and maps `[table, factor, column]` of the best restart for each table.

    All restarts go some steps; the best few of them go on to the end.
    """
    maps = np.repeat(starts[None], len(tables), axis=0)
    descent = _Descent(tables, np.zeros((*maps.shape[:3], tables.shape[1])), maps)
    descent.keep_best(descent.run(NUM_FIRST_STEPS, is_to_the_end=False), NUM_FINALISTS)
    descent.keep_best(descent.run(NUM_STEPS), 1)
    return descent.loadings[:, 0], descent.maps[:, 0]


def _improve(side: Array, products: Array, squares: Array) -> None:
    """Change one side `[..., factor, place]` to the best values given the other, a factor at a time.

    Args:
        side: What is improved, in place.
        products: The table times the other side, `[..., factor, place]`.
        squares: The other side times itself, `[..., factor, factor]`.
    """
    for factor in range(side.shape[-2]):
        own = squares[..., factor, factor, None]
        rest = products[..., factor, :] - (squares[..., factor, None, :] @ side)[..., 0, :]
        step = rest / np.where(own > 0, own, np.inf)
        side[..., factor, :] = np.maximum(side[..., factor, :] + step, 0)
