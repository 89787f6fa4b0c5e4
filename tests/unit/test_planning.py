"""What a build is to do: techniques, what is left, and that better results are not replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from precompute import pipeline
from precompute.cli import main
from precompute.executors.local import Job, JobOutcome
from precompute.pipeline import build
from precompute.planning import BuildOptions, choose_techniques


@pytest.fixture
def options(twelve_images: Path, tmp_path: Path) -> BuildOptions:
    atlas = tmp_path / "atlas"
    return BuildOptions(
        "tiny:net@random:0", str(twelve_images), atlas, layers=("stem",), techniques=("statistics",), is_quiet=True
    )


class FakeExecutor:
    """Does nothing, and remembers what it was to do."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def run(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, JobOutcome]]:
        for job in jobs:
            self.jobs.append(job)
            yield job, JobOutcome()

    def close(self) -> None:
        """Nothing to close."""


def test_what_a_technique_needs_is_built_too(options: BuildOptions) -> None:
    assert list(choose_techniques(["feature_visualization"])) == [
        "feature_visualization",
        "dataset_examples",
        "statistics",
    ]
    assert list(choose_techniques(["statistics"])) == ["statistics"]
    assert set(choose_techniques([])) == {
        "statistics",
        "dataset_examples",
        "activation_maps",
        "feature_visualization",
        "weights",
        "responses",
        "similar_units",
    }


def test_plan_counts_only_what_is_left(options: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", options.spec, "--images", options.images, "--atlas", str(options.atlas), "--layers", "stem", "--json"]

    def planned() -> dict[str, dict[str, Any]]:
        assert main(words) == 0
        techniques: dict[str, dict[str, Any]] = json.loads(capsys.readouterr().out)["techniques"]
        return techniques

    before = planned()
    assert (before["statistics"]["tasks"], before["statistics"]["done"]) == (1, 0)
    assert not options.atlas.exists()
    build(options)
    capsys.readouterr()
    after = planned()
    assert (after["statistics"]["tasks"], after["statistics"]["done"]) == (0, 1)
    assert after["feature_visualization"] == before["feature_visualization"]


def test_draft_is_not_made_where_the_final_picture_is(options: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr(pipeline, "LocalExecutor", lambda *_arguments, **_more: FakeExecutor(jobs))
    wanted = replace(options, techniques=("feature_visualization",), units=((0, 0), (1, 1)))
    build(replace(wanted, quality="final", units=((1, 1),)))
    assert {unit for job in jobs for unit in job.item.units} == {1}
    jobs.clear()
    build(replace(wanted, quality="draft"))
    assert jobs
    assert {unit for job in jobs for unit in job.item.units} == {0}
    jobs.clear()
    build(replace(wanted, quality="final"))
    assert {unit for job in jobs for unit in job.item.units} == {0}


def test_plan_refuses_what_the_build_would_refuse(options: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
    build(options)
    words = ["plan", "--images", options.images, "--atlas", str(options.atlas), "--layers", "stem"]
    assert main([*words, "tiny:net@random:1", "--name", "net"]) == 2
    assert "already holds a model 'net' with other weights" in capsys.readouterr().err
    assert main([*words, options.spec, "--seed", "3"]) == 2
    assert "was built with seed 0" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [str(10**20), "-1"])
def test_seed_that_cannot_be_stored_is_refused(options: BuildOptions, capsys: pytest.CaptureFixture[str], seed: str) -> None:
    words = ["build", options.spec, "--images", options.images, "--atlas", str(options.atlas), "--seed", seed]
    assert main(words) == 2
    assert "whole number from 0" in capsys.readouterr().err
    assert not options.atlas.exists()
