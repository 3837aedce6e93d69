"""Doubts about how images were looked at, from what the browser measured; nothing of it decides a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from percuss.core.study_results import DeviationRecord
from percuss.study.results.deviation import deviation
from percuss.study.results.read import Read, readers_of

#: Milliseconds below which nobody has looked, and above which the reader was probably away.
FAST, SLOW = 500.0, 300_000.0

Told = tuple[str, str, str, Callable[[Read], bool]]


def looking(reads: Sequence[Read]) -> Iterator[DeviationRecord]:
    """One record for each reader and kind, with places and how many; other bytes first."""
    kinds: tuple[Told, ...] = (
        ("other-bytes", "severe", "to images shown from other bytes than the model was judged on", other_bytes),
        (
            "not-hashed",
            "info",
            "to images whose bytes the browser could not hash, so that they are not proven",
            _not_hashed,
        ),
        ("below-true-pixels", "warning", "to images never seen at true pixels: the largest zoom was below 1", _small),
        ("fast", "warning", f"given within {FAST / 1000:g} s of the image", _fast),
        ("slow", "info", f"given after more than {SLOW / 60000:g} minutes", _slow),
        ("focus-lost", "info", "given after the page had been hidden or had lost its focus", _lost),
        ("offline", "info", "kept in the browser until a connection was there again", _offline),
    )
    for reader in readers_of(reads):
        own = [read for read in reads if read.reader == reader]
        for kind, severity, words, is_so in kinds:
            hit = [read for read in own if is_so(read)]
            if hit:
                message = f"{len(hit)} of {len(own)} answers of {reader} were {words}."
                yield deviation(kind, severity, message, reader=reader, count=len(hit), places=_places(hit))


def other_bytes(read: Read) -> bool:
    """Whether the browser received other files than the trial has; False where it could not hash them."""
    found = [sha.lower() for sha in read.shown.sha256 if sha]
    if not found:
        return False
    wanted = [read.trial.image] if not read.trial.beside else [read.trial.image, read.trial.beside]
    return found != (wanted[::-1] if read.side == "right" else wanted)


def _not_hashed(read: Read) -> bool:
    return not any(read.shown.sha256)


def _small(read: Read) -> bool:
    return read.shown.zoom_most is not None and read.shown.zoom_most < 1 - 1e-6


def _fast(read: Read) -> bool:
    return read.shown.reaction_ms is not None and read.shown.reaction_ms < FAST


def _slow(read: Read) -> bool:
    return read.shown.reaction_ms is not None and read.shown.reaction_ms > SLOW


def _lost(read: Read) -> bool:
    return read.shown.focus_losses > 0


def _offline(read: Read) -> bool:
    return read.shown.offline


def _places(reads: Sequence[Read]) -> list[int]:
    return [read.number for read in reads]
