"""The tables of a reader study's report."""

from __future__ import annotations

from percuss.core.results import Interval
from percuss.core.study_results import ArmRecord, EndpointRecord, StudyResults
from percuss.report.numbers import NBSP, bracket_plain, counted_share, decimal, plain, share
from percuss.report.sections import Table

DASH = "–"


def table_1b(results: StudyResults) -> Table | None:
    """True positives as A. Foote et al. (2022), Table 1b: copies down, arms across, readers below each other."""
    rows = [item for item in results.arms if item.task == "diagnosis" and item.copy_number and item.reader]
    rows = [item for item in rows if item.positives]
    arms = list(dict.fromkeys(item.arm for item in rows))
    by = {(item.reader, item.copy_number, item.arm): item for item in rows}
    places = list(dict.fromkeys((item.reader, item.copy_number) for item in rows))
    body = [(str(who), f"copy {copy}", *(_hits(by.get((who, copy, arm))) for arm in arms)) for who, copy in places]
    if any(item.true_positives is not None for item in results.model if item.arm in arms):
        body.append(("the model", "", *(_model_hits(results, arm) for arm in arms)))
    caption = "Cases called positive, of those whose truth is positive"
    return Table(("reader", "", *arms), tuple(body), words=2, caption=caption) if rows else None


def _hits(item: ArmRecord | None) -> str:
    return DASH if item is None or not item.positives else f"{item.true_positives} of {item.positives}"


def _model_hits(results: StudyResults, arm: str) -> str:
    found = next((item for item in results.model if item.arm == arm), None)
    if found is None or found.true_positives is None:
        return DASH
    return f"{found.true_positives} of {found.positives}"


def arms_table(results: StudyResults) -> Table:
    """Every task and arm over all copies, by reader and of all."""
    whole = [item for item in results.arms if item.copy_number is None or results.protocol.copies == 1]
    body = []
    for item in whole:
        right = DASH if item.right is None else counted_share(item.right)
        rating = DASH if item.rating is None else decimal(item.rating, 2)
        body.append((item.task, item.arm, item.reader or "all", f"{item.answered} of {item.asked}", right, rating))
    head = ("task", "arm", "reader", "answered", "right [95 % interval]", "mean rating or confidence")
    return Table(head, tuple(body), words=3)


def classes_table(results: StudyResults) -> Table | None:
    """Share right by class of the case; None where there is one class only."""
    whole = [
        item
        for item in results.arms
        if item.task == "diagnosis" and (item.copy_number is None or results.protocol.copies == 1)
    ]
    names = list(dict.fromkeys(name for item in whole for name in item.per_class))
    if len(names) < 2:
        return None
    body = [(item.arm, item.reader or "all", *(_cell(item.per_class.get(name)) for name in names)) for item in whole]
    return Table(("arm", "reader", *names), tuple(body), words=2)


def endpoints_table(results: StudyResults) -> Table:
    """Each endpoint with its number, margin, p value and method."""
    body = [
        (
            item.name,
            item.role,
            endpoint_value(item),
            _margin(item),
            item.verdict,
            p_text(item.p_value),
            str(item.readers),
            str(item.value.n),
        )
        for item in results.endpoints
    ]
    head = ("endpoint", "role", "value [interval]", "margin", "verdict", "p value", "readers", "cases")
    return Table(head, tuple(body), words=2)


def paired_table(item: EndpointRecord) -> Table | None:
    """One row for each reader and copy; None where nothing was compared."""
    if not item.tables:
        return None
    body = [
        (
            row.reader,
            str(row.copy_number),
            *(str(count) for count in (row.both, row.against_only, row.arm_only, row.neither)),
            points(row.difference),
            points(row.newcombe),
            p_text(row.mcnemar_exact),
            p_text(row.mcnemar_mid_p),
        )
        for row in item.tables
    ]
    head = ("reader", "copy", "both", f"{item.against} only", f"{item.arm} only", "neither", "difference, Tango")
    return Table((*head, "Newcombe", "McNemar", "mid-p"), tuple(body), words=2, caption=f"{item.name}: {item.sign}")


def numbers_table(item: EndpointRecord) -> Table | None:
    """What else an endpoint has: shares of its arms, d', AUC, the same number by other methods."""
    tested = f"; p value: {item.test}" if item.test else ""
    body = [("the value", endpoint_value(item), f"{item.value.method}{tested}")] if item.value.n else []
    body += [(name, _number(name, value), value.method) for name, value in item.numbers.items() if value.n]
    # Other methods give the same number, in the same unit.
    same = [item.model_copy(update={"value": value}) for value in item.beside]
    body += [("the same otherwise", endpoint_value(one), one.value.method) for one in same]
    caption = "" if item.tables else f"{item.name}: {item.sign}"
    return Table((item.name, "value [interval]", "method"), tuple(body), words=1, caption=caption) if body else None


def detection_table(results: StudyResults) -> Table | None:
    """Percent correct and d' by arm and reader."""
    if not results.detection:
        return None
    body = [
        (
            item.task,
            item.arm,
            item.reader or "all",
            _cell(item.correct),
            _cell(item.called),
            _cell(item.alarms),
            bracket_plain(item.dprime) if item.dprime.value is not None else _open(item.dprime),
        )
        for item in results.detection
    ]
    head = ("task", "arm", "reader", "right", "called different", "identical called different", "d'")
    return Table(head, tuple(body), words=3)


