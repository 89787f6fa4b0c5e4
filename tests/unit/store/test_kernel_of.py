"""The kernel between two units does not depend on which end others asked from, where the ends differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from precompute.circuits.expand import Expanded
from precompute.domain import Placement
from precompute.store import expanded
from precompute.store.arrays import Side
from precompute.store.expanded import composed, kernel_of
from precompute.store.reader import AtlasReader


@pytest.mark.parametrize("is_cut", [True, False])
def test_kernels_of_the_other_end_are_taken_only_where_none_was_cut(fixture_atlas: Path, is_cut: bool) -> None:
    reader = AtlasReader(fixture_atlas)
    catalog = reader.catalog("tiny_a", reader.revision())
    target = catalog.layers["head.fc"]
    own = composed(Side(reader, catalog, target, 5, "inputs"), "stem").array[0, 3]
    other = np.full((1, target.spec.num_units, *own.shape), 7.0)
    key = (("stem", 3), "outputs", "head.fc", None)
    expanded._kept(catalog).get(key, lambda: Expanded(other, Placement(), is_exact=False, is_cut=is_cut))
    found = kernel_of(reader, catalog, ("stem", 3), ("head.fc", 5))
    assert found is not None
    assert (found.kernel == (own if is_cut else 7.0)).all()


def test_same_answer_asked_twice_at_once_counts_once() -> None:
    kept = expanded._Kept()
    answer = Expanded(np.zeros((1, 4, 3, 3)), Placement(), is_exact=True)

    def make() -> Expanded:
        kept.get("key", lambda: answer)  # another request, meanwhile
        return Expanded(np.zeros((1, 4, 3, 3)), Placement(), is_exact=True)

    assert kept.get("key", make) is answer
    assert kept._num_bytes == answer.array.nbytes
