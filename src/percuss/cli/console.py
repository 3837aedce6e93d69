"""What a command prints while it works: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import Any

from percuss.pipeline.progress import Progress


def talk(*, quiet: bool) -> Progress:
    """The teller that fits: silent, a bar on a terminal, or plain lines. All on stderr; stdout is for results."""
    if quiet:
        return Progress()
    return Bars() if sys.stderr.isatty() else Lines()


class Lines(Progress):
    """Plain lines, and one each half minute of long work."""

    def __init__(self) -> None:
        self._label, self._total, self._done, self._begun, self._said = "", 0, 0, 0.0, 0.0

    def line(self, text: str) -> None:
        """Print one line."""
        print(text, file=sys.stderr, flush=True)

    def start(self, label: str, total: int) -> None:
        """Remember what is counted."""
        self._label, self._total, self._done = label, total, 0
        self._begun = self._said = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count, and say how far it is now and then."""
        self._done += count
        now = time.monotonic()
        if now - self._said > 30 and self._done < self._total:
            self._said = now
            left = (now - self._begun) / self._done * (self._total - self._done)
            self.line(f"{self._label}: {self._done} of {self._total}, about {left:.0f} s left")


class Bars(Progress):
    """A bar with the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bar: Any = None
        self._task: Any = None

    def line(self, text: str) -> None:
        """Print one line above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def start(self, label: str, total: int) -> None:
        """Show a bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = RichProgress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task(label, total=total)
        self._bar.start()

    def advance(self, count: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, count)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
