"""The place of a new study: free, held by one process, and cleared of what a killed attempt left there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from percuss.core.errors import RunError
from percuss.store.safe import SCRATCH, disk_errors
from percuss.study.creating import check_free
from percuss.study.folder import StudyFolder


@contextmanager
def attempt(path: Path) -> Iterator[None]:
    """Within, this process may make the study; a mark beside it tells that it is not finished.

    What a killed or failed attempt leaves (folder and secret, while the mark is there and ``study.json`` is not) is
    removed: nobody can have read with it. All else that lies there is refused.

    Raises:
        UsageError: something is there. RunError: another process makes a study there, or the place is not writable.
    """
    folder, mark = StudyFolder(path), path.absolute().parent / f"{SCRATCH}{path.name}.making"
    begun = mark.exists()
    if not begun:
        check_free(folder)
    with disk_errors(path):
        mark.parent.mkdir(parents=True, exist_ok=True)
        file = mark.open("ab")
    with file:
        _hold(file, path)
        if begun and not folder.info_path.exists():
            _clear(folder)
        try:
            check_free(folder)
            with _undone(folder):
                yield
        finally:
            mark.unlink(missing_ok=True)


@contextmanager
def _undone(folder: StudyFolder) -> Iterator[None]:
    """Within, whatever fails leaves nothing."""
    try:
        yield
    except BaseException:
        _clear(folder)
        raise


def _clear(folder: StudyFolder) -> None:
    with disk_errors(folder.path):
        if folder.path.is_dir():
            shutil.rmtree(folder.path)
        folder.secret_path.unlink(missing_ok=True)


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
