"""A study, opened: its folder, what it says of itself, and its database in the form of today."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import RunError
from percuss.study.design.public import PublicProtocol
from percuss.study.extra import require_extra
from percuss.study.folder import StudyFolder, StudyInfo
from percuss.study.mistaken import check_is_study

if TYPE_CHECKING:
    from percuss.study.database import Database


@dataclass(frozen=True)
class OpenStudy:
    """A study that can be read and written.

    Attributes:
        folder: where it lies.
        info: ``study.json``.
        public: ``protocol.json``, as it was when it was read; a server reads both again where they change.
        database: its answers, readers and trail.
    """

    folder: StudyFolder
    info: StudyInfo
    public: PublicProtocol
    database: Database


def open_study(path: Path, *, database: str | None = None) -> OpenStudy:
    """Open a study and bring an older one's tables up.

    Args:
        path: the folder.
        database: URL of the database, perhaps with its password; None takes the environment's
            ``PERCUSS_STUDY_DATABASE``, else what ``study.json`` names.

    Raises:
        RunError: a damaged or newer study, or a database that is missing, cannot be reached or holds another study.
        UsageError: no study, a URL that is none, or packages of the extra ``study`` missing.
    """
    require_extra()
    from percuss.study.database import open_database
    from percuss.study.migrating import migrate
    from percuss.study.settling import settle

    check_is_study(path)
    folder = StudyFolder(path)
    stored = folder.info()
    opened = open_database(database_url(folder, stored, database))
    try:
        _check_there(opened, stored)
        migrate(opened)
        settle(folder, opened)
    except BaseException:
        opened.close()
        raise
    return OpenStudy(folder, folder.info(), folder.public(), opened)


def database_url(folder: StudyFolder, info: StudyInfo, given: str | None) -> str:
    """The URL that counts: as given, of the environment, of ``study.json``, or of the file in the folder.

    RunError where it is a file, in the folder or elsewhere, that is not there: an empty one must not take its place.
    """
    from percuss.study.database import WHOLE_URL, sqlite_file, sqlite_url

    named = given or os.environ.get(WHOLE_URL) or info.database
    file = sqlite_file(named) if named else folder.database_path
    if file is not None and not file.exists():
        raise RunError(
            "the database of the study is missing",
            value=file,
            next_step="restore the study from its copy, with study.db and study.db-wal",
        )
    return named or sqlite_url(folder.database_path)


def _check_there(database: Database, info: StudyInfo) -> None:
    held = study_in(database)
    if held != info.id:
        raise RunError(
            "the database holds another study" if held else "the database holds no study",
            value=f"{database.url}: {held or 'empty'}, not {info.id}",
            next_step="give the database that the study was created with (--database)",
        )


def study_in(database: Database) -> str | None:
    """Id of the study that a database holds; None where it holds none."""
    from sqlalchemy import inspect, select

    from percuss.study.tables import StudyRow

    with database.read() as session:
        if not inspect(session.connection()).has_table("study"):
            return None
        return session.scalars(select(StudyRow.study)).first()
