"""What annotations name, against the atlas: whether it is there, on which weights, and where its picture is."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from precompute.annotations.document import (
    MAX_BYTES,
    Annotation,
    Subject,
    complete,
    models_of,
    write_annotation,
)
from precompute.errors import UnknownName, UsageError
from precompute.store import schema
from precompute.store.reader import AtlasReader
from precompute.store.records import Catalog, StimulusRecord, stimulus_of_row

StimulusName = tuple[str, str]
"""Id of the dataset, and key."""


def catalogs_of(reader: AtlasReader, revision: str, models: Iterable[str]) -> dict[str, Catalog]:
    """Return the models of those names that the atlas has."""
    asked = list(dict.fromkeys(models))
    known = {model.id for model in reader.models()} if asked else set[str]()
    return {name: reader.catalog(name, revision) for name in asked if name in known}


def stimuli_of(reader: AtlasReader, subjects: Iterable[Subject]) -> dict[StimulusName, StimulusRecord]:
    """Return the images that the atlas has, by dataset and key; of several sizes of one, the first."""
    wanted: dict[str, set[str]] = {}
    for subject in subjects:
        if subject.dataset is not None and subject.stimulus is not None:
            wanted.setdefault(subject.dataset, set()).add(subject.stimulus)
    table = schema.stimulus
    found: dict[StimulusName, StimulusRecord] = {}
    for dataset, keys in wanted.items():
        query = (
            select(table, schema.blob.c.extension)
            .join(schema.blob, schema.blob.c.sha256 == table.c.blob_sha256)
            .where(table.c.dataset_id == dataset, table.c.key.in_(keys))
            .order_by(table.c.id.desc())
        )
        found |= {(dataset, row["key"]): stimulus_of_row(row) for row in reader.all(query)}
    return found


def admit(reader: AtlasReader, draft: Annotation, before: Annotation | None = None) -> Annotation:
    """Return an annotation that may be stored: everything that it names exists, and what was left out is filled in.

    Args:
        reader: The atlas.
        draft: What was written.
        before: What it follows, where it is the next revision of something.

    Raises:
        UnknownName: The atlas has no such model, layer, unit or image.
        UsageError: It is of another kind than what it follows, or too large.
    """
    if before is not None and draft.kind != before.kind:
        raise UsageError(f"{before.id} is a {before.kind}, and this is a {draft.kind}. Save it as a new one.")
    revision = reader.revision()
    catalogs = {name: reader.catalog(name, revision) for name in models_of(draft)}
    subjects = [subject for _, subject in draft.named()]
    stimuli = stimuli_of(reader, subjects)
    for subject in subjects:
        _check(subject, catalogs, stimuli)
    weights = {name: catalog.model.weights_sha256 for name, catalog in catalogs.items()}
    if before is not None:  # what was said of these weights then is still said of them
        weights |= {name: sha256 for name, sha256 in (before.weights or {}).items() if name in weights}
    found = complete(draft, weights, None if before is None else before.id, before)
    size = len(write_annotation(found).encode())
    if size > MAX_BYTES:
        raise UsageError(f"An annotation has at most {MAX_BYTES // 1024} kB, and this one has {size / 1024:.0f} kB. Shorten it.")
    return found


def _check(subject: Subject, catalogs: dict[str, Catalog], stimuli: dict[StimulusName, StimulusRecord]) -> None:
    if subject.dataset is not None and subject.stimulus is not None:
        if (subject.dataset, subject.stimulus) not in stimuli:
            raise UnknownName("image", subject.stimulus[:80], (), where=f"Dataset {subject.dataset[:80]}")
    elif subject.model is not None and subject.layer is not None:
        layer = catalogs[subject.model].layer(subject.layer)
        if subject.unit is not None and subject.unit >= layer.spec.num_units:
            hint = f"Its units are numbered 0 to {layer.spec.num_units - 1}."
            raise UnknownName("unit", str(subject.unit), (), where=f"{subject.model} {subject.layer}", hint=hint)
