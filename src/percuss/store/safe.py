"""Writes that a killed process or a full disk cannot leave half done."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from percuss.core.errors import RunError

#: Files that a killed write may leave behind start with this; they never count as content.
SCRATCH = ".percuss-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Within, an OSError becomes a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise RunError(
                "the disk is full",
                value=path,
                next_step="free some space and give the same command again",
            ) from error
        raise RunError(
            f"{path} cannot be written",
            value=error.strerror or error,
            next_step="make it a place that you may write to, or give another with --out",
        ) from error


def write_bytes(path: Path, content: bytes) -> str:
    """Write a file by way of a scratch file in the same folder, and read it back.

    Returns its SHA-256 (hex). A reader sees the old file or the new one, never a part. RunError where the disk is
    full, the folder cannot be written, or what is read back differs.
    """
    scratch: Path | None = None
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=SCRATCH, dir=path.parent)
            scratch = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.chmod(0o644)
            scratch.replace(path)
        except OSError:
            if scratch is not None:
                scratch.unlink(missing_ok=True)
            raise
    wanted = hashlib.sha256(content).hexdigest()
    if sha256_of(path) != wanted:
        raise RunError("what was written reads back differently", value=path, next_step="check the disk")
    return wanted


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file; RunError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError("a file of the run cannot be read", value=path, next_step="run percuss audit again") from error
