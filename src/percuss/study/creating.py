"""A study written to disk: protocol and key sealed, images of one length, orders drawn, the trail begun."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import RunError, UsageError
from percuss.store.safe import disk_errors, write_bytes
from percuss.study.design.key import CaseKey, Key
from percuss.study.design.protocol import Protocol, freeze
from percuss.study.design.public import public_of
from percuss.study.extra import require_extra
from percuss.study.folder import Pixels, StudyFolder, StudyInfo, json_line
from percuss.study.opening import OpenStudy, open_study, study_in
from percuss.study.pictures import Picture, file_name, sha_of, write_picture
from percuss.study.seal import new_secret, seal, write_secret
from percuss.study.trail import record

if TYPE_CHECKING:
    from percuss.study.database import Database

#: Orders that are drawn beyond those of the planned readers, for readers who leave.
SPARE = 16


@dataclass(frozen=True)
class Draft:
    """A study that is decided and not yet written.

    Attributes:
        protocol: all of it, with the SHA-256 of every picture.
        pictures: every picture by its SHA-256 (``pictures.sha_of``), all of one length (``pictures.even``).
        cases: what is known of each.
        pixels: what a level means.
        largest_tried, model, run, left_out: as in ``key.Key``; run is the audit's run id.
        slots: orders to draw; 0 draws ``max(2 * readers, readers + 16)``.
    """

    protocol: Protocol
    pictures: Mapping[str, Picture]
    cases: tuple[CaseKey, ...]
    pixels: Pixels = field(default_factory=Pixels)
    largest_tried: Mapping[str, float] | None = None
    model: str = ""
    run: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    slots: int = 0


def create_folder(
    path: Path, draft: Draft, *, database: str | None = None, who: str = "server"
) -> tuple[OpenStudy, Key]:
    """Write a study that nobody is enrolled in yet; ``study.json`` comes last, so a killed attempt is no study.

    Args:
        path: the new folder; nothing may be there, nor a secret beside it.
        draft: what is decided.
        database: URL; None takes the environment's ``PERCUSS_STUDY_DATABASE``, else ``study.db`` in the folder.
        who: who creates it, for the trail.

    Raises:
        UsageError: something is there, pictures differ in length or are missing, or rules that cannot be kept.
        RunError: the disk or the database cannot be written, or the database holds a study already.
    """
    require_extra()
    from percuss.study.database import WHOLE_URL

    database = database or os.environ.get(WHOLE_URL) or None
    folder = StudyFolder(path)
    check_free(folder)
    names = _names(draft)
    key = _key(draft, names)
    with disk_errors(path):
        path.mkdir(mode=0o700, parents=True)
    try:
        _write(folder, draft, key, database=database, who=who)
    except BaseException:
        # Everything in the folder was made here, and without study.json it is no study: try again in its place.
        shutil.rmtree(path, ignore_errors=True)
        folder.secret_path.unlink(missing_ok=True)
        raise
    return open_study(path, database=database), key


def _write(folder: StudyFolder, draft: Draft, key: Key, *, database: str | None, who: str) -> None:
    secret = new_secret()
    sealed = seal(key, secret)
    info = _info(draft, key, sealed, database=database)
    write_secret(folder.secret_path, secret)
    for name, sha in key.files.items():
        write_picture(folder.images / name, draft.pictures[sha])
    write_bytes(folder.sealed, sealed)
    write_bytes(folder.public_path, json_line(public_of(key.frozen)))
    _fill(folder, info, key, database=database, who=who)
    write_bytes(folder.info_path, json_line(info))


def check_free(folder: StudyFolder) -> None:
    """UsageError where a folder or a secret lies in the place of a new study."""
    for path in (folder.path, folder.secret_path):
        if path.exists():
            raise UsageError(
                "a study needs a place of its own",
                value=path,
                allowed="a new folder, with no secret beside it",
                next_step="give another --out: an existing study is never touched; a folder without study.json is left "
                "from a kill, and may go",
            )


def _names(draft: Draft) -> dict[str, str]:
    """A random file name for each picture that a trial shows."""
    wanted = {sha for trial in draft.protocol.trials() for sha in (trial.image, trial.beside) if sha}
    lengths = set()
    for sha in wanted:
        picture = draft.pictures.get(sha)
        if picture is None or sha_of(picture) != sha:
            raise UsageError("a picture of the study is missing", value=sha, next_step="hand over every picture")
        tiles = [picture] if isinstance(picture, bytes) else [picture[place] for place in picture]
        lengths |= {len(tile) for tile in tiles}
    if len(lengths) > 1:
        raise UsageError(
            "files of different length would tell images apart",
            value=f"{min(lengths)} to {max(lengths)} bytes",
            allowed="one length",
            next_step="hand the pictures to percuss.study.pictures.even first",
        )
    # By hash: neither names nor the order in which they are written follow cases or arms.
    return {sha: file_name(secrets.token_hex(16), draft.pictures[sha]) for sha in sorted(wanted)}


def _key(draft: Draft, names: Mapping[str, str]) -> Key:
    trials = [trial.key for trial in draft.protocol.trials()]
    return Key(
        frozen=freeze(draft.protocol),
        trials={secrets.token_hex(8): trial for trial in trials},
        files={name: sha for sha, name in names.items()},
        cases=draft.cases,
        largest_tried=dict(draft.largest_tried or {}),
        model=draft.model,
        run=draft.run,
        left_out=dict(draft.left_out),
    )


def _info(draft: Draft, key: Key, sealed: bytes, *, database: str | None) -> StudyInfo:
    from percuss.study.database import stored_url

    readers = draft.protocol.readers
    return StudyInfo(
        id=secrets.token_hex(8),
        title=draft.protocol.title,
        created=datetime.now().astimezone().isoformat(timespec="microseconds"),
        percuss_version=version("percuss"),
        run_id=draft.run,
        database=stored_url(database) if database else "",
        protocol_hash=key.frozen.hash,
        sealed_sha256=sha_of(sealed),
        slots=draft.slots or max(2 * readers, readers + SPARE),
        pixels=draft.pixels,
    )


def _fill(folder: StudyFolder, info: StudyInfo, key: Key, *, database: str | None, who: str) -> None:
    """Tables, orders, the row of the study and the first record of its trail."""
    from sqlalchemy.exc import IntegrityError

    from percuss.study.database import open_database, sqlite_url
    from percuss.study.design.drawing import draw_slots
    from percuss.study.migrating import migrate
    from percuss.study.recorded import created_event
    from percuss.study.tables import StudyRow

    if not database:
        # Names, answers and CSRF tokens: for its owner alone, as what SQLite lays beside it then is too.
        with disk_errors(folder.database_path):
            folder.database_path.touch(mode=0o600)
    opened = open_database(database or sqlite_url(folder.database_path))
    try:
        _check_empty(opened)
        migrate(opened)
        with opened.write() as session:
            session.add(StudyRow(id=1, study=info.id, state="open", created=info.created, closed=None))
            session.flush()
            rows = draw_slots(key, range(info.slots))
            session.add_all(rows)
            session.flush()
            record(session, created_event(info, public_of(key.frozen), rows=rows, images=folder.images, who=who))
    except IntegrityError as error:
        # Another study was written into it since we looked.
        raise _held(opened, study_in(opened)) from error
    finally:
        opened.close()


def _check_empty(database: Database) -> None:
    held = study_in(database)
    if held:
        raise _held(database, held)


def _held(database: Database, study: str | None) -> RunError:
    return RunError(
        "the database holds a study already",
        value=f"{database.url}: study {study}",
        allowed="a database of its own for each study",
        next_step="make a new database, or leave --database out",
    )
