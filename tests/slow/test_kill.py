"""A build that is killed again and again ends equal to one that nobody disturbed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from precompute.store.verify import verify
from tests.dump import dump
from tests.tiny import write_images

pytestmark = pytest.mark.slow

NUM_KILLS = 20
SHARE_OF_BUILD = (0.3, 1.0)
"""Before that the libraries are still being loaded, and nothing can be hurt."""
SPEC = "timm:test_resnet@random:0"
LAYERS = ("conv1.0", "conv1.3", "layer1.0.conv1")


def command(images: Path, atlas: Path) -> list[str]:
    """Return a build with every technique, a few pictures included."""
    words = [sys.executable, "-m", "precompute.cli", "build", SPEC, "--images", str(images), "--atlas", str(atlas)]
    words += [word for layer in LAYERS for word in ("--layers", layer)]
    return [*words, "--quiet", "--units", "0-1"]


def test_killed_at_twenty_random_moments_and_resumed(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_images(str(images), 200)
    start = time.monotonic()
    subprocess.run(command(images, tmp_path / "whole"), check=True, capture_output=True)
    usual = time.monotonic() - start
    whole = dump(tmp_path / "whole")
    moments = random.Random(0)
    kills = finished = 0
    while kills < NUM_KILLS:
        build = subprocess.Popen(
            command(images, tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = build.wait(timeout=moments.uniform(*SHARE_OF_BUILD) * usual)
        except subprocess.TimeoutExpired:
            build.send_signal(signal.SIGKILL)
            build.wait()
            kills += 1
            continue
        assert code == 0
        assert dump(tmp_path / "killed") == whole
        # It came through: the remaining kills hit another build from the start.
        finished += 1
        usual *= 0.9  # the machine is faster now than it was at first
        (tmp_path / "killed").rename(tmp_path / f"finished-{finished}")
    subprocess.run(command(images, tmp_path / "killed"), check=True, capture_output=True)
    assert dump(tmp_path / "killed") == whole
    assert verify(tmp_path / "killed").problems == []
