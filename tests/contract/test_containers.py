"""The container files name what exists. There may be no Docker here, so they are read, not built."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_A_STAGE = {"/src/static", "/wheels"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    """Return the instructions of each stage of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if stage := re.fullmatch(r"FROM \S+ AS (\w+)", line):
            found[stage[1]] = []
        elif line and not line.startswith("#"):
            found[list(found)[-1]].append(line)
    return found


def test_services_build_stages_that_exist(services: dict[str, Any], stages: dict[str, list[str]]) -> None:
    assert {service["build"]["target"] for service in services.values()} == {"web", "precompute"} <= set(stages)


def test_the_two_services_share_one_volume(services: dict[str, Any]) -> None:
    assert all("atlas:/atlas" in service["volumes"] for service in services.values())
    assert services["precompute"]["profiles"] == ["precompute"]
    assert "profiles" not in services["web"]


def test_the_web_service_is_closed_to_the_outside(services: dict[str, Any]) -> None:
    web = services["web"]
    assert web["ports"] == ["127.0.0.1:8000:8000"]
    assert web["read_only"] is True
    assert web["cap_drop"] == ["ALL"]
    assert not web.get("privileged")


def test_copied_paths_exist(stages: dict[str, list[str]]) -> None:
    for stage, lines in stages.items():
        for line in lines:
            if not line.startswith("COPY"):
                continue
            words = line.split()[1:-1]
            if words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in stages
                assert set(words[1:]) <= MADE_BY_A_STAGE
            else:
                assert [word for word in words if not (ROOT / word).exists()] == [], stage


def test_copied_paths_reach_the_builder(stages: dict[str, list[str]]) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for lines in stages.values()
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert copied == allowed


def test_images_run_the_command_without_root(stages: dict[str, list[str]]) -> None:
    (script,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in ("web", "precompute"):
        assert f'ENTRYPOINT ["{script}"]' in stages[name]
        assert "USER unitscope" in stages[name]
    assert not any("torch" in line.lower() or "[demo]" in line for line in stages["web"])


def test_torch_has_the_same_version_everywhere() -> None:
    pattern = re.compile(r"torch==[\d.]+ torchvision==[\d.]+")
    first, second = (pattern.search((ROOT / name).read_text()) for name in ("Makefile", "Dockerfile"))
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
