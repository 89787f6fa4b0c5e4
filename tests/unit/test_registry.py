"""Registries: adding a file is enough, a name is taken once, and a wrong name finds the right one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from precompute.errors import UnknownName
from precompute.registry import Registry

PACKAGE = "registry_example"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("from precompute.registry import Registry\nTHINGS = Registry('thing', __name__)\n")
    write(folder, "second", "beta")
    write(folder, "first", "alpha")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def write(folder: Path, module: str, name: str) -> None:
    text = f"from {PACKAGE} import THINGS\n\n\n@THINGS.register({name!r})\nclass Thing:\n    pass\n"
    (folder / f"{module}.py").write_text(text)


def things() -> Registry[type]:
    __import__(PACKAGE)
    return sys.modules[PACKAGE].THINGS


@pytest.mark.usefixtures("package")
def test_modules_are_found_and_sorted_by_name() -> None:
    assert things().names() == ["alpha", "beta"]
    assert [(name, item.__module__) for name, item in things().items()] == [
        ("alpha", f"{PACKAGE}.first"),
        ("beta", f"{PACKAGE}.second"),
    ]


def test_a_new_file_is_enough(package: Path) -> None:
    write(package, "third", "gamma")
    assert things().get("gamma").__module__ == f"{PACKAGE}.third"


def test_one_name_for_two_modules_is_refused_with_both_named(package: Path) -> None:
    write(package, "third", "alpha")
    with pytest.raises(ValueError, match=rf"'alpha'.*{PACKAGE}\.first and {PACKAGE}\.third"):
        things().load_all()


@pytest.mark.usefixtures("package")
def test_an_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(UnknownName) as caught:
        things().get("alpa")
    assert caught.value.closest == ["alpha"]
    assert "no thing 'alpa'" in caught.value.detail
