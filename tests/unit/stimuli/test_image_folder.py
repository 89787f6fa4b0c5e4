"""A folder of images: keys, labels, hashes, and files of every kind that must not stop a build."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from precompute.errors import ImagesError
from precompute.stimuli.base import UnusableImage
from precompute.stimuli.image_folder import ImageFolder
from precompute.stimuli.sources import open_source


def save(path: Path, colour: str = "red", size: tuple[int, int] = (24, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("cat/b.png", "red"), ("cat/a.jpg", "green"), ("dog/deep/c.webp", "blue"), ("d.bmp", "white")):
        save(tmp_path / name, colour)
    return tmp_path


def test_keys_are_sorted_paths_and_labels_first_folders(folder: Path) -> None:
    refs = ImageFolder(folder).refs()
    assert [(ref.index, ref.key, ref.label, ref.source) for ref in refs] == [
        (0, "cat/a.jpg", "cat", "cat/a.jpg"),
        (1, "cat/b.png", "cat", "cat/b.png"),
        (2, "d.bmp", None, "d.bmp"),
        (3, "dog/deep/c.webp", "dog", "dog/deep/c.webp"),
    ]


def test_images_open_as_pillow_opens_them(folder: Path) -> None:
    source = ImageFolder(folder)
    for ref, image in source:
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(folder / ref.key).convert("RGB")))


def test_id_follows_names_and_bytes_and_nothing_else(folder: Path) -> None:
    first = ImageFolder(folder).id
    os.utime(folder / "d.bmp", (1, 1))
    (folder / "notes.txt").write_text("no image")
    assert ImageFolder(folder).id == first
    save(folder / "d.bmp", "black")
    changed = ImageFolder(folder).id
    (folder / "d.bmp").rename(folder / "e.bmp")
    assert len({first, changed, ImageFolder(folder).id}) == 3


def test_progress_ends_at_the_total(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = ImageFolder(folder)
    source.check(lambda done, total: seen.append((done, total)))
    source.check(lambda done, total: seen.append((-1, total)))
    assert seen == [(4, 4)]


def test_a_check_that_is_interrupted_stops_soon_and_starts_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(600):
        (tmp_path / f"{index:03}.png").touch()
    save(tmp_path / "good.png")
    source = ImageFolder(tmp_path)
    read: list[str] = []
    check_one = source._check_one

    def slow(key: str) -> object:
        read.append(key)
        time.sleep(0.001)
        return check_one(key)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "_check_one", slow)
    with pytest.raises(KeyboardInterrupt):
        source.check(interrupt)
    assert len(read) < 300
    source.check()
    assert (len(source), len(source.skipped())) == (1, 600)


def test_unusable_files_are_named_with_a_reason(folder: Path) -> None:
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes((folder / "cat/b.png").read_bytes())
    save(folder / ".cache/thumbnail.png")
    (folder / "short.jpg").write_bytes((folder / "cat/a.jpg").read_bytes()[:-60])
    (folder / "nowhere.png").symlink_to("missing.png")
    (folder / "itself.png").symlink_to("itself.png")
    os.mkfifo(folder / "pipe.png")
    source = ImageFolder(folder)
    assert len(source) == 4
    assert {image.key: image.reason for image in source.skipped()} == {
        ".cache": "hidden",
        ".hidden.png": "hidden",
        "empty.jpg": "empty file (0 bytes)",
        "itself.png": "broken link",
        "notes.txt": "not an image, or of a kind that cannot be read",
        "nowhere.png": "broken link",
        "pipe.png": "not a regular file",
        "short.jpg": "truncated: the file ends too early",
    }


def test_links_are_followed_and_loops_are_not(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    save(outside / "far.png")
    (folder / "a-link").symlink_to(outside)
    (folder / "a-loop").symlink_to(folder)
    (folder / "cat" / "up").symlink_to("..")
    (folder / "another-dog").symlink_to("dog")
    source = ImageFolder(folder)
    assert [ref.key for ref in source.refs()] == ["a-link/far.png", "cat/a.jpg", "cat/b.png", "d.bmp", "dog/deep/c.webp"]
    assert [image.key for image in source.skipped()] == ["a-loop", "another-dog", "cat/up"]


def test_names_that_are_not_text_are_skipped(folder: Path) -> None:
    raw = os.fsencode(folder) + b"/caf\xe9.png"
    with open(raw, "wb") as file:
        file.write((folder / "cat/b.png").read_bytes())
    assert [(image.key, image.reason) for image in ImageFolder(folder).skipped()] == [("caf\\xe9.png", "its name is not UTF-8")]


def test_names_may_hold_any_text(folder: Path) -> None:
    save(folder / "søppel #1, 100 % ünïcode.png")
    assert "søppel #1, 100 % ünïcode.png" in [ref.key for ref in ImageFolder(folder).refs()]


def test_a_file_that_may_not_be_read_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_bytes = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self.name == "b.png":  # the owner of a build may be root, whom no permission stops
            raise PermissionError(13, "Permission denied")
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    skipped = ImageFolder(folder).skipped()
    assert [(image.key, image.reason) for image in skipped] == [("cat/b.png", "cannot be read: Permission denied")]


def test_a_file_that_goes_away_after_the_check_keeps_all_places(folder: Path) -> None:
    source = ImageFolder(folder)
    source.check()
    (folder / "cat/b.png").unlink()
    with pytest.raises(UnusableImage) as caught:
        source.open(1)
    assert caught.value.skipped.key == "cat/b.png"
    assert source.refs()[3].key == "dog/deep/c.webp"
    assert source.open(3).size == (24, 16)


@pytest.mark.parametrize("name", ["missing", "file.txt", "nothing", "only-broken"])
def test_a_folder_without_images_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "nothing" / "deeper").mkdir(parents=True)
    (tmp_path / "only-broken").mkdir()
    (tmp_path / "only-broken" / "zero.png").touch()
    with pytest.raises(ImagesError) as caught:
        open_source(tmp_path / name).check()
    assert str(tmp_path / name) in str(caught.value)
    assert "--images" in str(caught.value)
    assert caught.value.exit_code == 2
    assert ("zero.png: empty file" in str(caught.value)) == (name == "only-broken")


def test_an_unreadable_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImagesError, match=r"cannot be read: Permission denied\. .*--images"):
        ImageFolder(tmp_path)