def agreement_table(results: StudyResults, *, between: bool) -> Table | None:
    """Agreement of readers with themselves and over all pairs, or that of every two readers (``between``)."""
    body = []
    for item in results.agreement:
        if (item.kind == "between") != between:
            continue
        who = f"{len(item.readers)} readers, all pairs" if item.kind == "all pairs" else " and ".join(item.readers)
        copies = f"cop{'ies' if len(item.copies) > 1 else 'y'} {' and '.join(str(copy) for copy in item.copies)}"
        kappa, ac1 = (DASH if value is None else decimal(value, 2) for value in (item.kappa, item.ac1))
        body.append((item.task, item.arm, f"{who}, {copies}", str(item.items), share(item.raw), kappa, ac1))
    head = ("task", "arm", "reader", "cases", "answered alike", "kappa", "AC1")
    return Table(head, tuple(body), words=3) if body else None


def several_table(results: StudyResults) -> Table | None:
    """Readers and cases random; None where no record could be computed."""
    done = [item for item in results.several_readers if not item.missing]
    if not done:
        return None
    body = [
        (
            item.arm,
            "AUC" if item.measure == "auc" else "share right",
            _value(item.against_value, item.measure),
            _value(item.arm_value, item.measure),
            _change(item.difference, item.measure),
            p_text(item.p_value),
            _change(item.obuchowski_rockette, item.measure),
        )
        for item in done
    ]
    head = ("arm", "measure", "original", "arm", "original minus arm", "p value", "by ANOVA (OR)")
    return Table(head, tuple(body), words=2)


def model_table(results: StudyResults) -> Table | None:
    """What the model said of the same files."""
    if not results.model:
        return None
    body = [
        (
            item.arm,
            counted_share(item.right),
            str(item.flipped) if item.flipped_share is None else counted_share(item.flipped_share),
            decimal(item.confidence, 2),
            ", ".join(f"{name} {count}" for name, count in item.attacks.items()) or DASH,
        )
        for item in results.model
    ]
    return Table(("arm", "right [95 % interval]", "flipped [95 % interval]", "mean confidence", "made by"), tuple(body))


def readers_table(results: StudyResults) -> Table:
    """Who read how much, how fast, and on what."""
    body = [
        (
            item.name,
            str(item.monitor.get("monitor") or DASH),
            str(item.monitor.get("calibrated") or DASH),
            str(item.monitor.get("light") or DASH),
            f"{item.answered} of {item.total}{' (access ended)' if item.revoked else ''}",
            str(item.sessions),
            str(item.corrected),
            DASH if item.median_seconds is None else f"{item.median_seconds:.1f}{NBSP}s",
        )
        for item in results.readers
    ]
    head = ("reader", "display", "calibrated", "light", "answered", "sessions", "corrected", "median time")
    return Table(head, tuple(body), words=4)


def endpoint_value(item: EndpointRecord) -> str:
    """The value of an endpoint in its own unit: points of a difference, per cent of a share, or a rating."""
    if item.unit == "share" and item.sign.startswith("AUC"):
        return decimal(item.value, 2)
    if item.unit == "rating":
        return decimal(item.value, 2, signed=bool(item.against))
    return points(item.value) if item.against else share(item.value)


def points(value: Interval) -> str:
    """A difference of shares in points: ``−2.5 [−21.7, 16.1]``."""
    if value.value is None:
        return "not defined"
    text = f"{100 * value.value:+.1f}"
    if value.low is not None and value.high is not None:
        text += f" [{100 * value.low:+.1f},{NBSP}{100 * value.high:+.1f}]"
    return text.replace("+0.0", "0.0").replace("-0.0", "0.0").replace("-", "−")


def p_text(value: float | None) -> str:
    """A p value with three digits; below them only that it is."""
    if value is None:
        return DASH
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def _margin(item: EndpointRecord) -> str:
    if item.margin is None:
        return DASH
    return f"{4 * item.margin:g}" if item.unit == "rating" else f"{100 * item.margin:g}"


def _cell(value: Interval | None) -> str:
    return DASH if value is None or value.value is None else share(value)


def _number(name: str, value: Interval) -> str:
    plain_number = any(word in name for word in ("d'", "AUC", "rating", "kappa", "AC1"))
    if plain_number:
        return decimal(value, 2) if value.value is not None else _open(value)
    return points(value) if name.startswith("loss") else share(value)


def _value(value: Interval | None, measure: str) -> str:
    if value is None:
        return DASH
    return decimal(value, 3) if measure == "auc" else share(value)


def _change(value: Interval | None, measure: str) -> str:
    if value is None:
        return DASH
    return decimal(value, 3, signed=True) if measure == "auc" else points(value)


def _open(value: Interval) -> str:
    """A number whose value or one bound may be missing."""
    if value.value is None and value.low is None and value.high is None:
        return DASH
    low, high = (DASH if end is None else plain(end) for end in (value.low, value.high))
    shown = DASH if value.value is None else plain(value.value)
    return f"{shown} [{low}, {high}]".replace("-", "−")
