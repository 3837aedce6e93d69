"""What every results file is made of: a number with its interval, and a finding as stored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Record):
    """A number with its two-sided 95 % interval; ``value`` is None where undefined (n = 0)."""

    value: float | None
    low: float | None
    high: float | None
    n: int = Field(description="images behind the number")
    method: str = Field(description="how the interval was made, with the number of clusters where clustered")


class FindingRecord(_Record):
    """A finding as stored."""

    id: str
    severity: Literal["info", "warning", "severe"]
    message: str
    evidence: dict[str, Any] = Field(default_factory=dict)
