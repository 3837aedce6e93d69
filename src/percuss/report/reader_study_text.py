"""The results of a study for a terminal: the verdicts first, then true positives per copy as in Foote's Table 1b."""

from __future__ import annotations

import re
from collections.abc import Sequence

from percuss.core.results import Interval
from percuss.core.study_results import ArmRecord, StudyResults, ThresholdRecord

#: A size without its norm: ``8/255``, ``20HU``, ``rms:0.01``, ``5%``.
_SIZE = re.compile(r"^(?P<before>rms:|mad:)?(?P<number>[0-9.]+(?:[eE][+-]?[0-9]+)?)(?P<behind>/[0-9.]+|%|grey|HU)?$")


def results_text(results: StudyResults) -> str:
    """A page of plain text."""
    parts = [_head(results), _endpoints(results)]
    parts += [text for text in (_table_1b(results.arms), _thresholds(results.thresholds)) if text]
    parts.append(_doubts(results))
    return "\n\n".join(parts)


def _head(results: StudyResults) -> str:
    done = sum(reader.answered == reader.total > 0 for reader in results.readers)
    answers = sum(reader.answered for reader in results.readers)
    return (
        f"{results.study.title}\n{results.protocol.cases} cases; {done} of {results.protocol.readers_planned} planned "
        f"readers answered everything; {answers} answers"
    )


def _endpoints(results: StudyResults) -> str:
    lines = []
    for item in results.endpoints:
        lines.append(f"{item.role}: {item.name}: {item.verdict.upper()}\n    {item.sentence}")
    return "\n".join(lines)


def _table_1b(arms: Sequence[ArmRecord]) -> str:
    """Rows copies, columns arms, readers below each other; the scores are true positives."""
    rows = [item for item in arms if item.task == "diagnosis" and item.copy_number and item.reader and item.positives]
    if not rows:
        return ""
    names = list(dict.fromkeys(item.arm for item in rows))
    scores = {(item.reader, item.copy_number, item.arm): f"{item.true_positives} of {item.positives}" for item in rows}
    wide = [max(len(name), 8) for name in names]
    lines = ["True positives"]
    lines.append(" " * 13 + "  ".join(name.rjust(size) for name, size in zip(names, wide, strict=True)))
    for who, copy in dict.fromkeys((item.reader, item.copy_number) for item in rows):
        cells = (scores.get((who, copy, name), "-").rjust(size) for name, size in zip(names, wide, strict=True))
        lines.append(f"{who:<4}copy {copy:<4}" + "  ".join(cells))
    return "\n".join(lines)


def _thresholds(thresholds: Sequence[ThresholdRecord]) -> str:
    return "\n".join(threshold_sentence(item) for item in thresholds if item.scope == "all" and item.status != "none")


def size_like(eps: float | None, item: ThresholdRecord) -> str:
    """A size as the protocol writes its arms' (``4.9/255``, ``11.2HU``, ``1.5%``), where all are written alike.

    Else a plain number, in the measure of the norm with values in [0, 1].
    """
    if eps is None:
        return "none"
    written = [(_SIZE.match(point.size.partition("=")[2]), point.eps) for point in item.points if point.eps > 0]
    frames = {(found["before"], found["behind"]) if found else None for found, _ in written}
    last, at = written[-1] if written else (None, 0.0)
    if len(frames) > 1 or last is None:
        return f"{eps:.3g}"
    # Every way of writing a size is in proportion to it.
    return f"{last['before'] or ''}{eps * float(last['number']) / at:.3g}{last['behind'] or ''}"


def threshold_sentence(item: ThresholdRecord) -> str:
    """The size that readers detect beside the one that flips the model, in words."""
    largest = max(point.eps for point in item.points)
    says = {
        "found": f"at {size_like(item.threshold.value, item)} {_bounds(item)}",
        "above": f"above every size shown, {size_like(largest, item)} being the largest",
        "below": "below every size shown",
        "undetermined": f"{_nearly(item)} {_bounds(item)}",
    }[item.status]
    what = "right" if item.task == "choice" else "called different"
    text = f"{item.kind}, {item.norm}, {item.task}: {100 * item.target:g} % {what} {says}."
    if item.model is None:
        return text
    median = item.model.quartiles[1]
    none = f"; {item.model.censored} of {item.model.cases} never flipped" if item.model.censored else ""
    flips = (
        f"half of the cases at {size_like(median, item)} or less{_between(item.model.median, item)}"
        if median is not None
        else "fewer than half of the cases"
    )
    return f"{text} The model flips {flips}{none}."


def _between(median: Interval | None, item: ThresholdRecord) -> str:
    """The interval of the model's median size in brackets; nothing where it has none, or both ends are one size."""
    if median is None or median.low == median.high:
        return ""
    low = "none" if median.low is None else size_like(median.low, item)
    high = "never" if median.high is None else size_like(median.high, item)
    return f" [{low} to {high}]"


def _nearly(item: ThresholdRecord) -> str:
    """Where a threshold that the answers leave open lies most likely."""
    tested = [point.eps for point in item.points if point.eps > 0]
    bounds = (item.threshold.low, item.threshold.high)
    if item.fitted is not None and bounds != (None, None):
        if item.fitted[0] > max(tested):
            return f"near or above the largest size shown, {size_like(max(tested), item)}"
        if item.fitted[0] < min(tested):
            return f"near or below the smallest size shown, {size_like(min(tested), item)}"
    return "at a size that these answers leave open"


def _bounds(item: ThresholdRecord) -> str:
    low, high = item.threshold.low, item.threshold.high
    if low is None and high is None:
        return "(no bound at all)"
    if low is None or high is None:
        return f"(above {size_like(low, item)})" if high is None else f"(below {size_like(high, item)})"
    return f"[95 % interval {size_like(low, item)} to {size_like(high, item)}]"


def without_curve(thresholds: Sequence[ThresholdRecord]) -> list[str]:
    """Why some have no curve, a sentence for each reason."""
    reasons: dict[str, list[str]] = {}
    for item in thresholds:
        if item.status == "none" and item.scope == "all":
            reasons.setdefault(item.why, []).append(f"{item.kind}, {item.norm}, {item.task}")
    text = [f"No curve for {'; '.join(names)}: {why}." for why, names in reasons.items()]
    cases = [item for item in thresholds if item.scope == "case"]
    without = [item for item in cases if item.status == "none"]
    if without:
        least, most = (pick(sum(p.n for p in item.points if p.eps > 0) for item in without) for pick in (min, max))
        had = f"{least}" if least == most else f"{least} to {most}"
        tail = "too few for one, or not at two sizes; results.json has the reason of each"
        text.append(f"No curve of its own for {len(without)} of {len(cases)} cases, of {had} answers each: {tail}.")
    return text


def _doubts(results: StudyResults) -> str:
    lines = [f"{item.severity}: {item.message}" for item in results.findings]
    worst = [item for item in results.deviations if item.severity != "info"]
    lines += [f"deviation, {item.severity}: {item.message}" for item in worst]
    rest = len(results.deviations) - len(worst)
    if rest:
        lines.append(f"{rest} further deviation{'s' if rest > 1 else ''} of severity info: see results.json")
    return "\n".join(lines) or "no deviations"
