"""What is wrong with a document, in words that name the place, what was found, and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from precompute.errors import closest_names

MAX_SHOWN = 3


def say_what_is_wrong(error: ValidationError, kind: type[BaseModel]) -> str:
    """Return the first faults of a document as sentences.

    Args:
        error: What the models found.
        kind: The model of the whole document.
    """
    faults = error.errors(include_url=False, include_context=True)
    sentences = [_say(fault, kind) for fault in faults[:MAX_SHOWN]]
    if len(faults) > MAX_SHOWN:
        sentences.append(f"There are {len(faults) - MAX_SHOWN} more faults.")
    return " ".join(sentences)


def _say(fault: Any, kind: type[BaseModel]) -> str:
    place = _place(fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            return _unknown_field(fault["loc"], kind)
        case "missing":
            return f"{_place(fault['loc'][:-1]) or 'The document'} lacks the field {fault['loc'][-1]!r}."
        case "value_error":
            text = str(fault["ctx"]["error"])
            return f"{place}: {text}." if place else f"{text}."
        case "model_type":
            return f"{place or 'The document'}: write an object with fields, {{…}} (found {_found(fault['input'])})."
        case _:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            return f"{place or 'The document'}: {message} (found {_found(fault['input'])})."


def _unknown_field(loc: Sequence[str | int], kind: type[BaseModel]) -> str:
    *parents, name = loc
    known = list(_model_at(parents, kind).model_fields)
    close = closest_names(str(name), known, count=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"{_place(parents) or 'The document'} has the unknown field {str(name)[:80]!r}.{hint} Known fields: {', '.join(known)}."
    )


def _model_at(loc: Sequence[str | int], kind: type[BaseModel]) -> type[BaseModel]:
    """Return the model that a place of the document belongs to."""
    here: Any = kind
    for step in loc:
        if isinstance(step, int):
            continue
        if isinstance(here, type) and step in here.model_fields:
            here = here.model_fields[step].annotation
        models = _models_in(here)
        # The step after a union is the kind that was chosen; otherwise there is one model.
        chosen = [model for model in models if "kind" in model.model_fields and _kind_of(model) == step]
        here = (chosen or models)[0] if chosen or len(models) == 1 else here
    return here


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _kind_of(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _place(loc: Sequence[str | int]) -> str:
    """Return a place as one would write it in a program.

    >>> _place(("claims", 2, "about", "edge", "source"))
    'claims[2].about.source'
    >>> _place(("about", "unit"))
    'about.unit'
    """
    text = ""
    for before, step in zip(("", *loc), loc, strict=False):
        if isinstance(step, int):
            text += f"[{step}]"
        elif before != "about" or loc[0] == "about":  # in a claim the kind follows, which the document does not nest by
            text += f".{step}" if text else step
    return text[:200]


def _found(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
