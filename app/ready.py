"""Answers that were made once and hold until the atlas or what people wrote changes: in memory, and under `ATLAS/cache/pages`.

They are found before anything else looks at a request. Only whole pages at their one usual address are kept: errors, other
spellings of an address and what a running build changes under way never are, so that nobody can fill the room with them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from starlette.types import Scope

from app.dependencies import AtlasDoor
from app.pictures.kept import KeptFiles
from precompute.store.user_file import user_path
from precompute.store.written import AtlasState, Written

SMALLEST_PACKED = 500
LEVEL = 5
SHARE_OF_QUERIES = 0.25
"""How much of the memory answers to addresses with a query may take: there are more of those than of units."""
RawHeaders = list[tuple[bytes, bytes]]
Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values up to a number of bytes; those that were not asked for longest go first.

    Args:
        max_bytes: Of all values together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._values: OrderedDict[Any, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> Value | None:
        """Return a value, or None where it is not there."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: object, value: Value, num_bytes: int) -> None:
        """Keep a value; one that is larger than a tenth of the room is not."""
        with self._lock:
            self._drop(key)
            if num_bytes > self._max_bytes // 10:
                return
            self._values[key] = (value, num_bytes)
            self._num_bytes += num_bytes
            while self._num_bytes > self._max_bytes:
                self._drop(next(iter(self._values)))

    def _drop(self, key: object) -> None:
        gone = self._values.pop(key, None)
        if gone is not None:
            self._num_bytes -= gone[1]

    def __len__(self) -> int:
        """Return how many values there are."""
        return len(self._values)


class Needs(NamedTuple):
    """What a page depends on beside the atlas.

    Attributes:
        is_live: What a running build says.
        shows_people: Circuits that people wrote.
        shows_annotations: What people said.
    """

    is_live: bool = False
    shows_people: bool = False
    shows_annotations: bool = False


@dataclass(frozen=True)
class Basis:
    """What an answer depends on.

    Attributes:
        stamp: A text that is another as soon as the answer may be.
        needs: What goes into it beside the atlas.
    """

    stamp: str
    needs: Needs


NOTHING = Basis("", Needs())


