"""Records as plain values, for JSON."""

from __future__ import annotations

from typing import Any

from percuss.core.results import Interval


def as_plain(value: Any) -> Any:
    """Intervals as mappings and tuples as lists, within mappings and lists too; other values as they are."""
    if isinstance(value, Interval):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value
