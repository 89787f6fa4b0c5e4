"""A server of ours on a free port of this machine, and how long it takes to answer."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from precompute.errors import AtlasError

GZIP_MAGIC = b"\x1f\x8b"


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
            AtlasError: The answer is not 200.
        """
        try:
            answer = self._get(address)
        except ConnectionError:  # the server hangs up on who was silent for some seconds
            self._connection.close()
            answer = self._get(address)
        body = answer.read()
        if answer.status != 200:
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
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        wait_for(port).close()
        yield port
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
