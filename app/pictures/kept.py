"""Files that were made once, kept under `ATLAS/cache` up to a limit; those that were not asked for longest go first."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

SHARE_LEFT = 0.8
"""How much of the limit stays when room is made."""


class KeptFiles:
    """A folder of files that can all be made again.

    Args:
        folder: Made when the first file is kept.
        max_bytes: Of all files together; 0 keeps none, and finds none that others kept.
        extension: Of their names.
    """

    def __init__(self, folder: Path, max_bytes: int, extension: str = "webp") -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._extension = extension
        self._num_bytes: int | None = None  # counted when the first file is kept
        self._lock = threading.Lock()

    def find(self, digest: str) -> Path | None:
        """Return the path of a file, or None where it is not kept."""
        if self._max_bytes <= 0:
            return None
        path = self._path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError:  # a folder that can only be read
            return path if path.is_file() else None
        return path

    def read(self, digest: str) -> bytes | None:
        """Return the bytes of a file, or None where it is not kept."""
        if self._max_bytes <= 0:
            return None
        path = f"{self._folder}/{digest[:2]}/{digest}.{self._extension}"
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.read()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError:  # a folder that can only be read
            return self._path(digest).read_bytes() if self._path(digest).is_file() else None
        return data

    def keep(self, digest: str, data: bytes) -> None:
        """Write a file that appears whole or not at all; a folder that cannot be written is no reason to stop."""
        if len(data) > self._max_bytes:
            return
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                return
            self._count(len(data))
        except OSError:
            return

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.{self._extension}"

    def _count(self, num_bytes: int) -> None:
        with self._lock:
            if self._num_bytes is None:
                self._num_bytes = sum(size for _, size, _ in self._files())
            else:
                self._num_bytes += num_bytes
            if self._num_bytes > self._max_bytes:
                self._make_room()

    def _make_room(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= SHARE_LEFT * self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._num_bytes = total

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was last asked for, its size and its path."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob(f"??/*.{self._extension}"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process made room
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found
