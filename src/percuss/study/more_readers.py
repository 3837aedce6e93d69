"""Orders for more readers than a study was made for: drawn as the first ones were, and added by an amendment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import RunError, UsageError
from percuss.study.amending import Change, put_in_force
from percuss.study.design.key import Key
from percuss.study.design.protocol import Frozen, in_force

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from percuss.study.opening import OpenStudy

#: Most orders that one amendment adds: a slip of the finger should not fill a disk.
MOST = 1000


def more_readers(
    study: OpenStudy,
    number: int,
    *,
    who: str,
    reason: str,
    secret_file: Path | None = None,
    now: datetime | None = None,
) -> Frozen:
    """Make room for more readers in an open study: so many orders more, drawn from its seed with the next numbers.

    The orders that were drawn stay as they are, whoever has them, and the balance over readers who follow each other
    goes on. The amendment raises the planned readers to this number above those planned, or enrolled where these are
    more. A running server needs no new start: readers get the new orders as they are enrolled.

    Args:
        study: the study.
        number: how many, 1 to 1000.
        who, reason, secret_file, now: as in ``amending.amend_study``.

    Raises:
        UsageError: a number that makes no sense, a closed study, or no reason.
        RunError: the key does not open, orders are drawn otherwise here than those of the study were, or the disk or
            database cannot be written.
    """
    if not 1 <= number <= MOST:
        step = "give as many as will join"
        raise UsageError("so many readers cannot be added", value=number, allowed=f"1 to {MOST}", next_step=step)

    def decide(session: Session, key: Key) -> Change:
        return _drawn(session, key, number)

    return put_in_force(study, decide, who=who, reason=reason, secret_file=secret_file, now=now)


def _drawn(session: Session, key: Key, number: int) -> Change:
    from sqlalchemy import func, select

    from percuss.study.design.drawing import as_table, draw_slots
    from percuss.study.tables import ReaderRow, SlotRow

    last = session.scalar(select(func.max(SlotRow.slot))) or 0
    # Numpy may draw otherwise in another version: balance over readers would then end between the old and the new.
    there = session.scalars(select(SlotRow).where(SlotRow.slot == last)).all()
    if as_table(there) != as_table(draw_slots(key, [last])):
        raise RunError(
            "further orders would not go on where those of the study ended",
            value=f"order {last} is drawn otherwise here than it stands in the study",
            allowed="the versions of Percuss and numpy that created it, and orders that nobody touched",
            next_step="run percuss study verify STUDY, then amend with the version that study.json names",
        )
    enrolled = session.scalar(select(func.count()).select_from(ReaderRow).where(ReaderRow.slot.is_not(None))) or 0
    planned = max(in_force(key.frozen).readers, enrolled) + number
    return Change({"readers": planned}, draw_slots(key, range(last + 1, last + 1 + number)))
