"""One number of an endpoint with the interval that its verdict rests on, right about who and what varies.

- One answer per case: Tango's interval of a difference, Wilson's of a share.
- Several answers per case (copies of one reader, or readers of whom fewer than two finished), or several cases per
  patient: the same intervals with as many independent answers as these are worth (``statistics.worth``), counts scaled
  to them. Held in simulations, see docs/study-results.md.
- Two readers or more who answered everything: readers and cases random (``mrmc``), copies averaged, never narrower than
  as many independent answers (``widening``). Readers who did not finish are left out and named. Where readings agree so
  far that there are no bounds, the interval above stands in.
- Ratings: Student's t over cases, or readers and cases random.

The value is always the mean over all answers that count. Where patients have several cases they take the place of
cases: whole patients are left out by the jackknife, their number gives the degrees of freedom.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from percuss.core.results import Interval
from percuss.study.results.pooled import none
from percuss.study.results.widening import Kind, p_alone, widened
from percuss.study.statistics.case_jackknife import Units
from percuss.study.statistics.exchange import exchange_p
from percuss.study.statistics.mrmc import LEAST_ERROR, Estimate, estimate
from percuss.study.statistics.paired_share import PairedTable, mcnemar, newcombe, score_bounds
from percuss.study.statistics.worth import effective, wilson_bounds

Scale = Literal["share", "rating"]
_KINDS: dict[tuple[Scale, bool], Kind] = {
    ("share", False): "share",
    ("share", True): "difference",
    ("rating", False): "rating",
    ("rating", True): "rating difference",
}


@dataclass(frozen=True)
class Sample:
    """One answer, or two that are compared: 1 and 0 of shares, ratings as they are.

    Attributes:
        unit: patient or case, as what varies by chance.
        first: of the arm that a loss is counted from (or the only one); second: of the other; None without one.
    """

    reader: str
    case: str
    unit: str
    copy: int
    first: float
    second: float | None = None

    @property
    def value(self) -> float:
        """The difference, or the answer itself."""
        return self.first - (self.second or 0.0)


@dataclass(frozen=True)
class Decision:
    """A number and how it was come by.

    Attributes:
        value: what a verdict rests on; n counts cases (patients where they are known to have several).
        beside: the same number by other methods.
        p_value: of no difference, two-sided; None where the method has none. test: its name.
        readers: behind the value. left_out: those with answers who are not.
    """

    value: Interval
    beside: list[Interval] = field(default_factory=list)
    p_value: float | None = None
    test: str = ""
    readers: int = 0
    left_out: tuple[str, ...] = ()


def decide(samples: Sequence[Sample], *, expected: int, alpha: float, scale: Scale) -> Decision:
    """The number with its interval at the two-sided level 1 - 2 alpha.

    Args:
        samples: all of them with a second answer, or none.
        expected: samples of a reader who has answered everything.
        alpha: one-sided, below 0.5.
        scale: what the answers are.
    """
    if not samples:
        return Decision(none())
    count: dict[str, int] = defaultdict(int)
    for sample in samples:
        count[sample.reader] += 1
    names = sorted(count, key=lambda name: (len(name), name))
    kept = [name for name in names if count[name] >= expected] or names
    used = [sample for sample in samples if sample.reader in kept]
    many = _many(used, kept, alpha=alpha, scale=scale) if len(kept) > 1 and count[kept[0]] >= expected else None
    found = many or (_shares(used, alpha) if scale == "share" else _ratings(used, alpha))
    left = tuple(name for name in names if name not in kept)
    return Decision(found.value, found.beside, found.p_value, found.test, len(kept), left)


def _many(samples: Sequence[Sample], readers: Sequence[str], *, alpha: float, scale: Scale) -> Decision | None:
    """Readers and cases random; None where the readings do not vary, or there is one case or patient."""
    of_case = {sample.case: sample.unit for sample in samples}
    if len(set(of_case.values())) < 2:
        return None
    paired = samples[0].second is not None
    found = estimate(_means(samples, readers, list(of_case)), paired=paired, units=_units(list(of_case.values())))
    if found.error < LEAST_ERROR:
        return None
    value = _t(found, alpha, scale=scale if paired else f"one {scale}", method=found.interval.method)
    answers = [sample.value for sample in samples]
    kind = _KINDS[scale, paired]
    worth = effective(by_unit(samples))
    value = widened(value, answers, kind, confidence=1 - 2 * alpha, worth=worth)
    p_value = None
    if paired:
        # No more certain than the interval that was widened.
        p_value = float(2 * student.sf(abs(found.interval.value or 0.0) / found.error, found.df))
        p_value = max(p_value, p_alone(answers, kind, worth=worth))
    beside = [_shares(samples, alpha).value] if scale == "share" else []
    what = "cases" if len(set(of_case.values())) == len(of_case) else "patients"
    return Decision(value, beside, p_value, f"t, readers and {what} random" if paired else "")


def _units(names: Sequence[str]) -> Units | None:
    """The unit of each place as a number; None where each has its own."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return None if len(numbers) == len(names) else (np.array([numbers[name] for name in names]),)


