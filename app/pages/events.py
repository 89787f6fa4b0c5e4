"""What a running build does, told as it happens: server-sent events, one look at the atlas a second for all who listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from app import urls
from app.dependencies import AtlasDoor, Visit
from app.pages.models import build_progress
from app.query import Query
from precompute.errors import PublicError, TooManyListeners

LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
MAX_LISTENERS = 64


@dataclass(frozen=True)
class _News:
    """What the atlas said at one look.

    Attributes:
        stamp: A text that changes with it.
        text: It, as JSON.
        is_running: Whether a build goes on.
    """

    stamp: str
    text: str
    is_running: bool


class _Watch:
    """Looks at one model for all its listeners, as long as there are any.

    Args:
        door: The way to the atlas.
        model_id: The model.
    """

    def __init__(self, door: AtlasDoor, model_id: str) -> None:
        self._door = door
        self._model_id = model_id
        self._task: asyncio.Task[None] | None = None
        self._last: _News | None = None
        self.listeners: set[asyncio.Queue[str | None]] = set()
        self.num_looks = 0

    def join(self) -> asyncio.Queue[str | None]:
        """Return a queue of messages for one more listener; None is the last."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.listeners.add(queue)
        if self._last is not None:
            queue.put_nowait(_message("progress", self._last.text))
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        return queue

    def leave(self, queue: asyncio.Queue[str | None]) -> None:
        """Forget a listener; without any, nobody looks."""
        self.listeners.discard(queue)
        if not self.listeners:
            self._stop()

    def look(self) -> _News:
        """Return what the atlas says now."""
        self.num_looks += 1
        address = urls.model(self._model_id)
        found = build_progress(Visit(self._door, {"model": self._model_id}, Query((), ()), address, address, is_api=True))
        running = found.progress is not None and found.progress.is_running
        return _News(self._door.reader().live_stamp(), found.model_dump_json(), running)

    async def _watch(self) -> None:
        while True:
            try:
                news = await run_in_threadpool(self.look)
            except PublicError:  # the atlas went away or is being replaced: a new connection will be told so
                break
            if self._last is None or news.stamp != self._last.stamp or news.text != self._last.text:
                self._tell(_message("progress", news.text))
            self._last = news
            if not news.is_running:
                break
            await asyncio.sleep(LOOK_SECONDS)
        self._tell(_message("end", "{}"))
        self._tell(None)
        self._task = None
        self._last = None

    def _tell(self, message: str | None) -> None:
        for queue in self.listeners:
            queue.put_nowait(message)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self._last = None


class BuildEvents:
    """The address where a build can be followed.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door
        self.watches: dict[str, _Watch] = {}

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter()
        path = "/models/{model}/events"
        router.add_api_route(path, self._answer, methods=["GET"], name="events", include_in_schema=False)
        return router

    async def _answer(self, request: Request) -> Response:
        Query(request.query_params.multi_items(), ())
        model_id = str(request.path_params["model"])
        news = await run_in_threadpool(_Watch(self._door, model_id).look)
        if not news.is_running:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})  # tells a browser not to come back
        if sum(len(watch.listeners) for watch in self.watches.values()) >= MAX_LISTENERS:
            raise TooManyListeners(
                f"{MAX_LISTENERS} listeners follow builds already. Read {urls.twin(urls.model(model_id))} instead."
            )
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self.follow(model_id), media_type="text/event-stream", headers=headers)

    async def follow(self, model_id: str) -> AsyncGenerator[str]:
        """Yield the events of a model until its build ends."""
        watch = self.watches.setdefault(model_id, _Watch(self._door, model_id))
        queue = watch.join()
        try:
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    message = ": still here\n\n"
                if message is None:
                    return
                yield message
        finally:
            watch.leave(queue)
            if not watch.listeners:
                self.watches.pop(model_id, None)


def _message(event: str, data: str) -> str:
    return f"event: {event}\ndata: {data}\n\n"
