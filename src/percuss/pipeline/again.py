"""Whether what a command adds to a finished run is there already, so that it need not be computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping

from percuss.core.errors import RunError
from percuss.pipeline import environment
from percuss.store.folder import RunFolder, identity_hash


def mark_of(folder: RunFolder, what: Mapping[str, object]) -> str:
    """Hash of what decides an addition: the run with its rows, the version, and the options in ``what``."""
    told = {name: repr(value) for name, value in what.items()}
    rows = str(folder.manifest["files"].get("rows.parquet", ""))
    return identity_hash(folder.manifest["identity"] | told | {"rows": rows, "version": environment.version()})


def made_before(folder: RunFolder, mark: str, *, record: str, needs: tuple[str, ...] = ()) -> bool:
    """Whether the run holds the addition with this mark, whole.

    Args:
        record: its file with the mark, ``.json`` or ``.parquet``.
        needs: other files it has; ``NAME/`` stands for every file below.

    A file that is gone or changed since, or was never listed because of a kill, makes it one to compute again.
    """
    files = folder.manifest["files"]
    if not folder.finished or not {record, *(name for name in needs if not name.endswith("/"))} <= set(files):
        return False
    if _mark_in(folder, record) != mark:
        return False
    below = tuple(name for name in needs if name.endswith("/"))
    return not [name for name in folder.damaged() if name in (record, *needs) or name.startswith(below or ("\0",))]


def _mark_in(folder: RunFolder, record: str) -> object:
    try:
        if record.endswith(".parquet"):
            return folder.read_table(record).attrs.get("mark")
        return json.loads((folder.path / record).read_text(encoding="utf-8")).get("mark")
    except (RunError, OSError, ValueError):
        return None
