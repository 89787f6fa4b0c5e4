"""`unitscope circuits`, `serve --write`, and that no build ever touches what people wrote."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from precompute.circuits.circuit import parse_circuit, parse_stored, write_circuit
from precompute.cli import main
from precompute.store.user_db import UserDb
from precompute.store.user_file import user_path
from precompute.store.verify import verify
from tests.fixture_circuits import DOCUMENT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def atlas(tmp_path: Path, fixture_atlas: Path) -> Path:
    folder = tmp_path / "atlas"
    folder.mkdir()
    (folder / "atlas.db").write_bytes((fixture_atlas / "atlas.db").read_bytes())
    return folder


def run(*words: str) -> int:
    return main(["circuits", *words])


def write(path: Path, **changes: Any) -> str:
    path.write_text(json.dumps(DOCUMENT | changes))
    return str(path)


def test_circuit_is_imported_listed_exported_and_deleted(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--atlas", str(atlas))
    assert run("list", *where) == 0
    assert "no circuit yet" in capsys.readouterr().out
    assert not user_path(atlas).exists()
    file = write(tmp_path / "c.json", id="mine-23456789")
    assert run("import", file, *where) == 0
    assert "mine-23456789, saved" in capsys.readouterr().out
    assert run("list", "--json", *where) == 0
    listed = json.loads(capsys.readouterr().out)["circuits"]
    assert [(one["id"], one["num_units"], one["num_edges"]) for one in listed] == [("mine-23456789", 4, 3)]
    assert run("export", "mine-23456789", *where) == 0
    exported = capsys.readouterr().out
    assert write_circuit(parse_circuit(exported)) == exported
    (tmp_path / "again.json").write_text(exported)
    assert run("import", str(tmp_path / "again.json"), *where) == 0
    assert "there already" in capsys.readouterr().out
    assert run("delete", "mine-23456789", *where) == 0
    assert run("export", "mine-23456789", *where) == 2
    assert "mine-23456789" in capsys.readouterr().err


def test_replace_makes_the_next_revision_and_nothing_else_does(atlas: Path, tmp_path: Path) -> None:
    where = ("--atlas", str(atlas))
    first = write(tmp_path / "1.json", id="mine-23456789")
    second = write(tmp_path / "2.json", id="mine-23456789", title="Second")
    assert run("import", first, *where) == 0
    assert run("import", second, *where) == 1
    assert UserDb(atlas).circuit("mine-23456789").revision == 1
    assert run("import", second, "--replace", *where) == 0
    assert UserDb(atlas).circuit("mine-23456789").circuit.title == "Second"


def test_files_are_all_checked_before_one_is_saved(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path / "good.json"), write(tmp_path / "bad.json", model="tiny_x")
    assert run("import", good, bad, "--atlas", str(atlas)) == 2
    assert "'tiny_a'" in capsys.readouterr().err
    assert not user_path(atlas).exists()
    assert run("import", str(tmp_path / "none.json"), "--atlas", str(atlas)) == 2
    assert "none.json" in capsys.readouterr().err
    assert run("list", "--atlas", str(tmp_path / "nowhere")) == 1
    assert "no atlas" in capsys.readouterr().err


def test_build_leaves_what_people_wrote_to_the_byte(tmp_path: Path) -> None:
    from precompute.pipeline import build  # brings torch, which the other tests do without
    from precompute.planning import BuildOptions
    from tests.tiny import write_images

    (tmp_path / "images").mkdir()
    write_images(str(tmp_path / "images"), 12)
    options = BuildOptions(
        "tiny:net@random:0", str(tmp_path / "images"), tmp_path / "atlas", techniques=("statistics", "weights"), is_quiet=True
    )
    build(options)
    document = {"model": "any", "title": "T", "units": [{"layer": "l", "unit": 0}], "id": "mine-23456789"}
    document |= {"weights_sha256": "0" * 64, "created_at": "2026-01-01T00:00:00+00:00"}
    UserDb(tmp_path / "atlas").add(parse_stored(json.dumps(document)))
    files = sorted((tmp_path / "atlas").glob("user.db*"))
    before = {path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}
    build(options)
    build(options)
    after = {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted((tmp_path / "atlas").glob("user.db*"))
    }
    assert before
    assert after == before
    assert verify(tmp_path / "atlas").problems == []
    user_path(tmp_path / "atlas").write_bytes(b"not a database")
    assert verify(tmp_path / "atlas").problems == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def send(port: int, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/circuits", json.dumps(DOCUMENT).encode(), headers, method="POST"
    )
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("has_file", [False, True], ids=["printed token", "token file"])
def test_server_started_for_writing_takes_its_token_alone(atlas: Path, tmp_path: Path, has_file: bool) -> None:
    port = free_port()
    words = ["--write"]
    if has_file:
        (tmp_path / "token").write_text("a-token-in-a-file-of-ours\n")
        words += ["--write-token-file", str(tmp_path / "token")]
    command = [sys.executable, "-m", "precompute.cli", "serve", "--atlas", str(atlas), "--port", str(port), *words]
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder)}
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"stops: (\S+)", line)
        token = "a-token-in-a-file-of-ours" if found is None else found[1]
        assert (found is None) == has_file
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        assert send(port, "another-token-than-that-one") == 401
        assert send(port, token) == 201
        environ = Path(f"/proc/{server.pid}/environ")
        if environ.exists():
            assert token.encode() not in environ.read_bytes()
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert list(folder.glob("unitscope-token-*")) == []


def test_token_file_without_writing_is_wrong_use(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--atlas", str(atlas), "--write-token-file", "x"]) == 2
    assert "--write" in capsys.readouterr().err
    assert main(["serve", "--atlas", str(atlas), "--port", str(free_port()), "--write", "--write-token-file", "/nowhere"]) == 2
    assert "token_urlsafe" in capsys.readouterr().err
