"""The place of a new study: free, held by one process, and cleared of what a killed attempt left.

A study is made in a folder beside its place and moves there last of all: at its place lies a whole study or none.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from percuss.core.errors import RunError
from percuss.pipeline.progress import Progress
from percuss.store.safe import SCRATCH, disk_errors
from percuss.study.creating import check_free
from percuss.study.folder import StudyFolder
from percuss.study.seal import write_secret


@dataclass(frozen=True)
class Workplace:
    """Where a study is made.

    Attributes:
        study: its folder until it moves; its secret lies beside it.
        spool: a file for its pictures until they are all there.
    """

    study: Path
    spool: Path


@contextmanager
def attempt(path: Path, say: Progress) -> Iterator[Workplace]:
    """Within, this process makes the study; at the end it moves to its place, its secret beside it.

    Whatever fails leaves nothing. What a killed attempt left is removed, and said: nobody can have read with it.

    Args:
        path: where the study shall be.
        say: told of what was removed.

    Raises:
        UsageError: something is there. RunError: another process makes a study there, or the place is not writable.
    """
    folder, making = StudyFolder(path), path.absolute().parent / f"{SCRATCH}{path.name}.making"
    if not making.exists():
        check_free(folder)
    with disk_errors(path):
        making.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (making / "lock").open("ab")
    with file:
        _hold(file, path)
        try:
            place = Workplace(making / path.name, making / "pictures")
            _clear(making, place, folder, say)
            check_free(folder)
            yield place
            _move(place, folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _clear(making: Path, place: Workplace, folder: StudyFolder, say: Progress) -> None:
    """Remove what a killed attempt left; its secret too, where it came before the folder and belongs to no study."""
    left = [path for path in making.iterdir() if path.name != "lock"]
    if not left:
        return
    own, database = StudyFolder(place.study).secret_path, _database(StudyFolder(place.study))
    with disk_errors(folder.path):
        moved = own.exists() and folder.secret_path.exists() and own.read_bytes() == folder.secret_path.read_bytes()
        if moved and not folder.path.exists():
            folder.secret_path.unlink()
        for path in left:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    say.line(f"a study that was not finished was removed: {making}")
    if database:
        say.line(f"what it had written to its database is still there, so give an empty one: {database}")


def _database(made: StudyFolder) -> str:
    """The URL of a study's database where it is elsewhere and was written."""
    try:
        return made.info().database
    except RunError:  # killed before
        return ""


def _move(place: Workplace, folder: StudyFolder) -> None:
    """The secret first: a study without one could never be evaluated, a secret without a study is a file to remove."""
    from percuss.study.settling import sync

    made = StudyFolder(place.study)
    with disk_errors(made.secret_path):
        secret = made.secret_path.read_bytes().strip()
    write_secret(folder.secret_path, secret)
    try:
        with disk_errors(folder.path):
            made.path.rename(folder.path)
            sync(folder.path, folder.path.absolute().parent)
    except BaseException:
        folder.secret_path.unlink(missing_ok=True)
        raise


def _hold(file: IO[bytes], path: Path) -> None:
    """Hold the place for this process; the system lets go when it ends, however it ends."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunError(
            "another process creates a study there", value=path, next_step="wait for it, or give another --out"
        ) from None
