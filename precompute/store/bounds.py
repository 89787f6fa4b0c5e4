"""The units with the largest product with a direction, found exactly without a look at each (branch and bound).

Units that are alike lie in blocks of 32. A few numbers of each block bound the products of all its units; only blocks, and then
units, whose bounds reach what was found already are looked at. The numbers are those of a few coordinates, and the length of what
is left. Units vary most along the first coordinates, and so do the directions that are asked for (balanced coordinates, as in the
reduction of models), so that little is left.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
NUM_COORDINATES = 6
_SLACK = 1e-4
"""Of bounds, which are kept in single precision: products are between -1 and 1."""
_SMALLEST_SHARE = 1e-7
_SAMPLE = 20_000
Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Units in blocks.

    Attributes:
        centre: `[number]`, mean of all units.
        inverse: `[coordinate, number]`, takes a direction to coordinates.
        places: `[unit]`, block by block; the last block may be shorter.
        units: `[unit, coordinate]`, the first coordinates of each, then the length of the others; in the order of `places`.
        middle: `[block, coordinate]`, of the range of each of the first coordinates.
        reach: `[block, coordinate]`, half of that range, then the largest length of the others.
    """

    centre: Doubles
    inverse: Doubles
    places: NDArray[np.int32]
    units: Singles
    middle: Singles
    reach: Singles

    @classmethod
    def of(cls, vectors: Singles, directions: NDArray[Any]) -> Bounds:
        """Return the blocks of some units.

        Args:
            vectors: `[unit, number]`.
            directions: `[direction, number]`, such as will be asked for; any other is answered rightly, too, and slower.
        """
        centre = vectors.mean(0, dtype=np.float64)
        forward, inverse = _balanced(vectors[:: max(1, len(vectors) // _SAMPLE)] - centre, np.asarray(directions, np.float64))
        coordinates = ((vectors - centre.astype(np.float32)) @ forward.astype(np.float32)).astype(np.float32)
        few = min(NUM_COORDINATES, coordinates.shape[1])
        rest = np.linalg.norm(coordinates[:, few:], axis=1)
        places = _blocks(coordinates[:, :few])
        units = np.column_stack([coordinates[:, :few], rest])[places]
        starts = np.arange(0, len(units), BLOCK)
        low, high = np.minimum.reduceat(units, starts), np.maximum.reduceat(units, starts)
        middle, reach = (low + high)[:, :few] / 2, np.column_stack([(high - low)[:, :few] / 2, high[:, few]])
        return cls(centre, inverse, places, units, middle.astype(np.float32), reach.astype(np.float32))

    def to_bytes(self) -> bytes:
        """Return all arrays as one file."""
        buffer = io.BytesIO()
        np.savez(buffer, **{field.name: getattr(self, field.name) for field in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Bounds:
        """Return what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return cls(**{field.name: found[field.name] for field in fields(cls)})

    def largest(
        self, direction: Doubles, count: int, score: Callable[[NDArray[np.int64]], Singles]
    ) -> tuple[NDArray[np.int64], Singles]:
        """Return the places of the units with the largest scores, the largest first, equal ones by place, and the scores.

        Args:
            direction: `[number]`.
            count: How many units.
            score: Returns the scores of the units at some places: the product with the direction, or less.
        """
        if not len(self.places) or count < 1:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        asked = self.inverse @ direction
        few = self.middle.shape[1]
        base = float(self.centre @ direction) + _SLACK
        weights = np.append(asked[:few], np.linalg.norm(asked[few:])).astype(np.float32)
        bounds = self.middle @ weights[:few] + self.reach @ np.abs(weights) + base
        places, scores, least = np.zeros(0, np.int64), np.zeros(0, np.float32), -np.inf
        blocks, size = np.arange(len(bounds)), 2 + 2 * count // BLOCK
        while blocks.size:  # the most promising first, so that what has to be reached rises soon
            order = np.argpartition(-bounds[blocks], size) if size < len(blocks) else np.arange(len(blocks))
            rows = self._rows(blocks[order[:size]])
            rows = rows[self.units[rows] @ weights + base >= least]
            found = self.places[rows].astype(np.int64)
            places, scores = np.concatenate([places, found]), np.concatenate([scores, score(found)])
            if len(scores) >= count:
                least = np.partition(scores, len(scores) - count)[len(scores) - count]
                places, scores = places[scores >= least], scores[scores >= least]
            blocks, size = blocks[order[size:]], 4 * size
            blocks = blocks[bounds[blocks] >= least]
        order = np.lexsort((places, -scores))[:count]
        return places[order], scores[order]

    def _rows(self, blocks: NDArray[np.intp]) -> NDArray[np.intp]:
        rows = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        return rows[rows < len(self.places)]


def _balanced(vectors: Doubles, directions: Doubles) -> tuple[Doubles, Doubles]:
    """Return `forward [number, coordinate]` and `inverse [coordinate, number]`, with which products stay what they are.

    The coordinates of `vectors @ forward` and of `directions @ inverse.T` have the same spread, the largest first.
    """
    (root, root_inverse), (other, _) = _roots(vectors), _roots(directions)
    left, spread, _ = np.linalg.svd(root @ other)
    scale = np.sqrt(spread)
    return root_inverse @ left * scale, (root @ left / scale).T


def _roots(vectors: Doubles) -> tuple[Doubles, Doubles]:
    """Return the square root of the second moments of some vectors, and its inverse; directions without any get a little."""
    values, basis = np.linalg.eigh(vectors.T @ vectors / max(1, len(vectors)))
    roots = np.sqrt(np.maximum(values, _SMALLEST_SHARE * max(float(values[-1]), _SMALLEST_SHARE)))
    return basis * roots @ basis.T, basis / roots @ basis.T


def _blocks(coordinates: Singles) -> NDArray[np.int32]:
    """Return all places, those of units that lie close together one after the other: halved where they spread most."""
    found = np.arange(len(coordinates), dtype=np.int32)
    pending = [(0, len(found))]
    while pending:
        start, stop = pending.pop()
        if stop - start <= BLOCK:
            continue
        part = found[start:stop]
        values = coordinates[part]
        column = values[:, int(np.argmax(values.std(0)))]
        middle = -(-(stop - start) // BLOCK) // 2 * BLOCK
        found[start:stop] = part[np.argpartition(column, middle)]
        pending += [(start, start + middle), (start + middle, stop)]
    return found
