"""How much one client may ask of a server that others can reach: a bucket of tokens for each address."""

from __future__ import annotations

import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from starlette.types import Scope, Send

MAX_CLIENTS = 20_000
SECONDS_OF_BURST = 4.0
_DETAIL = "This client asks more often than this server allows: {rate:g} requests a second. Wait, and ask again."


class RateLimit:
    """Counts requests by client; the clients that were silent for longest are forgotten first.

    Args:
        per_second: How many requests a second a client may send for as long as it likes; four seconds' worth at once.
        clock: Seconds that only grow.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._burst = max(1.0, per_second * SECONDS_OF_BURST)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Count a request, and return how many seconds the client must wait before it is answered; 0: it is."""
        now = self._clock()
        tokens, before = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - before) * self.per_second)
        is_allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if is_allowed else tokens, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1.0 - tokens) / self.per_second

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._buckets)


def client_of(scope: Scope) -> str:
    """Return who asks; those who have an IPv6 network have a whole /64 of addresses, which counts as one client."""
    client = scope.get("client")
    host = str(client[0])[:64] if client else ""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)


async def refuse(scope: Scope, send: Send, seconds: float, per_second: float, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer 429 and say when to ask again."""
    problem = {
        "type": "about:blank",
        "title": "Too many requests",
        "status": 429,
        "detail": _DETAIL.format(rate=per_second),
        "instance": str(scope["path"])[:500],
    }
    body = json.dumps(problem).encode()
    own = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(ceil(seconds)).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
