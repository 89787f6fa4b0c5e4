"""`unitscope render` makes the very file that a build stores, and the page says with which words."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from precompute import pipeline
from precompute.cli import main
from precompute.executors.local import Job, JobOutcome
from precompute.models.base import load_model
from precompute.optvis import recipe
from precompute.optvis.references import Photographs
from precompute.optvis.variants import Renderer
from precompute.pipeline import build
from precompute.planning import BuildOptions
from precompute.store.pixels import StoredPixels
from precompute.techniques.base import TECHNIQUES, Context
from tests.tiny import write_images

SPEC = "tiny:net@random:0"


class HereExecutor:
    """Does the jobs in this process, which knows the tiny models."""

    def __init__(self, pixels: StoredPixels) -> None:
        self.pixels = pixels

    def run(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, JobOutcome]]:
        adapter = load_model(SPEC)
        for job in jobs:
            layer = adapter.layer(job.item.layer)
            photographs = Photographs(self.pixels.stimulus, sorted(self.pixels.files), {layer.name: dict(job.examples)})
            metrics = {layer.name: job.metrics}
            context = Context(adapter, [layer], job.seed, job.quality, metrics=metrics, photographs=photographs)
            yield job, JobOutcome(list(TECHNIQUES.get(job.technique)().compute(context, job.item)))

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("renderer", ["unitscope", "maco"])
def test_the_words_on_the_page_make_the_stored_file(
    renderer: Renderer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LocalExecutor", lambda *_arguments, pixels, **_more: HereExecutor(pixels))
    monkeypatch.setattr(recipe, "WAYS", {key: way._replace(num_steps=8) for key, way in recipe.WAYS.items()})
    images, atlas = tmp_path / "images", tmp_path / "atlas"
    images.mkdir()
    write_images(str(images), 6)
    options = BuildOptions(SPEC, str(images), atlas, layers=("deep",), units=((1, 1),), renderer=renderer, is_quiet=True)
    build(replace(options, techniques=("feature_visualization",)))
    with TestClient(create_app(AppSettings(atlas))) as client:
        pictures = client.get("/api/v1/models/net/deep/1").json()["visualizations"]
    assert len(pictures) == (1 if renderer == "maco" else 5)
    assert {picture["parameterization"] for picture in pictures} == {"maco" if renderer == "maco" else "fourier"}
    capsys.readouterr()
    for picture in pictures[:2]:
        words = [str(images) if word == "IMAGES" else word for word in shlex.split(picture["command"])]
        assert words[:2] == ["unitscope", "render"]
        out = tmp_path / "again.webp"
        assert main([*words[1:], "--out", str(out), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
        assert picture["image"] == f"/media/{answer['sha256']}.{answer['extension']}"
        assert answer["activation"] == picture["activation"]
    at = words.index("--seed") + 1
    assert main([*words[1:at], "7", *words[at + 1 :]]) == 0
    assert capsys.readouterr().out.strip() != answer["sha256"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deeep", "0"], "deep"),
        (["deep", "99"], "0 to"),
        (["head", "0", "--objective", "neuron"], "It has 1: channel"),
        (["deep", "0", "--seed", "-1"], "from 0"),
        (["deep", "0", "--renderer", "maco"], "Give --images"),
        (["deep", "0", "--images", "embedded"], "--renderer maco"),
    ],
)
def test_what_is_not_there_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", SPEC, *words]) == 2
    answer = capsys.readouterr()
    assert said in answer.err
    assert "Traceback" not in answer.err
