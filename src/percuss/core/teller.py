"""Whom a long computation tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Teller(Protocol):
    """Who is told how far the work is (``percuss.pipeline.progress.Progress`` fits)."""

    def line(self, text: str) -> None:
        """One sentence for the reader."""

    def start(self, label: str, total: int) -> None:
        """A step of ``total`` units begins."""

    def advance(self, count: int = 1) -> None:
        """``count`` units are done."""

    def stop(self) -> None:
        """The step ended."""


class Silent:
    """Says nothing."""

    def line(self, text: str) -> None:
        """Nothing."""

    def start(self, label: str, total: int) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""
