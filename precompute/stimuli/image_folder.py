"""A folder of images: every file in it and its sub-folders, whose names are the labels."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from precompute.domain import SkippedImage, StimulusRef
from precompute.errors import ImagesError
from precompute.stimuli import decode
from precompute.stimuli.base import Credit, Progress, StimulusSource, UnusableImage

_PROGRESS_EVERY = 64


@dataclass(frozen=True)
class _Checked:
    """What reading one file told: its hash, or why it cannot be used."""

    key: str
    sha256: str
    reason: str | None


class ImageFolder(StimulusSource):
    """The images of a folder and its sub-folders, in order of path.

    The key of an image is its path relative to the folder, with slashes; its label is the first folder of that path. Links
    are followed, but no folder is read twice. What is hidden, damaged or no image is left out and named in `skipped`.

    Args:
        folder: Where the images are.

    Raises:
        ImagesError: There is no such folder, it cannot be read, or there is no file in it.
    """

    credits: Sequence[Credit] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.title = folder.resolve().name or str(folder)
        self._refs: tuple[StimulusRef, ...] | None = None
        self._skipped: list[SkippedImage] = []
        self._id = ""
        _refuse_unreadable(folder)
        self._candidates = sorted(self._walk())
        if not self._candidates:
            raise ImagesError(f"There is no image in {folder}.{_summary(self._skipped)} {_NEXT_STEP}")

    @property
    def id(self) -> str:
        """Return a hash over the keys and bytes of all usable images."""
        self.check()
        return self._id

    def refs(self) -> Sequence[StimulusRef]:
        """Return every usable image in order of key."""
        self.check()
        return self._refs or ()

    def skipped(self) -> Sequence[SkippedImage]:
        """Return the files that were left out, in order of key."""
        self.check()
        return sorted(self._skipped, key=lambda image: image.key)

    def open(self, index: int) -> Image.Image:
        """Decode one image to RGB, upright, at its own size."""
        ref = self.refs()[index]
        try:
            return decode.decode(_read(self.folder / ref.key))
        except decode.DecodeError as error:
            raise UnusableImage(ref.key, str(error)) from error

    def check(self, progress: Progress | None = None) -> None:
        """Read every file once, in threads, and leave out those that cannot be used."""
        if self._refs is not None:
            return
        found = self._check_all(progress)
        usable = [checked for checked in found if checked.reason is None]
        damaged = [SkippedImage(checked.key, checked.reason) for checked in found if checked.reason is not None]
        if not usable:
            raise ImagesError(f"There is no usable image in {self.folder}.{_summary(damaged + self._skipped)} {_NEXT_STEP}")
        digest = hashlib.sha256()
        for checked in usable:
            digest.update(f"{checked.key}\0{checked.sha256}\n".encode())
        self._id = digest.hexdigest()
        self._skipped += damaged
        self._refs = tuple(StimulusRef(index, item.key, _label(item.key), item.key) for index, item in enumerate(usable))

    def _check_all(self, progress: Progress | None) -> list[_Checked]:
        found: list[_Checked] = []
        total = len(self._candidates)
        pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        try:
            for checked in pool.map(self._check_one, self._candidates):
                found.append(checked)
                if progress is not None and (len(found) % _PROGRESS_EVERY == 0 or len(found) == total):
                    progress(len(found), total)
        finally:
            # Whoever presses Ctrl-C does not want to wait for the files that are still to be read.
            pool.shutdown(cancel_futures=True)
        return found

    def _check_one(self, key: str) -> _Checked:
        try:
            data = _read(self.folder / key)
            decode.check(data)
        except decode.DecodeError as error:
            return _Checked(key, "", str(error))
        return _Checked(key, hashlib.sha256(data).hexdigest(), None)

    def _walk(self) -> Iterator[str]:
        """Yield the keys of all files worth opening.

        Links to folders come last, so that a folder is known by its own name and not by that of a link to it.
        """
        seen: set[tuple[int, int]] = set()
        folders, links = [self.folder], list[Path]()
        while folders or links:
            folder = folders.pop(0) if folders else links.pop(0)
            key = folder.relative_to(self.folder).as_posix()
            try:
                status = folder.stat()
                if (status.st_dev, status.st_ino) in seen:
                    self._skip(key, "link to a folder that is read already")
                    continue
                seen.add((status.st_dev, status.st_ino))
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                self._skip(key, f"folder that cannot be read: {error.strerror}")
                continue
            for entry in entries:
                if self._is_folder(entry):
                    (links if entry.is_symlink() else folders).append(Path(entry.path))
                elif self._is_candidate(entry):
                    yield self._key(entry)

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return not entry.name.startswith(".") and _is_readable_text(entry.name) and entry.is_dir()
        except OSError:  # a link that leads to itself: `_is_candidate` names it
            return False

    def _is_candidate(self, entry: os.DirEntry[str]) -> bool:
        """Say whether a file is worth opening; where not, note why."""
        reason = None
        if entry.name.startswith("."):
            reason = "hidden"
        elif not _is_readable_text(entry.name):
            reason = "its name is not UTF-8"
        else:
            try:
                # Opening a pipe would wait for ever for someone to write into it.
                reason = None if stat.S_ISREG(entry.stat().st_mode) else "not a regular file"
            except OSError as error:
                reason = "broken link" if entry.is_symlink() else f"cannot be read: {error.strerror}"
        if reason is not None:
            self._skip(self._key(entry), reason)
        return reason is None

    def _key(self, entry: os.DirEntry[str]) -> str:
        return Path(entry.path).relative_to(self.folder).as_posix()

    def _skip(self, key: str, reason: str) -> None:
        readable = key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self._skipped.append(SkippedImage(readable, reason))


_NEXT_STEP = "Give --images a folder with images (sub-folders are labels), or `embedded` for the photographs that come along."


def _refuse_unreadable(folder: Path) -> None:
    try:
        os.scandir(folder).close()
    except FileNotFoundError as error:
        raise ImagesError(f"There is no folder {folder}. {_NEXT_STEP}") from error
    except NotADirectoryError as error:
        raise ImagesError(f"{folder} is a file, not a folder. {_NEXT_STEP}") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImagesError(
            f"The folder {folder} cannot be read: {reason}. Mend its permissions or give another --images."
        ) from error


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > decode.MAX_FILE_BYTES:
            raise decode.DecodeError(f"too large: {size >> 20} MiB, at most {decode.MAX_FILE_BYTES >> 20} are read")
        return path.read_bytes()
    except OSError as error:
        raise decode.DecodeError(f"cannot be read: {error.strerror}") from error


def _is_readable_text(name: str) -> bool:
    """Say whether a file name is UTF-8: other names cannot be keys, which are stored and sent as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(key: str) -> str | None:
    folder, slash, _ = key.partition("/")
    return folder if slash else None


def _summary(skipped: Sequence[SkippedImage]) -> str:
    """Tell how many files were left out, and the first few by name."""
    if not skipped:
        return ""
    named = "; ".join(f"{image.key}: {image.reason}" for image in skipped[:3])
    return f" {len(skipped)} left out ({named}{'; …' if len(skipped) > 3 else ''})."
