"""Limits that the user sets: robust accuracy within a budget, judged by the lower end of its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from percuss.core.budget import parse_budget
from percuss.core.errors import UsageError
from percuss.core.results import CurvePoint


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


def judge(texts: Sequence[str], curves: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    """Each requirement with its outcome, judged on the worst case over attacks, on the float images."""
    worst = {point.budget: point for point in curves if point.attack == "worst"}
    found = []
    for text in texts:
        budget, least = parse_requirement(text, [*worst, parse_budget(text.rpartition(":")[0]).text])
        point = worst.get(budget)
        low = point.robust_accuracy.low if point else None
        found.append(
            {
                "text": f"robust accuracy within {budget} at least {least:g} (lower end of its interval)",
                "passed": None if low is None else low >= least,
                "value": point.robust_accuracy.value if point else None,
                "low": low,
            }
        )
    return found
