"""What somebody gave in place of a study's folder: said as what it is, with what to give instead."""

from __future__ import annotations

import shlex
from pathlib import Path

from percuss.core.errors import UsageError, nearest
from percuss.study.folder import StudyFolder

_MADE = "percuss study create makes one"
#: Files by which a run of an audit is known.
_OF_A_RUN = ("plan.toml", "manifest.json")


def check_is_study(path: Path) -> None:
    """UsageError where a path is certainly no study: nothing, a file, an export, a run; a damaged study passes.

    Args:
        path: as somebody gave it.
    """
    folder = StudyFolder(path)
    if is_export(path):
        step = f"percuss study verify {shlex.quote(str(path / 'trail.jsonl'))}, with --head as noted at closing"
        raise UsageError("this is an export, not a study", value=path, next_step=step)
    if any(file.exists() for file in (folder.info_path, folder.public_path, folder.sealed)):
        return
    if not path.exists():
        known = studies_in(path.parent)
        near = nearest(path.name, known) if known else "a study's folder; there is none beside it"
        step = f"give the folder of a study; {_MADE}"
        raise UsageError("there is no such folder", value=path, allowed=near, next_step=step)
    if not path.is_dir():
        raise UsageError("this is a file, not the folder of a study", value=path, next_step=_folder_of(path))
    if all((path / name).exists() for name in _OF_A_RUN):
        step = f"make a study of it: percuss study create {shlex.quote(str(path))} --out NEW"
        raise UsageError("this is the run of an audit, not a study", value=path, next_step=step)
    known = studies_in(path)
    raise UsageError(
        "this folder holds no study",
        value=path,
        allowed=f"a study within it: {', '.join(known[:6])}" if known else "the folder that --out named",
        next_step=f"give the folder of a study; {_MADE}",
    )


def is_export(path: Path) -> bool:
    """Whether percuss study export wrote this folder."""
    return (path / "trail.jsonl").exists() and not StudyFolder(path).sealed.exists()


def studies_in(path: Path) -> list[str]:
    """Names of the studies that lie in a folder; none where it cannot be looked into."""
    try:
        return sorted(
            found.parent.name for found in path.glob("*/study.json") if (found.parent / "sealed.bin").exists()
        )
    except OSError:
        return []


def _folder_of(path: Path) -> str:
    """The study that a file belongs to, where it shows."""
    for folder in (path.parent, path.with_suffix("")):
        if (folder / "sealed.bin").exists():
            return f"give its study: {shlex.quote(str(folder))}"
    return f"give the folder of a study; {_MADE}"
