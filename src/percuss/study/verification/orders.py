"""The orders of a study held against the trail: those drawn at its creation, and those that amendments added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.study.canonical import digest
from percuss.study.design.drawing import as_table
from percuss.study.recorded import AMENDED, CREATED
from percuss.study.tables import SlotRow
from percuss.study.trail import Record


def order_faults(session: Session, records: Mapping[int, Record]) -> Iterator[str]:
    """Orders that are not those drawn when the study was created or amended, in words.

    Args:
        session: a reading session.
        records: the trail by number, as far as it can be read.
    """
    drawn = [(0, "when the study was created", _created(records)), *_added(records)]
    table = as_table(session.scalars(select(SlotRow)))
    ends: list[float] = [first for first, _, _ in drawn[1:]]
    for (first, when, told), end in zip(drawn, [*ends, float("inf")], strict=True):
        # What lies beyond the last drawing falls to it, so that an order that was smuggled in shows.
        held = [row for row in table if first <= int(row[0]) < end]
        if digest(held) != told:
            yield f"the orders are not those that were drawn {when}"


def _created(records: Mapping[int, Record]) -> JsonValue:
    first = records.get(1)
    return first.new.get("orders") if first and first.what == CREATED and isinstance(first.new, dict) else None


def _added(records: Mapping[int, Record]) -> Iterator[tuple[int, str, JsonValue]]:
    """Of each amendment that added orders the number of the first, when it was, and their hash."""
    for _, record in sorted(records.items()):
        new = record.new if record.what == AMENDED and isinstance(record.new, dict) else {}
        orders = new.get("orders")
        if isinstance(orders, dict) and isinstance(orders.get("first"), int):
            yield int(str(orders["first"])), f"by amendment {new.get('number')}", orders.get("hash")
