"""One number of an endpoint with the interval that its verdict rests on, right about who and what varies.

- One answer per case: Tango's interval of a difference, Wilson's of a share.
- Several answers per case (copies of one reader, or readers of whom fewer than two finished), or several cases per
  patient: the same intervals with as many independent answers as these are worth (``pooled.effective``), counts scaled
  to them. Held in simulations, see docs/study-results.md.
- Two readers or more who answered everything: readers and cases random (``mrmc``), copies averaged, never narrower than
  as many independent answers (``widening``). Readers who did not finish are left out and named. Where readings agree so
  far that there are no bounds, the interval above stands in.
- Ratings: Student's t over cases, or readers and cases random.
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
from percuss.study.results.pooled import effective, none, wilson_bounds
from percuss.study.results.widening import Kind, p_alone, widened
from percuss.study.statistics.mrmc import Estimate, estimate
from percuss.study.statistics.paired_share import PairedTable, mcnemar, newcombe, score_bounds

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
    """Readers and cases random; None where the readings do not vary, or there is one case."""
    units = list(dict.fromkeys(sample.unit for sample in samples))
    if len(units) < 2:
        return None
    paired = samples[0].second is not None
    found = estimate(_means(samples, readers, units), paired=paired)
    # estimate() calls the same error too small.
    if found.error < 1e-7:
        return None
    what = "patients" if len(units) < len({sample.case for sample in samples}) else "cases"
    method = f"U-statistic, {len(readers)} readers and {what} random, Hillis df"
    value = _t(found, alpha, scale=scale if paired else f"one {scale}", method=method)
    answers = [sample.value for sample in samples]
    kind = _KINDS[scale, paired]
    value = widened(value, answers, kind, confidence=1 - 2 * alpha)
    p_value = None
    if paired:
        # No more certain than the interval that was widened.
        p_value = float(2 * student.sf(abs(found.interval.value or 0.0) / found.error, found.df))
        p_value = max(p_value, p_alone(answers, kind))
    beside = [_shares(samples, alpha).value] if scale == "share" else []
    return Decision(value, beside, p_value, "t, readers and cases random" if paired else "")


def _shares(samples: Sequence[Sample], alpha: float) -> Decision:
    units: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        units[sample.unit].append(sample.value)
    worth = effective(list(units.values()))
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
    return Decision(tango, [beside] if beside.low is not None else [])


def _ratings(samples: Sequence[Sample], alpha: float) -> Decision:
    """Student's t over the means of cases, whoever read them."""
    units = list(dict.fromkeys(sample.unit for sample in samples))
    paired = samples[0].second is not None
    if len(units) < 2:
        only = sum(sample.value for sample in samples) / len(samples)
        return Decision(Interval(value=only, low=None, high=None, n=1, method="undefined: one case"))
    table = np.zeros((1, len(units)))
    for column, unit in enumerate(units):
        table[0, column] = np.mean([sample.value for sample in samples if sample.unit == unit])
    found = estimate(table, paired=paired)
    if found.error < 1e-7:
        method = "undefined: the answers do not vary"
        return Decision(Interval(value=float(table.mean()), low=None, high=None, n=len(units), method=method))
    p_value = float(2 * student.sf(abs(float(table.mean())) / found.error, found.df)) if paired else None
    value = _t(found, alpha, scale="rating", method="Student's t over cases")
    return Decision(value, [], p_value, "Student's t over cases" if paired else "")


def table_of(samples: Sequence[Sample]) -> PairedTable:
    """Paired samples of shares as a table; each case must be there once."""
    first = np.array([sample.first == 1 for sample in samples], dtype=bool)
    return PairedTable.of(first, np.array([sample.second == 1 for sample in samples], dtype=bool))


def level(alpha: float) -> str:
    """The level of an interval for its method, where it is not 95 %."""
    return "" if math.isclose(alpha, 0.025) else f", {100 * (1 - 2 * alpha):g} % interval"


def _means(samples: Sequence[Sample], readers: Sequence[str], units: Sequence[str]) -> NDArray[np.float64]:
    """Mean of each reader in each unit, ``[readers, units]``."""
    rows = {name: place for place, name in enumerate(readers)}
    columns = {name: place for place, name in enumerate(units)}
    total, count = np.zeros((len(readers), len(units))), np.zeros((len(readers), len(units)))
    for sample in samples:
        total[rows[sample.reader], columns[sample.unit]] += sample.value
        count[rows[sample.reader], columns[sample.unit]] += 1
    return np.asarray(total / count)


def _t(found: Estimate, alpha: float, *, scale: str, method: str) -> Interval:
    value = found.interval.value or 0.0
    half = float(student.ppf(1 - alpha, found.df)) * found.error
    ends = {"share": (-1.0, 1.0), "one share": (0.0, 1.0), "one rating": (1.0, 5.0)}.get(scale, (-math.inf, math.inf))
    low, high = max(ends[0], value - half), min(ends[1], value + half)
    return Interval(value=value, low=low, high=high, n=found.interval.n, method=method + level(alpha))
