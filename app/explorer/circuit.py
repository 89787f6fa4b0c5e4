"""What the weight explorer shows, as a circuit: a document to save here, or to import elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from app import urls
from app.contexts import ExplorerQuery
from app.dependencies import check_unit
from app.explorer.graph import Explorer
from app.explorer.query import query_of
from app.explorer.state import SHARED_PARAMETERS, STATE_PARAMETERS, read_state
from app.query import Query
from precompute.circuits.circuit import parse_circuit, write_circuit
from precompute.errors import UsageError
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog

_ADDRESS = re.compile("/models/(?P<model>[^/?#]+)/(?P<layer>[^/?#]+)/(?P<unit>[0-9]+)/weights")


def circuit_document(explorer: Explorer, catalog: Catalog, title: str) -> str:
    """Return the cards and weights of an explorer as the document of a circuit.

    Args:
        explorer: What is shown.
        catalog: The model.
        title: Of the circuit.

    Raises:
        UsageError: They are more than a circuit can hold.
    """
    document = {
        "model": catalog.model.id,
        "weights_sha256": catalog.model.weights_sha256,
        "title": title,
        "units": [{"layer": card.layer, "unit": card.unit} for column in explorer.columns() for card in column.units],
        "edges": [
            {
                "source": {"layer": edge.source_layer, "unit": edge.source_unit},
                "target": {"layer": edge.target_layer, "unit": edge.target_unit},
            }
            | ({"over": edge.over} if edge.over else {})
            for edge in reversed(explorer.edges())
        ],
    }
    try:
        return write_circuit(parse_circuit(json.dumps(document, ensure_ascii=False, separators=(",", ":"))))
    except UsageError as error:
        raise UsageError(
            f"What the explorer shows is too much for one circuit. {error.detail} In the explorer, raise the threshold, leave "
            "out the weights between cards, or fold some."
        ) from error


def circuit_at(reader: AtlasReader, revision: str, address: str, title: str) -> tuple[str, str]:
    """Return the document of what the explorer shows at an address, and the address of the document as a file.

    Args:
        reader: The atlas.
        revision: Of the atlas.
        address: Of the explorer, without scheme and host.
        title: Of the circuit; by default what the explorer begins at.

    Raises:
        UsageError: It is not the address of an explorer, or its state is not possible.
        UnknownName: The model, layer or unit does not exist.
    """
    path, _, query = address.partition("?")
    match = _ADDRESS.fullmatch(path)
    if match is None:
        raise UsageError(
            f"explorer={address[:80]!r} is not the address of a weight explorer. Give one such as "
            "/models/MODEL/LAYER/UNIT/weights?top=3."
        )
    catalog = reader.catalog(unquote(match["model"]), revision)
    layer = catalog.layer(unquote(match["layer"]))
    unit = check_unit(layer, match["unit"])
    given = Query(parse_qsl(query, keep_blank_values=True), (*STATE_PARAMETERS, *SHARED_PARAMETERS))
    state = read_state(given, catalog, (layer.name, unit))
    document = circuit_document(Explorer(reader, catalog, state), catalog, title or usual_title(layer.name, unit))
    return document, urls.circuit_of_graph(catalog.model.id, layer.name, unit, **query_of(state.told()))


def usual_title(layer: str, unit: int) -> str:
    """Return the title of a circuit that nobody gave one."""
    return f"Around {layer[:160]} {unit}"


def circuit_links(model_id: str, layer: str, unit: int, told: ExplorerQuery) -> dict[str, Any]:
    """Return the links from an explorer to its circuit: the form that saves it, and the document.

    Args:
        model_id: The model.
        layer: Of the unit that the explorer begins at.
        unit: The unit.
        told: What is shown.
    """
    query = query_of(told, embed=False)
    return {
        "circuit": urls.new_circuit(explorer=urls.weights(model_id, layer, unit, **query)),
        "circuit_file": urls.circuit_of_graph(model_id, layer, unit, **query),
    }
