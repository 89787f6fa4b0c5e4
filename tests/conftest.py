"""Options, markers and fixtures for all tests: tiers by cost, no network, Debian's Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from tests.writers import TOKEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIERS = {
    "slow": ("--run-slow", "runs a real model or a long build"),
    "browser": ("--run-browser", "drives Chromium"),
    "firefox": ("--run-browser", "drives Firefox"),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FIREFOXES = ("firefox-esr", "firefox")
NO_BROWSER = "Chromium is missing, the browser tests are left out: `apt-get install chromium`, or set CHROMIUM to its path"
NO_FIREFOX = "Firefox is missing, its tests are left out: `apt-get install firefox-esr`, or set FIREFOX to its path"
REPOSITORY = Path(__file__).resolve().parent.parent

# Libraries that would ask a hub for a newer file must not even try.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return os.environ.get("CHROMIUM") or next((path for path in map(shutil.which, BROWSERS) if path), None)


def find_firefox() -> str | None:
    """Return the path of a Firefox, or None."""
    return os.environ.get("FIREFOX") or next((path for path in map(shutil.which, FIREFOXES) if path), None)


# What the tests of a marker cannot do without, and what to do where it is missing.
BROWSER_OF = {"browser": (find_chromium, NO_BROWSER), "firefox": (find_firefox, NO_FIREFOX)}


def pytest_addoption(parser: pytest.Parser) -> None:
    for option in dict.fromkeys(option for option, _ in TIERS.values()):
        told = [f"{name}: {help_text}" for name, (its_option, help_text) in TIERS.items() if its_option == option]
        parser.addoption(option, action="store_true", help=f"also run the tests marked {', '.join(told)}")


def pytest_configure(config: pytest.Config) -> None:
    for name, (option, help_text) in TIERS.items():
        config.addinivalue_line("markers", f"{name}: {help_text}; only with {option}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    missing = [message for find, message in BROWSER_OF.values() if find() is None]
    return missing if config.getoption("--run-browser") else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for name, (option, _) in TIERS.items():
            if item.get_closest_marker(name) and not config.getoption(option):
                item.add_marker(pytest.mark.skip(reason=f"{name} test: needs {option}"))
        for name, (find, message) in BROWSER_OF.items():
            if item.get_closest_marker(name) and find() is None:
                item.add_marker(pytest.mark.skip(reason=message))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium for `playwright.chromium.launch(executable_path=…)`."""
    path = find_chromium()
    assert path is not None, NO_BROWSER
    return path


@pytest.fixture(scope="session")
def firefox() -> str:
    """Return the path of Firefox."""
    path = find_firefox()
    assert path is not None, NO_FIREFOX
    return path


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the folder of this checkout."""
    return REPOSITORY


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # the path of a Unix socket
        return True
    host = str(address[0])
    return host in {"localhost", "::1", "0.0.0.0", ""} or host.startswith("127.")


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            real = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, real: Any = real) -> Any:
                if not _is_local(address):
                    raise OSError(f"tests may not reach the network, and one tried {address!r}")
                return real(self, address)

            patch.setattr(socket.socket, name, guarded)
        yield


@pytest.fixture(scope="session")
def fixture_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small atlas with every kind of result in it, missing ones too."""
    from tests.fixture_atlas import make_fixture_atlas

    return make_fixture_atlas(tmp_path_factory.mktemp("atlas") / "fixture")


@pytest.fixture(scope="session")
def client(fixture_atlas: Path) -> Iterator[TestClient]:
    """Return a client of the app over the small atlas."""
    from app.main import create_app
    from app.settings import AppSettings

    with TestClient(create_app(AppSettings(fixture_atlas)), follow_redirects=False) as found:
        yield found


def copy_atlas(atlas: Path, folder: Path) -> Path:
    """Copy an atlas that is only read, so that the copy can be written to, and return the copy."""
    folder.mkdir()
    for name in ("atlas.db", "user.db"):
        shutil.copy(atlas / name, folder / name)
    (folder / "blobs").symlink_to(atlas / "blobs")
    return folder


@pytest.fixture(scope="module")
def writable_atlas(tmp_path_factory: pytest.TempPathFactory, fixture_atlas: Path) -> Path:
    """Return a copy of the small atlas that the tests of one file write to."""
    return copy_atlas(fixture_atlas, tmp_path_factory.mktemp("writable") / "atlas")


@pytest.fixture
def atlas(tmp_path: Path, fixture_atlas: Path) -> Path:
    """Return a copy of the small atlas that a test may write to."""
    return copy_atlas(fixture_atlas, tmp_path / "atlas")


@pytest.fixture
def writer(atlas: Path) -> Iterator[TestClient]:
    """Return a client of a server where who knows the token may write."""
    from app.main import create_app
    from app.settings import AppSettings

    with TestClient(create_app(AppSettings(atlas, write_token=TOKEN)), follow_redirects=False) as found:
        yield found


# Not for the whole session: while Playwright runs, no other test can run an event loop of its own.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Return a running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(fixture_atlas: Path) -> Iterator[str]:
    """Return the address of a server of the small atlas."""
    from tests.browser.visitor import serve

    with serve(fixture_atlas) as found:
        yield found


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    """A build fixes the number of threads of its process; the next test must not see that. The app's tests have no torch."""
    torch = sys.modules.get("torch")
    count = None if torch is None else torch.get_num_threads()
    yield
    if torch is not None:
        torch.set_num_threads(count)


@pytest.fixture
def twelve_images(tmp_path: Path) -> Path:
    """Return a folder of twelve small images."""
    from tests.tiny import write_images  # brings torch, which the app's tests do without

    folder = tmp_path / "images"
    folder.mkdir()
    write_images(str(folder), 12)
    return folder
