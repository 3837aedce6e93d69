"""How far readers agree with themselves over copies, and with each other: raw, kappa and AC1 (``study.agreement``).

Each record is of one arm: a case's answers to two arms depend on each other and are no two items. Where patients have
several cases, patients are what varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from percuss.core.results import Interval
from percuss.core.study_results import AgreementRecord
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import Task
from percuss.study.results.pooled import none, share
from percuss.study.results.read import Read, categories, of, readers_of, shown_kinds, units
from percuss.study.statistics.agreement import Agreement, agreement


def agreements(reads: Sequence[Read], protocol: Protocol) -> list[AgreementRecord]:
    """Every reader over successive copies, every two readers in each copy, and the mean over all pairs of readers.

    Cases without one of both answers are left out: ``items`` counts those that have both. The mean over pairs (of three
    readers or more) is of raw agreement alone, readers as they are.
    """
    found: list[AgreementRecord] = []
    for task, arm in shown_kinds(protocol):
        chosen = of(reads, task=task, arm=arm)
        names = categories(task, protocol)
        for copy in range(2, protocol.copies + 1):
            found += within(chosen, (copy - 1, copy), (task, arm), names=names)
        for copy in range(1, protocol.copies + 1):
            found += _between(chosen, copy, (task, arm), names)
    return found


def within(
    reads: Sequence[Read], copies: tuple[int, int], place: tuple[Task, str], *, names: tuple[str, ...]
) -> list[AgreementRecord]:
    """Agreement of each reader with themselves over two copies of one task and arm (``place``)."""
    found, of_case = [], _units(reads)
    for reader in readers_of(reads):
        first, second = (_answers(reads, reader, copy) for copy in copies)
        found.append(_record("within", place, [reader], (copies, _both(first, second, names, of_case))))
    return found


def _between(
    reads: Sequence[Read], copy: int, place: tuple[Task, str], names: tuple[str, ...]
) -> list[AgreementRecord]:
    readers, of_case = readers_of(reads), _units(reads)
    answers = {reader: _answers(reads, reader, copy) for reader in readers}
    found = [
        _record("between", place, [one, two], ((copy,), _both(answers[one], answers[two], names, of_case)))
        for one, two in combinations(readers, 2)
    ]
    if len(readers) > 2:
        raw = _all_pairs(reads, answers, copy)
        task, arm = place
        found.append(
            AgreementRecord(
                kind="all pairs",
                task=task,
                arm=arm,
                readers=readers,
                copies=[copy],
                items=raw.n,
                raw=raw,
                kappa=None,
                ac1=None,
                table=None,
                categories=list(names),
            )
        )
    return found


def _all_pairs(reads: Sequence[Read], answers: dict[str, dict[str, str]], copy: int) -> Interval:
    """Mean over pairs and cases of whether two readers agree; a pair of answers is one item of its case."""
    of_case = {read.trial.case: read for read in reads if read.trial.copy_number == copy}
    items, flags = [], []
    for one, two in combinations(answers.values(), 2):
        for case in one:
            if case in two:
                items.append(of_case[case])
                flags.append(one[case] == two[case])
    if not items:
        return none()
    found = share(items, flags)
    count = len(set(units(items)))
    return found.model_copy(update={"n": count, "method": f"{found.method.partition(';')[0]}; readers as they are"})


def _answers(reads: Sequence[Read], reader: str, copy: int) -> dict[str, str]:
    return {read.trial.case: read.category for read in reads if (read.reader, read.trial.copy_number) == (reader, copy)}


def _both(first: dict[str, str], second: dict[str, str], names: tuple[str, ...], of_case: dict[str, str]) -> Agreement:
    cases = [case for case in first if case in second]
    given = [first[case] for case in cases], [second[case] for case in cases]
    return agreement(*given, names, units=[of_case[case] for case in cases])


def _units(reads: Sequence[Read]) -> dict[str, str]:
    """The patient of each case, or the case itself."""
    return {read.trial.case: unit for read, unit in zip(reads, units(reads), strict=True)}


def _record(
    kind: str, place: tuple[Task, str], readers: list[str], found: tuple[tuple[int, ...], Agreement]
) -> AgreementRecord:
    copies, both = found
    return AgreementRecord(
        kind="within" if kind == "within" else "between",
        task=place[0],
        arm=place[1],
        readers=readers,
        copies=list(copies),
        items=int(np.sum(both.table)),
        raw=both.raw,
        kappa=both.kappa,
        ac1=both.ac1,
        table=[list(row) for row in both.table],
        categories=list(both.categories),
    )
