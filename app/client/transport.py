"""Requests over HTTP with the standard library alone: again where a server is busy, errors in the server's own words."""

from __future__ import annotations

import gzip
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast
from urllib.parse import quote, urlencode, urljoin, urlsplit

from app.client.errors import ClientError, ServerNotReached, refusal

BUSY = (429, 502, 503, 504)
MOST_WAIT_SECONDS = 30.0
_PIECE_BYTES = 1 << 16


class Transport:
    """Fetches from one server.

    Args:
        base: Scheme and host of the server.
        timeout: Seconds without an answer before giving up.
        retries: How often a busy or silent server is asked again.
        pause: Seconds before the first repeat; each further one waits twice as long, or as long as the server says.
        sleep: Waits; tests put another in.
    """

    def __init__(
        self, base: str, timeout: float, retries: int, pause: float = 0.5, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        split = urlsplit(base)
        if split.scheme not in ("http", "https") or not split.netloc:
            raise ClientError(f"{base!r} is no address of a server. Write it like http://127.0.0.1:8000.")
        self.base = f"{split.scheme}://{split.netloc}"
        self._timeout = timeout
        self._retries = retries
        self._pause = pause
        self._sleep = sleep

    def get_json(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Return the JSON at an address of the server."""
        return json.loads(self.get_bytes(path, query))

    def get_bytes(self, path: str, query: Mapping[str, object] | None = None) -> bytes:
        """Return what is at an address of the server."""
        return b"".join(self.pieces(path, query))

    def lines(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[Any]:
        """Yield the JSON on each line of an answer, as they come."""
        rest = b""
        for piece in self.pieces(path, query):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield json.loads(line)
        if rest:
            raise ClientError(f"The answer at {path} ends within a line: the connection broke. Ask again.")

    def pieces(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[bytes]:
        """Yield what is at an address of the server, piece by piece; closing the iterator ends the work of the server.

        Raises:
            Refused: The server answered with an error.
            ServerNotReached: No answer came.
        """
        with self._open(self.address(path, query)) as stream:
            try:
                while piece := stream.read(_PIECE_BYTES):
                    yield piece
            except (http.client.HTTPException, OSError, EOFError) as error:
                raise ServerNotReached(f"The answer at {path} broke off: {error}.") from error

    def address(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return a whole address; one of another server is refused.

        Raises:
            ClientError: It leads elsewhere.
        """
        whole = urljoin(f"{self.base}/", path)
        if not whole.startswith(f"{self.base}/"):
            raise ClientError(f"{path!r} does not lead to {self.base}.")
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return f"{whole}{'&' if '?' in whole else '?'}{urlencode(given, quote_via=quote)}" if given else whole

    @contextmanager
    def _open(self, address: str) -> Generator[IO[bytes]]:
        headers = {"Accept-Encoding": "gzip", "User-Agent": "unitscope-client"}
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https of one host: see `address`
        answer = self._ask(request, address)
        with answer:
            if answer.headers.get("Content-Encoding") == "gzip":
                with gzip.GzipFile(fileobj=answer) as plain:
                    yield cast("IO[bytes]", plain)
            else:
                yield answer

    def _ask(self, request: urllib.request.Request, address: str) -> Any:
        for attempt in range(self._retries + 1):
            is_last = attempt == self._retries
            wait = min(MOST_WAIT_SECONDS, self._pause * 2**attempt)
            try:
                return urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310 - as above
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY or is_last:
                        raise _error_of(error, address) from error
                    wait = _wait_asked(error.headers.get("Retry-After"), wait)
            except (urllib.error.URLError, OSError) as error:
                if is_last:
                    reason = getattr(error, "reason", error)
                    raise ServerNotReached(
                        f"{self.base} does not answer: {reason}. `unitscope serve` starts a server."
                    ) from error
            self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def _wait_asked(text: str | None, usual: float) -> float:
    try:
        return min(MOST_WAIT_SECONDS, max(0.0, float(text or "")))
    except ValueError:
        return usual


def _error_of(error: urllib.error.HTTPError, address: str) -> Exception:
    body = error.read()
    if error.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    try:
        problem: Any = json.loads(body)
        return refusal(error.code, str(problem["title"]), str(problem["detail"]), address)
    except (ValueError, KeyError, TypeError):
        return refusal(error.code, str(error.reason), "", address)
