"""The numbers of edges are those of the weights, whichever way they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precompute.circuits.circuit import CircuitDraft, CircuitEdge
from precompute.errors import UnknownName
from precompute.store.arrays import Side, weights_of
from precompute.store.circuits import EdgeNumbers, admit, beside, edge_numbers
from precompute.store.expanded import expanded_partners
from precompute.store.partners import PartnerTable, join
from precompute.store.reader import AtlasReader


@pytest.fixture(scope="module")
def reader(fixture_atlas: Path) -> AtlasReader:
    return AtlasReader(fixture_atlas)


def edge(source: tuple[str, int], target: tuple[str, int]) -> CircuitEdge:
    ends = [{"layer": layer, "unit": unit} for layer, unit in (source, target)]
    return CircuitEdge.model_validate({"source": ends[0], "target": ends[1]})


def numbers(reader: AtlasReader, source: tuple[str, int], target: tuple[str, int]) -> EdgeNumbers:
    catalog = reader.catalog("tiny_a", reader.revision())
    return edge_numbers(reader, catalog, [edge(source, target)])[source, target]


def kernels(reader: AtlasReader, source: str, target: str) -> np.ndarray:
    link = reader.catalog("tiny_a", reader.revision()).link(source, target)
    assert link is not None
    found: Any = weights_of(reader, link)
    return np.array(found, np.float64)


@pytest.mark.parametrize("unit", [0, 7, 23])
def test_numbers_are_those_of_the_array(reader: AtlasReader, unit: int) -> None:
    direct, skip = kernels(reader, "blocks.0.dw", "blocks.0.pw"), kernels(reader, "stem", "blocks.0.pw")
    found = numbers(reader, ("stem", unit), ("blocks.0.pw", 7))
    inputs = np.concatenate([np.sqrt((array[7] ** 2).sum(axis=(1, 2))) for array in (direct, skip)])
    norm = np.sqrt((skip[7, unit] ** 2).sum())
    assert found.status == "direct"
    assert found.norm == pytest.approx(norm, rel=1e-12)
    assert found.sum == pytest.approx(skip[7, unit].sum(), rel=1e-12)
    assert found.share == pytest.approx(norm**2 / (inputs**2).sum(), rel=1e-12)
    assert found.rank == 1 + (inputs > norm * (1 + 1e-12)).sum()
    assert found.num_inputs == 48
    assert found.is_exact is False
    assert found.kernel is not None
    assert np.array_equal(found.kernel, skip[7, unit])


def test_shares_of_all_inputs_make_a_whole(reader: AtlasReader) -> None:
    catalog = reader.catalog("tiny_a", reader.revision())
    edges = [edge((layer, unit), ("blocks.0.pw", 3)) for layer in ("stem", "blocks.0.dw") for unit in range(24)]
    found = list(edge_numbers(reader, catalog, edges).values())
    assert sum(one.share or 0 for one in found) == pytest.approx(1, rel=1e-12)
    assert sorted(one.rank or 0 for one in found) == list(range(1, 49))
    assert sum(one.share or 0 for one in found[1:]) < 1 - 1e-6


def test_streams_are_not_counted_beside_what_makes_them() -> None:
    def table(layer: str, norms: list[float]) -> PartnerTable:
        values = np.array(norms)
        return PartnerTable(layer, layer == "block", range(len(norms)), values**2, values, values, values)

    partners = join([table("conv", [5.0, 2.0]), table("skip", [3.0]), table("block", [9.0, 4.0])])
    for inputs in (("conv", "skip"), ("skip", "conv")):
        assert [(one.layer, one.norm) for one in beside(partners, "conv", inputs).rows()] == [
            ("conv", 5.0), ("skip", 3.0), ("conv", 2.0),
        ]  # fmt: skip
        assert [(one.layer, one.norm) for one in beside(partners, "block", inputs).rows()] == [("block", 9.0), ("block", 4.0)]


def test_depthwise_units_are_linked_to_their_own_number_alone(reader: AtlasReader) -> None:
    own = numbers(reader, ("stem", 5), ("blocks.0.dw", 5))
    other = numbers(reader, ("stem", 6), ("blocks.0.dw", 5))
    assert (own.share, own.rank, own.is_exact) == (1.0, 1, True)
    assert (other.status, other.norm, other.sum, other.rank, other.kernel) == ("direct", 0.0, 0.0, None, None)


def test_distant_units_have_the_numbers_of_the_expanded_list(reader: AtlasReader) -> None:
    found = numbers(reader, ("stem", 5), ("head.fc", 5))
    catalog = reader.catalog("tiny_a", reader.revision())
    listed = expanded_partners(Side(reader, catalog, catalog.layers["head.fc"], 5, "inputs"), "stem").rows()
    weight = next(partner for partner in listed if partner.unit == 5)
    assert (found.status, found.norm, found.sum, found.share) == ("expanded", weight.norm, weight.sum, weight.share)
    assert found.rank == listed.index(weight) + 1
    assert found.num_inputs == len(listed) == catalog.layers["stem"].spec.num_units
    assert found.kernel is not None
    assert np.linalg.norm(found.kernel) == pytest.approx(weight.norm)
    assert found.is_exact is False


def test_units_without_a_path_have_no_numbers(reader: AtlasReader) -> None:
    assert numbers(reader, ("head.fc", 5), ("stem", 5)) == EdgeNumbers("not_linked")
    assert numbers(reader, ("stem", 500), ("head.fc", 5)) == EdgeNumbers("unknown")
    assert numbers(reader, ("gone", 5), ("head.fc", 5)) == EdgeNumbers("unknown")


def test_circuit_of_a_model_that_is_not_there_is_not_admitted(reader: AtlasReader) -> None:
    document = {"model": "tiny_c", "title": "T", "units": [{"layer": "stem", "unit": 1}]}
    with pytest.raises(UnknownName, match="tiny_a"):
        admit(reader, CircuitDraft.model_validate(document))
    admitted = admit(reader, CircuitDraft.model_validate(document | {"model": "tiny_b"}))
    assert admitted.weights_sha256 == "1" * 64
