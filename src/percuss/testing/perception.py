"""A reader made of known numbers: what the statistics of a study must find again.

Each image gives one impression, a normal draw of unit variance around 0 where it is unchanged and around d' where it
is changed (N. A. Macmillan, C. D. Creelman, Detection Theory: A User's Guide, 2nd ed. (2005)). Which of two: the side
with the larger impression, the left one favoured by ``left``. Same or different: different where the two lie further
apart than ``criterion``. Rating: between which of the ``cuts`` the impression lies. Diagnosis: right with the
probability given for its arm and truth; with probability ``repeat`` a further copy gets the answer of the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from percuss.core.errors import UsageError
from percuss.core.seeds import seed_of
from percuss.study.answers import STEPS, Choice, Diagnosis, Manipulation, Same
from percuss.study.design.trials import Task

#: Arms that change nothing: their images give impressions around 0.
_UNCHANGED = ("original", "identical")


@dataclass(frozen=True)
class Sight:
    """What there is to see in one trial.

    Attributes:
        task: what is asked.
        case: id of the case.
        arm: name of the arm.
        truth: class of the case; used in ``diagnosis`` alone.
        side: where the changed image lies, ``left`` or ``right``; empty where one image or no changed one is shown.
        copy: how many times this reader has met this case, arm and task, this time included.
    """

    task: Task
    case: str
    arm: str
    truth: str = ""
    side: str = ""
    copy: int = 1


@dataclass(frozen=True)
class Perception:
    """The numbers of one simulated reader.

    Attributes:
        dprime: of changed images by name of arm; an arm that is not named is not seen (0).
        right: probability of a right diagnosis by name of arm, then by truth: sensitivity and specificity.
        repeat: probability that a later copy gets the first copy's diagnosis, in [0, 1]. Kappa of two copies where
            all cases of two classes have one probability.
        criterion: of ``same``, in units of an impression's spread; above 0.
        cuts: of ``manipulation``, rising, one fewer than there are steps.
        left: what is added to the impression of the left image in ``choice``: a bias to that side.
        lapse: share of answers drawn blindly from all that are allowed, in [0, 1).
        seed: equal numbers and equal seeds give equal answers, in whatever order the trials come.
    """

    dprime: Mapping[str, float] = field(default_factory=dict)
    right: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    repeat: float = 0.0
    criterion: float = 1.0
    cuts: tuple[float, ...] = (-0.5, 0.5, 1.0, 1.5)
    left: float = 0.0
    lapse: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        shares = [self.repeat, self.lapse, *(share for truths in self.right.values() for share in truths.values())]
        if any(not 0 <= share <= 1 for share in shares) or self.lapse == 1:
            raise UsageError("a share of a simulated reader is none", value=shares, allowed="0 to 1, lapse below 1")
        if len(self.cuts) != STEPS - 1 or list(self.cuts) != sorted(self.cuts):
            raise UsageError("the cuts of a rating", value=self.cuts, allowed=f"{STEPS - 1} numbers, rising")
        if not self.criterion > 0:
            raise UsageError("the criterion of a simulated reader", value=self.criterion, allowed="above 0")

    def answer(self, sight: Sight, labels: Sequence[str]) -> Diagnosis | Manipulation | Choice | Same:
        """The answer to one trial.

        Args:
            sight: what there is to see.
            labels: the protocol's; needed for ``diagnosis``.

        Raises:
            UsageError: a diagnosis in an arm or of a truth that ``right`` does not name.
        """
        draw = np.random.default_rng(seed_of(self.seed, sight.task, sight.case, sight.arm, sight.copy))
        blind = draw.random() < self.lapse
        if sight.task == "diagnosis":
            return self._diagnosis(sight, labels, draw, blind=blind)
        if sight.task == "manipulation":
            return Manipulation(task="manipulation", rating=self._rating(sight, draw, blind=blind))
        if sight.task == "choice":
            return Choice(task="choice", side="left" if self._left(sight, draw, blind=blind) else "right")
        return Same(task="same", same=self._same(sight, draw, blind=blind))

    def chance_right(self, arm: str) -> float:
        """Probability of a right answer in ``choice``, over both sides, lapses included."""
        sides = [norm.cdf((self._of(arm) + sign * self.left) / math.sqrt(2)) for sign in (1, -1)]
        return float((1 - self.lapse) * sum(sides) / 2 + self.lapse / 2)

    def chance_rated(self, arm: str, rating: int) -> float:
        """Probability of a manipulation rating of ``rating`` or more, lapses included; ``rating`` from 2."""
        seen = norm.sf(self.cuts[rating - 2] - self._of(arm))
        return float((1 - self.lapse) * seen + self.lapse * (STEPS + 1 - rating) / STEPS)

    def _of(self, arm: str) -> float:
        return 0.0 if arm in _UNCHANGED else float(self.dprime.get(arm, 0.0))

    def _left(self, sight: Sight, draw: np.random.Generator, *, blind: bool) -> bool:
        if blind:
            return bool(draw.random() < 0.5)
        left, right = draw.normal(size=2) + [self._of(sight.arm) * (sight.side == side) for side in ("left", "right")]
        return bool(left + self.left > right)

    def _same(self, sight: Sight, draw: np.random.Generator, *, blind: bool) -> bool:
        if blind:
            return bool(draw.random() < 0.5)
        first, second = draw.normal(size=2)
        return bool(abs(first + self._of(sight.arm) - second) <= self.criterion)

    def _rating(self, sight: Sight, draw: np.random.Generator, *, blind: bool) -> int:
        if blind:
            return int(draw.integers(1, STEPS + 1))
        return 1 + int(np.searchsorted(self.cuts, draw.normal() + self._of(sight.arm)))

    def _diagnosis(self, sight: Sight, labels: Sequence[str], draw: np.random.Generator, *, blind: bool) -> Diagnosis:
        try:
            share = self.right[sight.arm][sight.truth]
        except KeyError as error:
            step = "name the probability of a right diagnosis for each arm and truth"
            value = f"{sight.arm}, {sight.truth}"
            raise UsageError("a simulated reader without a diagnosis", value=value, next_step=step) from error
        if blind:
            label = str(draw.choice(list(labels)))
        else:
            # A stable reader draws anew only what is not repeated: the first copy's draw has a generator of its own.
            repeats = sight.copy > 1 and draw.random() < self.repeat
            copy = 1 if repeats else sight.copy
            own = np.random.default_rng(seed_of(self.seed, "diagnosis", sight.case, sight.arm, copy))
            others = [label for label in labels if label != sight.truth]
            label = sight.truth if own.random() < share else str(own.choice(others))
        # Right answers are a step surer on average, so that a curve over confidence has an area above one half.
        confidence = int(draw.integers(2, STEPS + 1)) if label == sight.truth else int(draw.integers(1, STEPS))
        return Diagnosis(task="diagnosis", label=label, confidence=confidence)


def weibull_dprimes(sizes: Mapping[str, float], *, threshold: float, slope: float) -> dict[str, float]:
    """d' by arm of a reader whose share right in ``choice`` is a Weibull curve over the size of change.

    Without lapses the share is 0.5 + 0.5 F(eps), F = 1 - 2^-((eps / threshold)^slope), so 75 % at the threshold.

    Args:
        sizes: eps by name of arm, 0 or above.
        threshold: eps that is right in 75 %; above 0, else UsageError.
        slope: exponent of eps; above 0, else UsageError.
    """
    if not (threshold > 0 and slope > 0):
        raise UsageError("a threshold or slope that has no curve", value=(threshold, slope), allowed="both above 0")
    seen = {arm: -math.expm1(-math.log(2) * (eps / threshold) ** slope) for arm, eps in sizes.items()}
    # Beyond the resolution of a double the share is 1 and d' infinite: no trial would tell it from 12.
    return {arm: min(12.0, math.sqrt(2) * float(norm.ppf(0.5 + 0.5 * share))) for arm, share in seen.items()}
