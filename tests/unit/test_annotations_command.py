"""`unitscope annotations`: files that go round, merges that say what they did, backups that are whole while people write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from precompute.annotations.document import Annotation, complete, parse_annotation
from precompute.cli import main
from precompute.errors import AtlasError, UsageError
from precompute.store.annotations import Annotations
from precompute.store.backup import back_up
from precompute.store.user_file import user_path
from tests.fixture_annotations import GONE_ID, LABEL_ID


@pytest.fixture
def atlas(tmp_path: Path, fixture_atlas: Path) -> Path:
    folder = tmp_path / "atlas"
    folder.mkdir()
    for name in ("atlas.db", "user.db"):
        shutil.copy(fixture_atlas / name, folder / name)
    return folder


def label(text: str) -> Annotation:
    document: dict[str, Any] = {"kind": "label", "about": {"model": "tiny_a", "layer": "stem", "unit": 1}, "text": text}
    return complete(parse_annotation(json.dumps(document)), {})


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main(["annotations", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_file_goes_round_to_the_byte_and_the_second_time_changes_nothing(
    atlas: Path, tmp_path: Path, fixture_atlas: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert run(capsys, "export", first, "--atlas", atlas)[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(fixture_atlas / "atlas.db", other / "atlas.db")
    code, out, _ = run(capsys, "import", first, "--atlas", other, "--json")
    told = json.loads(out)
    assert code == 0
    assert told == {
        "annotations": 9,
        "new": 8,
        "changed": 0,
        "deleted": 1,
        "unchanged": 0,
        "older": 0,
        "unknown_models": ["tiny_z"],
    }
    run(capsys, "export", again, "--atlas", other)
    assert again.read_bytes() == first.read_bytes()
    stamp = user_path(other).read_bytes()
    code, out, _ = run(capsys, "import", first, "--atlas", other)
    assert "9 unchanged" in out
    run(capsys, "export", again, "--atlas", other)
    assert again.read_bytes() == first.read_bytes()
    assert [len(Annotations(other).states(name)) for name in (LABEL_ID, GONE_ID)] == [1, 1]
    assert stamp
    assert run(capsys, "export", "-", "--atlas", other, "--kind", "list")[1].count("\n") == 1


def test_bad_line_is_named_and_nothing_is_half_imported(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Annotations(atlas).everything()
    file = tmp_path / "a.jsonl"
    run(capsys, "export", file, "--atlas", atlas)
    good = file.read_text().replace("mixes", "changed by hand").replace('"revision": 1', '"revision": 7')
    for bad, words in (("{", "Line 10: This is no JSON"), ('{"kind": "label", "txt": 1}', "'txt'"), ("\u2028", "Line 10")):
        file.write_text(good + bad)
        code, _, err = run(capsys, "import", file, "--atlas", atlas)
        assert code == 2
        assert words in err
        assert "Nothing was imported" in err
        assert Annotations(atlas).everything() == before
    file.write_text(good)
    assert "changed" in run(capsys, "import", file, "--atlas", atlas)[1]
    assert Annotations(atlas).everything() != before


def test_wrong_use_is_said_in_words(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, said in (
        (("import", tmp_path / "missing", "--atlas", atlas), 2, "cannot be read"),
        (("export", tmp_path / "no" / "x", "--atlas", atlas), 2, "cannot be written"),
        (("export", "-", "--atlas", tmp_path / "nowhere"), 1, "There is no atlas"),
        (("backup", atlas / "user.db", "--atlas", atlas), 2, "never written over"),
        (("backup", tmp_path / "no" / "x.db", "--atlas", atlas), 2, "There is no folder"),
    ):
        found, _, err = run(capsys, *words)
        assert (found, said in err) == (code, True), err
    user_path(atlas).unlink()
    assert "nothing to back up" in run(capsys, "backup", tmp_path / "x.db", "--atlas", atlas)[2]
    assert not (tmp_path / "x.db").exists()


# -- backups while people write ----------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from precompute.store.annotations import Annotations
from tests.unit.test_annotations_command import label

store, name = Annotations(Path(sys.argv[1])), sys.argv[2]
for number in range(100_000):
    one = label(f"{name} {number}")
    store.add(one)
    print(one.id, flush=True)  # only now it is acknowledged
"""


