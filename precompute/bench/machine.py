"""What was measured on: part of the details of every bench."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class BenchOptions:
    """What was asked for; each bench looks at what concerns it.

    Attributes:
        atlas: The atlas that `serve` measures.
        model: The specification of the model that `featurevis` renders.
        layers: Of that model; none for the bench's own choice.
        is_flat: Whether `featurevis` also measures one job of 10,000 pictures.
        is_million: Whether `weights` also measures pages of an atlas of a million units.
    """

    atlas: Path
    model: str = "timm:tf_efficientnet_lite0@pip"
    layers: tuple[str, ...] = ()
    is_flat: bool = False
    is_million: bool = False


def describe_machine(*packages: str) -> dict[str, Any]:
    """Return the processor, cores and versions."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("unitscope", *packages)},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def time_in_turn(
    actions: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Run the actions in turn, round after round, and return the seconds of each: noise then falls on all alike.

    Args:
        actions: By name; each is run once beforehand.
        rounds: How often.
        clock: What counts: `time.process_time` leaves out what other processes did meanwhile.
    """
    for action in actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            start = clock()
            action()
            seconds[name].append(clock() - start)
    return seconds


def ratio(reference: list[float], ours: list[float]) -> float:
    """Return how many times faster ours is: the median over rounds of reference ÷ ours."""
    return statistics.median(a / b for a, b in zip(reference, ours, strict=True))
