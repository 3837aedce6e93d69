"""The size of change that readers detect beside the size that flips the model: over all, by reader, by case.

In ``choice`` the share right is 0.5 without seeing anything. In ``same`` what rises is the share called different, from
the false alarms at identical pairs, which stand in the fit at eps 0; its threshold depends on how readily a reader
says "different", that of a choice does not. Noise has curves of its own. Answers of a case at several sizes depend on
each other: see ``study.statistics.psychometric_cases``; of one case alone the interval is the profile likelihood's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from percuss.core.study_results import CurvePoint, ModelFlips, ThresholdRecord
from percuss.study.design.key import CaseKey, Key
from percuss.study.design.protocol import Protocol
from percuss.study.results import pooled
from percuss.study.results.read import Read, readers_of, units
from percuss.study.statistics.median import median
from percuss.study.statistics.psychometric import Answers, Curve, psychometric
from percuss.study.statistics.psychometric_cases import over_cases

#: Answers of one case below which it gets no threshold of its own.
ENOUGH = 20
#: Largest lapse rate that is fitted; less where the target lies near 1.
LAPSES = 0.06
Scope = Literal["all", "reader", "case"]
Sizes = dict[str, tuple[str, float]]


@dataclass(frozen=True)
class _Place:
    """Which curve: task, kind of arm, norm, and whose."""

    task: str
    kind: str
    norm: str
    scope: Scope = "all"
    name: str = ""


def thresholds(reads: Sequence[Read], protocol: Protocol, *, sizes: Sizes, key: Key) -> list[ThresholdRecord]:
    """One record for each task, kind and norm that was shown, then by reader where there are several, then by case.

    Args:
        reads: all answers.
        protocol: in force.
        sizes: norm and eps by arm (``sizes_of``).
        key: what flips the model, by case.
    """
    places = dict.fromkeys(
        (trial.task, _kind(trial.arm), sizes[trial.arm][0])
        for trial in protocol.trials()
        if trial.task in ("choice", "same") and trial.arm in sizes
    )
    return [
        record
        for task, kind, norm in places
        if kind != "visible"
        for record in _of_place(_Place(task, kind, norm), reads, protocol, (sizes, key))
    ]


def _of_place(
    place: _Place, reads: Sequence[Read], protocol: Protocol, given: tuple[Sizes, Key]
) -> list[ThresholdRecord]:
    sizes, key = given
    asked = [read for read in reads if read.trial.task == place.task and _belongs(read, place, sizes)]
    found = [_record(place, asked, protocol, given)]
    names = readers_of(asked)
    for name in names if len(names) > 1 else []:
        whose = _Place(place.task, place.kind, place.norm, "reader", name)
        found.append(_record(whose, [read for read in asked if read.reader == name], protocol, given))
    curved = place.kind == "adversarial" and sum(point.eps > 0 for point in found[0].points) > 1
    for case in key.cases if curved else ():
        own = [read for read in asked if read.trial.case == case.id]
        found.append(_record(_Place(place.task, place.kind, place.norm, "case", case.id), own, protocol, given))
    return found


def _belongs(read: Read, place: _Place, sizes: Sizes) -> bool:
    arm = read.trial.arm
    if arm == "identical":
        return True
    return arm in sizes and _kind(arm) == place.kind and sizes[arm][0] == place.norm


def _record(place: _Place, reads: Sequence[Read], protocol: Protocol, given: tuple[Sizes, Key]) -> ThresholdRecord:
    sizes, key = given
    seen: Callable[[Read], bool] = _right if place.task == "choice" else _called
    points = _points(reads, sizes, seen, protocol)
    still = [read for read in reads if read.trial.arm == "identical"]
    guess = 0.5 if place.task == "choice" else sum(map(seen, still)) / len(still) if still else math.nan
    why = _why(place, points, guess, protocol.target)
    curve = None if why else _fit(reads, points, (sizes, seen), (guess, protocol.target))
    cases = [case for case in key.cases if place.scope != "case" or case.id == place.name]
    units = {case.id: f"patient {case.patient}" for case in protocol.cases if case.patient}
    flips = model_flips(cases, place.norm, key.largest_tried.get(place.norm), units=units)
    return ThresholdRecord(
        scope=place.scope,
        name=place.name,
        task=place.task,
        kind=place.kind,
        norm=place.norm,
        target=protocol.target,
        guess=0.0 if math.isnan(guess) else guess,
        points=points,
        threshold=pooled.none(f"undefined: {why}") if curve is None else curve.threshold,
        status="none" if curve is None else curve.status,
        why=why,
        fitted=None if curve is None else curve.fitted,
        curve=[] if curve is None else _drawn(curve, points),
        model=flips if place.kind == "adversarial" else None,
    )


def _points(reads: Sequence[Read], sizes: Sizes, seen: Callable[[Read], bool], protocol: Protocol) -> list[CurvePoint]:
    texts = {arm.name: arm.size for arm in protocol.arms}
    # Two arms can have one size, written differently.
    groups: dict[float, list[Read]] = {}
    for read in reads:
        groups.setdefault(_eps(read, sizes), []).append(read)
    found = []
    for eps, own in groups.items():
        flags = [seen(read) for read in own]
        size, share = texts[own[0].trial.arm], pooled.share(own, flags)
        found.append(CurvePoint(size=size, eps=eps, right=sum(flags), n=len(own), share=share))
    return sorted(found, key=lambda point: point.eps)


def _why(place: _Place, points: Sequence[CurvePoint], guess: float, target: float) -> str:
    counts = [point.n for point in points if point.eps > 0]
    above, answers = len(counts), sum(counts)
    if not above:
        return "no answers"
    if place.scope == "case" and above > 1 and answers < ENOUGH:
        return f"{answers} answers to the case's changed images; a curve of its own needs {ENOUGH}"
    if above < 2:
        return "one size above 0 was shown, and a curve needs two"
    if math.isnan(guess):
        return "no identical pairs were shown, so that false alarms are unknown"
    if guess >= target:
        return f"identical pairs were called different in {100 * guess:.0f} %, which meets the target already"
    return ""


def _fit(
    reads: Sequence[Read],
    points: Sequence[CurvePoint],
    how: tuple[Sizes, Callable[[Read], bool]],
    level: tuple[float, float],
) -> Curve:
    (sizes, seen), (guess, target) = how, level
    answers = Answers(
        tuple(point.eps for point in points),
        tuple(point.right for point in points),
        tuple(point.n for point in points),
        guess,
    )
    lapses = min(LAPSES, (1 - target) / 2)
    curve = psychometric(answers, target=target, most_lapses=lapses)
    rows = {name: place for place, name in enumerate(dict.fromkeys(units(reads)))}
    columns = {point.eps: place for place, point in enumerate(points)}
    right, trials = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for read, unit in zip(reads, units(reads), strict=True):
        cell = rows[unit], columns[_eps(read, sizes)]
        right[cell] += seen(read)
        trials[cell] += 1
    what = "patients" if any(read.patient for read in reads) else "cases"
    return over_cases(curve, answers, (right, trials), most_lapses=lapses, units=what)


def _drawn(curve: Curve, points: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    tested = [point.eps for point in points if point.eps > 0]
    sizes = np.unique([*np.geomspace(min(tested) / 1.5, max(tested) * 1.5, 41), *tested])
    return [(float(eps), float(share)) for eps, share in zip(sizes, curve.share(sizes.tolist()), strict=True)]


def model_flips(
    cases: Sequence[CaseKey], norm: str, largest: float | None, *, units: Mapping[str, str] | None = None
) -> ModelFlips | None:
    """Smallest sizes that flip the model over these cases; None where the audit tried no such norm on any of them.

    ``units`` are the patients of cases, as far as they are known.
    """
    tried = [case.id for case in cases if norm in case.flip_eps]
    sizes = [case.flip_eps[norm] for case in cases if norm in case.flip_eps]
    if not sizes:
        return None
    ends = np.array([math.inf if size is None else size for size in sizes])
    quartiles = np.quantile(ends, [0.25, 0.5, 0.75], method="inverted_cdf")
    one, two, three = (float(value) if math.isfinite(value) else None for value in quartiles)
    found = int(np.isfinite(ends).sum())
    return ModelFlips(
        norm=norm,
        cases=len(sizes),
        flipped=found,
        censored=len(sizes) - found,
        quartiles=(one, two, three),
        median=median(ends.tolist(), [(units or {}).get(name, f"case {name}") for name in tried]),
        largest_tried=largest,
        sizes=[float(value) if math.isfinite(value) else None for value in sorted(ends)],
    )


def _eps(read: Read, sizes: Sizes) -> float:
    """Size of the read's change; 0 of an identical pair."""
    return sizes[read.trial.arm][1] if read.trial.arm in sizes else 0.0


def _right(read: Read) -> bool:
    return read.right is True


def _called(read: Read) -> bool:
    return read.called is True


def _kind(arm: str) -> str:
    return arm.partition(" ")[0]
