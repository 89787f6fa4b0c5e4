"""Making pages ahead: `python -m app.warming` asks the app for every unit once, so that nobody has to wait for the first time.

It runs as a process of its own at the lowest priority, and goes on from where it was stopped: what is kept is not made again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator

from starlette.types import ASGIApp, Message, Scope

from app import urls
from app.dependencies import AtlasDoor
from app.server import create_app_from_environment, settings_from_environment
from precompute.errors import PublicError

LOWEST_PRIORITY = 19
STEP = 1000


def addresses(door: AtlasDoor) -> Iterator[str]:
    """Yield the address of every model, layer and unit, each followed by its twin."""
    reader = door.reader()
    for model in reader.models():
        pages = [urls.model(model.id)]
        layers = reader.catalog(model.id, reader.revision()).layers.values()
        pages += [urls.layer(model.id, layer.name) for layer in layers]
        for page in pages:
            yield from (page, urls.twin(page))
        for layer in layers:
            for unit in range(layer.spec.num_units):
                page = urls.unit(model.id, layer.name, unit)
                yield from (page, urls.twin(page))


async def ask(app: ASGIApp, address: str) -> int:
    """Ask the app for a page, and return the status of its answer."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(message["status"]))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": address,
        "raw_path": address.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip")],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return statuses[0]


async def warm(app: ASGIApp, door: AtlasDoor) -> tuple[int, int]:
    """Ask for everything once, and return how many answers there were and how many of them were no pages."""
    num_asked = num_wrong = 0
    for address in addresses(door):
        num_wrong += await ask(app, address) != 200
        num_asked += 1
        if num_asked % STEP == 0:
            print(f"{num_asked:,} pages are ready", file=sys.stderr, flush=True)
    return num_asked, num_wrong


def main() -> int:
    """Make everything, and return the exit status."""
    os.nice(LOWEST_PRIORITY)
    os.environ["UNITSCOPE_REQUESTS_PER_SECOND"] = "0"
    try:
        num_asked, num_wrong = asyncio.run(warm(create_app_from_environment(), AtlasDoor(settings_from_environment())))
    except PublicError as error:
        print(f"unitscope warm: {error.detail}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("unitscope warm: stopped. What is made is kept; the same command goes on from here.", file=sys.stderr)
        return 1
    print(f"{num_asked - num_wrong:,} pages are ready.")
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
