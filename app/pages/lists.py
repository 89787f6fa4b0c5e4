"""Lists of units: those that people saved, one of them, one that is kept in its address alone, and the form for a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from app import urls
from app.contexts import ListCard, ListPage, ListsPage, NewListPage, SubjectPart
from app.dependencies import Visit
from app.pages.annotations import form_fields
from app.parts.addresses import read_address, read_units, write_lines, write_units
from app.parts.annotations import Named, address_of, labels_by_subject
from app.parts.summaries import page_links
from app.query import Parameter, Query, decode_cursor, encode_cursor
from app.twins import Page, address_at, page_at
from precompute.annotations.document import MAX_ITEMS, Item, UnitList, validate
from precompute.errors import UnknownName, UsageError

DEFAULT_LIMIT = 40
NUM_SAMPLES = 6
MAX_ADDRESS = 30_000
LIST_PARAMETERS = (
    Parameter("limit", "Lists on a page, 1 to 200", kind="integer", default=str(DEFAULT_LIMIT)),
    Parameter("after", "A place in the list, from `next`"),
)
_TITLE = Parameter("title", "Its title")
_TEXT = Parameter("text", "What it is about, as Markdown")
_UNITS = Parameter("units", f"Its units, `MODEL/LAYER:1.2.8-11;MODEL/LAYER`, at most {MAX_ITEMS}")
QUICK_PARAMETERS = (_TITLE, _TEXT, _UNITS)
NEW_PARAMETERS = (
    Parameter("from", "The address of a page whose units to begin with: a filtered layer, a search, a comparison"),
    _UNITS,
    _TITLE,
    _TEXT,
)
QUICK_TITLE = "A list without a name"
_WHOLE = {"layer": MAX_ITEMS, "model_units": MAX_ITEMS, "search": 200}
"""Pages that show a part of their units at a time: so many are asked for."""


def build_lists(visit: Visit) -> ListsPage:
    """Return the lists that people saved."""
    limit = visit.query.integer("limit", DEFAULT_LIMIT, 1, 200)
    place = decode_cursor({"lists": 1}, visit.query.text("after"), (str, str))
    after = None if place is None else (place[0], place[1])
    found, total = visit.door.annotations.recent("list", limit=limit + 1, after=after)
    shown = [one for one in found[:limit] if isinstance(one, UnitList)]
    following = None
    if len(found) > limit:
        values = visit.query.values | {"after": encode_cursor({"lists": 1}, [shown[-1].updated_at, shown[-1].id])}
        following = urls.twin(urls.lists(**values))
    named = Named(visit, [item for one in shown for item in one.items[:NUM_SAMPLES]])
    return ListsPage(
        items=[_card(one, named) for one in shown],
        total=total,
        next=following,
        query=visit.query.values,
        is_writable=visit.is_writable,
        links=page_links(visit.full_address, annotations=urls.all_annotations(), new=urls.new_list()),
    )


def _card(found: UnitList, named: Named) -> ListCard:
    list_id = found.id or ""
    return ListCard(
        id=list_id,
        title=found.title,
        text=found.text,
        author=found.author,
        num_items=len(found.items),
        created_at=found.created_at or "",
        updated_at=found.updated_at or "",
        is_same_weights=named.is_same_weights(found),
        samples=[SubjectPart(**named.fields(item)) for item in found.items[:NUM_SAMPLES]],
        links=page_links(urls.unit_list(list_id)),
    )


def build_list(visit: Visit, fields: Mapping[str, str] | None = None, problem: str | None = None) -> ListPage:
    """Return one list.

    Args:
        visit: The request.
        fields: What is in the form; by default what is stored.
        problem: Why it was not saved.
    """
    asked = visit.path["list"]
    found = visit.door.annotations.annotation(asked, "list")
    if not isinstance(found, UnitList):
        raise UnknownName("list", asked[:80], (), where="This atlas", hint=f"It is a {found.kind}: /annotations/{found.id}.")
    named = Named(visit, found.items)
    list_id = found.id or ""
    return ListPage(
        **_items(visit, found, named),
        id=list_id,
        author=found.author,
        revision=found.revision,
        created_at=found.created_at,
        updated_at=found.updated_at,
        is_writable=visit.is_writable,
        fields=dict(fields) if fields is not None else form_fields(found, named),
        problem=problem,
        links=page_links(
            urls.unit_list(list_id),
            lists=urls.lists(),
            states=urls.annotation(list_id),
            quick=urls.quick_list(title=found.title, units=write_units(found.items)),
            export=f"{urls.annotations_export()}?id={list_id}",
        ),
    )


def _items(visit: Visit, found: UnitList, named: Named) -> dict[str, Any]:
    return {
        "title": found.title,
        "text": found.text,
        "items": named.items(found.items, labels_by_subject(visit, found.items)),
        "total": len(found.items),
        "next": None,
        "is_same_weights": named.is_same_weights(found),
    }


def build_quick(visit: Visit) -> ListPage:
    """Return a list that is kept nowhere but in its address."""
    query = visit.query
    found = _made(query.text("title") or QUICK_TITLE, query.text("text"), read_units(query.text("units")))
    named = Named(visit, found.items)
    return ListPage(
        **_items(visit, found, named),
        id=None,
        author="",
        revision=None,
        created_at=None,
        updated_at=None,
        is_writable=visit.is_writable,
        fields={},
        problem=None,
        links=page_links(visit.full_address, lists=urls.lists(), save=urls.new_list(**query.values)),
    )


def _made(title: str, text: str, items: Sequence[Item]) -> UnitList:
    document: dict[str, Any] = {
        "kind": "list",
        "title": title,
        "items": [item.model_dump(exclude_none=True) for item in items],
    }
    found = validate(document | ({"text": text} if text else {}))
    if not isinstance(found, UnitList):
        raise UsageError("This is no list.")
    return found


class NewList:
    """The form that saves a list.

    Args:
        pages: All pages: their units can be saved.
    """

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages

    def build(self, visit: Visit, fields: Mapping[str, str] | None = None, problem: str | None = None) -> NewListPage:
        """Return the form.

        Args:
            visit: The request.
            fields: What is in it; by default what the query says.
            problem: Why it was not saved.
        """
        query = visit.query
        source = query.text("from") or None
        items, left_out = ([], 0) if source is None else self._units_of(visit, source)
        items = _united([*items, *read_units(query.text("units"))])
        named = Named(visit, items)
        given = {
            "title": query.text("title"),
            "text": query.text("text"),
            "items": write_lines((address_of(item, {}) or "", item.remark) for item in items),
        }
        title = given["title"] or None
        return NewListPage(
            items=named.items(items, labels_by_subject(visit, items)),
            total=len(items),
            next=None,
            source=source,
            left_out=left_out,
            is_writable=visit.is_writable,
            fields=given if fields is None else dict(fields),
            problem=problem,
            links=page_links(
                visit.full_address,
                lists=urls.lists(),
                quick=urls.quick_list(title=title, units=write_units(items)) if items else None,
                schema=urls.annotation_schema(),
            ),
        )

    def _units_of(self, visit: Visit, address: str) -> tuple[list[Item], int]:
        """Return the units that a page shows, in its order, and how many more it has."""
        path, _, query = address[:MAX_ADDRESS].partition("#")[0].partition("?")
        page, names = page_at(self._pages, path)
        if page is None:
            raise UsageError(f"from={address[:80]!r} is not the address of a page here, such as /models/MODEL/LAYER?sort=max.")
        given = dict(parse_qsl(query, keep_blank_values=True))
        if page.name in _WHOLE:
            given = {name: value for name, value in given.items() if name != "after"} | {"limit": str(_WHOLE[page.name])}
        own = address_at(page, names)
        inner = Visit(visit.door, names, Query(given.items(), page.parameters), own, urls.with_query(own, given), False)
        shown = page.build(inner).model_dump(mode="json")
        parts = [shown.get(name) for name in ("items", "units", "columns", "groups")]
        units = list(dict.fromkeys(link for link in _links_in(parts) if _is_unit(link)))
        found = [
            Item.model_validate(read_address(visit.reader, link).model_dump(exclude_none=True)) for link in units[:MAX_ITEMS]
        ]
        if not found:
            raise UsageError(f"from={address[:80]!r} shows no units. Take the address of a layer, a search or a comparison.")
        total = shown.get("total")
        more = (
            max(0, total - len(found))
            if page.name in {"layer", "model_units"} and isinstance(total, int)
            else len(units) - len(found)
        )
        return found, more


def _united(items: Sequence[Item]) -> list[Item]:
    found = list({item.subject: item for item in items}.values())
    if len(found) > MAX_ITEMS:
        raise UsageError(f"A list holds at most {MAX_ITEMS} units, and these are {len(found)}. Make several lists.")
    return found


def _links_in(value: Any) -> Iterator[str]:
    """Yield the addresses of pages anywhere in a part of a twin, in their order."""
    if isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _links_in(inner)
    elif isinstance(value, dict):
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        for name, inner in fields.items():
            if name in {"html", "link"} and isinstance(inner, str):
                yield inner
            else:
                yield from _links_in(inner)


def _is_unit(link: str) -> bool:
    parts = link.split("/")
    return len(parts) == 5 and parts[1] == "models" and parts[4].isdigit()


def list_pages(pages: Sequence[Page]) -> tuple[Page, ...]:
    """Return the pages about lists, which can save what `pages` show."""
    return (
        Page(
            "/lists",
            "lists",
            "The lists of units that people saved.",
            build_lists,
            (ListsPage,),
            LIST_PARAMETERS,
            shows_annotations=True,
        ),
        Page(
            "/lists/new",
            "list_new",
            "The form that saves a list.",
            NewList(pages).build,
            (NewListPage,),
            NEW_PARAMETERS,
            shows_annotations=True,
        ),
        Page(
            "/lists/quick",
            "list_quick",
            "A list of units that is kept nowhere but in its address.",
            build_quick,
            (ListPage,),
            QUICK_PARAMETERS,
            shows_annotations=True,
        ),
        Page(
            "/lists/{list}",
            "list",
            "One list of units.",
            build_list,
            (ListPage,),
            shows_annotations=True,
        ),
    )
