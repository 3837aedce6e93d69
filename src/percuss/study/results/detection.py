"""How well readers told changed images from unchanged ones: percent correct and d', per reader and over all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import norm

from percuss.core.results import Interval
from percuss.core.study_results import DetectionRecord
from percuss.study.design.protocol import Protocol
from percuss.study.results import pooled
from percuss.study.results.arms import right
from percuss.study.results.read import Read, of, readers_of, shown_kinds, units
from percuss.study.statistics.detection import same_different
from percuss.study.statistics.worth import effective


def detection(reads: Sequence[Read], protocol: Protocol) -> list[DetectionRecord]:
    """A record for each arm of the tasks ``choice`` and ``same``, for each reader, and for all where there are several.

    In ``same`` the unchanged images are the identical pairs; without them d' has no value.
    """
    names = readers_of(reads)
    who: list[str | None] = [*names, None] if len(names) > 1 else [*names]
    return [
        _record(reads, task, arm, reader)
        for (task, arm), kind in shown_kinds(protocol).items()
        if task in ("choice", "same") and kind != "identical"
        for reader in who
    ]


def _record(reads: Sequence[Read], task: str, arm: str, reader: str | None) -> DetectionRecord:
    changed = of(reads, task=task, arm=arm, reader=reader)
    if task == "choice":
        correct = right(changed)
        return DetectionRecord(
            task=task,
            arm=arm,
            reader=reader,
            correct=correct,
            called=None,
            alarms=None,
            dprime=choice_dprime(correct),
            criterion=None,
        )
    still = of(reads, task=task, arm="identical", reader=reader)
    return DetectionRecord(
        task=task,
        arm=arm,
        reader=reader,
        correct=right([*changed, *still]),
        called=called(changed),
        alarms=called(still),
        dprime=pairs_dprime(changed, still),
        criterion=None,
    )


def called(reads: Sequence[Read]) -> Interval:
    """Share of pairs called different."""
    return pooled.share(reads, [read.called is True for read in reads])


def choice_dprime(correct: Interval) -> Interval:
    """d' of a choice of two: the square root of 2 times z of the share right; its bounds are those of the share."""
    if correct.value is None:
        return correct
    value, low, high = (_dprime(item) for item in (correct.value, correct.low, correct.high))
    alike = "" if value is not None else "; all answers alike: no finite value"
    return Interval(value=value, low=low, high=high, n=correct.n, method=f"{correct.method}, as d'{alike}")


def pairs_dprime(changed: Sequence[Read], still: Sequence[Read]) -> Interval:
    """d' of same and different pairs (``study.detection.same_different``).

    Pairs of a case that was read several times count for less, so that the bounds are those of as many cases as there
    are: a case's answers depend on each other.
    """
    if not changed or not still:
        return pooled.none("undefined: needs same and different pairs")
    hits, alarms = (sum(read.called is True for read in kind) for kind in (changed, still))
    first, second = (_worth(kind) / len(kind) for kind in (changed, still))
    plain = same_different(hits, len(changed), alarms=alarms, same=len(still))
    n = len(changed) + len(still)
    if math.isclose(first, 1) and math.isclose(second, 1):
        return plain
    less = same_different(hits * first, len(changed) * first, alarms=alarms * second, same=len(still) * second)
    method = f"{plain.method}, {n} answers as {len(changed) * first + len(still) * second:.3g}"
    # The value is that of all answers; it lies within the bounds but for rounding.
    low, high = less.low, less.high
    if plain.value is not None:
        low = None if low is None else min(low, plain.value)
        high = None if high is None else max(high, plain.value)
    return Interval(value=plain.value, low=low, high=high, n=n, method=method)


def _worth(reads: Sequence[Read]) -> float:
    by: dict[str, list[float]] = {}
    for read, unit in zip(reads, units(reads), strict=True):
        by.setdefault(unit, []).append(float(read.called is True))
    return effective(list(by.values()))


def _dprime(share: float | None) -> float | None:
    return math.sqrt(2) * float(norm.ppf(share)) if share is not None and 0 < share < 1 else None
