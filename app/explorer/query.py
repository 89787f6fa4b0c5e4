"""The query string of the weight explorer, from the state that pages tell: the same state always makes the same address."""

from __future__ import annotations

from typing import Any, Literal, get_args

from app.contexts import ExplorerQuery
from precompute.circuits.graph import UnitKey

Sign = Literal["+", "-"]
Bypass = Literal["0", "depthwise", "1"]
BYPASSES: tuple[Bypass, ...] = get_args(Bypass)
UnitList = Literal["inputs", "outputs", "hide", "pin"]
UNIT_LISTS: tuple[UnitList, ...] = get_args(UnitList)
DEFAULT_TOP = 6
MAX_UNFOLDED = 40
NONE = "none"


def query_of(told: ExplorerQuery, **changes: Any) -> dict[str, str]:
    """Return the query parameters that say a state; what is usual is left out.

    Args:
        told: The state.
        **changes: Fields with another value.
    """
    state = told.model_copy(update=changes)
    found: dict[str, str] = {}
    for side, keys in (("inputs", state.inputs), ("outputs", state.outputs)):
        if keys != [state.start]:
            found[side] = ",".join(keys) or NONE
    rest = {
        "hide": ",".join(state.hide),
        "pin": ",".join(state.pin),
        "top": str(state.top) if state.top != DEFAULT_TOP else "",
        "min": f"{state.min:.6g}" if state.min else "",
        "between": "1" if state.between else "",
        "sort": state.sort if state.sort != "norm" else "",
        "sign": state.sign or "",
        "bypass": state.bypass if state.bypass != "0" else "",
        "camera": state.camera or "",
        "embed": "1" if state.embed else "",
    }
    return found | {name: value for name, value in rest.items() if value}


def toggled(told: ExplorerQuery, name: UnitList, card: str) -> dict[str, str] | None:
    """Return the query parameters of a state with a card put on a list, or taken from it.

    A card that gets hidden is folded and no longer pinned. None where more lists of partners would be unfolded than can be.

    Args:
        told: The state.
        name: The list.
        card: The card, as `LAYER/UNIT`.
    """
    before: list[str] = getattr(told, name)
    changes = {name: [other for other in before if other != card] if card in before else [*before, card]}
    if name == "hide" and card not in before:
        changes |= {other: [one for one in getattr(told, other) if one != card] for other in UNIT_LISTS if other != "hide"}
    after = told.model_copy(update=changes)
    return query_of(after) if len(after.inputs) + len(after.outputs) <= MAX_UNFOLDED else None


def write_unit(key: UnitKey) -> str:
    """Return a unit as the query says it.

    >>> write_unit(("blocks.0/pw", 7)), write_unit(("a,b", 1))
    ('blocks.0/pw/7', 'a%2Cb/1')
    """
    layer, unit = key
    return f"{layer.replace('%', '%25').replace(',', '%2C')}/{unit}"