def _shares(samples: Sequence[Sample], alpha: float) -> Decision:
    units = by_unit(samples)
    worth = effective(units)
    each, confidence, once = len(samples), 1 - 2 * alpha, len(units) == len(samples)
    value = sum(sample.value for sample in samples) / each
    patients = len(units) < len({sample.case for sample in samples})
    several = "" if once else f", {each} answers to {len(units)} {'patients' if patients else 'cases'} as {worth:.3g}"
    many = "; readers as they are" if len({sample.reader for sample in samples}) > 1 else ""
    tail = several + level(alpha) + many
    if samples[0].second is None:
        low, high = wilson_bounds(value, worth, confidence=confidence)
        return Decision(Interval(value=value, low=low, high=high, n=len(units), method=f"Wilson{tail}"))
    ahead = sum(max(sample.value, 0.0) for sample in samples) * worth / each
    behind = sum(max(-sample.value, 0.0) for sample in samples) * worth / each
    low, high = score_bounds(ahead, behind, worth, confidence=confidence)
    # Rounding must not push a limit past the value.
    tango = Interval(
        value=value, low=min(low, value), high=max(high, value), n=len(units), method=f"Tango score, paired{tail}"
    )
    if once:
        table = table_of(samples)
        return Decision(tango, [newcombe(table, confidence=confidence)], mcnemar(table), "McNemar, exact")
    beside = _ratings(samples, alpha).value
    p_value = exchange_p(round(sum(unit)) for unit in units)
    test = f"exact, arms of whole {'patients' if patients else 'cases'} exchanged"
    return Decision(tango, [beside] if beside.low is not None else [], p_value, test)


def _ratings(samples: Sequence[Sample], alpha: float) -> Decision:
    """Student's t of the mean over all answers, whoever gave them, with cases or patients as what varies."""
    names = [sample.unit for sample in samples]
    count, paired = len(set(names)), samples[0].second is not None
    what = "patients" if count < len({sample.case for sample in samples}) else "cases"
    table = np.array([[sample.value for sample in samples]])
    if count < 2:
        method = f"undefined: one {what.removesuffix('s')}"
        return Decision(Interval(value=float(table.mean()), low=None, high=None, n=1, method=method))
    found = estimate(table, paired=paired, units=_units(names))
    if found.error < LEAST_ERROR:
        method = "undefined: the answers do not vary"
        return Decision(Interval(value=float(table.mean()), low=None, high=None, n=count, method=method))
    p_value = float(2 * student.sf(abs(float(table.mean())) / found.error, found.df)) if paired else None
    test = f"Student's t over {what}"
    value = _t(found, alpha, scale="rating", method=test)
    return Decision(value, [], p_value, test if paired else "")


def by_unit(samples: Sequence[Sample]) -> list[list[float]]:
    """Values of the samples of each unit."""
    units: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        units[sample.unit].append(sample.value)
    return list(units.values())


def table_of(samples: Sequence[Sample]) -> PairedTable:
    """Paired samples of shares as a table; each case must be there once."""
    first = np.array([sample.first == 1 for sample in samples], dtype=bool)
    return PairedTable.of(first, np.array([sample.second == 1 for sample in samples], dtype=bool))


def level(alpha: float) -> str:
    """The level of an interval for its method, where it is not 95 %."""
    return "" if math.isclose(alpha, 0.025) else f", {100 * (1 - 2 * alpha):g} % interval"


def _means(samples: Sequence[Sample], readers: Sequence[str], cases: Sequence[str]) -> NDArray[np.float64]:
    """Mean of each reader in each case, ``[readers, cases]``."""
    rows = {name: place for place, name in enumerate(readers)}
    columns = {name: place for place, name in enumerate(cases)}
    total, count = np.zeros((len(readers), len(cases))), np.zeros((len(readers), len(cases)))
    for sample in samples:
        total[rows[sample.reader], columns[sample.case]] += sample.value
        count[rows[sample.reader], columns[sample.case]] += 1
    return np.asarray(total / count)


def _t(found: Estimate, alpha: float, *, scale: str, method: str) -> Interval:
    value = found.interval.value or 0.0
    half = float(student.ppf(1 - alpha, found.df)) * found.error
    ends = {"share": (-1.0, 1.0), "one share": (0.0, 1.0), "one rating": (1.0, 5.0)}.get(scale, (-math.inf, math.inf))
    low, high = max(ends[0], value - half), min(ends[1], value + half)
    return Interval(value=value, low=low, high=high, n=found.interval.n, method=method + level(alpha))
