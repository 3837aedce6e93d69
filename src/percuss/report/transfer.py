"""The page of a transfer matrix: one table per attack and budget, rows where it was made, columns where judged."""

from __future__ import annotations

from collections.abc import Sequence

from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.transfer import NOISE, TransferCell
from percuss.report.numbers import counted, share
from percuss.report.sections import Section, Table

_KINDS = (
    ("both", "flipped, of the images that both models get right (noise: that the judged model gets right)"),
    ("both_stored", "the same as stored: rounded to native depth"),
    ("given", "flipped, of the images of both on which the attack succeeded on its own model"),
    ("robust", "still right, of all images"),
)


def sections(cells: Sequence[TransferCell], *, findings: Sequence[Finding], models: Table, n: int) -> list[Section]:
    """The parts of the page."""
    keys = list(dict.fromkeys((cell.attack, cell.budget) for cell in cells if cell.source != NOISE))
    explain = (
        f"{n} images. Rows: the model an attack was made on; columns: the model it was judged on; the diagonal is the "
        "attack on the model itself. Every image is attacked with its whole budget, also after it flips.",
        "The row noise is random noise of the same size: what a change does that was made on no model.",
    )
    return [
        Section("Does an attack on one model flip another?", explain, tuple(findings), tables=matrices(cells, "both")),
        *(
            Section(
                f"{attack} within {budget}, all counts",
                tables=tuple(matrix(cells, (attack, budget), kind, caption=words) for kind, words in _KINDS),
            )
            for attack, budget in keys
        ),
        Section("The models", tables=(models,)),
    ]


def matrices(cells: Sequence[TransferCell], kind: str) -> tuple[Table, ...]:
    """The matrix of one number for every attack and budget."""
    keys = dict.fromkeys((cell.attack, cell.budget) for cell in cells if cell.source != NOISE)
    words = dict(_KINDS)[kind]
    return tuple(matrix(cells, key, kind, caption=f"{key[0]} within {key[1]}: {words}") for key in keys)


def matrix(cells: Sequence[TransferCell], key: tuple[str, str], kind: str, *, caption: str) -> Table:
    """One attack at one budget: sources down, targets across, noise of the same budget last."""
    attack, budget = key
    chosen = [c for c in cells if c.budget == budget and (c.attack == attack or c.source == NOISE)]
    values: dict[tuple[str, str], Interval] = {(c.source, c.target): getattr(c, kind) for c in chosen}
    targets = list(dict.fromkeys(c.target for c in chosen))
    sources = [*dict.fromkeys(c.source for c in chosen if c.source != NOISE), NOISE]
    body = tuple(
        (source, *(_cell(values[(source, target)]) if (source, target) in values else "–" for target in targets))
        for source in sources
    )
    return Table(("made on", *targets), body, caption=caption)


def _cell(interval: Interval) -> str:
    return "–" if interval.value is None else f"{share(interval)} ({counted(interval)})"
