"""What was read from a database, kept as long as its files stay as they are: a look at two files instead of a query."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

SETTLED_NS = 1_000_000_000
STALE_SECONDS = 30.0
Value = TypeVar("Value")
Moment = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class AtlasState:
    """What changes with every write.

    Attributes:
        revision: A text that changes whenever anything in the atlas changes.
        said: When a build last said something, Unix time; None where none is under way.
    """

    revision: str
    said: float | None

    def is_building(self) -> bool:
        """Return whether a build has said something lately."""
        return self.said is not None and time.time() - self.said <= STALE_SECONDS

    def live_stamp(self) -> str:
        """Return a text that changes when a build says something new, and when it has said nothing for a while."""
        return f"{self.said}-{self.said is not None and not self.is_building()}"


class Written(Generic[Value]):
    """A value that only changes when the database is written.

    Args:
        database: Its file; its log lies beside it.
    """

    def __init__(self, database: Path) -> None:
        self._files = (str(database), f"{database}-wal")
        self._known: tuple[Moment, Value] | None = None

    def peek(self) -> Value | None:
        """Return the value where it is known without asking the database, else None."""
        known = self._known
        return known[1] if known is not None and known[0] == self._moment() else None

    def read(self, ask: Callable[[], Value]) -> Value:
        """Return the value, and ask for it only where the database was written since."""
        moment = self._moment()
        known = self._known
        if known is not None and known[0] == moment:
            return known[1]
        found = ask()
        # What was written just now may be written again within the same tick of the clock that stamps files.
        if time.time_ns() - max((written for written, _, _ in moment), default=0) > SETTLED_NS:
            self._known = (moment, found)
        return found

    def _moment(self) -> Moment:
        """Return when the database and its log were last written, in nanoseconds, how long they are, and which files."""
        found: list[tuple[int, int, int]] = []
        for path in self._files:
            try:
                status = os.stat(path)
            except OSError:  # the log comes and goes
                continue
            if not status.st_size:  # a log that holds nothing: whoever looks first makes one
                continue
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)
