"""Writing circuits and short links, and the documents to take elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.exceptions import HTTPException

from app import urls
from app.contexts import Links, NewCircuitPage
from app.dependencies import AtlasDoor
from app.pages.circuits import new_page
from app.parts.summaries import page_links
from app.query import Parameter, Query
from app.templating import Templates
from app.twins import Page
from app.writing.answers import FRESH, add_described, body_of
from app.writing.gate import WriteGate
from app.writing.short_links import check_address
from precompute.circuits.circuit import (
    Circuit,
    circuit_schema,
    parse_circuit,
    parse_stored,
    read_json,
    write_circuit,
)
from precompute.circuits.wording import say_what_is_wrong
from precompute.errors import PublicError, UnknownName, UsageError
from precompute.store.circuits import admit
from precompute.store.user_db import CircuitRecord

_REVISION = Parameter("revision", "The revision of the circuit", kind="integer")


class SavedCircuit(BaseModel):
    """A circuit that was saved."""

    id: str
    revision: int
    links: Links


class ViewAsked(BaseModel):
    """A view to have a short link."""

    model_config = ConfigDict(extra="forbid", strict=True)
    address: Annotated[str, StringConstraints(min_length=1)]


class SavedView(BaseModel):
    """A view that has a short link."""

    id: str
    url: str


class CircuitApi:
    """What changes circuits and short links.

    Args:
        door: The way to the atlas and to what people wrote.
        templates: Renders the form.
        pages: All pages: short links lead to these alone.
    """

    def __init__(self, door: AtlasDoor, templates: Templates, pages: Sequence[Page]) -> None:
        self._door = door
        self._templates = templates
        self._pages = pages
        self._gate = WriteGate(door.settings)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        one = f"{urls.API}/circuits/{{circuit}}"

        add = partial(add_described, router)
        circuit_in = {"name": "circuit", "in": "path", "required": True, "schema": {"type": "string"}}
        revision_in = {"name": "revision", "in": "query", "description": _REVISION.summary, "schema": _REVISION.schema}
        document = body_of({"$ref": "#/components/schemas/CircuitDocument"})
        add(urls.circuit_schema(), self.schema, "GET", "circuit_schema", "The JSON Schema of circuit documents.")
        add(
            f"{one}/export.json",
            self.export,
            "GET",
            "circuit_export",
            "A circuit as a document to import elsewhere.",
            parameters=[circuit_in, revision_in],
        )
        add(
            f"{urls.API}/circuits",
            self.create,
            "POST",
            "circuit_create",
            "Save a new circuit.",
            requestBody=document,
            answers={"status": 201, "model": SavedCircuit},
        )
        add(
            one,
            self.change,
            "PUT",
            "circuit_change",
            "Save the next revision of a circuit.",
            requestBody=document,
            parameters=[circuit_in, revision_in],
            answers={"model": SavedCircuit},
        )
        add(one, self.delete, "DELETE", "circuit_delete", "Take a circuit out of the list.", parameters=[circuit_in])
        add(
            f"{urls.API}/views",
            self.save_view,
            "POST",
            "view_create",
            "Give the address of a page a short link.",
            requestBody=body_of(ViewAsked.model_json_schema()),
            answers={"status": 201, "model": SavedView},
        )
        for path, endpoint in ((urls.circuit_schema(), self.schema), (f"{one}/export.json", self.export)):
            router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        router.add_api_route("/v/{view}", self.view, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route("/circuits/new", self.save_form, methods=["POST"], include_in_schema=False)
        return router

    # -- circuits --------------------------------------------------------------------------------------------------

    def schema(self, request: Request) -> Response:
        """Answer with the JSON Schema of documents."""
        Query(request.query_params.multi_items(), ())
        return JSONResponse(circuit_schema(), headers=FRESH, media_type="application/schema+json")

    def export(self, request: Request) -> Response:
        """Answer with a circuit as a document."""
        query = Query(request.query_params.multi_items(), (_REVISION,))
        record = self._door.users.circuit(str(request.path_params["circuit"]))
        circuit = record.circuit
        asked = query.integer("revision", record.revision, 1, 10**9 - 1)
        if asked != record.revision:
            kept = self._door.users.revisions(circuit.id)
            found = next((one for one in kept if one.revision == asked and one.action != "deleted"), None)
            if found is None:
                raise UnknownName("revision", str(asked), (), where=f"Circuit {circuit.id}", hint="Its page lists them.")
            circuit = parse_stored(found.document)
        headers = FRESH | {"Content-Disposition": f'attachment; filename="{circuit.id}.json"'}
        return Response(write_circuit(circuit), headers=headers, media_type="application/json")

    async def create(self, request: Request) -> Response:
        """Save a new circuit."""
        Query(request.query_params.multi_items(), ())
        body = await self._gate.read_json_body(request)
        return await run_in_threadpool(self._create, body)

    def _create(self, body: bytes) -> Response:
        record, is_new = self._door.users.add(self._admit(body))
        headers = FRESH | {"Location": urls.twin(urls.circuit(record.circuit.id))}
        return Response(_saved(record).model_dump_json(), 201 if is_new else 200, headers, "application/json")

    async def change(self, request: Request) -> Response:
        """Save the next revision of a circuit."""
        _refuse_pages(request)
        query = Query(request.query_params.multi_items(), (_REVISION,))
        expected = query.integer("revision", 0, 1, 10**9 - 1) or None
        body = await self._gate.read_json_body(request)
        return await run_in_threadpool(self._change, str(request.path_params["circuit"]), body, expected)

    def _change(self, circuit_id: str, body: bytes | str, expected: int | None) -> Response:
        record = self._revise(circuit_id, body, expected)
        return Response(_saved(record).model_dump_json(), 200, FRESH, "application/json")

    def _revise(self, circuit_id: str, body: bytes | str, expected: int | None) -> CircuitRecord:
        current = self._door.users.circuit(circuit_id)
        draft = parse_circuit(body)
        if draft.id not in (None, circuit_id):
            raise UsageError(f"The document's id is {draft.id!r}, and the address says {circuit_id!r}. Make them the same.")
        if draft.created_at is None:
            draft = draft.model_copy(update={"created_at": current.circuit.created_at})
        return self._door.users.change(admit(self._door.reader(), draft, circuit_id), expected)

    async def delete(self, request: Request) -> Response:
        """Take a circuit out of the list."""
        _refuse_pages(request)
        Query(request.query_params.multi_items(), ())
        self._gate.check_call(request)
        await run_in_threadpool(self._door.users.delete, str(request.path_params["circuit"]))
        return Response(status_code=204, headers=FRESH)

    def _admit(self, body: bytes | str) -> Circuit:
        return admit(self._door.reader(), parse_circuit(body))

    # -- the form --------------------------------------------------------------------------------------------------

    async def save_form(self, request: Request) -> Response:
        """Save what the form holds and go to its page, or show the form again with the reason."""
        fields = await self._gate.read_form(request)
        return await run_in_threadpool(self._save_form, fields)

    def _save_form(self, fields: dict[str, str]) -> Response:
        document = (fields.get("file", "").strip() and fields["file"]) or fields.get("document", "")
        revision = 0
        try:
            revision = Query([("revision", fields.get("revision", ""))], (_REVISION,)).integer("revision", 0, 1, 10**9 - 1)
            self._gate.check_token(fields.get("token", "").strip())
            if revision:
                record = self._revise(parse_circuit(document).id or "", document, revision)
            else:
                record, _ = self._door.users.add(self._admit(document))
        except PublicError as error:
            page = new_page(True, document, revision or None, error.detail)
            return self._form(page, error.http_status)
        return RedirectResponse(urls.circuit(record.circuit.id), 303, headers=FRESH)

    def _form(self, page: NewCircuitPage, status: int) -> Response:
        text = self._templates.render(page, path=urls.new_circuit())
        return Response(text, status, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")

    # -- short links -----------------------------------------------------------------------------------------------

    async def save_view(self, request: Request) -> Response:
        """Give the address of a page a short link."""
        Query(request.query_params.multi_items(), ())
        body = await self._gate.read_json_body(request)
        return await run_in_threadpool(self._save_view, body)

    def _save_view(self, body: bytes) -> Response:
        try:
            asked = ViewAsked.model_validate(read_json(body))
        except ValidationError as error:
            raise UsageError(say_what_is_wrong(error, ViewAsked)) from error
        view_id = self._door.users.save_view(check_address(self._pages, asked.address))
        saved = SavedView(id=view_id, url=urls.view(view_id))
        return Response(saved.model_dump_json(), 201, FRESH | {"Location": saved.url}, "application/json")

    def view(self, request: Request) -> Response:
        """Lead from a short link to its page."""
        Query(request.query_params.multi_items(), ())
        view_id = str(request.path_params["view"])
        address = self._door.users.view(view_id)
        if address is None:
            raise UnknownName("short link", view_id[:40], (), hint="It may belong to another server, or be cut short.")
        # Checked again: what is stored may have been written by other hands.
        return RedirectResponse(check_address(self._pages, address), 302, headers=FRESH)


def _refuse_pages(request: Request) -> None:
    """Refuse to change what is no circuit but has an address like one."""
    if str(request.path_params["circuit"]) in ("new", "schema.json"):
        raise HTTPException(405)


def _saved(record: CircuitRecord) -> SavedCircuit:
    circuit_id = record.circuit.id
    links = page_links(urls.circuit(circuit_id), export=urls.circuit_export(circuit_id))
    return SavedCircuit(id=circuit_id, revision=record.revision, links=links)
