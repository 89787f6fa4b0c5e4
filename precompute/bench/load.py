"""Asking a server from many connections at once: `python -m precompute.bench.load PORT CONNECTIONS SECONDS`.

It runs as a process of its own, so that asking takes nothing from answering. The addresses are lines of the standard input, the
numbers one JSON object on the standard output. With 0 seconds each address is asked once, else they go round until time is up.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One connection that asks the next thing as soon as it has its answer."""

    def __init__(self, requests: Iterator[bytes], deadline: float, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._deadline = deadline
        self._done = done
        self._buffer = b""
        self._num_left = -1  # bytes of the body; -1: the head is not there yet; -2: until the last chunk
        self._asked = 0.0
        self.seconds: list[float] = []
        self.num_bytes = 0
        self.wrong: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first thing."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        request = next(self._requests, None)
        now = time.perf_counter()
        if request is None or (self._deadline and now >= self._deadline):
            self._transport.close()
            return
        self._asked = now
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer, and ask the next thing when it is whole."""
        self.num_bytes += len(data)
        self._buffer += data
        if self._num_left == -1:
            head, found, self._buffer = self._buffer.partition(_HEAD_END)
            if not found:
                self._buffer = head
                return
            self._read_head(head.lower())
        if self._num_left == -2:
            if not self._buffer.endswith(_LAST_CHUNK):
                return
        elif len(self._buffer) < self._num_left:
            return
        self.seconds.append(time.perf_counter() - self._asked)
        self._buffer = b""
        self._num_left = -1
        self._ask()

    def _read_head(self, head: bytes) -> None:
        if head[9:12] != b"200":
            self.wrong.append(head[:80].decode("latin-1"))
        start = head.find(b"\r\ncontent-length:")
        self._num_left = -2 if start < 0 else int(head[start + 17 :].partition(b"\r\n")[0])

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that this connection is over."""
        if exc is not None:
            self.wrong.append(str(exc))
        if not self._done.done():
            self._done.set_result(None)


async def _ask_all(port: int, addresses: Sequence[str], num_connections: int, seconds: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    requests = [
        f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode() for address in addresses
    ]
    given = cycle(requests) if seconds else iter(requests)
    start = time.perf_counter()
    ends = [loop.create_future() for _ in range(num_connections)]
    connections: list[_Connection] = []
    for end in ends:
        deadline = start + seconds if seconds else 0.0
        _, connection = await loop.create_connection(
            lambda end=end, deadline=deadline: _Connection(given, deadline, end), "127.0.0.1", port
        )
        connections.append(connection)
    await asyncio.gather(*ends)
    took = time.perf_counter() - start
    latencies = sorted(value for connection in connections for value in connection.seconds)
    return {
        "requests": len(latencies),
        "per_second": len(latencies) / took,
        "milliseconds": {name: 1000 * _at(latencies, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "bytes": sum(connection.num_bytes for connection in connections),
        "wrong": [text for connection in connections for text in connection.wrong][:5],
    }


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def main() -> None:
    """Ask, and print what was found."""
    port, num_connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    addresses = sys.stdin.read().split()
    print(json.dumps(uvloop.run(_ask_all(port, addresses, num_connections, seconds))))


if __name__ == "__main__":
    main()
