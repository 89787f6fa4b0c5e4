"""Short links: which addresses may have one, and how they are written. An address that is none of our pages gets none."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from app import urls
from app.query import Query
from app.twins import Page, address_at, page_at
from precompute.errors import UsageError

MAX_ADDRESS = 30_000  # servers take request lines of twice that


def check_address(pages: Sequence[Page], text: str) -> str:
    """Return the address of one of our pages, written as the app itself writes it: nothing else of the text is left.

    Args:
        pages: All pages.
        text: An address without scheme and host, such as `/models/a/b/1/weights?top=3`.

    Raises:
        UsageError: It is not the address of a page, or too long.
    """
    if len(text) > MAX_ADDRESS:
        raise UsageError(f"The address has {len(text):,} characters; a short link stands for at most {MAX_ADDRESS:,}.")
    path, _, query = text.partition("#")[0].partition("?")
    page, names = page_at(pages, path)
    if page is None:
        raise UsageError(
            f"{text[:80]!r} is not the address of a page here. Give one that begins with a slash and has no host, such as "
            "/models/MODEL/LAYER/UNIT/weights?top=3."
        )
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError as error:
        raise UsageError(f"The query of {text[:80]!r} cannot be read: {str(error)[:80]}.") from error
    checked = Query(given, page.parameters)
    return urls.with_query(address_at(page, names), checked.values)
