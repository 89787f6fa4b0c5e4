"""Following a running build: what is told, that it ends, how many may listen, how often the atlas is asked."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.dependencies import AtlasDoor
from app.main import create_app
from app.pages import events
from app.pages.events import BuildEvents
from app.settings import AppSettings
from precompute.store.writer import AtlasWriter


@pytest.fixture
def atlas(fixture_atlas: Path, tmp_path: Path) -> Path:
    """Return a copy of the small atlas that may be written."""
    return Path(shutil.copytree(fixture_atlas, tmp_path / "atlas"))


@pytest.fixture
def writer(atlas: Path) -> Iterator[AtlasWriter]:
    """Return what a build writes with."""
    found = AtlasWriter(atlas)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.02)


def told(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a stream."""
    parts = [part for part in text.split("\n\n") if part.startswith("event: ")]
    return [(part.split("\n")[0].removeprefix("event: "), json.loads(part.split("\ndata: ")[1])) for part in parts]


async def until(messages: list[str], count: int) -> None:
    """Wait until so many messages came."""
    async with asyncio.timeout(10):
        while len(messages) < count:
            await asyncio.sleep(0.01)


def test_without_a_build_a_browser_is_told_not_to_come_back(client: TestClient) -> None:
    answer = client.get("/models/tiny_b/events")
    assert (answer.status_code, answer.text) == (204, "")
    assert client.get("/models/nothing/events").status_code == 404
    assert client.get("/models/tiny_b/events?x=1").status_code == 400


def test_listener_hears_every_change_and_the_end(atlas: Path, writer: AtlasWriter) -> None:
    writer.set_progress("tiny_a", "weights", 1, 3, 1.0)
    feed = BuildEvents(AtlasDoor(AppSettings(atlas)))
    messages: list[str] = []

    async def listen() -> None:
        async for message in feed.follow("tiny_a"):
            messages.append(message)

    async def build() -> None:
        async with asyncio.timeout(20):
            listening = asyncio.create_task(listen())
            await until(messages, 1)
            writer.set_progress("tiny_a", "weights", 2, 3, 1.0)
            await until(messages, 2)
            writer.clear_progress("tiny_a")
            await listening

    asyncio.run(build())
    found = told("".join(messages))
    assert [name for name, _ in found] == ["progress", "progress", "progress", "end"]
    assert [body["progress"] and body["progress"]["num_done"] for _, body in found[:3]] == [1, 2, None]
    assert feed.watches == {}, "nothing is kept after the end"


def test_listeners_share_one_look(atlas: Path, writer: AtlasWriter) -> None:
    writer.set_progress("tiny_a", "weights", 1, 3, 1.0)
    feed = BuildEvents(AtlasDoor(AppSettings(atlas)))
    heard: list[list[str]] = [[] for _ in range(20)]

    async def listen(messages: list[str]) -> None:
        async for message in feed.follow("tiny_a"):
            messages.append(message)

    async def build() -> int:
        async with asyncio.timeout(20):
            tasks = [asyncio.create_task(listen(messages)) for messages in heard]
            for messages in heard:
                await until(messages, 1)
            looks = feed.watches["tiny_a"].num_looks
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return looks

    looks = asyncio.run(build())
    assert looks < 20, "one look for all, not one for each"
    assert feed.watches == {}, "who leaves is forgotten"


def test_quiet_build_keeps_the_connection_alive(atlas: Path, writer: AtlasWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    writer.set_progress("tiny_a", "weights", 1, 3, 1.0)
    feed = BuildEvents(AtlasDoor(AppSettings(atlas)))

    async def listen() -> list[str]:
        messages: list[str] = []
        stream = feed.follow("tiny_a")
        async with asyncio.timeout(30):
            async for message in stream:
                messages.append(message)
                if messages.count(": still here\n\n") >= 2 and any(one.startswith("event: progress") for one in messages):
                    break
        await stream.aclose()
        return messages

    messages = asyncio.run(listen())
    assert [name for name, _ in told("".join(messages))] == ["progress"], "what did not change is not told again"


def test_only_so_many_may_listen(atlas: Path, writer: AtlasWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_LISTENERS", 0)
    writer.set_progress("tiny_a", "weights", 1, 3, 1.0)
    with TestClient(create_app(AppSettings(atlas))) as client:
        answer = client.get("/models/tiny_a/events")
        assert answer.status_code == 503
        assert "Read /api/v1/models/tiny_a instead" in answer.text
