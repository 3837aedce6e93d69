"""A protocol amended while the study runs: the key sealed anew, the public protocol and the trail say so.

What is new is written beside what stands, then the trail's record is committed, then the files change places. A kill
before the commit leaves the old study, one after it the new: ``settling``, at every opening, brings either to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from percuss.core.errors import UsageError
from percuss.store.safe import disk_errors, write_bytes
from percuss.study.design.protocol import Frozen, Protocol, amend, in_force
from percuss.study.design.public import public_of
from percuss.study.folder import json_line
from percuss.study.pictures import sha_of
from percuss.study.reasons import check_open, check_reason
from percuss.study.recorded import amended_event
from percuss.study.seal import load_secret, seal, unseal
from percuss.study.settling import settle, sync
from percuss.study.trail import record

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from percuss.study.design.key import Key
    from percuss.study.opening import OpenStudy
    from percuss.study.tables import SlotRow

#: What the orders were drawn from: with another value they would no longer be the protocol's.
FIXED = ("run", "seed", "arms", "tasks", "copies", "rules")


@dataclass(frozen=True)
class Change:
    """What an amendment changes: fields of the protocol with their new values, and orders that it adds."""

    fields: Mapping[str, JsonValue]
    rows: Sequence[SlotRow] = ()


def amend_study(
    study: OpenStudy,
    changes: Mapping[str, JsonValue],
    *,
    who: str,
    reason: str,
    secret_file: Path | None = None,
    now: datetime | None = None,
) -> Frozen:
    """Add an amendment to the protocol of an open study; a running server takes it up by itself.

    Args:
        study: the study.
        changes: new values by name of field, whole fields, as JSON. Orders are drawn, so what they were drawn from
            cannot change, and of the cases only what is known of them (``truth``, ``patient``).
        who: who decided it.
        reason: why; cannot be empty.
        secret_file: the secret of the key; None takes the file beside the folder.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: a field that cannot change, nothing that changes, a protocol that does not hold, a closed study, or
            no reason.
        RunError: the key does not open, or the disk or database cannot be written.
    """
    return put_in_force(study, lambda *_: Change(changes), who=who, reason=reason, secret_file=secret_file, now=now)


def put_in_force(
    study: OpenStudy,
    decide: Callable[[Session, Key], Change],
    *,
    who: str,
    reason: str,
    secret_file: Path | None = None,
    now: datetime | None = None,
) -> Frozen:
    """As ``amend_study``, with a change that ``decide`` makes from what the database and the key hold meanwhile."""
    check_reason("an amendment", who=who, reason=reason)
    folder, database = study.folder, study.database
    settle(folder, database)
    with database.write() as session:
        check_open(session, "amendment")
        secret = load_secret(folder, secret_file)
        key = unseal(folder.sealed.read_bytes(), secret)
        change = decide(session, key)
        frozen = amend(key.frozen, change.fields, who=who, reason=reason, now=now)
        _check_fixed(in_force(key.frozen), in_force(frozen))
        public, sealed = public_of(frozen), seal(key.model_copy(update={"frozen": frozen}), secret)
        info = folder.info().model_copy(update={"title": public.title, "sealed_sha256": sha_of(sealed)})
        with disk_errors(folder.amending):
            folder.amending.mkdir()
        write_bytes(folder.amending / folder.sealed.name, sealed)
        write_bytes(folder.amending / folder.public_path.name, json_line(public))
        write_bytes(folder.amending / folder.info_path.name, json_line(info))
        sync(folder.amending, folder.path)
        session.add_all(change.rows)
        session.flush()
        record(session, amended_event(info, public, before=key.frozen.last_hash, rows=change.rows), now=now)
    settle(folder, database)
    return frozen


def _check_fixed(before: Protocol, after: Protocol) -> None:
    moved = [name for name in FIXED if getattr(before, name) != getattr(after, name)]
    if [(case.id, case.images) for case in before.cases] != [(case.id, case.images) for case in after.cases]:
        moved.append("cases")
    if moved:
        raise UsageError(
            "the orders of the study were drawn from what is to be amended",
            value=", ".join(moved),
            allowed="every other field, and the truth and patient of a case",
            next_step="create another study",
        )
