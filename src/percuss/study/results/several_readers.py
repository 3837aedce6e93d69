"""Each changed arm of the diagnoses beside the original with readers and cases random, by right answers and by AUC.

Right answers are those to every case; AUC is of the reader's confidence, from surely positive to surely negative, in
studies of two labels with cases of both. Copies of a case are averaged. Beside ``mrmc.difference`` stands the analysis
of variance of Obuchowski and Rockette. Intervals of right answers are never narrower than those of as many independent
answers (``widening``); for an AUC there is no such floor. Where anything is missing for it, the record says what.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.study_results import ManyReadersRecord
from percuss.study.answers import Diagnosis
from percuss.study.design.protocol import Protocol
from percuss.study.results.read import Read, readers_of, shown_kinds
from percuss.study.results.widening import p_alone, widened
from percuss.study.statistics.mrmc import Estimate, Measure, estimate, kernel
from percuss.study.statistics.mrmc_anova import obuchowski_rockette_of
from percuss.study.statistics.mrmc_table import Readings

Floats = NDArray[np.float64]


def several_readers(reads: Sequence[Read], protocol: Protocol) -> list[ManyReadersRecord]:
    """Two records (share, AUC) for each arm of the diagnoses but the original; none without diagnoses or original."""
    arms = [arm for task, arm in shown_kinds(protocol) if task == "diagnosis"]
    if "original" not in arms:
        return []
    return [_record(reads, protocol, arm, measure) for arm in arms if arm != "original" for measure in ("share", "auc")]


def readings(reads: Sequence[Read], protocol: Protocol, measure: Measure, *, copy: int) -> Readings:
    """One copy's diagnoses as a crossed table; readers who did not answer all of it are left out.

    Scores: 1 and 0 for right and wrong, or the signed confidence. DataError where nobody answered all.
    """
    chosen = [read for read in reads if read.trial.task == "diagnosis" and read.trial.copy_number == copy]
    names = complete(reads, protocol)
    rows = [
        {
            "reader": read.reader,
            "case": read.trial.case,
            "arm": read.trial.arm,
            "score": score(read, protocol) if measure == "auc" else float(read.right is True),
            "truth": int(read.truth == protocol.positive),
        }
        for read in chosen
        if read.reader in names
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
    change = estimate(one - two, paired=True)
    test = obuchowski_rockette_of((one, two), cases=len(protocol.cases))
    values = [estimate(item, paired=False).interval for item in (one, two)]
    gap, p_value = change.interval, change.p_value
    if measure == "share":
        values = [widened(item, copy.ravel().tolist(), "share") for item, copy in zip(values, copies, strict=True)]
        answers = (copies[0] - copies[1]).ravel().tolist()
        gap = widened(gap, answers, "difference")
        p_value = None if p_value is None else max(p_value, p_alone(answers, "difference"))
    per_reader = dict(zip(tables[0].readers, change.per_reader, strict=True))
    return ManyReadersRecord(
        task="diagnosis",
        arm=arm,
        against="original",
        measure=measure,
        missing="",
        readers=len(names),
        cases=len(protocol.cases),
        arm_value=values[1],
        against_value=values[0],
        difference=gap,
        p_value=p_value,
        df=_finite(change),
        reader_variance=change.reader_variance,
        per_reader={name: float(value) for name, value in per_reader.items()},
        obuchowski_rockette=test.difference,
        obuchowski_rockette_p=test.p_value,
    )


def _missing(reads: Sequence[Read], protocol: Protocol, names: Sequence[str], measure: Measure) -> str:
    started = readers_of(read for read in reads if read.trial.task == "diagnosis")
    if len(names) < 2:
        left = f"; {len(started) - len(names)} did not answer every diagnosis" if len(started) > len(names) else ""
        return (
            f"two readers who answered every diagnosis; there {'is' if len(names) == 1 else 'are'} {len(names)}{left}"
        )
    if len(protocol.cases) < 2:
        return "two cases"
    if measure == "share":
        return ""
    if len(protocol.labels) != 2:
        return f"two labels; there are {len(protocol.labels)}"
    positives = sum(case.truth == protocol.positive for case in protocol.cases)
    few = min(positives, len(protocol.cases) - positives)
    return "" if few >= 2 else f"two positive and two negative cases; one kind has {few}"


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
        obuchowski_rockette=None,
        obuchowski_rockette_p=None,
    )
