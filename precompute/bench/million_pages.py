"""What pages of an atlas of a million units cost beside those of one of 21,008: nothing may count or scan when it is asked.

Both servers run at once, keep no answer, and are asked in turn, address by address. The processor time of the server counts, not
the clock, and of each kind of page, HTML and JSON, the median over several rounds: what else the machine does decides little.
`python -m precompute.bench.million_pages SMALL LARGE` measures two made-up atlases that are there already.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from precompute.bench.page_kinds import MODEL, page_kinds, plain_kinds, write_people
from precompute.bench.server import Measured, measuring
from precompute.bench.synthetic_atlas import grow_atlas, make_synthetic_atlas

NUM_EACH = 7
"""Addresses of each kind in each round."""
NUM_ROUNDS = 4
NUM_WARM = 4
MOST = 1.5
"""How many times as much a page may cost."""
MILLION = 48  # networks of 21,008 units
TWIN = "/api/v1"


def measure_million() -> tuple[dict[str, float], dict[str, Any]]:
    """Return ratios and details of both atlases: 7 GB in the folder for temporary files, and some minutes."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "usual", Path(folder) / "million"
        make_synthetic_atlas(small)
        grow_atlas(small, large, MILLION)
        return compare_pages(small, large)


def compare_pages(small: Path, large: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """Return, for each kind of page, how the cost in a small atlas stands to that in a large one, and all costs.

    Raises:
        AtlasError: A page could not be made.
    """
    with ExitStack() as stack:
        servers = [stack.enter_context(measuring(atlas)) for atlas in (small, large)]
        plans = [_plan(server, atlas) for server, atlas in zip(servers, (small, large), strict=True)]
        costs = _costs(servers, plans)
    milliseconds = {kind: [round(1000 * cost, 2) for cost in both] for kind, both in costs.items()}
    times = {kind: round(second / first, 2) for kind, (first, second) in costs.items()}
    ratios = {f"million_{kind}": first / second for kind, (first, second) in costs.items()}
    return ratios, {
        "processor_milliseconds": milliseconds,
        "times_as_much": dict(sorted(times.items(), key=lambda item: -item[1])),
        "above": {"limit": MOST, "kinds": [kind for kind, found in times.items() if found > MOST]},
    }


def _plan(server: Measured, atlas: Path) -> dict[str, list[str]]:
    """Return the addresses of each kind of page and of its twin."""
    write_people(atlas)
    read = server.client.read
    found: dict[str, list[str]] = {}
    for kind, addresses in page_kinds(read, NUM_EACH * NUM_ROUNDS).items():
        found[kind] = addresses
        if not addresses[0].startswith("/fragments"):
            found[f"{kind}_json"] = [TWIN + address for address in addresses]
    layers = [layer["name"] for layer in read(f"{TWIN}/models/{MODEL}")["layers"]]
    return found | plain_kinds(layers)


def _costs(servers: Sequence[Measured], plans: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, tuple[float, float]]:
    """Return the median cost of each kind of page for both servers; the first of its addresses are not counted.

    All kinds take their turns in several rounds: a minute in which the machine does something else falls on a part of each.
    """
    found: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in plans[0]}
    for round_ in range(NUM_ROUNDS):
        for kind, costs in found.items():
            for turn in range(round_ * NUM_EACH, (round_ + 1) * NUM_EACH):
                for place in (0, 1) if turn % 2 else (1, 0):
                    asked = plans[place][kind]
                    costs[place].append(servers[place].cost(asked[turn % len(asked)]))
    return {
        kind: (statistics.median(first[NUM_WARM:]), statistics.median(second[NUM_WARM:]))
        for kind, (first, second) in found.items()
    }


def main() -> None:
    """Measure two atlases given on the command line, and print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    arguments = parser.parse_args()
    for atlas in (arguments.small, arguments.large):
        if not (atlas / "atlas.db").is_file():
            parser.error(f"there is no atlas in {atlas}; `python -m precompute.bench.synthetic_atlas {atlas}` makes one")
    ratios, details = compare_pages(arguments.small, arguments.large)
    print(json.dumps({"ratios": ratios, "details": details}, indent=1))


if __name__ == "__main__":
    main()
