"""A server of ours on a free port of this machine, and how long it takes to answer."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from precompute.errors import AtlasError

_CPUCLOCK_SCHED = 2
"""The clock of a process, in the numbers that Linux gives to clocks."""
_FINE = (200, 303)
GZIP_MAGIC = b"\x1f\x8b"
# The app as `unitscope serve` starts it, but that no answer is kept: each page is made anew. It is named as text, since what
# computes never imports the app.
_UNKEPT = """
import gc, sys
from pathlib import Path
import uvicorn
from app.main import create_app
from app.settings import AppSettings
app = create_app(AppSettings(Path(sys.argv[1]), max_kept_bytes=0, max_ready_bytes=0))
gc.collect()
gc.freeze()
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""


class Client:
    """One connection that asks one thing at a time.

    Args:
        connection: To a server.
    """

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def ask(self, address: str) -> bytes:
        """Return the body of an answer.

        Raises:
            AtlasError: The answer is not 200, nor a way to another address.
        """
        try:
            answer = self._get(address)
        except ConnectionError:  # the server hangs up on who was silent for some seconds
            self._connection.close()
            answer = self._get(address)
        body = answer.read()
        if answer.status not in _FINE:
            raise AtlasError(f"{address} answered {answer.status}")
        return body

    def _get(self, address: str) -> http.client.HTTPResponse:
        self._connection.request("GET", address, headers={"Accept-Encoding": "gzip"})
        return self._connection.getresponse()

    def read(self, address: str) -> dict[str, Any]:
        """Return the JSON of an answer.

        Raises:
            AtlasError: The answer is not 200.
        """
        body = self.ask(address)
        found: dict[str, Any] = json.loads(gzip.decompress(body) if body.startswith(GZIP_MAGIC) else body)
        return found

    def time(self, addresses: Sequence[str]) -> list[float]:
        """Return how many seconds each answer takes, one after the other.

        Raises:
            AtlasError: An answer is not 200.
        """
        seconds = []
        for address in addresses:
            start = time.perf_counter()
            self.ask(address)
            seconds.append(time.perf_counter() - start)
        return seconds


@dataclass(frozen=True)
class Measured:
    """A server whose work can be measured.

    Attributes:
        client: Of the server.
        process_id: Of the server.
    """

    client: Client
    process_id: int

    def processor_seconds(self) -> float:
        """Return how much processor time the server has taken so far; Linux alone tells it of another process.

        Raises:
            AtlasError: This system does not.
        """
        try:
            return time.clock_gettime((~self.process_id << 3) | _CPUCLOCK_SCHED)
        except OSError as error:
            raise AtlasError(f"This system does not tell the processor time of another process: {error.strerror}.") from error

    def cost(self, address: str) -> float:
        """Return how many seconds of a processor the answer to an address takes.

        Raises:
            AtlasError: The answer is not 200 or 303.
        """
        before = self.processor_seconds()
        self.client.ask(address)
        return self.processor_seconds() - before


@contextmanager
def measuring(atlas: Path) -> Generator[Measured]:
    """Serve an atlas without keeping answers, and yield what measures the work of the server."""
    port = free_port()
    words = [sys.executable, "-c", _UNKEPT, str(atlas), str(port)]
    # Threads that wait for each other in a loop would take processor time, too.
    with running(words, port, {"OPENBLAS_NUM_THREADS": "1"}) as process_id:
        yield Measured(Client(wait_for(port)), process_id)


@contextmanager
def serving(atlas: Path) -> Generator[Client]:
    """Serve an atlas as `unitscope serve` does, and yield a client of it."""
    with serving_on(atlas) as port:
        yield Client(wait_for(port))


@contextmanager
def serving_on(atlas: Path) -> Generator[int]:
    """Serve an atlas as `unitscope serve` does, and yield the port."""
    port = free_port()
    words = [sys.executable, "-m", "precompute.cli", "serve", "--atlas", str(atlas), "--port", str(port)]
    with running(words, port):
        yield port


@contextmanager
def running(words: Sequence[str], port: int, variables: Mapping[str, str] | None = None) -> Generator[int]:
    """Run a server until nobody needs it, and yield its process id once it listens.

    Args:
        words: Its command.
        port: Where it will listen.
        variables: Of its environment, beside those of this process.

    Raises:
        OSError: It does not listen after half a minute.
    """
    environment = {**os.environ, **(variables or {})}
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 - our own words
    try:
        wait_for(port).close()
        yield server.pid
    finally:
        server.terminate()
        server.wait()


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum, in milliseconds."""
    ordered = sorted(1000 * value for value in seconds)
    return {"median": ordered[len(ordered) // 2], "p95": ordered[int(0.95 * (len(ordered) - 1))], "max": ordered[-1]}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> http.client.HTTPConnection:
    """Return a connection to a server that is starting.

    Raises:
        OSError: It does not listen after half a minute.
    """
    deadline = time.monotonic() + 30
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            client.connect()
            return client
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
