"""What the weight explorer shows, read from the query string and checked.

Units are written `LAYER/UNIT` and listed with commas; a comma or a percent sign inside the name of a layer is escaped as in
addresses. `none` is the empty list where leaving the parameter out means something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

from app.contexts import ExplorerQuery
from app.dependencies import check_unit
from app.explorer.query import (
    BYPASSES,
    DEFAULT_TOP,
    MAX_UNFOLDED,
    NONE,
    UNIT_LISTS,
    Bypass,
    Sign,
    UnitKey,
    UnitList,
    write_unit,
)
from app.query import Parameter, Query, finite_number
from precompute.errors import UsageError
from precompute.store.partners import RANKINGS, Ranking
from precompute.store.records import Catalog

MAX_TOP = 20
MAX_CARDS = 400
MAX_NAMED = 200
FARTHEST = 100_000
ZOOMS = (0.06, 3.0)

STATE_PARAMETERS = (
    Parameter(
        "inputs",
        f"Cards whose inputs are unfolded, `LAYER/UNIT,LAYER/UNIT` or `{NONE}`; with `outputs` at most {MAX_UNFOLDED}",
        default="the unit of the page",
    ),
    Parameter("outputs", f"Cards whose outputs are unfolded, as for `inputs`, or `{NONE}`", default="the unit of the page"),
    Parameter("hide", "Cards that are not shown, `LAYER/UNIT,LAYER/UNIT`"),
    Parameter("pin", "Cards that are shown even where no weight that is shown leads to them, `LAYER/UNIT,LAYER/UNIT`"),
    Parameter("top", f"Partners that unfolding a card shows, 1 to {MAX_TOP}", kind="integer", default=str(DEFAULT_TOP)),
    Parameter(
        "min",
        "Hide weights that hold less than this share of the squared norm of all weights into their target, 0 to 1",
        kind="number",
        default="0",
    ),
    Parameter("between", "1: also show weights between cards that were not unfolded", choices=("0", "1"), default="0"),
    Parameter(
        "bypass",
        "depthwise: show no depthwise layers, and compose weights over them; 1: also no layers narrower than those around them",
        choices=BYPASSES,
        default="0",
    ),
    Parameter(
        "camera",
        "`X,Y,ZOOM`: what is in the middle of the window, in pixels from the middle of the unit of the page, and how large; "
        "by default all fits",
    ),
    Parameter("embed", "1: only the graph, for a frame in another page", choices=("0", "1"), default="0"),
    Parameter("open", "As older addresses have it: cards to unfold away from the unit of the page"),
)
SHARED_PARAMETERS = (
    Parameter("sign", "Only weights whose sum is positive (+) or negative (-)", choices=("+", "-")),
    Parameter(
        "sort",
        "By what partners are ranked, the largest first; of negative sums, the strongest",
        choices=RANKINGS,
        default="norm",
    ),
)
"""What the explorer has in common with the list of all partners."""


@dataclass(frozen=True)
class ExplorerState:
    """What is shown. Lists of units are in order of execution, without repeats.

    Attributes:
        start: The unit of the page; always shown.
        inputs: Cards whose inputs are unfolded.
        outputs: Cards whose outputs are unfolded.
        hide: Cards that are not shown.
        pin: Cards that are shown even without a weight.
        top: Partners that unfolding shows.
        minimum: Weights with a smaller share of the squared norm of all weights into their target are not shown.
        is_between: Whether weights between cards that were not unfolded are shown.
        ranking: By what the partners of a card are chosen.
        sign: Only weights whose sum has this sign, or None for all.
        bypass: Which layers are not shown but composed over: none, depthwise ones, all bottlenecks.
        camera: What part of the picture is in view, as the address says it, or None.
        is_embed: Whether only the graph is shown.
    """

    start: UnitKey
    inputs: tuple[UnitKey, ...]
    outputs: tuple[UnitKey, ...]
    hide: tuple[UnitKey, ...] = ()
    pin: tuple[UnitKey, ...] = ()
    top: int = DEFAULT_TOP
    minimum: float = 0.0
    is_between: bool = False
    ranking: Ranking = "norm"
    sign: Sign | None = None
    bypass: Bypass = "0"
    camera: str | None = None
    is_embed: bool = False

    @property
    def num_unfolded(self) -> int:
        """Return how many lists of partners are unfolded."""
        return len(self.inputs) + len(self.outputs)

    def told(self) -> ExplorerQuery:
        """Return the state as pages tell it."""
        listed = {name: [write_unit(key) for key in getattr(self, name)] for name in UNIT_LISTS}
        return ExplorerQuery(
            start=write_unit(self.start),
            **listed,
            top=self.top,
            min=self.minimum,
            between=self.is_between,
            sort=self.ranking,
            sign=self.sign,
            bypass=self.bypass,
            camera=self.camera,
            embed=self.is_embed,
        )


def read_state(query: Query, catalog: Catalog, start: UnitKey) -> ExplorerState:
    """Return the state that a query says.

    Args:
        query: The query parameters.
        catalog: The model.
        start: The unit of the page.

    Raises:
        UsageError: A value is not possible, or too many cards are named.
        UnknownName: A layer or unit does not exist.
    """
    lists = {name: _read_list(query, catalog, start, name) for name in UNIT_LISTS}
    before, after = _read_open(query, catalog, start)
    lists["inputs"] += before
    lists["outputs"] += after
    state = ExplorerState(
        start=start,
        **{name: in_order(catalog, keys) for name, keys in lists.items()},
        top=query.integer("top", DEFAULT_TOP, 1, MAX_TOP),
        minimum=_read_minimum(query),
        is_between=query.choice("between", "0") == "1",
        ranking=cast("Ranking", query.choice("sort", "norm")),
        sign=read_sign(query),
        bypass=cast("Bypass", query.choice("bypass", "0")),
        camera=_read_camera(query),
        is_embed=query.choice("embed", "0") == "1",
    )
    _check(state)
    return state


def read_sign(query: Query) -> Sign | None:
    """Return the sign that a query asks for, or None.

    Raises:
        UsageError: It is no sign.
    """
    # A plus sign in a query means a space, so "sign=+" arrives as " ".
    value = query.values.get("sign", "")
    if value in ("", "+", " ", "-"):
        return "-" if value == "-" else ("+" if value else None)
    raise UsageError(f"sign={value[:80]!r} is not possible. Possible values of 'sign': +, -.")


def in_order(catalog: Catalog, keys: Iterable[UnitKey]) -> tuple[UnitKey, ...]:
    """Return units in order of execution, then by index, each once."""
    return tuple(sorted(set(keys), key=lambda key: (catalog.layers[key[0]].spec.position, key)))


def _read_list(query: Query, catalog: Catalog, start: UnitKey, name: UnitList) -> tuple[UnitKey, ...]:
    text = query.text(name)
    if name in ("inputs", "outputs") and not text:
        return (start,)
    return () if text == NONE else tuple(_read_units(name, text, catalog, start))


def _read_units(name: str, text: str, catalog: Catalog, start: UnitKey) -> Iterable[UnitKey]:
    for part in text.split(","):
        layer, slash, index = part.rpartition("/")
        if part and not slash:
            raise UsageError(f"{name}={part[:80]!r} is not a unit. Write LAYER/UNIT, for example {start[0]}/{start[1]}.")
        if part:
            found = catalog.layer(unquote(layer))
            yield found.name, check_unit(found, index)


def _read_open(query: Query, catalog: Catalog, start: UnitKey) -> tuple[tuple[UnitKey, ...], tuple[UnitKey, ...]]:
    """Return what older addresses unfold: inputs of cards before the unit of the page, outputs of those after it."""
    place = catalog.layers[start[0]].spec.position
    found = [(catalog.layers[key[0]].spec.position, key) for key in _read_units("open", query.text("open"), catalog, start)]
    return tuple(key for position, key in found if position < place), tuple(key for position, key in found if position > place)


def _read_minimum(query: Query) -> float:
    text = query.text("min")
    value = finite_number("min", text) if text else 0.0
    if not 0 <= value <= 1:
        raise UsageError(f"min={text[:80]!r} is not possible. Give a share from 0 to 1, for example 0.01.")
    return value


def _read_camera(query: Query) -> str | None:
    text = query.text("camera")
    parts = text.split(",") if text else []
    wrong = UsageError(
        f"camera={text[:80]!r} is not possible. Give X,Y,ZOOM, with X and Y from -{FARTHEST} to {FARTHEST} and ZOOM from "
        f"{ZOOMS[0]:g} to {ZOOMS[1]:g}, for example 120,-40,0.8."
    )
    if parts and not (len(parts) == 3 and all(re.fullmatch(r"-?[0-9]{1,6}(\.[0-9]{1,6})?", part) for part in parts)):
        raise wrong
    if parts and not (max(abs(float(part)) for part in parts[:2]) <= FARTHEST and ZOOMS[0] <= float(parts[2]) <= ZOOMS[1]):
        raise wrong
    return text or None


def _check(state: ExplorerState) -> None:
    if state.num_unfolded > MAX_UNFOLDED:
        raise UsageError(
            f"{state.num_unfolded} lists of partners are unfolded ('inputs' and 'outputs'); at most {MAX_UNFOLDED} can be. "
            "Fold some, or open the explorer at another unit."
        )
    for name in ("hide", "pin"):
        if len(getattr(state, name)) > MAX_NAMED:
            raise UsageError(f"'{name}' names {len(getattr(state, name))} cards; at most {MAX_NAMED} are possible.")
    if state.start in state.hide:
        raise UsageError(f"The unit of the page, {state.start[0]}/{state.start[1]}, cannot be hidden. Take it out of 'hide'.")
    if both := set(state.hide) & set(state.pin):
        raise UsageError(f"{write_unit(min(both))} cannot be hidden and pinned at once.")
