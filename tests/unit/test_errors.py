"""Errors that people see: what was asked, what exists, the next step, and an exit status."""

from __future__ import annotations

import difflib
import inspect

import pytest

from precompute import errors
from precompute.errors import PublicError, UnknownName, UsageError, closest_names

CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, PublicError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_error_has_statuses_a_title_and_a_place_in_the_tree(kind: type[PublicError]) -> None:
    assert kind.exit_code in {1, 2}
    assert 400 <= kind.http_status < 600
    assert kind.title
    assert kind.__name__ in (errors.__doc__ or "")


def test_wrong_use_exits_with_2_and_is_no_fault_of_the_server() -> None:
    assert UsageError.exit_code == 2
    assert [kind.__name__ for kind in CLASSES if issubclass(kind, UsageError) and kind.http_status >= 500] == []


def test_detail_is_the_text() -> None:
    assert PublicError("the disk is full").detail == "the disk is full"


def test_unknown_name_suggests_the_closest_and_the_next_step() -> None:
    error = UnknownName("layer", "blocks.0.conv", ["blocks.0.conv1", "head"], "resnet18", "`unitscope layers` lists them.")
    assert error.closest[0] == "blocks.0.conv1"
    assert "resnet18 has no layer 'blocks.0.conv'" in error.detail
    assert "Did you mean 'blocks.0.conv1'" in error.detail
    assert error.detail.endswith("It has 2. `unitscope layers` lists them.")


@pytest.mark.parametrize(
    ("known", "part"),
    [
        pytest.param([], "There is no unit 'zzz'.", id="none"),
        pytest.param(["a", "b"], "There are 2: a, b.", id="few"),
        pytest.param([f"n{index}" for index in range(50)], "There are 50.", id="many"),
    ],
)
def test_unknown_name_lists_what_exists_where_it_is_short(known: list[str], part: str) -> None:
    assert UnknownName("unit", "zzz", known).detail.endswith(part)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("RESNET18", ["resnet18"], id="case"),
        pytest.param("resnet-18", ["resnet18"], id="hyphen"),
        pytest.param("something else", [], id="nothing-close"),
        pytest.param("", [], id="empty"),
    ],
)
def test_closest_names(asked: str, expected: list[str]) -> None:
    assert closest_names(asked, ["resnet18", "vgg", "convnext_tiny"], count=1) == expected


@pytest.mark.parametrize("asked", ["copy12.blocks.3.0.conv_pwx", "Copy7.Block.1.1.conv_dw", "cpy30.head", "qqqq", "x", ""])
def test_closest_of_very_many_names_is_that_of_a_look_at_each(asked: str) -> None:
    parts = [f"blocks.{stage}.{block}.conv_{kind}" for stage in range(4) for block in range(3) for kind in ("pw", "dw", "pwl")]
    names = [f"copy{copy}.{part}" for copy in range(40) for part in [*parts, "head"]]
    few = difflib.get_close_matches(asked.lower(), names, n=1, cutoff=0.6)
    assert closest_names(asked, names, count=1) == few
