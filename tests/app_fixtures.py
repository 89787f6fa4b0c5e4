"""Fixtures of the app's tests: the small atlas, and a client that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import AppSettings
from tests.fixture_atlas import make_fixture_atlas


@pytest.fixture(scope="session")
def fixture_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the small atlas; tests only read it."""
    return make_fixture_atlas(tmp_path_factory.mktemp("atlas") / "fixture")


@pytest.fixture(scope="session")
def client(fixture_atlas: Path) -> Iterator[TestClient]:
    """Return a client of the app over the small atlas."""
    with TestClient(create_app(AppSettings(fixture_atlas)), follow_redirects=False) as found:
        yield found