@dataclass(frozen=True)
class Answer:
    """A page or a twin as it is sent, without the headers that every answer gets.

    Attributes:
        basis: What it depends on.
        headers: Its own headers.
        media_type: Its kind.
        body: Its bytes, compressed where `is_packed`.
        is_packed: Whether it was long enough to compress.
    """

    basis: Basis
    headers: Mapping[str, str]
    media_type: str
    body: bytes
    is_packed: bool

    @property
    def num_bytes(self) -> int:
        """Return about how much memory it takes."""
        return len(self.body) + 2000

    def plain(self) -> Answer:
        """Return the answer for those who take nothing compressed."""
        return Plain(self.basis, self.headers, self.media_type, gzip.decompress(self.body), is_packed=False)

    @cached_property
    def known_headers(self) -> RawHeaders:
        """Return the headers for who has the answer already."""
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]

    @cached_property
    def raw_headers(self) -> RawHeaders:
        """Return all headers of its own."""
        found = [
            *self.known_headers,
            (b"content-length", str(len(self.body)).encode()),
            (b"content-type", self.media_type.encode()),
        ]
        if isinstance(self, Plain):
            return [*found, (b"vary", b"Accept-Encoding")]
        return [*found, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")] if self.is_packed else found


class Plain(Answer):
    """An answer that was long enough to compress, for those who take nothing compressed."""


def make_answer(basis: Basis, headers: Mapping[str, str], media_type: str, body: bytes) -> Answer:
    """Return an answer; equal bodies give equal bytes."""
    is_packed = len(body) >= SMALLEST_PACKED
    return Answer(basis, headers, media_type, gzip.compress(body, LEVEL, mtime=0) if is_packed else body, is_packed)


def takes_gzip(headers: RawHeaders) -> bool:
    """Return whether who asks takes compressed answers."""
    for name, value in headers:
        if name == b"accept-encoding":
            return any(_is_gzip(part) for part in value.lower().split(b","))
    return False


def _is_gzip(part: bytes) -> bool:
    coding, _, weight = part.partition(b";")
    return coding.strip() == b"gzip" and weight.replace(b" ", b"").rstrip(b"0.") != b"q="


def is_known_tag(given: str, etag: str) -> bool:
    """Return whether an `If-None-Match` names an ETag."""
    return etag in [tag.strip() for tag in given.split(",")]


def target_of(scope: Scope) -> str:
    """Return the address that was asked for, exactly as it was written."""
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return (path + b"?" + query if query else path).decode("latin-1")


class ReadyAnswers:
    """The answers of pages that hold now.

    Args:
        door: The way to the atlas.
        version: Of the app: what another version answered is not used.
    """

    def __init__(self, door: AtlasDoor, version: str) -> None:
        settings = door.settings
        self._door = door
        self._version = version
        self._pages: Recent[Answer] = Recent(int(settings.max_ready_bytes * (1 - SHARE_OF_QUERIES)))
        self._queries: Recent[Answer] = Recent(int(settings.max_ready_bytes * SHARE_OF_QUERIES))
        self._files = KeptFiles(settings.atlas / "cache" / "pages", settings.max_kept_bytes, "page")
        self._people: Written[str] = Written(user_path(settings.atlas))
        self._said: Written[str] = Written(user_path(settings.atlas))

    def basis(self, needs: Needs) -> Basis:
        """Return what a page that is made now depends on.

        Raises:
            AtlasError: There is no atlas yet, or it cannot be read.
        """
        state = self._door.reader().state()
        people = self._people.read(self._door.users.stamp) if needs.shows_people else ""
        said = self._said.read(self._door.annotations.stamp) if needs.shows_annotations else ""
        return self._basis(state, people, said, needs)

    def _basis(self, state: AtlasState, people: str, said: str, needs: Needs) -> Basis:
        can_write = self._door.settings.write_token is not None
        parts = [state.revision, str(can_write), state.live_stamp() if needs.is_live else "", people, said, self._version]
        return Basis("\n".join(parts), needs)

    def _holds(self, basis: Basis) -> bool:
        """Return whether nothing changed, as far as a look at a few files tells: nothing here may wait for a database."""
        reader = self._door.current_reader()
        state = None if reader is None else reader.settled_state()
        people = self._people.peek() if basis.needs.shows_people else ""
        said = self._said.peek() if basis.needs.shows_annotations else ""
        if state is None or people is None or said is None or state.is_building():
            return False
        return self._basis(state, people, said, basis.needs).stamp == basis.stamp

    def find(self, target: str, *, packed: bool) -> Answer | None:
        """Return the answer to an address, or None where none is ready or where only the database could tell."""
        return self._find(target, self._holds, packed=packed)

    def find_made(self, target: str, basis: Basis, *, packed: bool) -> Answer | None:
        """Return the answer to an address that was made on this very basis, or None where there is none."""
        return self._find(target, lambda other: other == basis, packed=packed)

    def _find(self, target: str, holds: Callable[[Basis], bool], *, packed: bool) -> Answer | None:
        kept = self._queries if "?" in target else self._pages
        found = kept.get((target, packed))
        if found is not None and holds(found.basis):
            return found
        whole = kept.get((target, True))
        if whole is None or not holds(whole.basis):
            whole = self._from_file(target)
            if whole is None or not holds(whole.basis):
                return None
            kept.put((target, True), whole, whole.num_bytes)
        if packed or not whole.is_packed:
            return whole
        plain = whole.plain()
        kept.put((target, False), plain, plain.num_bytes)
        return plain

    def keep(self, scope: Scope, usual: str, answer: Answer) -> None:
        """Keep an answer where it may be.

        Args:
            scope: The request.
            usual: The usual way to write its address.
            answer: What was answered.
        """
        target = target_of(scope)
        if target != usual or self._door.reader().state().is_building():
            return
        kept = self._queries if "?" in target else self._pages
        kept.put((target, True), answer, answer.num_bytes)
        if "?" not in target:
            self._files.keep(self._digest(target), _to_bytes(answer))

    def _digest(self, target: str) -> str:
        return hashlib.sha256(target.encode("latin-1")).hexdigest()

    def _from_file(self, target: str) -> Answer | None:
        if "?" in target:
            return None
        data = self._files.read(self._digest(target))
        return None if data is None else _of_bytes(data)


def _to_bytes(answer: Answer) -> bytes:
    basis = answer.basis
    head = {
        "stamp": basis.stamp,
        "needs": basis.needs._asdict(),
        "headers": dict(answer.headers),
        "media_type": answer.media_type,
        "is_packed": answer.is_packed,
        "checksum": zlib.crc32(answer.body),
    }
    return json.dumps(head).encode() + b"\n" + answer.body


def _of_bytes(data: bytes) -> Answer | None:
    """Return the answer in a file, or None where the file is damaged: a crash may leave one so."""
    first, _, body = data.partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(first)
        if head["checksum"] != zlib.crc32(body):
            return None
        basis = Basis(head["stamp"], Needs(**head["needs"]))
        return Answer(basis, head["headers"], head["media_type"], body, head["is_packed"])
    except (ValueError, KeyError, TypeError):
        return None
