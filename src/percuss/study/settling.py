"""An amendment that a kill cut short, brought to its end: in force, or as if never begun."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import RunError
from percuss.store.safe import disk_errors
from percuss.study.folder import StudyFolder
from percuss.study.recorded import AMENDED
from percuss.study.tables import TrailRow
from percuss.study.trail import read_line

if TYPE_CHECKING:
    from percuss.study.database import Database


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
                sync(folder.path)
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


def sync(*folders: Path) -> None:
    """The names in a folder on the disk, before what relies on them is."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
