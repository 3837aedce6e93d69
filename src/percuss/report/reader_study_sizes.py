"""The sizes that readers detect beside those that flip the model, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from percuss.core.study_results import ThresholdRecord
from percuss.report.numbers import NBSP
from percuss.report.reader_study_text import size_like
from percuss.report.sections import Table

DASH = "–"


def thresholds_table(records: Sequence[ThresholdRecord]) -> Table | None:
    """Sizes that readers detect, all of them and each, beside those that flip the model on a quarter, half, ..."""
    body = []
    for item in records:
        if item.scope != "case" and item.status != "none":
            model = item.model
            quartiles = " / ".join(_flip(size, item) for size in model.quartiles) if model else DASH
            never = DASH if model is None else f"{model.censored} of {model.cases}"
            body.append(
                (item.task, item.kind, item.norm, item.name or "all", _sizes(item), item.status, quartiles, never)
            )
    head = ("task", "kind", "norm", "reader", "size detected [95 % interval]", "status", "model flips at (quartiles)")
    return Table((*head, "never"), tuple(body), words=4) if body else None


def cases_table(records: Sequence[ThresholdRecord]) -> Table | None:
    """The same by case, where a case has enough answers of its own."""
    body = [
        (item.task, item.norm, item.name, _sizes(item), item.status, _flip(item.model.quartiles[1], item))
        for item in records
        if item.scope == "case" and item.model is not None and item.status != "none"
    ]
    head = ("task", "norm", "case", "size detected [95 % interval]", "status", "model flips at")
    return Table(head, tuple(body), words=3) if body else None


def _flip(size: float | None, item: ThresholdRecord) -> str:
    return "never" if size is None else size_like(size, item)


def _sizes(item: ThresholdRecord) -> str:
    found = item.threshold
    if found.value is None and found.low is None and found.high is None:
        return DASH
    value, low, high = (DASH if end is None else size_like(end, item) for end in (found.value, found.low, found.high))
    return f"{value} [{low},{NBSP}{high}]"
