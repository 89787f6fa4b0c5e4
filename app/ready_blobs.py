"""Small files of the store, sent before anything else looks at a request: their name is the hash of their bytes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from email.utils import formatdate

from starlette.types import Scope

from app.dependencies import AtlasDoor
from app.ready import RawHeaders, Recent
from precompute.store.blobs import MEDIA_TYPES

IMMUTABLE = "public, max-age=31536000, immutable"
LARGEST = 512 << 10
ROOM = 64 << 20
_BLOB = re.compile(r"^/media/((?P<folder>[0-9a-f]{2})[0-9a-f]{62})\.(?P<extension>webp|png|npy|json)$")


@dataclass(frozen=True)
class ReadyBlob:
    """A file as it is sent.

    Attributes:
        stamp: Tells whether the file on the disk is still the one that was read.
        etag: Its name.
        headers: Its own headers.
        body: Its bytes.
    """

    stamp: tuple[int, int, int]
    etag: str
    headers: RawHeaders
    body: bytes


class ReadyBlobs:
    """The small files of an atlas; large ones, parts of files and other addresses are left to the framework.

    Args:
        door: The way to the atlas.
    """

    def __init__(self, door: AtlasDoor) -> None:
        self._door = door
        self._folder = str(door.settings.atlas / "blobs")
        self._recent: Recent[ReadyBlob] = Recent(ROOM)

    def find(self, scope: Scope) -> ReadyBlob | None:
        """Return the file that is asked for, or None where it is not for here."""
        match = _BLOB.match(scope["path"])
        if match is None or scope["query_string"] or any(name == b"range" for name, _ in scope["headers"]):
            return None
        if self._door.current_reader() is None:
            return None
        path = f"{self._folder}/{match['folder']}/{match[1]}.{match['extension']}"
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            found = self._recent.get(path)
            if found is not None and found.stamp == stamp:
                return found
            if status.st_size > LARGEST:
                return None
            with open(path, "rb", buffering=0) as file:
                body = file.read()
        except OSError:  # what is wrong is said by the page of errors
            return None
        found = ReadyBlob(stamp, f'"{match[1]}"', _headers(match[1], match["extension"], status.st_mtime, len(body)), body)
        self._recent.put(path, found, len(body) + 1000)
        return found


def _headers(sha256: str, extension: str, written: float, num_bytes: int) -> RawHeaders:
    headers = {
        "cache-control": IMMUTABLE,
        "etag": f'"{sha256}"',
        "content-type": MEDIA_TYPES[extension],
        "accept-ranges": "bytes",
        "content-length": str(num_bytes),
        "last-modified": formatdate(written, usegmt=True),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()]
