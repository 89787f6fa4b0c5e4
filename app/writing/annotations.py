"""Writing what people say: by programs as JSON, and by the forms of the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app import urls
from app.contexts import Context, Links
from app.dependencies import AtlasDoor, Visit
from app.pages.annotations import build_annotation, build_new
from app.pages.lists import NewList, build_list
from app.parts.addresses import read_address, read_lines
from app.parts.annotations import address_of
from app.parts.summaries import page_links
from app.query import Parameter, Query
from app.templating import Templates
from app.twins import Page
from app.writing.answers import FRESH, add_described, body_of
from app.writing.gate import WriteGate
from precompute.annotations.document import (
    KINDS,
    MAX_EVIDENCE,
    MAX_ITEMS,
    Annotation,
    Deleted,
    UnitList,
    annotation_schema,
    complete,
    parse_annotation,
    validate,
)
from precompute.annotations.lines import write_lines
from precompute.errors import PublicError, UsageError
from precompute.store.subjects import admit, stimuli_of

_REVISION = Parameter("revision", "Refuse where it is another revision by now", kind="integer")
_EXPORT = (
    Parameter("kind", "Only annotations of this kind", choices=KINDS),
    Parameter("id", "Only this one"),
)
_LAST = 10**9 - 1


class SavedAnnotation(BaseModel):
    """An annotation that was saved."""

    id: str
    kind: str
    revision: int
    links: Links


class AnnotationApi:
    """What changes annotations.

    Args:
        door: The way to the atlas and to what people said.
        templates: Renders the forms.
        pages: All pages: lists are made of what they show.
    """

    def __init__(self, door: AtlasDoor, templates: Templates, pages: Sequence[Page]) -> None:
        self._door = door
        self._templates = templates
        self._gate = WriteGate(door.settings)
        self._new_list = NewList(pages)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        every, one = f"{urls.API}/annotations", f"{urls.API}/annotations/{{annotation}}"

        add = partial(add_described, router)
        id_in = {"name": "annotation", "in": "path", "required": True, "schema": {"type": "string"}}
        revision_in = _described(_REVISION)
        document = body_of({"$ref": "#/components/schemas/AnnotationDocument"})
        saved = {"model": SavedAnnotation}
        add(urls.annotation_schema(), self.schema, "GET", "annotation_schema", "The JSON Schema of annotations.")
        add(
            urls.annotations_export(),
            self.export,
            "GET",
            "annotations_export",
            "All annotations as JSON Lines.",
            parameters=[_described(parameter) for parameter in _EXPORT],
        )
        add(
            every,
            self.create,
            "POST",
            "annotation_create",
            "Save a label, a note, a star or a list.",
            requestBody=document,
            answers={"status": 201, **saved},
        )
        add(
            one,
            self.change,
            "PUT",
            "annotation_change",
            "Save the next revision of an annotation.",
            requestBody=document,
            parameters=[id_in, revision_in],
            answers=saved,
        )
        add(
            one,
            self.delete,
            "DELETE",
            "annotation_delete",
            "Take an annotation out of all pages; its states are kept.",
            parameters=[id_in, revision_in],
        )
        for path, endpoint in ((urls.annotation_schema(), self.schema), (urls.annotations_export(), self.export)):
            router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        for path, form in (
            (urls.new_annotation(), self.save_new),
            (urls.new_list(), self.save_list),
            ("/annotations/{annotation}", self.save_change),
            ("/lists/{annotation}", self.save_change),
        ):
            router.add_api_route(path, form, methods=["POST"], include_in_schema=False)
        return router

    # -- programs --------------------------------------------------------------------------------------------------

    def schema(self, request: Request) -> Response:
        """Answer with the JSON Schema of annotations."""
        Query(request.query_params.multi_items(), ())
        return JSONResponse(annotation_schema(), headers=FRESH, media_type="application/schema+json")

    def export(self, request: Request) -> Response:
        """Answer with all annotations as JSON Lines."""
        query = Query(request.query_params.multi_items(), _EXPORT)
        kind, annotation_id = query.choice("kind"), query.text("id")
        store = self._door.annotations
        found = [store.annotation(annotation_id)] if annotation_id else store.everything()
        text = write_lines(one for one in found if kind is None or one.kind == kind)
        headers = FRESH | {"Content-Disposition": 'attachment; filename="annotations.jsonl"'}
        return Response(text, headers=headers, media_type="application/jsonl")

    async def create(self, request: Request) -> Response:
        """Save a new annotation."""
        Query(request.query_params.multi_items(), ())
        return await run_in_threadpool(self._create, await self._gate.read_json_body(request))

    def _create(self, body: bytes) -> Response:
        found, is_new = self._door.annotations.add(admit(self._door.reader(), _kept(parse_annotation(body))))
        headers = FRESH | {"Location": urls.twin(urls.annotation(found.id or ""))}
        return Response(_saved(found).model_dump_json(), 201 if is_new else 200, headers, "application/json")

    async def change(self, request: Request) -> Response:
        """Save the next revision of an annotation."""
        _refuse_pages(request)
        expected = Query(request.query_params.multi_items(), (_REVISION,)).integer("revision", 0, 1, _LAST) or None
        body = await self._gate.read_json_body(request)
        return await run_in_threadpool(self._change, str(request.path_params["annotation"]), body, expected)

    def _change(self, annotation_id: str, body: bytes, expected: int | None) -> Response:
        draft = _kept(parse_annotation(body))
        if draft.id not in (None, annotation_id):
            raise UsageError(f"The document's id is {draft.id!r}, and the address says {annotation_id!r}. Make them the same.")
        found = self._revise(annotation_id, draft, expected)
        return Response(_saved(found).model_dump_json(), 200, FRESH, "application/json")

    def _revise(self, annotation_id: str, draft: Annotation, expected: int | None) -> Annotation:
        before = self._door.annotations.annotation(annotation_id)
        after = admit(self._door.reader(), draft, before)
        return self._door.annotations.change(after, expected or before.revision or 1)

    async def delete(self, request: Request) -> Response:
        """Take an annotation out of all pages."""
        _refuse_pages(request)
        expected = Query(request.query_params.multi_items(), (_REVISION,)).integer("revision", 0, 1, _LAST) or None
        self._gate.check_call(request)
        await run_in_threadpool(self._delete, str(request.path_params["annotation"]), expected)
        return Response(status_code=204, headers=FRESH)

    def _delete(self, annotation_id: str, expected: int | None) -> None:
        before = self._door.annotations.annotation(annotation_id)
        after = complete(validate({"kind": before.kind, "deleted": True}), {}, before.id, before)
        if isinstance(after, Deleted):
            self._door.annotations.delete(after, expected or before.revision or 1)

    # -- forms -----------------------------------------------------------------------------------------------------

    async def save_new(self, request: Request) -> Response:
        """Save what a form says about something, and go back to its page; a star that is there is taken away."""
        fields = await self._read(request)
        return await run_in_threadpool(self._save_new, fields)

    def _save_new(self, fields: dict[str, str]) -> Response:
        def save() -> str:
            about = read_address(self._door.reader(), fields.get("about", ""))
            draft = self._draft(fields, {"about": about.model_dump(exclude_none=True)})
            found, is_new = self._door.annotations.add(admit(self._door.reader(), draft))
            if found.kind == "star" and not is_new:
                self._delete(found.id or "", None)
            # Made anew from what is named: what was sent may have had the host of another site in it.
            page = address_of(about, stimuli_of(self._door.reader(), [about]))
            return f"{page or urls.annotation(found.id or '')}#said"

        visit = self._visit(urls.new_annotation())
        return self._try(fields, save, lambda problem: build_new(visit, _without_token(fields), problem))

    async def save_list(self, request: Request) -> Response:
        """Save a new list and go to its page."""
        fields = await self._read(request)
        return await run_in_threadpool(self._save_list, fields)

    def _save_list(self, fields: dict[str, str]) -> Response:
        def save() -> str:
            found, _ = self._door.annotations.add(admit(self._door.reader(), self._list_draft(fields)))
            return urls.unit_list(found.id or "")

        visit = self._visit(urls.new_list())
        return self._try(fields, save, lambda problem: self._new_list.build(visit, _without_token(fields), problem))

    async def save_change(self, request: Request) -> Response:
        """Save what a form makes of an annotation, or delete it."""
        fields = await self._read(request)
        return await run_in_threadpool(self._save_change, fields, str(request.path_params["annotation"]))

    def _save_change(self, fields: dict[str, str], annotation_id: str) -> Response:
        before = self._door.annotations.annotation(annotation_id)
        is_list = isinstance(before, UnitList)

        def save() -> str:
            query = Query([("revision", fields.get("revision", ""))], (_REVISION,))
            expected = query.integer("revision", 0, 1, _LAST) or None
            if fields.get("action") == "delete":
                self._delete(annotation_id, expected)
                return urls.lists() if is_list else urls.all_annotations()
            if is_list:
                draft = self._list_draft(fields)
            else:
                draft = self._draft(fields | {"kind": before.kind}, {"about": before.model_dump(exclude_none=True)["about"]})
            self._revise(annotation_id, draft, expected)
            return urls.unit_list(annotation_id) if is_list else urls.annotation(annotation_id)

        address = urls.unit_list(annotation_id) if is_list else urls.annotation(annotation_id)
        visit = self._visit(address, {"annotation": annotation_id, "list": annotation_id})
        page = build_list if is_list else build_annotation
        return self._try(fields, save, lambda problem: page(visit, _without_token(fields), problem))

    def _draft(self, fields: Mapping[str, str], about: dict[str, Any]) -> Annotation:
        kind = fields.get("kind", "")
        document: dict[str, Any] = {"kind": kind, "author": fields.get("author", "").strip(), **about}
        if kind in {"label", "note"}:
            document["text"] = fields.get("text", "").strip() if kind == "label" else fields.get("text", "")
        if kind == "label":
            document["evidence"] = [
                one | {"speaks": side}
                for side in ("for", "against")
                for one in read_lines(self._door.reader(), fields.get(f"evidence_{side}", ""), MAX_EVIDENCE)
            ]
        return validate(document)

    def _list_draft(self, fields: Mapping[str, str]) -> Annotation:
        text = fields.get("text", "")
        document: dict[str, Any] = {
            "kind": "list",
            "title": fields.get("title", "").strip(),
            "author": fields.get("author", "").strip(),
            "items": read_lines(self._door.reader(), fields.get("items", ""), MAX_ITEMS),
        }
        return validate(document | ({"text": text} if text.strip() else {}))

    async def _read(self, request: Request) -> dict[str, str]:
        Query(request.query_params.multi_items(), ())
        fields = await self._gate.read_form(request)
        return {name: value.replace("\r\n", "\n") for name, value in fields.items()}

    def _visit(self, address: str, path: Mapping[str, str] | None = None) -> Visit:
        return Visit(self._door, path or {}, Query((), ()), address, address, False)

    def _try(self, fields: Mapping[str, str], save: Callable[[], str], again: Callable[[str], Context]) -> Response:
        """Do what a form asks and lead on, or show the form again with the reason and everything that was written."""
        try:
            self._gate.check_token(fields.get("token", "").strip())
            target = save()
        except PublicError as error:
            page = again(error.detail)
            text = self._templates.render(page, path=str(getattr(page, "links", {}).get("html", "")))
            return Response(text, error.http_status, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")
        return RedirectResponse(target, 303, headers=FRESH)


def _refuse_pages(request: Request) -> None:
    """Refuse to change what is no annotation but has an address like one."""
    if str(request.path_params["annotation"]) in ("new", "schema.json", "export.jsonl"):
        raise HTTPException(405)


def _kept(draft: Annotation) -> Annotation:
    """Refuse a deletion that comes as a document."""
    if isinstance(draft, Deleted):
        raise UsageError("This says that an annotation was deleted. Send DELETE to its address, or import the file.")
    return draft


def _without_token(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name != "token"}


def _saved(found: Annotation) -> SavedAnnotation:
    annotation_id = found.id or ""
    page = urls.unit_list(annotation_id) if isinstance(found, UnitList) else None
    return SavedAnnotation(
        id=annotation_id,
        kind=found.kind,
        revision=found.revision or 1,
        links=page_links(urls.annotation(annotation_id), list=page),
    )


def _described(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.summary, "schema": parameter.schema}
