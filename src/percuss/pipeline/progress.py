"""What a long step may say while it works; silent unless a command shows it."""

from __future__ import annotations


class Progress:
    """Says nothing. Commands pass one that prints."""

    def line(self, text: str) -> None:
        """One sentence for the reader."""

    def start(self, label: str, total: int) -> None:
        """A step of ``total`` units begins."""

    def advance(self, count: int = 1) -> None:
        """``count`` units are done."""

    def stop(self) -> None:
        """The step ended."""
