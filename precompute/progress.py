"""Telling a person how far a long step is: a bar on a terminal, plain lines in a log, never on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 20.0
SECONDS_BETWEEN_REPORTS = 1.0


class Stage:
    """One long step.

    Args:
        title: What is being done, as a person says it.
        total: How many things there are to do.
        unit: What is counted ("image", "picture").
        num_done: How many were done before.
        is_quiet: Plain lines now and then in place of a bar.
        report: Told `(title, done, total, rate)` about once a second; None to tell nobody.
    """

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        *,
        num_done: int = 0,
        is_quiet: bool = False,
        report: Callable[[str, int, int, float | None], None] | None = None,
    ) -> None:
        self.title = title
        self.total = total
        self.num_done = num_done
        self._num_at_start = num_done
        self._unit = unit
        self._report = report
        self._started = time.monotonic()
        self._last_report = self._last_line = 0.0
        self._bar = None
        if not is_quiet and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=num_done, desc=title, unit=f" {unit}", file=sys.stderr, smoothing=0.1)
        self.advance(0)

    @property
    def per_second(self) -> float | None:
        """Return the mean rate since the start, or None before anything was done."""
        done = self.num_done - self._num_at_start
        seconds = time.monotonic() - self._started
        return done / seconds if done and seconds > 0 else None

    def advance(self, count: int = 1) -> None:
        """Say that `count` more are done."""
        self.num_done += count
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(count)
        elif now - self._last_line >= SECONDS_BETWEEN_LINES or self.num_done >= self.total > 0:
            self._last_line = now
            self._print_line()
        if self._report is not None and (now - self._last_report >= SECONDS_BETWEEN_REPORTS or self.num_done >= self.total):
            self._last_report = now
            self._report(self.title, self.num_done, self.total, self.per_second)

    def _print_line(self) -> None:
        rate = self.per_second
        left = f", {_duration((self.total - self.num_done) / rate)} left" if rate and self.num_done < self.total else ""
        speed = f" ({rate:.1f} a second{left})" if rate else ""
        print(f"{self.title}: {self.num_done} of {self.total} {self._unit}s{speed}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _duration(seconds: float) -> str:
    """Return a time as a person says it.

    >>> _duration(7325)
    '2 h 02 min'
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass(frozen=True)
class BuildReport:
    """How a build ended.

    Attributes:
        num_done: Tasks that this build did.
        failed: Technique, layer and error of each task that failed.
        num_images: Shown to the model.
        num_skipped: Files that could not be used.
        left_out: Layers that depend on parameters that the weight file lacks.
    """

    num_done: int
    failed: list[str]
    num_images: int
    num_skipped: int
    left_out: tuple[str, ...] = ()
