"""A study of a given size: what it takes, and what it can show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from percuss.core.errors import UsageError
from percuss.study.planning.plan_text import shown_text
from percuss.study.planning.random_readers import Crossed
from percuss.study.planning.reach import Shown, shown
from percuss.study.statistics.paired_share import score_bounds


@dataclass(frozen=True)
class Size:
    """Cases that every reader reads as original and as perturbed copy.

    Attributes:
        cases: how many.
        readers: how many; each reads every case.
        copies: how often each reader sees each image: more time, no more cases.
        case_share, reader_share: correlations, as in ``planning.Wanted``.
        seconds: time of one trial.
    """

    cases: int
    readers: int = 1
    copies: int = 1
    case_share: float = 0.0
    reader_share: float = 0.0
    seconds: float = 6.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning, with a UsageError."""
        for name, count in (("cases", self.cases), ("readers", self.readers), ("copies", self.copies)):
            if count < 1:
                raise UsageError(f"the number of {name} is too small", value=count, allowed="1 or more", next_step="")
        shares = (self.case_share, self.reader_share)
        if min(shares) < 0 or sum(shares) >= 1 or (self.readers == 1 and any(shares)):
            raise UsageError(
                "the shares of case and reader are out of range",
                value=f"{self.case_share} and {self.reader_share}",
                allowed="0 or above, less than 1 together; 0 with one reader",
                next_step="correct them and plan again",
            )
        if not 0 < self.seconds < math.inf:
            raise UsageError("the time of a trial is out of range", value=self.seconds, allowed="seconds above 0")

    @property
    def trials(self) -> int:
        """Per reader: each case as original and as copy."""
        return 2 * self.cases * self.copies

    @property
    def minutes(self) -> float:
        """Per reader, without breaks."""
        return self.trials * self.seconds / 60

    @property
    def worth(self) -> int:
        """Independent pairs that the answers of all readers are worth."""
        return math.floor(Crossed(self.readers, self.case_share, self.reader_share).worth(self.cases) + 1e-9)


@dataclass(frozen=True)
class Reach:
    """A size and what it shows: as the flips were given, or with none at all and with one helpful flip."""

    size: Size
    found: tuple[Shown, ...]

    @property
    def alike(self) -> float | None:
        """Of several readers, the loss in [0, 1] that the results leave possible where every pair is answered alike.

        They cannot tell then how far readers agree, and take a case as one answer (Tango, two-sided 95 %).
        """
        return score_bounds(0.0, 0.0, float(self.size.cases))[1] if self.size.readers > 1 else None


def reach(
    size: Size,
    *,
    flips: tuple[int, int] | None = None,
    discordance: float = 0.1,
    alpha: float = 0.025,
    power: float = 0.8,
) -> Reach:
    """Say what a size can show.

    Args:
        size: the size.
        flips: harmful and helpful ones, seen or supposed; None supposes no harmful one, with and without a helpful one.
        discordance: share of pairs answered differently, for the smallest effects.
        alpha: one-sided.
        power: chance to show them.

    Raises:
        UsageError: as ``reach.shown``.
    """
    supposed = [flips] if flips is not None else [(0, 0), (0, 1)]
    settings = {"discordance": discordance, "alpha": alpha, "power": power}
    return Reach(
        size,
        tuple(shown(size.worth, harmful=harmful, helpful=helpful, **settings) for harmful, helpful in supposed),
    )


def reach_text(known: Reach) -> str:
    """What the size takes, what no harmful flip leaves possible, and the smallest effects, as paragraphs."""
    size, first = known.size, known.found[0]
    who = "One reader reads" if size.readers == 1 else f"Each of {size.readers} readers reads"
    twice = "" if size.copies == 1 else f" {size.copies} times"
    takes = (
        f"{who} {size.cases} cases as original and as perturbed copy{twice}: {size.trials} trials, about "
        f"{size.minutes:.0f} minutes at {size.seconds:g} seconds each, breaks not counted."
    )
    if size.copies > 1:
        takes += " Copies measure agreement with oneself; they are not counted as further cases."
    if size.readers > 1:
        takes += f" Their answers are worth those of {size.worth} independent cases."
    parts = [takes]
    if len(known.found) > 1:
        low, high = sorted(found.score_two_sided for found in known.found)
        parts.append(
            f"Even with no harmful flip at all the true loss may still be {100 * low:.0f} to {100 * high:.0f} points: "
            f"{100 * high:.1f} if every pair is answered alike, {100 * low:.1f} if one flip is helpful "
            "(upper end of the two-sided 95 % interval)."
        )
        if known.alike is not None:
            parts[-1] += (
                " The results of several readers cannot tell how far these agree where every pair is answered alike, "
                f"and take a case as one answer: {100 * known.alike:.1f} points then."
            )
    return "\n\n".join([*parts, shown_text(first)])
