"""A server before the server that lets pages come in pieces, as a slow network does, and always at the same places."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PIECES = 16
PAUSE_SECONDS = 0.05


@contextmanager
def drip(address: str) -> Iterator[str]:
    """Yield an address that answers like another, with each page in `PIECES` pieces.

    Each piece ends where a tag begins, so that the browser can lay out and paint what is there.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # the end of an answer is that of the connection

        def do_GET(self) -> None:
            with urllib.request.urlopen(f"{address}{self.path}", timeout=30) as answer:
                kind = answer.headers["Content-Type"]
                body = answer.read()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            for number, piece in enumerate(pieces(body) if kind.startswith("text/html") else [body]):
                time.sleep(PAUSE_SECONDS if number else 0)
                self.wfile.write(piece)
                self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pieces(page: bytes) -> Iterator[bytes]:
    """Yield a page in pieces of about one size, each of which but the first begins with a line that begins with a tag."""
    size = len(page) // PIECES
    start = 0
    while start < len(page):
        end = page.find(b"\n<", start + size)
        end = len(page) if end < 0 else end
        yield page[start:end]
        start = end
