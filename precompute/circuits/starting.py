"""A document to begin with, from units and edges that were picked somewhere."""

from __future__ import annotations

import json
import re

from precompute.circuits.circuit import UnitKey, parse_circuit, write_circuit
from precompute.errors import UsageError

_UNIT = re.compile(r"(?P<layer>.+)/(?P<unit>[0-9]{1,9})")


def start_document(model_id: str, title: str, units: str, edges: str) -> str:
    """Return a document to fill in.

    >>> "blocks.0" in start_document("tiny", "", "", "stem/1>blocks.0/2")
    True

    Args:
        model_id: The model.
        title: Its title, or an empty text.
        units: `LAYER/UNIT,LAYER/UNIT`.
        edges: `LAYER/UNIT>LAYER/UNIT,…`; their ends need not be named among the units.

    Raises:
        UsageError: A text is no list of units or edges.
    """
    pairs = [_ends(text) for text in edges.split(",") if text]
    everyone = [*(_unit("units", text) for text in units.split(",") if text), *(end for pair in pairs for end in pair)]
    document = {
        "model": model_id or "MODEL",
        "title": title or "A title",
        "units": [_address(unit) for unit in dict.fromkeys(everyone)] or [{"layer": "LAYER", "unit": 0}],
        "edges": [{"source": _address(source), "target": _address(target)} for source, target in dict.fromkeys(pairs)],
    }
    return write_circuit(parse_circuit(json.dumps(document)))


def _ends(text: str) -> tuple[UnitKey, UnitKey]:
    source, arrow, target = text.partition(">")
    if not arrow:
        raise UsageError(f"edges={text[:80]!r} is no edge. Write LAYER/UNIT>LAYER/UNIT, several with commas between.")
    return _unit("edges", source), _unit("edges", target)


def _unit(name: str, text: str) -> UnitKey:
    match = _UNIT.fullmatch(text)
    if match is None:
        raise UsageError(f"{name}={text[:80]!r} is no unit. Write LAYER/UNIT, several with commas between.")
    return match["layer"], int(match["unit"])


def _address(unit: UnitKey) -> dict[str, str | int]:
    return {"layer": unit[0], "unit": unit[1]}
