"""A protocol amended while the study runs: the key sealed anew, the public protocol and the trail say so.

What is new is written beside what stands, then the trail's record is committed, then the files change places. A kill
before the commit leaves the old study, one after it the new: ``settle``, at every opening, brings either to its end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import RunError, UsageError
from percuss.store.safe import disk_errors, write_bytes
from percuss.study.canonical import canonical
from percuss.study.folder import StudyFolder
from percuss.study.pictures import sha_of
from percuss.study.protocol import Frozen, Protocol, amend, in_force
from percuss.study.public import public_of
from percuss.study.reasons import check_open, check_reason
from percuss.study.recorded import AMENDED, amended_event
from percuss.study.seal import load_secret, seal, unseal
from percuss.study.tables import TrailRow
from percuss.study.trail import read_line, record

if TYPE_CHECKING:
    from percuss.study.database import Database
    from percuss.study.opening import OpenStudy

#: What the orders were drawn from: with another value they would no longer be the protocol's.
FIXED = ("run", "seed", "arms", "tasks", "copies", "rules")


def amend_study(
    study: OpenStudy,
    changes: Mapping[str, JsonValue],
    *,
    who: str,
    reason: str,
    secret_file: Path | None = None,
    now: datetime | None = None,
) -> Frozen:
    """Add an amendment to the protocol of an open study; a running server takes it up when it is started again.

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
    check_reason("an amendment", who=who, reason=reason)
    folder, database = study.folder, study.database
    settle(folder, database)
    with database.write() as session:
        check_open(session, "amendment")
        secret = load_secret(folder, secret_file)
        key = unseal(folder.sealed.read_bytes(), secret)
        frozen = amend(key.frozen, changes, who=who, reason=reason, now=now)
        _check_fixed(in_force(key.frozen), in_force(frozen))
        public, sealed = public_of(frozen), seal(key.model_copy(update={"frozen": frozen}), secret)
        info = folder.info().model_copy(update={"title": public.title, "sealed_sha256": sha_of(sealed)})
        with disk_errors(folder.amending):
            folder.amending.mkdir()
        write_bytes(folder.amending / folder.sealed.name, sealed)
        write_bytes(folder.amending / folder.public_path.name, _text(public))
        write_bytes(folder.amending / folder.info_path.name, _text(info))
        _sync(folder.amending, folder.path)
        record(session, amended_event(info, public, before=key.frozen.last_hash), now=now)
    settle(folder, database)
    return frozen


def settle(folder: StudyFolder, database: Database) -> None:
    """Bring an amendment that was cut short to its end: in force where the trail has it, else as if never begun."""
    if not folder.amending.exists():
        return
    with database.write() as session:
        if not folder.amending.exists():  # another process was faster
            return
        with disk_errors(folder.path):
            if _committed(session, folder):
                # The marker, study.json, goes last: until then this is done again after a kill.
                for path in (folder.sealed, folder.public_path, folder.info_path):
                    fresh = folder.amending / path.name
                    if fresh.exists():
                        fresh.replace(path)
                _sync(folder.path)
            shutil.rmtree(folder.amending)


def _committed(session: Session, folder: StudyFolder) -> bool:
    """Whether the trail has the amendment whose files wait."""
    try:
        waiting = StudyFolder(folder.amending).info().sealed_sha256
    except RunError:  # killed while the files were written, or after the last had moved
        return False
    for line in session.scalars(select(TrailRow.line).order_by(TrailRow.number.desc())):
        found = read_line(line.encode())
        if found is not None and found.what == AMENDED and isinstance(found.new, dict):
            return found.new.get("sealed") == waiting
    return False


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


def _text(values: BaseModel) -> bytes:
    return (canonical(values.model_dump(mode="json")) + "\n").encode()


def _sync(*folders: Path) -> None:
    """The names in a folder on the disk, before what relies on them is."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
