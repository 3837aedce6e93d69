"""Scores of the folds of a cross-validation, put together."""

from __future__ import annotations

import statistics
from typing import Any

from percuss.pipeline.scoring import SCORES


def spread_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation (n - 1) of each score over the folds; None where a fold has no value."""
    found: dict[str, dict[str, float | None]] = {}
    for name in _scores_of(rows):
        values = [row[name] for row in rows]
        whole = None not in values
        found[name] = {
            "mean": statistics.fmean(values) if whole else None,
            "sd": statistics.stdev(values) if whole and len(values) > 1 else None,
        }
    return found


def _scores_of(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return next((names for names in SCORES.values() if rows and set(names) <= set(rows[0])), ())
