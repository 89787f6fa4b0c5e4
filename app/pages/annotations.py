"""What people said: the list of it, one annotation with its states, and the form for a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from app import urls
from app.contexts import AnnotationPage, AnnotationsPage, NewAnnotationPage, StatePart, SubjectPart
from app.dependencies import Visit
from app.parts.addresses import read_address, write_lines
from app.parts.annotations import Named
from app.parts.summaries import page_links
from app.query import Parameter, decode_cursor, encode_cursor
from app.twins import Page
from precompute.annotations.document import KINDS, Annotation, Deleted, Label, Note, Subject, UnitList, write_annotation
from precompute.errors import UnknownName, UsageError

DEFAULT_LIMIT = 60
LIST_PARAMETERS = (
    Parameter("kind", "Only annotations of this kind", choices=KINDS),
    Parameter("model", "Only those that name this model"),
    Parameter("author", "Only those of this author, by the whole name"),
    Parameter("limit", "Annotations on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
NEW_PARAMETERS = (
    Parameter("about", "The address of the page of what it is about: `/models/MODEL/LAYER/UNIT`, `/stimuli/ID`"),
    Parameter("kind", "What is written", choices=("label", "note", "star"), default="label"),
    Parameter("text", "A text to begin with"),
)


def build_annotations(visit: Visit) -> AnnotationsPage:
    """Return what people said, what was changed last first."""
    query = visit.query
    models = [model.id for model in visit.reader.models()]
    model_id = query.text("model") or None
    if model_id is not None and model_id not in models:
        raise UnknownName("model", model_id[:100], models, where="This atlas", hint="The start page shows all of them.")
    kind, author = query.choice("kind"), query.text("author") or None
    limit = query.integer("limit", DEFAULT_LIMIT, 1, 200)
    scope = {"annotations": model_id, "kind": kind, "author": author}
    place = decode_cursor(scope, query.text("after"), (str, str))
    after = None if place is None else (place[0], place[1])
    found, total = visit.door.annotations.recent(kind, model_id, author, limit + 1, after)
    shown = found[:limit]
    following = None
    if len(found) > limit:
        values = query.values | {"after": encode_cursor(scope, [shown[-1].updated_at, shown[-1].id])}
        following = urls.twin(urls.all_annotations(**values))
    named = Named(visit, [subject for one in shown for subject in _looked_up(one)])
    return AnnotationsPage(
        items=[named.part(one) for one in shown],
        total=total,
        next=following,
        query=query.values,
        models=models,
        is_writable=visit.is_writable,
        links=page_links(
            visit.full_address,
            home=urls.home(),
            lists=urls.lists(),
            export=urls.annotations_export(),
            schema=urls.annotation_schema(),
        ),
    )


def _looked_up(annotation: Annotation) -> list[Subject]:
    """Return what has to be looked up to show an annotation; of a list, the beginning."""
    found = [subject for _, subject in annotation.named()]
    return found[:6] if isinstance(annotation, UnitList) else found


def build_annotation(visit: Visit, fields: Mapping[str, str] | None = None, problem: str | None = None) -> AnnotationPage:
    """Return one annotation.

    Args:
        visit: The request.
        fields: What is in the form; by default what is stored.
        problem: Why it was not saved.
    """
    found = visit.door.annotations.annotation(visit.path["annotation"])
    named = Named(visit, [subject for _, subject in found.named()])
    part = named.part(found)
    states = visit.door.annotations.states(part.id)
    about = part.about
    return AnnotationPage(
        annotation=part,
        document=json.loads(write_annotation(found)),
        states=[StatePart(number=one.number, action=one.action, at=one.at, headline=one.annotation.headline) for one in states],
        is_writable=visit.is_writable,
        fields=dict(fields) if fields is not None else form_fields(found, named),
        problem=problem,
        links=page_links(
            urls.annotation(part.id),
            about=None if about is None else about.links.get("html"),
            list=urls.unit_list(part.id) if isinstance(found, UnitList) else None,
            annotations=urls.all_annotations(),
            schema=urls.annotation_schema(),
        ),
    )


def form_fields(annotation: Annotation, named: Named) -> dict[str, str]:
    """Return an annotation as the fields of a form."""
    found = {"revision": str(annotation.revision), "author": annotation.author, "text": ""}
    if isinstance(annotation, Deleted):
        return found
    if isinstance(annotation, UnitList):
        items = [(_line(SubjectPart(**named.fields(item))), item.remark) for item in annotation.items]
        return found | {"title": annotation.title, "text": annotation.text or "", "items": write_lines(items)}
    if isinstance(annotation, Label | Note):
        found["text"] = annotation.text
    if isinstance(annotation, Label):
        for side in ("for", "against"):
            lines = [(_line(SubjectPart(**named.fields(one))), one.remark) for one in annotation.evidence if one.speaks == side]
            found[f"evidence_{side}"] = write_lines(lines)
    return found


def _line(part: SubjectPart) -> str:
    """Return how a form names something; what the atlas does not have cannot be saved again, and is seen there."""
    page = part.links.get("html")
    return page if page else f"/not-in-this-atlas/{urls.part(part.name)}"


def build_new(visit: Visit, fields: Mapping[str, str] | None = None, problem: str | None = None) -> NewAnnotationPage:
    """Return the form.

    Args:
        visit: The request.
        fields: What is in it; by default what the query says.
        problem: Why it was not saved.
    """
    query = visit.query
    given = dict(fields) if fields is not None else {"about": query.text("about"), "text": query.text("text")}
    given.setdefault("kind", query.choice("kind", "label") or "label")
    about = None
    if given.get("about"):
        try:
            subject = read_address(visit.reader, given["about"])
            about = SubjectPart(**Named(visit, [subject]).fields(subject))
        except UsageError:
            if problem is None:
                raise
    return NewAnnotationPage(
        about=about,
        is_writable=visit.is_writable,
        fields=given,
        problem=problem,
        links=page_links(
            urls.new_annotation(about=given.get("about") or None),
            about=None if about is None else about.links.get("html"),
            annotations=urls.all_annotations(),
            schema=urls.annotation_schema(),
        ),
    )


PAGES = (
    Page(
        "/annotations",
        "annotations",
        "What people said: labels, notes, stars and lists, what was changed last first.",
        build_annotations,
        (AnnotationsPage,),
        LIST_PARAMETERS,
        shows_annotations=True,
    ),
    Page(
        "/annotations/new",
        "annotation_new",
        "The form that says something.",
        build_new,
        (NewAnnotationPage,),
        NEW_PARAMETERS,
    ),
    Page(
        "/annotations/{annotation}",
        "annotation",
        "One annotation, with every state that it had here.",
        build_annotation,
        (AnnotationPage,),
        shows_annotations=True,
    ),
)
