"""The file store: immutable files, each named by the sha256 of its bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from precompute.domain import BlobData
from precompute.errors import AtlasError

MEDIA_TYPES = {
    "webp": "image/webp",
    "png": "image/png",
    "npy": "application/octet-stream",
    "json": "application/json",
}

_NAME = re.compile(r"^(?P<sha256>[0-9a-f]{64})\.(?P<extension>webp|png|npy|json)$")


class BlobStore:
    """Files under `folder/ab/abcdef….ext`. A file is complete from the moment its name exists.

    Args:
        folder: The root of the store; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, blob: BlobData) -> str:
        """Store the bytes unless they are there already, and return their sha256.

        The bytes go to a temporary name, to the disk, then to their own name: a kill leaves no half file.

        Raises:
            AtlasError: The disk is full or cannot be written.
        """
        sha256 = hashlib.sha256(blob.data).hexdigest()
        path = self.path(sha256, blob.extension)
        if path.exists():
            return sha256
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(blob.data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise disk_error(error, path) from error
        return sha256

    def path(self, sha256: str, extension: str) -> Path:
        """Return where the file of that name is or would be.

        Raises:
            ValueError: The name is not 64 hexadecimal digits and a known extension: nothing else may reach the disk.
        """
        if _NAME.match(f"{sha256}.{extension}") is None:
            raise ValueError("not the name of a blob")
        return self.folder / sha256[:2] / f"{sha256}.{extension}"

    def open_path(self, name: str) -> Path | None:
        """Return the path of the blob with file name `name` (`{sha256}.{ext}`), or None where there is none."""
        match = _NAME.match(name)
        if match is None:
            return None
        path = self.path(match["sha256"], match["extension"])
        return path if path.is_file() else None

    def names(self) -> Iterator[str]:
        """Yield the file name of every blob, sorted."""
        for path in sorted(self.folder.glob("??/*")):
            if _NAME.match(path.name):
                yield path.name

    def hash_of(self, sha256: str, extension: str) -> str | None:
        """Return the sha256 of the bytes that are stored under a name now, or None where the file is missing."""
        path = self.path(sha256, extension)
        if not path.is_file():
            return None
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def remove_temporaries(self) -> int:
        """Delete what a killed writer left under temporary names, and return how many there were."""
        leftovers = list(self.folder.glob("??/.new-*"))
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)


def disk_error(error: OSError, path: Path) -> AtlasError:
    """Say in plain words why the disk refused a write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AtlasError(
            f"No space left on the disk of {path.parent}. What was built so far is safe: "
            "free some space and give the same command again to go on."
        )
    return AtlasError(f"Cannot write {path}: {error.strerror or error}. Choose another --atlas or mend its permissions.")