class Writers:
    """Processes that write one label after the other, and what they were told to be saved."""

    def __init__(self, atlas: Path, count: int) -> None:
        self.acknowledged: list[str] = []
        command = [sys.executable, "-c", WRITER, str(atlas)]
        self._processes = [subprocess.Popen([*command, f"writer {n}"], stdout=subprocess.PIPE, text=True) for n in range(count)]
        self._threads = [threading.Thread(target=self._listen, args=(process,)) for process in self._processes]
        for thread in self._threads:
            thread.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                if line.endswith("\n"):
                    self.acknowledged.append(line.strip())

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 120
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline, "the writers do not write"
            assert all(process.poll() is None for process in self._processes), "a writer failed"
            time.sleep(0.02)

    def kill(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for thread in self._threads:
            thread.join()


def test_backup_holds_every_write_that_was_acknowledged_before_it_began(tmp_path: Path) -> None:
    atlas = tmp_path / "atlas"
    atlas.mkdir()
    Annotations(atlas).add(label("first"))
    writers = Writers(atlas, 2)
    backups: list[tuple[set[str], Path]] = []
    try:
        for number in range(3):
            writers.wait_for(6 * (number + 1))
            before = set(writers.acknowledged)
            target = tmp_path / f"backup-{number}.db"
            made = back_up(atlas, target)
            assert made.num_annotations >= len(before) + 1
            backups.append((before, target))
        writers.wait_for(len(writers.acknowledged) + 4)
    finally:
        writers.kill()
    everything = {one.id: one for one in Annotations(atlas).everything()}
    assert set(writers.acknowledged) <= set(everything), "a write that was acknowledged is lost"
    sizes: list[int] = []
    for number, (before, backup) in enumerate(backups):
        restored = tmp_path / f"restored-{number}"
        restored.mkdir()
        shutil.copy(backup, user_path(restored))
        found = {one.id: one for one in Annotations(restored).everything()}
        assert before <= set(found)
        assert found == {name: everything[name] for name in found}, "an entry is torn, or is another than here"
        for name in found:
            assert len(Annotations(restored).states(name or "")) == 1
        assert {one.annotation.id for one in Annotations(restored).find_written("writer", 10_000)} == set(found) - {
            one.id for one in found.values() if one.headline == "first"
        }
        assert Annotations(restored).add(label("goes on"))[1]
        sizes.append(len(found))
    assert sizes == sorted(sizes)
    assert sizes[-1] < len(everything), "the writers had stopped before the last backup"


def test_backup_is_one_file_of_one_state_and_leaves_nothing_beside_it(atlas: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = back_up(atlas, folder / "a.db")
    assert [path.name for path in folder.iterdir()] == ["a.db"]
    assert made.num_annotations == Annotations(atlas).recent()[1]
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    content = (folder / "a.db").read_bytes()
    with pytest.raises(UsageError, match="never written over"):
        back_up(atlas, folder / "a.db")
    os.symlink("nowhere", folder / "link.db")
    with pytest.raises(UsageError, match="never written over"):
        back_up(atlas, folder / "link.db")
    assert (folder / "a.db").read_bytes() == content
    user_path(atlas).write_bytes(b"not a database " * 99)
    with pytest.raises(AtlasError, match="cannot be backed up"):
        back_up(atlas, folder / "b.db")
    assert sorted(path.name for path in folder.iterdir()) == ["a.db", "link.db"]


def test_backup_that_somebody_else_makes_first_is_not_written_over(
    atlas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.db"
    real = os.link

    def late(source: Any, destination: Any) -> None:
        target.write_bytes(b"theirs")
        real(source, destination)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(UsageError, match="meanwhile"):
        back_up(atlas, target)
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.glob(".a.db-*")) == []
