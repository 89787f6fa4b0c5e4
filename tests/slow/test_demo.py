"""`unitscope demo` answers at once, builds meanwhile, and stops altogether when it is told to."""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from precompute.commands.demo import stop_build

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def is_being_built(atlas: Path) -> bool:
    """Tell whether a build holds the atlas."""
    path = atlas / "build.lock"
    if not path.is_file():
        return False
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def wait_until(is_so: object, seconds: float) -> bool:
    assert callable(is_so)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.2)
    return False


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_answers_and_stops_with_its_build(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    words = [sys.executable, "-m", "precompute.cli", "demo", "--quick", "--quiet", "--atlas", str(tmp_path), "--port", str(port)]
    # As a shell starts it in the background: with the signal of Ctrl-C ignored.
    demo = subprocess.Popen(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    try:
        assert wait_until(lambda: answers(port), 30)
        assert wait_until(lambda: is_being_built(tmp_path), 60)
        demo.send_signal(number)
        demo.wait(timeout=30)  # a build that does not hear it is killed after 5; the rest is for a busy machine
        assert wait_until(lambda: not is_being_built(tmp_path), 5)
        assert not answers(port)
    finally:
        demo.kill()
        demo.wait()


def test_a_build_that_does_not_hear_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    builder = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert builder.stdout is not None
    with builder.stdout:
        builder.stdout.readline()
    start = time.monotonic()
    stop_build(builder, seconds=0.5)
    assert builder.returncode == -signal.SIGKILL
    assert time.monotonic() - start < 30
