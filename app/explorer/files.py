"""What the weight explorer shows as files: GraphML for other programs (Gephi, Cytoscape, networkx, yEd), and a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from fastapi import APIRouter, Request, Response

from app.contexts import ExplorerColumn, ExplorerEdge
from app.dependencies import AtlasDoor, check_unit
from app.explorer.circuit import circuit_document, usual_title
from app.explorer.graph import Explorer
from app.explorer.query import UnitKey, write_unit
from app.explorer.state import SHARED_PARAMETERS, STATE_PARAMETERS, read_state
from app.query import Query
from precompute.store.records import Catalog

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_KEYS = (
    ("node", "layer", "string"),
    ("node", "unit", "int"),
    ("node", "label", "string"),
    ("edge", "norm", "double"),
    ("edge", "sum", "double"),
    ("edge", "share", "double"),
    ("edge", "exact", "boolean"),
    ("edge", "over", "string"),
)
# What XML 1.0 cannot say, not even escaped: most control characters, halves of pairs, and two that are no characters.
_FORBIDDEN = dict.fromkeys((*(code for code in range(32) if chr(code) not in "\t\n\r"), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF))


class ExplorerFiles:
    """The routes of the files.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        path = "/media/graphs/{model}/{layer}/{unit}"
        for ending, endpoint in ((".graphml", self.graphml), (".circuit.json", self.circuit)):
            router.add_api_route(
                path + ending, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
            )
        return router

    def graphml(self, request: Request) -> Response:
        """Answer with the graph as GraphML."""
        explorer, _, (_, unit) = self._explorer(request)
        headers = _attached(f"weights-{unit}.graphml")
        return Response(graphml(explorer.columns(), explorer.edges()), headers=headers, media_type="application/graphml+xml")

    def circuit(self, request: Request) -> Response:
        """Answer with the document of a circuit."""
        explorer, catalog, (layer, unit) = self._explorer(request)
        document = circuit_document(explorer, catalog, usual_title(layer, unit))
        return Response(document, headers=_attached(f"circuit-{unit}.json"), media_type="application/json")

    def _explorer(self, request: Request) -> tuple[Explorer, Catalog, UnitKey]:
        query = Query(request.query_params.multi_items(), (*STATE_PARAMETERS, *SHARED_PARAMETERS))
        reader = self._door.reader()
        catalog = reader.catalog(str(request.path_params["model"]), reader.revision())
        layer = catalog.layer(str(request.path_params["layer"]))
        start = (layer.name, check_unit(layer, str(request.path_params["unit"])))
        return Explorer(reader, catalog, read_state(query, catalog, start)), catalog, start


def _attached(name: str) -> dict[str, str]:
    return {"Cache-Control": "no-cache", "Content-Disposition": f'attachment; filename="{name}"'}


def graphml(columns: Sequence[ExplorerColumn], edges: Sequence[ExplorerEdge]) -> bytes:
    """Return cards and weights as a GraphML document: a directed graph, the names of nodes `LAYER/UNIT`."""
    root = ElementTree.Element("graphml", {"xmlns": NAMESPACE})
    for kind, name, value_type in _KEYS:
        ElementTree.SubElement(root, "key", {"id": name, "for": kind, "attr.name": name, "attr.type": value_type})
    graph = ElementTree.SubElement(root, "graph", {"id": "weights", "edgedefault": "directed"})
    for column in columns:
        for card in column.units:
            node = ElementTree.SubElement(graph, "node", {"id": write_unit((card.layer, card.unit)).translate(_FORBIDDEN)})
            _data(node, layer=card.layer, unit=card.unit, label=card.label)
    for edge in edges:
        ends = {
            "source": write_unit((edge.source_layer, edge.source_unit)).translate(_FORBIDDEN),
            "target": write_unit((edge.target_layer, edge.target_unit)).translate(_FORBIDDEN),
        }
        over = ", ".join(edge.over) or None
        element = ElementTree.SubElement(graph, "edge", ends)
        _data(element, norm=edge.norm, sum=edge.sum, share=edge.share, exact=edge.exact, over=over)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _data(parent: ElementTree.Element, **values: Any) -> None:
    for name, value in values.items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            ElementTree.SubElement(parent, "data", {"key": name}).text = text.translate(_FORBIDDEN)
