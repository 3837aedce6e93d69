"""Answers of an endpoint as samples: of one arm, or of two arms side by side by reader, case and copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from percuss.core.study_results import PairedRecord
from percuss.study.results.decide import Sample, table_of
from percuss.study.results.read import Read, units
from percuss.study.statistics.paired_share import mcnemar, newcombe, tango

Valued = Callable[[Read], float]


def singles(reads: Sequence[Read], value: Valued) -> list[Sample]:
    """One sample for each read."""
    return [
        Sample(read.reader, read.trial.case, unit, read.trial.copy_number, value(read))
        for read, unit in zip(reads, units(reads), strict=True)
    ]


def pairs(first: Sequence[Read], second: Sequence[Read], value: Valued) -> list[Sample]:
    """Both arms of a case where the same reader answered both in the same copy; others have no pair."""
    others = {_key(read): read for read in second}
    return [
        Sample(read.reader, read.trial.case, unit, read.trial.copy_number, value(read), value(others[_key(read)]))
        for read, unit in zip(first, units(first), strict=True)
        if _key(read) in others
    ]


def agreeing(reads: Sequence[Read]) -> list[Sample]:
    """Whether a reader answered a case alike in every two successive copies; copies that miss one are left out."""
    by = {_key(read): read for read in reads}
    found = []
    for (reader, case, copy), read in by.items():
        before = by.get((reader, case, copy - 1))
        if before is not None:
            unit = units([read])[0]
            found.append(Sample(reader, case, unit, copy, float(read.category == before.category)))
    return found


def joined(first: Sequence[Sample], second: Sequence[Sample]) -> list[Sample]:
    """Two lists of single samples as pairs."""
    others = {(item.reader, item.case, item.copy): item.first for item in second}
    return [
        Sample(item.reader, item.case, item.unit, item.copy, item.first, others[item.reader, item.case, item.copy])
        for item in first
        if (item.reader, item.case, item.copy) in others
    ]


def tables(samples: Sequence[Sample], *, alpha: float, arm_first: bool) -> list[PairedRecord]:
    """One table for each reader and copy: each case is there once, as Tango's interval and McNemar's test need it.

    ``arm_first``: the first of each pair is the endpoint's arm, not what it is held against.
    """
    found = []
    for reader, copy in dict.fromkeys((sample.reader, sample.copy) for sample in samples):
        table = table_of([sample for sample in samples if (sample.reader, sample.copy) == (reader, copy)])
        one, two = table.first_only, table.second_only
        found.append(
            PairedRecord(
                reader=reader,
                copy_number=copy,
                both=table.both,
                against_only=two if arm_first else one,
                arm_only=one if arm_first else two,
                neither=table.neither,
                difference=tango(table, confidence=1 - 2 * alpha),
                newcombe=newcombe(table, confidence=1 - 2 * alpha),
                mcnemar_exact=mcnemar(table),
                mcnemar_mid_p=mcnemar(table, mid_p=True),
            )
        )
    return found


def _key(read: Read) -> tuple[str, str, int]:
    return read.reader, read.trial.case, read.trial.copy_number
