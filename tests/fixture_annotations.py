"""What people say in the app's tests: script in every text, evidence, an image, a list, another model's weights, a deletion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from precompute.annotations.document import Deleted, complete, parse_annotation, validate
from precompute.store.annotations import Annotations

SCRIPT = '<script>alert("said")</script>'
NOW = "2026-02-03T04:05:06.000+00:00"
UNIT: dict[str, Any] = {"model": "tiny_a", "layer": "blocks.0.pw", "unit": 7}
OTHER: dict[str, Any] = {"model": "tiny_a", "layer": "stem", "unit": 3}
IMAGE: dict[str, Any] = {"dataset": "data-fixture", "stimulus": "made.png#3,0,67,64"}
LABEL_ID, NOTE_ID, LIST_ID, GONE_ID = (
    "label-hostile23456789",
    "note-hostile23456789",
    "hostile-list-23456789",
    "label-gone23456789",
)
NOTE = f"""# Note {SCRIPT}

*Emphasis*, [a page](/models/tiny_a), [the web](https://example.org/a?b=1&c=2), [bad](javascript:alert(1)), ![pixel](https://example.org/p.png)

<img src=x onerror=alert(1)> <svg/onload=alert(2)>

- one
- two

    code {SCRIPT}
"""
ANNOTATIONS: tuple[dict[str, Any], ...] = (
    {
        "kind": "label",
        "id": LABEL_ID,
        "about": UNIT,
        "text": f"Label {SCRIPT}",
        "author": f"Author {SCRIPT}",
        "evidence": [
            OTHER | {"speaks": "for", "remark": f"For {SCRIPT}"},
            IMAGE | {"speaks": "against", "remark": f"Against {SCRIPT}"},
            {"model": "tiny_z", "layer": "gone", "unit": 1, "speaks": "for"},
        ],
    },
    {"kind": "note", "id": NOTE_ID, "about": UNIT, "text": NOTE, "author": "A. Reader"},
    {"kind": "star", "about": UNIT, "author": "A. Reader"},
    {"kind": "label", "about": UNIT, "text": "turned\u202e round", "author": "\u202eABC"},
    {"kind": "label", "about": {"model": "tiny_a", "layer": "blocks.0.pw"}, "text": "mixes"},
    {"kind": "note", "about": {"model": "tiny_b"}, "text": "On *all of it*.", "weights": {"tiny_b": "ab" * 32}},
    {"kind": "label", "about": IMAGE, "text": "a checkerboard"},
    {
        "kind": "list",
        "id": LIST_ID,
        "title": f"List {SCRIPT}",
        "text": NOTE,
        "author": f"Author {SCRIPT}",
        "items": [
            UNIT | {"remark": f"Remark {SCRIPT}"},
            {"model": "tiny_b", "layer": "stem"},
            {"model": "tiny_b", "layer": "stem", "unit": 0},
            {"model": "tiny_z", "layer": "gone", "unit": 1},
        ],
    },
    {"kind": "label", "id": GONE_ID, "about": UNIT, "text": "taken back"},
)


def write_annotations(folder: Path) -> None:
    """Save them; the last is deleted, and the first has a second revision."""
    store = Annotations(folder)
    weights = {"tiny_a": "0" * 64}
    for document in ANNOTATIONS:
        store.add(complete(parse_annotation(json.dumps(document | {"created_at": NOW})), weights))
    first = store.annotation(LABEL_ID)
    store.change(complete(first, weights, LABEL_ID, first), 1)
    before = store.annotation(GONE_ID)
    gone = complete(validate({"kind": "label", "deleted": True}), {}, GONE_ID, before)
    assert isinstance(gone, Deleted)
    store.delete(gone, 1)
