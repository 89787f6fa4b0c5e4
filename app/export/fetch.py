"""Asking the app for files without a network: pictures are composed exactly as a server would."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from precompute.errors import AtlasError

AT_ONCE = 4
_BATCH = 200


def fetch_all(app: ASGIApp, addresses: Iterable[str]) -> Iterator[bytes]:
    """Yield the files at some addresses, in their order.

    Raises:
        AtlasError: One of them is not there.
    """
    waiting = list(addresses)
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        yield from asyncio.run(_fetch_batch(app, batch))


async def _fetch_batch(app: ASGIApp, addresses: list[str]) -> list[bytes]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> bytes:
        async with gate:
            return await _fetch(app, address)

    return await asyncio.gather(*(one(address) for address in addresses))


async def _fetch(app: ASGIApp, address: str) -> bytes:
    path, _, query = address.partition("?")
    statuses: list[int] = []
    parts: list[bytes] = []
    is_asked = False

    async def receive() -> Message:
        nonlocal is_asked
        if is_asked:
            await asyncio.Event().wait()  # nobody hangs up
        is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [],
        "client": None,
        "server": ("localhost", 80),
    }
    call: Callable[..., Awaitable[None]] = app
    await call(scope, receive, send)
    body = b"".join(parts)
    if statuses != [200]:
        said = body[:300].decode(errors="replace")
        raise AtlasError(f"{address[:120]} cannot be made ({statuses}: {said}). `unitscope verify` lists what is gone.")
    return body
