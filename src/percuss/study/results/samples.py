"""Answers of an endpoint as samples: of one arm, or of two arms side by side by reader, case and copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from percuss.core.results import Interval
from percuss.core.study_results import PairedRecord
from percuss.study.results.decide import Sample, by_unit, table_of
from percuss.study.results.read import Read, units
from percuss.study.statistics.exchange import exchange_p
from percuss.study.statistics.paired_share import hybrid_bounds, mcnemar, newcombe, score_bounds, tango
from percuss.study.statistics.worth import effective

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

    Where patients have several cases, their answers count as ``worth`` independent ones, and the tests exchange the
    arms of whole patients. ``arm_first``: the first of each pair is the endpoint's arm, not what it is held against.
    """
    found = []
    for reader, copy in dict.fromkeys((sample.reader, sample.copy) for sample in samples):
        own = [sample for sample in samples if (sample.reader, sample.copy) == (reader, copy)]
        table, sure = table_of(own), _sure(own, confidence=1 - 2 * alpha)
        one, two = table.first_only, table.second_only
        found.append(
            PairedRecord(
                reader=reader,
                copy_number=copy,
                both=table.both,
                against_only=two if arm_first else one,
                arm_only=one if arm_first else two,
                neither=table.neither,
                difference=sure.difference,
                newcombe=sure.newcombe,
                mcnemar_exact=sure.exact,
                mcnemar_mid_p=sure.mid_p,
            )
        )
    return found


@dataclass(frozen=True)
class _Sure:
    """Both intervals of a table and both p values."""

    difference: Interval
    newcombe: Interval
    exact: float
    mid_p: float


def _sure(samples: Sequence[Sample], *, confidence: float) -> _Sure:
    table, units = table_of(samples), by_unit(samples)
    plain = tango(table, confidence=confidence), newcombe(table, confidence=confidence)
    if len(units) == len(samples):
        return _Sure(*plain, mcnemar(table), mcnemar(table, mid_p=True))
    worth = effective(units)
    cells = tuple(cell * worth / table.n for cell in (table.both, table.first_only, table.second_only, table.neither))
    ends = (
        score_bounds(cells[1], cells[2], worth, confidence=confidence),
        hybrid_bounds((cells[0], cells[1], cells[2], cells[3]), confidence=confidence),
    )
    tail = f", {table.n} cases of {len(units)} patients as {worth:.3g}; p values: arms of whole patients exchanged"
    first, second = (
        item.model_copy(update={"low": low, "high": high, "n": len(units), "method": item.method + tail})
        for item, (low, high) in zip(plain, ends, strict=True)
    )
    net = [round(sum(unit)) for unit in units]
    return _Sure(first, second, exchange_p(net), exchange_p(net, mid_p=True))


def _key(read: Read) -> tuple[str, str, int]:
    return read.reader, read.trial.case, read.trial.copy_number
