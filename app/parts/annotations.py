"""What people say as parts of pages: what is named with its picture, labels, notes, stars and lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app import urls
from app.contexts import AnnotationPart, EvidencePart, ListItemPart, Said, SubjectPart
from app.dependencies import Visit
from app.parts.summaries import page_links
from app.pictures.thumbs import thumbnails
from precompute.annotations.document import Annotation, Item, Label, Note, Star, Subject, UnitList, models_of
from precompute.store.annotations import MentionRecord
from precompute.store.records import Catalog, StimulusRecord
from precompute.store.subjects import StimulusName, catalogs_of, stimuli_of


class Named:
    """What annotations name, looked up together.

    Args:
        visit: The request.
        subjects: Everything that is named on the page.
    """

    def __init__(self, visit: Visit, subjects: Iterable[Subject]) -> None:
        asked = list(dict.fromkeys(one.subject for one in subjects))
        self._catalogs = catalogs_of(visit.reader, visit.revision, (one.model for one in asked if one.model is not None))
        self._stimuli = stimuli_of(visit.reader, asked)
        self._labels: dict[tuple[str, str, int], str | None] = {}
        self._pictures: dict[tuple[str, str, int], str] = {}
        for model_id, catalog in self._catalogs.items():
            units: dict[str, list[int]] = {}
            for one in asked:
                if one.model == model_id and one.unit is not None and _has(catalog, one):
                    units.setdefault(one.layer or "", []).append(one.unit)
            for name, indices in units.items():
                for index, label in visit.reader.labels(catalog.layers[name], indices).items():
                    self._labels[model_id, name, index] = label
            for (name, index), url in thumbnails(visit.reader, catalog, units).items():
                self._pictures[model_id, name, index] = url

    def fields(self, one: Subject) -> dict[str, Any]:
        """Return the fields of a part of a page for something that is named."""
        if one.stimulus is not None:
            return _image_fields(one, self._stimuli.get((one.dataset or "", one.stimulus)))
        catalog = self._catalogs.get(one.model or "")
        exists = catalog is not None and _has(catalog, one)
        key = (one.model or "", one.layer or "", -1 if one.unit is None else one.unit)
        page = address_of(one, {})
        title = one.model if catalog is None or not exists else catalog.model.title
        return {
            "kind": one.what,
            "name": (title or "") if one.layer is None else one.layer if one.unit is None else f"{one.layer} / {one.unit}",
            **one.subject.model_dump(),
            "exists": exists,
            "label": self._labels.get(key),
            "thumbnail": self._pictures.get(key),
            "links": page_links(page) if exists and page is not None else {},
        }

    def is_same_weights(self, annotation: Annotation) -> bool | None:
        """Return whether an annotation was written on the weights that the atlas has."""
        known = annotation.weights or {}
        found = [(self._catalogs.get(name), known.get(name)) for name in models_of(annotation) if known.get(name) is not None]
        if not found or any(catalog is None for catalog, _ in found):
            return None
        return all(catalog is not None and catalog.model.weights_sha256 == sha256 for catalog, sha256 in found)

    def part(self, annotation: Annotation) -> AnnotationPart:
        """Return an annotation as a part of a page."""
        about = annotation.about if isinstance(annotation, Label | Note | Star) else None
        evidence = annotation.evidence if isinstance(annotation, Label) else []
        page = urls.annotation(annotation.id or "")
        is_list = isinstance(annotation, UnitList)
        return AnnotationPart(
            id=annotation.id or "",
            kind=annotation.kind,
            headline=annotation.headline,
            text=annotation.text if isinstance(annotation, Label | Note | UnitList) else None,
            author=annotation.author,
            about=None if about is None else SubjectPart(**self.fields(about)),
            evidence=[EvidencePart(**self.fields(one), speaks=one.speaks, remark=one.remark) for one in evidence],
            num_items=len(annotation.items) if is_list else 0,
            revision=annotation.revision or 1,
            created_at=annotation.created_at or "",
            updated_at=annotation.updated_at or "",
            is_same_weights=self.is_same_weights(annotation),
            links=page_links(page, list=urls.unit_list(annotation.id or "") if is_list else None),
        )

    def items(self, items: Sequence[Item], labels: dict[Subject, list[str]]) -> list[ListItemPart]:
        """Return the items of a list."""
        return [
            ListItemPart(**self.fields(item), position=place, labels=labels.get(item.subject, []), remark=item.remark)
            for place, item in enumerate(items, start=1)
        ]


def _has(catalog: Catalog, subject: Subject) -> bool:
    if subject.layer is None:
        return True
    layer = catalog.layers.get(subject.layer)
    return layer is not None and (subject.unit is None or subject.unit < layer.spec.num_units)


def _image_fields(one: Subject, stimulus: StimulusRecord | None) -> dict[str, Any]:
    return {
        "kind": "stimulus",
        "name": one.stimulus,
        **one.subject.model_dump(),
        "exists": stimulus is not None,
        "label": None if stimulus is None else stimulus.label,
        "thumbnail": None if stimulus is None else urls.blob(stimulus.blob_name),
        "links": {} if stimulus is None else page_links(urls.stimulus(stimulus.id)),
    }


def address_of(one: Subject, stimuli: dict[StimulusName, StimulusRecord]) -> str | None:
    """Return the address of the page of what is named, or None for an image that the atlas does not have."""
    if one.stimulus is not None:
        found = stimuli.get((one.dataset or "", one.stimulus))
        return None if found is None else urls.stimulus(found.id)
    if one.layer is None:
        return urls.model(one.model or "")
    if one.unit is None:
        return urls.layer(one.model or "", one.layer)
    return urls.unit(one.model or "", one.layer, one.unit)


def said_about(visit: Visit, subject: Subject, address: str) -> tuple[list[AnnotationPart], Said]:
    """Return the labels of something, and what else people say about it.

    Args:
        visit: The request.
        subject: What they speak of.
        address: Of its page.
    """
    mentions = visit.door.annotations.naming(subject)
    named = Named(visit, [one for mention in mentions for one in _shown_of(mention)])

    def of(part: str, kind: str) -> list[AnnotationPart]:
        return [named.part(one.annotation) for one in mentions if one.part == part and one.annotation.kind == kind]

    said = Said(
        about=address,
        notes=of("about", "note"),
        stars=of("about", "star"),
        lists=of("item", "list"),
        evidence_for=of("evidence", "label"),
        is_writable=visit.is_writable,
        links={"new": urls.new_annotation(about=address), "all": urls.all_annotations(model=subject.model)},
    )
    return of("about", "label"), said


def _shown_of(mention: MentionRecord) -> list[Subject]:
    """Return what has to be looked up of an annotation; of a list, its models are enough."""
    if isinstance(mention.annotation, UnitList):
        return [Subject.model_validate({"model": name}) for name in models_of(mention.annotation)]
    return [one for _, one in mention.annotation.named()]


def labels_by_subject(visit: Visit, items: Iterable[Subject]) -> dict[Subject, list[str]]:
    """Return what people call the units of a list."""
    layers = dict.fromkeys((one.model, one.layer) for one in items if one.model is not None and one.layer is not None)
    found: dict[Subject, list[str]] = {}
    for model_id, layer in layers:
        for unit, labels in visit.door.annotations.labels_of(model_id or "", layer or "").items():
            found[Subject(model=model_id, layer=layer, unit=unit, dataset=None, stimulus=None)] = labels
    return found
