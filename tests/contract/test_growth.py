"""A page costs the same in an atlas that is eight times as large: nothing counts or scans when it is asked."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.pages import compare, model_units, models, queries, search, weights
from precompute.bench.page_kinds import page_kinds
from precompute.store import example_counts, owners
from tests.grown_atlas import ALL_PAGES, NUM_LAYERS, Watched, make_grown_atlases

MOST = 1.3
"""How many times as much a page of the larger atlas may take."""
NUM_EACH = 3
FEW_STEPS = 1500
"""Of the database: a tenth of a millisecond, and less than a look at a quarter of the units."""
FEW = 8
BOUNDS = {
    models: ("MAX_WHOLE", "LAYERS_AT_ONCE"),
    compare: ("MAX_OFFERED",),
    queries: ("MAX_OFFERED",),
    weights: ("MAX_OFFERED",),
    model_units: ("MAX_LAYERS",),
    search: ("MAX_PER_KIND",),
    owners: ("MAX_LAYERS",),
    example_counts: ("MAX_LAYERS",),
}
"""What bounds how much a page tells: smaller here, as the atlases are."""
GROWING = ("unit", "unit_metric", "artifact", "top_stimulus", "task", "stimulus", "search_entry", "unit_column", "example_count")


def stub(address: str) -> Mapping[str, Any]:
    """Return as much of any page as the names of the kinds need."""
    return {"layers": [{"name": f"layer{place}", "num_units": 9} for place in range(9)], "num_images": 9, "next": address}


KINDS = list(page_kinds(stub, 1))


@pytest.fixture(scope="module")
def atlases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    with pytest.MonkeyPatch.context() as patch:
        for module, names in BOUNDS.items():
            for name in names:
                patch.setattr(module, name, NUM_LAYERS if module in (models, search) else FEW)
        yield make_grown_atlases(tmp_path_factory.mktemp("grown"))


@pytest.fixture(scope="module")
def both(atlases: tuple[Path, Path]) -> tuple[Watched, Watched]:
    return Watched(atlases[0]), Watched(atlases[1])


@pytest.fixture(scope="module")
def addresses(both: tuple[Watched, Watched]) -> list[dict[str, list[str]]]:
    return [page_kinds(watched.read, NUM_EACH) for watched in both]


def twins_of(addresses: list[str]) -> list[list[str]]:
    """Return the addresses of pages, and of their twins where they have some."""
    return [addresses, *([] if addresses[0].startswith("/fragments") else [[f"/api/v1{address}" for address in addresses]])]


@pytest.mark.parametrize("kind", KINDS)
def test_page_takes_no_more_where_there_is_more(
    kind: str, both: tuple[Watched, Watched], addresses: list[dict[str, list[str]]]
) -> None:
    for small, large in zip(twins_of(addresses[0][kind]), twins_of(addresses[1][kind]), strict=True):
        costs = []
        for watched, asked in zip(both, (small, large), strict=True):
            watched.make(asked[0])  # what is kept for all pages is there
            costs.append(watched.cost(asked[-1]))
        (calls, steps), (more_calls, more_steps) = costs
        assert more_calls <= MOST * calls + 100, f"{large[-1]}: {more_calls} functions called, {calls} in the smaller atlas"
        assert more_steps <= MOST * steps + FEW_STEPS, (
            f"{large[-1]}: {more_steps} steps of the database, {steps} in the smaller atlas"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_no_table_of_units_is_scanned(kind: str, atlases: tuple[Path, Path], addresses: list[dict[str, list[str]]]) -> None:
    watched = Watched(atlases[1])  # where nothing is kept yet
    watched.make(addresses[1][kind][0])
    asked = [statement for statement in set(watched.statements) if not statement.startswith(("--", "PRAGMA"))]
    assert asked or kind in {"docs", "words", "search", "annotation_new"}
    with closing(sqlite3.connect(atlases[1] / "atlas.db")) as connection:
        scans = [f"{step}: {one}" for one in asked for step in plan_of(connection, one) if is_scan(step)]
    assert scans == []


def plan_of(connection: sqlite3.Connection, statement: str) -> list[str]:
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def is_scan(step: str) -> bool:
    """Return whether a step of a plan reads all of a table that grows with the number of units, or all of one model."""
    match = re.match(r"(SCAN|SEARCH) (?:main\.)?(\w+?)(?:_\d+)?\b(.*)", step)
    if match is None or match[2] not in GROWING:
        return False
    if match[1] == "SCAN":
        return True
    return match[2] in ("task", "top_stimulus") and not re.search(r"layer_id|status=", match[3])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("SCAN unit", True),
        ("SCAN unit_metric_1 USING COVERING INDEX unit_metric_by_value", True),
        ("SEARCH task USING INDEX sqlite_autoindex_task_1 (model_id=?)", True),
        ("SEARCH top_stimulus USING COVERING INDEX top_stimulus_by_stimulus (stimulus_index=?)", True),
        ("SEARCH task USING INDEX task_by_status (model_id=? AND status=?)", False),
        ("SEARCH unit USING INDEX sqlite_autoindex_unit_1 (layer_id=? AND unit_index=?)", False),
        ("SCAN wanted VIRTUAL TABLE INDEX 1:", False),
        ("SCAN layer", False),
    ],
)
def test_scans_are_told_from_searches(step: str, expected: bool) -> None:
    assert is_scan(step) == expected


def test_every_page_is_among_the_kinds(addresses: list[dict[str, list[str]]]) -> None:
    patterns = {page.name: re.compile(re.sub(r"\{\w+\}", "[^/]+", page.path)) for page in ALL_PAGES}
    asked = [listed[0].partition("?")[0] for listed in addresses[1].values()]
    found = {name for name, pattern in patterns.items() if any(pattern.fullmatch(path) for path in asked)}
    assert set(patterns) - found == set()
