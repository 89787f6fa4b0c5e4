"""The circuits that people saved: the list, one of them, and the form for a new one."""

from __future__ import annotations

from collections.abc import Mapping

from app import urls
from app.contexts import CircuitCard, CircuitPage, CircuitRevision, CircuitsPage, Links, NewCircuitPage
from app.dependencies import Visit
from app.explorer.circuit import circuit_at
from app.parts.circuits import (
    claim_part,
    edge_part,
    known_units,
    layers_in_order,
    sample_units,
    unit_part,
)
from app.parts.summaries import page_links
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.circuits.circuit import MAX_BYTES, Circuit, UnitKey, parse_stored, write_circuit
from precompute.circuits.starting import start_document
from precompute.errors import UnknownName
from precompute.store.circuits import EdgeNumbers, edge_numbers
from precompute.store.records import Catalog
from precompute.store.user_db import CircuitRecord

DEFAULT_LIMIT = 60
NUM_SAMPLES = 6
LIST_PARAMETERS = (
    Parameter("model", "Only circuits of this model"),
    Parameter("limit", "Circuits on a page, 1 to 500", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
CIRCUIT_PARAMETERS = (Parameter("revision", "An earlier revision of it", kind="integer"),)
NEW_PARAMETERS = (
    Parameter("revise", "Id of the circuit to begin with"),
    Parameter("model", "Id of the model, to begin with a few units of it"),
    Parameter("units", "Units to begin with, `LAYER/UNIT,LAYER/UNIT`"),
    Parameter("edges", "Edges to begin with, `LAYER/UNIT>LAYER/UNIT,…`"),
    Parameter("explorer", "Instead: the address of a weight explorer, whose cards and weights to begin with"),
    Parameter("title", "A title to begin with"),
)


def build_circuits(visit: Visit) -> CircuitsPage:
    """Return the list of circuits."""
    query = visit.query
    models = [model.id for model in visit.reader.models()]
    model_id = query.text("model") or None
    if model_id is not None and model_id not in models:
        raise UnknownName("model", model_id, models, where="This atlas", hint="The start page shows all of them.")
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 500)
    scope = {"circuits": model_id}
    place = decode_cursor(scope, query.text("after"), (str, str))
    records, total = visit.door.users.circuits(model_id, limit + 1, None if place is None else (place[0], place[1]))
    following = None
    if len(records) > limit:
        last = records[limit - 1]
        values = query.values | {"after": encode_cursor(scope, [last.updated_at, last.circuit.id])}
        following = urls.twin(urls.with_query(visit.address, values))
    return CircuitsPage(
        items=_cards(visit, records[:limit]),
        total=total,
        next=following,
        query=query.values,
        models=models,
        is_writable=visit.is_writable,
        links=page_links(
            visit.full_address,
            home=urls.home(),
            new=urls.new_circuit(model=model_id) if visit.is_writable else None,
            schema=urls.circuit_schema(),
        ),
    )


def _cards(visit: Visit, records: list[CircuitRecord]) -> list[CircuitCard]:
    by_model: dict[str, list[Circuit]] = {}
    for record in records:
        by_model.setdefault(record.circuit.model, []).append(record.circuit)
    catalogs = {model_id: _catalog(visit, model_id) for model_id in by_model}
    known = {model_id: known_units(visit.reader, catalogs[model_id], circuits) for model_id, circuits in by_model.items()}
    return [
        CircuitCard(
            id=record.circuit.id,
            title=record.circuit.title,
            summary=record.circuit.summary,
            model=record.circuit.model,
            author=record.circuit.author,
            num_units=len(record.circuit.units),
            num_edges=len(record.circuit.edges),
            num_claims=len(record.circuit.claims),
            revision=record.revision,
            created_at=record.circuit.created_at,
            updated_at=record.updated_at,
            is_same_weights=_is_same(record.circuit, catalogs[record.circuit.model]),
            samples=sample_units(record.circuit, catalogs[record.circuit.model], known[record.circuit.model], NUM_SAMPLES),
            links=page_links(urls.circuit(record.circuit.id), export=urls.circuit_export(record.circuit.id)),
        )
        for record in records
    ]


def _catalog(visit: Visit, model_id: str) -> Catalog | None:
    """Return a model, or None where the atlas has it no more."""
    try:
        return visit.reader.catalog(model_id, visit.revision)
    except UnknownName:
        return None


def _is_same(circuit: Circuit, catalog: Catalog | None) -> bool | None:
    return None if catalog is None else catalog.model.weights_sha256 == circuit.weights_sha256


def build_circuit(visit: Visit) -> CircuitPage:
    """Return one circuit, as it is or as it was."""
    current = visit.door.users.circuit(visit.path["circuit"])
    circuit, revision, updated_at, revisions = _as_asked(visit, current)
    catalog = _catalog(visit, circuit.model)
    known = known_units(visit.reader, catalog, [circuit])
    numbers = {edge.key: EdgeNumbers("unknown") for edge in circuit.edges}
    if catalog is not None:
        numbers = edge_numbers(visit.reader, catalog, circuit.edges)
    scales = _scales(numbers)
    return CircuitPage(
        **circuit.model_dump(include={"id", "title", "summary", "author", "model", "weights_sha256", "format_version"}),
        created_at=circuit.created_at,
        updated_at=updated_at,
        revision=revision,
        units=[unit_part(unit, circuit.model, catalog, known) for unit in circuit.units],
        edges=[
            edge_part(edge, circuit.model, numbers[edge.key], scales[edge.source.layer, edge.target.layer])
            for edge in circuit.edges
        ],
        claims=[claim_part(claim, numbers) for claim in circuit.claims],
        layers=layers_in_order(circuit, catalog),
        is_same_weights=_is_same(circuit, catalog),
        atlas_weights_sha256=None if catalog is None else catalog.model.weights_sha256,
        revisions=revisions,
        citation=_citation(circuit, revision),
        links=_circuit_links(visit, circuit, None if revision == current.revision else revision, catalog),
    )


def _scales(numbers: Mapping[tuple[UnitKey, UnitKey], EdgeNumbers]) -> dict[tuple[str, str], float]:
    """Return the largest single weight between each two layers: late weights may be a hundredth of early ones."""
    found: dict[tuple[str, str], float] = {}
    for (source, target), edge in numbers.items():
        largest = 0.0 if edge.kernel is None or not edge.kernel.size else float(abs(edge.kernel).max())
        pair = (source[0], target[0])
        found[pair] = max(found.get(pair, 0.0), largest)
    return {pair: largest or 1.0 for pair, largest in found.items()}


def _as_asked(visit: Visit, current: CircuitRecord) -> tuple[Circuit, int, str, list[CircuitRevision]]:
    circuit_id = current.circuit.id
    kept = visit.door.users.revisions(circuit_id)
    listed = [
        CircuitRevision(
            revision=one.revision,
            action=one.action,
            at=one.at,
            link=None if one.action == "deleted" else urls.circuit(circuit_id, revision=one.revision),
        )
        for one in kept
    ]
    asked = visit.query.integer("revision", current.revision, 1, 10**9 - 1)
    if asked == current.revision:
        return current.circuit, current.revision, current.updated_at, listed
    found = next((one for one in kept if one.revision == asked and one.action != "deleted"), None)
    if found is None:
        numbers = [str(one.revision) for one in kept if one.action != "deleted"]
        raise UnknownName("revision", str(asked), numbers, where=f"Circuit {circuit_id}")
    return parse_stored(found.document), found.revision, found.at, listed


def _circuit_links(visit: Visit, circuit: Circuit, revision: int | None, catalog: Catalog | None) -> Links:
    return page_links(
        urls.circuit(circuit.id, revision=revision),
        export=urls.circuit_export(circuit.id, revision=revision),
        circuits=urls.circuits(),
        model=None if catalog is None else urls.model(circuit.model),
        revise=urls.new_circuit(revise=circuit.id) if visit.is_writable and revision is None else None,
        schema=urls.circuit_schema(),
    )


def _citation(circuit: Circuit, revision: int) -> str:
    author = f"{circuit.author}. " if circuit.author else ""
    return (
        f"{author}“{circuit.title}”, {circuit.created_at[:10]}. Circuit {circuit.id}, revision {revision}, "
        f"on {circuit.model} (weights sha256 {circuit.weights_sha256[:12]}…), unitscope."
    )


def build_new(visit: Visit) -> NewCircuitPage:
    """Return the form, with a document to begin with."""
    query = visit.query
    revise = query.text("revise")
    if revise:
        record = visit.door.users.circuit(revise)
        return new_page(visit.door.settings.write_token is not None, write_circuit(record.circuit), record.revision, None)
    explorer = query.text("explorer")
    if explorer:
        document, file = circuit_at(visit.reader, visit.revision, explorer, query.text("title"))
        return new_page(visit.is_writable, document, None, None, explorer=explorer, file=file)
    models = [model.id for model in visit.reader.models()]
    model_id = query.text("model") or (models[0] if models else "")
    document = start_document(model_id, query.text("title"), query.text("units"), query.text("edges"))
    return new_page(visit.is_writable, document, None, None)


def new_page(
    can_write: bool,
    document: str,
    revision: int | None,
    problem: str | None,
    *,
    explorer: str | None = None,
    file: str | None = None,
) -> NewCircuitPage:
    """Return the form that saves a circuit.

    Args:
        can_write: Whether this server takes it.
        document: What is in the form.
        revision: The revision that it would follow, where a circuit is revised.
        problem: Why it was not saved.
        explorer: The address of the weight explorer that the document was made from.
        file: The address of the document as a file.
    """
    return NewCircuitPage(
        is_writable=can_write,
        max_bytes=MAX_BYTES,
        document=document,
        revision=revision,
        problem=problem,
        links=page_links(
            urls.new_circuit(explorer=explorer),
            circuits=urls.circuits(),
            schema=urls.circuit_schema(),
            explorer=explorer,
            file=file,
        ),
    )


PAGES = (
    Page(
        "/circuits",
        "circuits",
        "The circuits that people saved.",
        build_circuits,
        (CircuitsPage,),
        LIST_PARAMETERS,
        shows_people=True,
    ),
    Page(
        "/circuits/new",
        "circuit_new",
        "The form that saves a circuit.",
        build_new,
        (NewCircuitPage,),
        NEW_PARAMETERS,
        shows_people=True,
    ),
    Page(
        "/circuits/{circuit}",
        "circuit",
        "One circuit: units, edges with their numbers, claims and whether they hold.",
        build_circuit,
        (CircuitPage,),
        CIRCUIT_PARAMETERS,
        shows_people=True,
    ),
)
