"""Composed pictures are kept up to a limit."""

from __future__ import annotations

import os
from pathlib import Path

from app.pictures.kept import KeptFiles


def digest_of(number: int) -> str:
    return f"{number:064x}"


def test_longest_unasked_goes_first(tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path / "cache", max_bytes=1000)
    for number in range(10):
        kept.keep(digest_of(number), bytes(100))
        path = kept.find(digest_of(number))
        assert path is not None
        os.utime(path, (number, number))
    assert kept.find(digest_of(0)) is not None  # asked for again: now the newest
    kept.keep(digest_of(10), bytes(100))
    left = [number for number in range(11) if kept.find(digest_of(number))]
    assert left == [0, 4, 5, 6, 7, 8, 9, 10]


def test_files_of_an_earlier_process_count(tmp_path: Path) -> None:
    KeptFiles(tmp_path, max_bytes=1000).keep(digest_of(1), bytes(900))
    KeptFiles(tmp_path, max_bytes=1000).keep(digest_of(2), bytes(700))
    assert len(list(tmp_path.rglob("*.webp"))) == 1


def test_nothing_is_kept_without_room_or_a_folder(tmp_path: Path) -> None:
    none = KeptFiles(tmp_path / "none", max_bytes=0)
    none.keep(digest_of(1), b"data")
    assert none.find(digest_of(1)) is None
    KeptFiles(tmp_path / "none", max_bytes=1000).keep(digest_of(1), b"data")
    assert (none.find(digest_of(1)), none.read(digest_of(1))) == (None, None)
    assert KeptFiles(tmp_path / "none", max_bytes=1000).read(digest_of(1)) == b"data"
    (tmp_path / "file").write_text("a file where the folder would be")
    blocked = KeptFiles(tmp_path / "file", max_bytes=1000)
    blocked.keep(digest_of(1), b"data")
    assert blocked.find(digest_of(1)) is None
