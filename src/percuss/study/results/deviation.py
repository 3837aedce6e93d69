"""One deviation as a record."""

from __future__ import annotations

from typing import Any, cast

from percuss.core.study_results import DeviationRecord, Severity


def deviation(
    kind: str, severity: str, message: str, *, reader: str | None = None, count: int = 1, **evidence: Any
) -> DeviationRecord:
    """A deviation: what it is, how bad, of whom, how often, in words, and what it is told from."""
    return DeviationRecord(
        kind=kind, severity=cast(Severity, severity), reader=reader, count=count, message=message, evidence=evidence
    )
