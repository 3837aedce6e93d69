"""What commands print: a bar or plain lines while they work, findings at the end; and the command line itself."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from percuss.core.outcome import Finding
from percuss.core.results import FindingRecord
from percuss.pipeline.progress import Progress


def given_command() -> str:
    """The command line as given, where it is one of percuss."""
    return shlex.join(["percuss", *sys.argv[1:]]) if Path(sys.argv[0]).stem == "percuss" else ""


def print_findings(findings: Iterable[Finding | FindingRecord]) -> None:
    """One line for each on stdout."""
    for finding in findings:
        print(f"{finding.severity}: {finding.message} [{finding.id}]")


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
