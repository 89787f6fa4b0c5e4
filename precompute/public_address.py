"""The address at which people reach a server, as its owner says it: what a request claims about it is trusted for nothing."""

from __future__ import annotations

import re

from precompute.errors import UsageError

VARIABLE = "UNITSCOPE_PUBLIC_URL"
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


def check_public_url(text: str) -> str:
    """Return a public address without a slash at its end.

    >>> check_public_url("https://units.example.org/")
    'https://units.example.org'

    Raises:
        UsageError: It is none, or leads to a folder of a host.
    """
    address = text.strip().rstrip("/")
    if not _ORIGIN.fullmatch(address):
        raise UsageError(
            f"{text[:80]!r} is no public address. Write scheme and host alone, such as https://units.example.org: "
            "the pages are always at the root of a host."
        )
    return address
