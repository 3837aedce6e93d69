"""How many cases, trials and minutes a reader study needs, by formula and by simulation.

Several readers: answers on one case agree more than chance, and a reader's answers share the reader. With ``n`` cases,
``R`` readers and the correlations of case and reader, ``n R`` answers are worth
``n R / (1 + (R - 1) case_share + (n - 1) reader_share)`` independent ones (the variance of a mean in the crossed
two-way random model; with no reader share the design effect of L. Kish, Survey Sampling (1965)). Cases are added
until that is enough. Where there is a reader share, power is that of ``random_readers``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from percuss.core.errors import UsageError
from percuss.study.planning.power import LARGEST, choice_power, choice_size, paired_power, paired_size, variances
from percuss.study.planning.random_readers import Crossed, crossed_power
from percuss.study.planning.results_power import enough_cases, results_power
from percuss.study.planning.simulated_power import Model, Simulated, simulate

QUESTIONS = ("no_loss", "difference", "undetectable", "detectable")
_PAIRED = QUESTIONS[:2]


@dataclass(frozen=True)
class Wanted:
    """What the study must be able to show.

    Attributes:
        question: ``no_loss``: readers lose less than the margin on perturbed copies (non-inferiority of paired
            proportions); ``difference``: readers do lose (McNemar); ``undetectable``: in 2AFC the share right is below
            a limit; ``detectable``: it is above chance.
        effect: the margin in (0, 1); the loss to be found in (0, 1); the limit or the true share right in (0.5, 1).
        discordance: share of pairs answered differently, in (0, 1]; of pairs only.
        loss: true loss under which ``no_loss`` must have its power, below the margin; 0 unless said.
        readers: each reads every case.
        alpha: one-sided; 0.025 answers to a two-sided 95 % interval.
        power: chance that the study shows it where it is so.
        case_share, reader_share: correlation of two readers' answers on a case and of a reader's on two cases, [0, 1).
        seconds: time of one trial.
        copies: how often each reader sees each trial (2 to measure agreement with oneself); adds time, not power.
        test: ``score`` (Tango, Nam; holds its alpha) or ``wald`` (Liu's sample-based test; too bold in small studies).
    """

    question: str
    effect: float
    discordance: float | None = None
    loss: float = 0.0
    readers: int = 1
    alpha: float = 0.025
    power: float = 0.8
    case_share: float = 0.0
    reader_share: float = 0.0
    seconds: float = 6.0
    copies: int = 1
    test: str = "score"

    def __post_init__(self) -> None:
        """Refuse what has no meaning, with a UsageError."""
        _check_question(self)
        _check_rest(self)
        _check_readers(self)

    @property
    def paired(self) -> bool:
        """Whether each case is read as original and as copy."""
        return self.question in _PAIRED

    @property
    def model(self) -> Model:
        """The simulated answers and their test."""
        settings = {"alpha": self.alpha, "case_share": self.case_share, "reader_share": self.reader_share}
        if self.paired:
            margin, loss, discordance = self.rates
            shares = ((discordance + loss) / 2, (discordance - loss) / 2, 1 - discordance)
            below = self.question == "no_loss"
            return Model((1, -1, 0), shares, margin, below, self.test, **settings)
        null, truth = self.choice
        return Model((1, 0), (truth, 1 - truth), null, truth < null, "binomial", **settings)

    @property
    def rates(self) -> tuple[float, float, float]:
        """Margin, true loss and discordance of a paired question."""
        discordance = float(self.discordance or 0.0)
        return (self.effect, self.loss, discordance) if self.question == "no_loss" else (0.0, self.effect, discordance)

    @property
    def choice(self) -> tuple[float, float]:
        """Share right to be rejected and true share right of a 2AFC question."""
        return (self.effect, 0.5) if self.question == "undetectable" else (0.5, self.effect)


@dataclass(frozen=True)
class Needed:
    """The size of a study.

    Attributes:
        wanted: what it was asked for.
        cases: each read by every reader.
        trials: per reader (two per case where pairs are read, times the copies).
        minutes: per reader, without breaks.
        independent: answers that one reader alone, or readers who agree no more than chance, would need.
        expected: power by formula (exact binomial for choices, normal for pairs).
        simulated: power by simulation; None where it was not asked for.
        results: of several readers, power of the analysis that ``percuss study results`` makes, which takes readers as
            random (``results_power``); None for one reader, or without simulation.
        enough: about how many cases give ``results`` the wanted power where it is short; None where it is not, or
            where not even 16 times the cases do.
    """

    wanted: Wanted
    cases: int
    trials: int
    minutes: float
    independent: int
    expected: float
    simulated: Simulated | None
    results: Simulated | None = None
    enough: int | None = None

    @property
    def doubtful(self) -> bool:
        """Whether the simulation falls short of the wanted power by more than 3 of its errors and 2 points."""
        return _short(self.simulated, self.wanted.power)

    @property
    def results_short(self) -> bool:
        """Whether the results' analysis falls short of it in the same way."""
        return _short(self.results, self.wanted.power)


def needed(wanted: Wanted, *, draws: int = 4000, seed: int = 0) -> Needed:
    """Size the study; ``draws`` of 0 leaves the simulation out.

    Raises:
        UsageError: no number of cases is enough with so few readers, or more than ten million are needed.
    """
    if wanted.paired:
        margin, loss, discordance = wanted.rates
        settings = {"alpha": wanted.alpha, "power": wanted.power}
        independent = paired_size(discordance, loss, margin, test=wanted.test, **settings)
    else:
        independent = choice_size(*wanted.choice, alpha=wanted.alpha, power=wanted.power)
    cases = max(2, _cases(wanted, independent))
    if cases > LARGEST:
        raise UsageError(
            "the study would need too many cases",
            value=cases,
            allowed=f"{LARGEST} at most",
            next_step="ask for a larger effect or margin",
        )
    return _sized(wanted, cases, independent, draws=draws, seed=seed)


def sized(wanted: Wanted, cases: int, *, draws: int = 4000, seed: int = 0) -> Needed:
    """What a study of so many cases takes, and its power; ``independent`` is what its answers are worth.

    Raises:
        UsageError: not from 2 to ten million cases.
    """
    if not 2 <= cases <= LARGEST:
        _refuse("the number of cases is out of range", cases, f"2 to {LARGEST}")
    return _sized(wanted, cases, math.floor(effective(wanted, cases) + 1e-9), draws=draws, seed=seed)


def _sized(wanted: Wanted, cases: int, independent: int, *, draws: int, seed: int) -> Needed:
    trials = cases * wanted.copies * (2 if wanted.paired else 1)
    simulated = simulate(wanted.model, cases, wanted.readers, draws=draws, seed=seed) if draws else None
    minutes = trials * wanted.seconds / 60
    plan = Needed(wanted, cases, trials, minutes, independent, expected_power(wanted, cases), simulated)
    if not draws or wanted.readers == 1:
        return plan
    plan = replace(plan, results=results_power(wanted.model, cases, wanted.readers, draws=draws, seed=seed))
    if not plan.results_short:
        return plan
    return replace(plan, enough=enough_cases(wanted.model, cases, wanted.readers, power=wanted.power, seed=seed))


def _short(found: Simulated | None, power: float) -> bool:
    return found is not None and found.power + max(0.02, 3 * found.error) < power


def effective(wanted: Wanted, cases: int) -> float:
    """Independent answers that the readers' answers on so many cases are worth."""
    return Crossed(wanted.readers, wanted.case_share, wanted.reader_share).worth(cases)


def expected_power(wanted: Wanted, cases: int) -> float:
    """Power by formula of a study with so many cases."""
    if wanted.reader_share:
        return _random_power(wanted, cases, wanted.readers)
    worth = effective(wanted, cases)
    if wanted.paired:
        margin, loss, discordance = wanted.rates
        return paired_power(worth, discordance, loss, margin=margin, alpha=wanted.alpha, test=wanted.test)
    return choice_power(max(1, math.floor(worth + 1e-9)), *wanted.choice, alpha=wanted.alpha)


def _random_power(wanted: Wanted, cases: int, readers: int) -> float:
    if wanted.paired:
        margin, loss, discordance = wanted.rates
        gap, spread = abs(margin - loss), variances(discordance, loss, margin, test=wanted.test)
    else:
        null, truth = wanted.choice
        gap, spread = abs(null - truth), (null * (1 - null), truth * (1 - truth))
    crossed = Crossed(readers, wanted.case_share, wanted.reader_share)
    return crossed_power(gap, spread, alpha=wanted.alpha, crossed=crossed, cases=cases)


def _cases(wanted: Wanted, independent: int) -> int:
    if not wanted.reader_share:
        return math.ceil(independent * (1 + (wanted.readers - 1) * wanted.case_share) / wanted.readers - 1e-9)
    if _random_power(wanted, LARGEST, wanted.readers) < wanted.power:
        tried = range(wanted.readers + 1, 1001)
        enough = (readers for readers in tried if _random_power(wanted, LARGEST, readers) >= wanted.power)
        raise UsageError(
            "no number of cases is enough: the readers differ too much",
            value=f"{wanted.readers} readers with a reader share of {wanted.reader_share}",
            allowed=f"{next(enough, 'more than 1000')} readers or more",
            next_step="add readers, or accept a larger effect",
        )
    low, high = 1, LARGEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _random_power(wanted, middle, wanted.readers) >= wanted.power else (middle, high)
    return high


def _refuse(thing: str, value: object, allowed: str) -> None:
    raise UsageError(thing, value=value, allowed=allowed, next_step="correct it and plan again")


def _check_question(wanted: Wanted) -> None:
    effect, discordance = wanted.effect, wanted.discordance
    if wanted.question not in QUESTIONS:
        _refuse("the study's question is not known", wanted.question, ", ".join(QUESTIONS))
    if not wanted.paired:
        if not 0.5 < effect < 1:
            _refuse("a share right in 2AFC is out of range", effect, "above 0.5 (chance) and below 1")
        if discordance is not None or wanted.loss:
            _refuse("2AFC has no pairs of answers", "discordance or loss", "neither")
        return
    if not 0 < effect < 1:
        _refuse("the margin or loss is out of range", effect, "a share above 0 and below 1 (5 points are 0.05)")
    if discordance is None or not 0 < discordance <= 1:
        _refuse("the discordance is missing or out of range", discordance, "a share above 0, at most 1")
    if wanted.question == "difference" and wanted.loss:
        _refuse("the loss to be found is the effect", wanted.loss, "no loss beside it")
    elif abs(wanted.rates[1]) > wanted.rates[2]:
        _refuse("the loss is larger than the discordance", wanted.rates[1], f"at most {wanted.rates[2]}")
    elif wanted.question == "no_loss" and not -1 < wanted.loss < effect:
        _refuse("the true loss must lie below the margin", wanted.loss, f"below {effect}")


def _check_rest(wanted: Wanted) -> None:
    if not 0 < wanted.alpha < 0.5:
        _refuse("alpha is out of range", wanted.alpha, "above 0 and below 0.5, one-sided")
    if not wanted.alpha < wanted.power < 1:
        _refuse("the power is out of range", wanted.power, f"above alpha ({wanted.alpha}) and below 1")
    for name, count in (("readers", wanted.readers), ("copies", wanted.copies)):
        if not isinstance(count, int) or count < 1:
            _refuse(f"the number of {name} is not a count", count, "1, 2, 3 ...")
    if not 0 < wanted.seconds < math.inf:
        _refuse("the time of a trial is out of range", wanted.seconds, "seconds above 0")
    if wanted.test not in ("score", "wald") or (wanted.test == "wald" and wanted.readers > 1):
        _refuse("the test is not known here", wanted.test, "score, or wald with one reader")


def _check_readers(wanted: Wanted) -> None:
    for share in (wanted.case_share, wanted.reader_share):
        if not 0 <= share < 1:
            _refuse("the share of case or reader is out of range", share, "0 or above, below 1")
    if wanted.case_share + wanted.reader_share > 1:
        _refuse("the shares of case and reader add to more than 1", wanted.case_share, "1 in all at most")
    if wanted.readers == 1 and (wanted.reader_share or wanted.case_share):
        _refuse("one reader shows no share of case or reader", wanted.reader_share, "2 readers or more")
