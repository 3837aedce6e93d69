"""Limits that the user sets: robust accuracy (AUC-PR) within a budget, judged by the lower end of its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from percuss.core.budget import parse_budget
from percuss.core.errors import UsageError
from percuss.core.results import CurvePoint, Heat, Interval


def parse_requirement(text: str, budgets: Sequence[str]) -> tuple[str, float]:
    """``linf=2/255:0.60`` as budget text and least robust accuracy; UsageError where it makes no sense.

    The budget must be one of ``budgets``, since nothing else is measured.
    """
    size, _, least = text.rpartition(":")
    try:
        limit = float(least.rstrip("%")) / (100 if least.endswith("%") else 1)
    except ValueError:
        limit = -1.0
    if not size or not 0 <= limit <= 1:
        raise UsageError(
            "a requirement is a budget, a colon and the least robust accuracy",
            value=text,
            allowed="0 to 1 behind the colon",
            next_step="write for instance --require linf=2/255:0.60",
        )
    budget = parse_budget(size).text
    if budget not in budgets:
        raise UsageError(
            "a requirement must name a budget that is tested",
            value=budget,
            allowed=", ".join(budgets),
            next_step="add it with --budget",
        )
    return budget, limit


def judge(texts: Sequence[str], curves: Sequence[CurvePoint], *, heat: Heat | None = None) -> list[dict[str, Any]]:
    """Each requirement with its outcome, judged on the worst case over attacks, on the float images.

    Of heat maps (``heat``) it is the AUC-PR of all cells that must be as high.
    """
    worst: dict[str, Interval] = {point.budget: point.robust_accuracy for point in curves if point.attack == "worst"}
    what = "robust accuracy"
    if heat is not None:
        worst = {point.budget: point.auc_pr for point in heat.points if point.attack == "worst" and not point.stored}
        what = "AUC-PR under attack"
    found = []
    for text in texts:
        budget, least = parse_requirement(text, [*worst, parse_budget(text.rpartition(":")[0]).text])
        point = worst.get(budget)
        low = point.low if point else None
        found.append(
            {
                "text": f"{what} within {budget} at least {least:g} (lower end of its interval)",
                "passed": None if low is None else low >= least,
                "value": point.value if point else None,
                "low": low,
            }
        )
    return found
