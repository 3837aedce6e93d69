"""Each changed arm of the diagnoses beside the original with readers and cases random, by right answers and by AUC.

Right answers are those to every case; AUC is of the reader's confidence, from surely positive to surely negative, in
studies of two labels with cases of both. Copies of a case are averaged. Beside ``mrmc.difference`` stands the analysis
of variance of Obuchowski and Rockette. No interval is narrower than that of as many independent answers (``widening``,
``auc_widening``), and each has a width where all readings agree. Where patients have several cases they take the place
of cases. Where anything is missing for it, the record says what.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.results import Interval
from percuss.core.study_results import ManyReadersRecord
from percuss.study.answers import Diagnosis
from percuss.study.design.protocol import Protocol
from percuss.study.results.auc_widening import Floor, gap_p, widened_aucs, widened_gap
from percuss.study.results.decide import by_unit, decide
from percuss.study.results.read import Read, of, readers_of, shown_kinds
from percuss.study.results.samples import pairs, singles
from percuss.study.results.widening import p_alone, widened
from percuss.study.statistics.case_jackknife import Units, unit_count
from percuss.study.statistics.mrmc import Estimate, Measure, estimate, kernel
from percuss.study.statistics.mrmc_anova import FTest, obuchowski_rockette_of
from percuss.study.statistics.mrmc_table import Readings
from percuss.study.statistics.worth import effective

Floats = NDArray[np.float64]


def several_readers(reads: Sequence[Read], protocol: Protocol) -> list[ManyReadersRecord]:
    """Two records (share, AUC) for each arm of the diagnoses but the original; none without diagnoses or original."""
    arms = [arm for task, arm in shown_kinds(protocol) if task == "diagnosis"]
    if "original" not in arms:
        return []
    return [_record(reads, protocol, arm, measure) for arm in arms if arm != "original" for measure in ("share", "auc")]


def readings(reads: Sequence[Read], protocol: Protocol, measure: Measure, *, copy: int) -> Readings:
    """One copy's diagnoses as a crossed table; readers who did not answer all of it are left out.

    Readers, and cases as the protocol has them, stand in one order whatever order they were read in, so that tables of
    several copies fit on each other. Scores: 1 and 0 for right and wrong, or the signed confidence. DataError where
    nobody answered all.
    """
    places = {case.id: place for place, case in enumerate(protocol.cases)}
    names = complete(reads, protocol)
    chosen = [read for read in reads if read.trial.task == "diagnosis" and read.trial.copy_number == copy]
    chosen.sort(key=lambda read: places[read.trial.case])
    rows = [
        {
            "reader": read.reader,
            "case": read.trial.case,
            "arm": read.trial.arm,
            "score": score(read, protocol) if measure == "auc" else float(read.right is True),
            "truth": int(read.truth == protocol.positive),
        }
        for name in names
        for read in chosen
        if read.reader == name
    ]
    return Readings.of(pd.DataFrame(rows, columns=["reader", "case", "arm", "score", "truth"]))


def complete(reads: Sequence[Read], protocol: Protocol) -> list[str]:
    """Readers who answered every diagnosis of the study."""
    asked = sum(trial.task == "diagnosis" for trial in protocol.trials())
    count = Counter(read.reader for read in reads if read.trial.task == "diagnosis")
    return [name for name in readers_of(reads) if count[name] >= asked > 0]


def score(read: Read, protocol: Protocol) -> float:
    """Confidence that the case is positive: 5 to 1 where it was called so, else -1 to -5."""
    if not isinstance(read.answer, Diagnosis):
        return math.nan
    return float(read.answer.confidence if read.answer.label == protocol.positive else -read.answer.confidence)


def _record(reads: Sequence[Read], protocol: Protocol, arm: str, measure: Measure) -> ManyReadersRecord:
    names = complete(reads, protocol)
    missing = _missing(reads, protocol, names, measure)
    if missing:
        return _empty(arm, measure, missing, (len(names), len(protocol.cases)))
    tables = [readings(reads, protocol, measure, copy=copy) for copy in range(1, protocol.copies + 1)]
    copies = [np.stack([kernel(table, name, measure=measure) for table in tables]) for name in ("original", arm)]
    one, two = (np.asarray(item.mean(axis=0)) for item in copies)
    units = _units(tables[0], protocol, measure)
    change = estimate(one - two, paired=True, units=units)
    count = len(protocol.cases) if units is None else unit_count(units)
    test = obuchowski_rockette_of((one, two), cases=count, units=units)
    if measure == "share":
        kept = [read for read in reads if read.reader in names and read.trial.task == "diagnosis"]
        told = _shares(kept, protocol, arm, test)
    else:
        told = _aucs((one, two), change, test, floor=Floor.of((one, two), copies=protocol.copies, units=units))
    return ManyReadersRecord(
        task="diagnosis",
        arm=arm,
        against="original",
        measure=measure,
        missing="",
        readers=len(names),
        cases=len(protocol.cases),
        arm_value=told.arms[1],
        against_value=told.arms[0],
        difference=told.gap,
        p_value=told.p_value,
        df=_finite(change),
        reader_variance=change.reader_variance,
        per_reader=dict(zip(tables[0].readers, change.per_reader, strict=True)),
        each_reader=dict(zip(tables[0].readers, told.each, strict=True)),
        obuchowski_rockette=told.test,
        obuchowski_rockette_p=told.test_p,
    )


@dataclass(frozen=True)
class _Told:
    """Intervals of original and arm, of their difference, of Obuchowski and Rockette's, and of each reader's own."""

    arms: list[Interval]
    gap: Interval
    p_value: float | None
    test: Interval
    test_p: float | None
    each: list[Interval]


def _shares(reads: Sequence[Read], protocol: Protocol, arm: str, test: FTest) -> _Told:
    """By right answers, as an endpoint would have them; ``reads`` are of readers who answered everything."""
    one, two = (of(reads, task="diagnosis", arm=name) for name in ("original", arm))
    asked = len(protocol.cases) * protocol.copies
    samples = [singles(one, _right), singles(two, _right), pairs(one, two, _right)]
    found = [decide(item, expected=asked, alpha=0.025, scale="share") for item in samples]
    answers, gap = [sample.value for sample in samples[2]], found[2].value
    worth = effective(by_unit(samples[2]))
    square, p_value = widened(test.difference, answers, "difference", worth=worth), test.p_value
    if square.low is None:
        square = gap
    if p_value is not None:
        p_value = max(p_value, p_alone(answers, "difference", worth=worth))
    own = [[sample for sample in samples[2] if sample.reader == name] for name in readers_of(reads)]
    each = [decide(item, expected=asked, alpha=0.025, scale="share").value for item in own]
    return _Told([item.value for item in found[:2]], gap, found[2].p_value, square, p_value, each)


def _aucs(kernels: tuple[Floats, Floats], change: Estimate, test: FTest, *, floor: Floor) -> _Told:
    units = floor.units
    arms = widened_aucs([estimate(item, paired=False, units=units).interval for item in kernels], floor)
    gap, square = (widened_gap(item, floor) for item in (change.interval, test.difference))
    each = []
    for place in range(len(kernels[0])):
        one, two = (item[place : place + 1] for item in kernels)
        alone = Floor.of((one, two), copies=floor.copies, units=units)
        each.append(widened_gap(estimate(one - two, paired=True, units=units).interval, alone))
    return _Told(arms, gap, gap_p(change.p_value, floor), square, gap_p(test.p_value, floor), each)


def _right(read: Read) -> float:
    return float(read.right is True)


def _units(table: Readings, protocol: Protocol, measure: Measure) -> Units | None:
    """The patient of each case of the kernel; None where no patient has several cases. A case may have none known."""
    patients = {case.id: case.patient and f"patient {case.patient}" for case in protocol.cases}
    names = np.array([patients[case] or f"case {case}" for case in table.cases])
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if len(set(names)) == len(names):
        return None
    if measure == "share" or table.truth is None:
        return (codes,)
    return codes[~table.truth], codes[table.truth]


def _missing(reads: Sequence[Read], protocol: Protocol, names: Sequence[str], measure: Measure) -> str:
    started = readers_of(read for read in reads if read.trial.task == "diagnosis")
    if len(names) < 2:
        left = f"; {len(started) - len(names)} did not answer every diagnosis" if len(started) > len(names) else ""
        return (
            f"two readers who answered every diagnosis; there {'is' if len(names) == 1 else 'are'} {len(names)}{left}"
        )
    if len({case.patient or (case.id,) for case in protocol.cases}) < 2:
        return "two cases, of two patients"
    if measure == "share":
        return ""
    if len(protocol.labels) != 2:
        return f"two labels; there are {len(protocol.labels)}"
    positives = sum(case.truth == protocol.positive for case in protocol.cases)
    few = min(positives, len(protocol.cases) - positives)
    if few < 2:
        return f"two positive and two negative cases; one kind has {few}"
    kinds = [
        {case.patient or (case.id,) for case in protocol.cases if (case.truth == protocol.positive) is kind}
        for kind in (True, False)
    ]
    few = min(map(len, kinds))
    return "" if few >= 2 else f"positive and negative cases of two patients each; one kind has {few}"


def _finite(found: Estimate) -> float | None:
    return found.df if math.isfinite(found.df) else None


def _empty(arm: str, measure: Measure, missing: str, size: tuple[int, int]) -> ManyReadersRecord:
    return ManyReadersRecord(
        task="diagnosis",
        arm=arm,
        against="original",
        measure=measure,
        missing=missing,
        readers=size[0],
        cases=size[1],
        arm_value=None,
        against_value=None,
        difference=None,
        p_value=None,
        df=None,
        reader_variance=None,
        per_reader={},
        each_reader={},
        obuchowski_rockette=None,
        obuchowski_rockette_p=None,
    )
