"""Scores of the folds of a cross-validation, put together, and tables of a training as files."""

from __future__ import annotations

import csv
import io
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
    # Heat maps have the scores of masks and more: the task is the one whose scores are most.
    fitting = [names for names in SCORES.values() if rows and set(names) <= set(rows[0])]
    return max(fitting, key=len, default=())


def csv_of(rows: list[dict[str, Any]], columns: list[str]) -> bytes:
    """A CSV file, in UTF-8, with a line for each row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
