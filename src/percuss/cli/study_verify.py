"""percuss study verify: whether a study, or its exported audit trail, is as it was written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from percuss.cli.exits import FAILED
from percuss.cli.options import StudyDatabase, StudyJson, StudySecret, Verbose
from percuss.cli.pasteable import Typed
from percuss.core.errors import RunError, UsageError

if TYPE_CHECKING:
    from percuss.study.trail import Head
    from percuss.study.verification.trail_lines import Verdict


def verify(
    study: Annotated[Path, typer.Argument(help="Folder of a study, or an exported trail.jsonl.")],
    *,
    head: Annotated[
        str | None, typer.Option(help="End of the trail as noted elsewhere, N:HASH: shows a trail written anew.")
    ] = None,
    secret: StudySecret = None,
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Check that a study is as it was written: every record of its audit trail, every answer, every file.

    Ends with 0 where it is sound, and with 1 where something was touched: the first record of the trail is named. With
    the secret at hand pictures and orders are held against the sealed key too.
    """
    noted = None if head is None else _head(head)
    found = _trail(study, noted) if study.is_file() else _study(study, noted, secret, database)
    found["faults"] = [Typed(study, database).fill(fault) for fault in found["faults"]]
    if as_json:
        print(json.dumps(found))
    elif found["sound"]:
        print(f"sound: {found['words']}. The trail ends with {found['head']['number']}:{found['head']['hash']}")
    else:
        print(f"NOT sound: {found['words']}")
        print("\n".join(f"  {fault}" for fault in found["faults"]))
        print(f"The trail holds up to {found['head']['number']}:{found['head']['hash']}")
    if not found["sound"]:
        raise typer.Exit(FAILED)


def _head(text: str) -> Head:
    from percuss.study.trail import Head

    match = re.fullmatch(r"(\d+):([0-9a-f]{64})", text.strip())
    if match is None:
        raise UsageError(
            "this is no end of a trail",
            value=text,
            allowed="N:HASH, a number and 64 hex digits",
            next_step="give it as percuss study close or status printed it",
        )
    return Head(number=int(match[1]), hash=match[2])


def _trail(path: Path, head: Head | None) -> dict[str, Any]:
    from percuss.study.verification.trail_lines import verify as look

    verdict = look(path, head=head)
    faults = [] if verdict.fault is None else [f"audit trail: {verdict.fault}"]
    return {"sound": verdict.sound, "words": "an audit trail by itself", "faults": faults, **_reached(verdict)}


def _study(path: Path, head: Head | None, secret: Path | None, database: str | None) -> dict[str, Any]:
    from percuss.study.extra import require_extra

    require_extra()
    from percuss.study.folder import NewerStudy

    try:
        return _opened(path, head, secret, database)
    except NewerStudy:
        raise
    except RunError:
        faults = _gone(path, database)
        if not faults:
            raise
    nothing = {"records": 0, "answers": 0, "with_key": False, "first": None, "head": {"number": 0, "hash": "0" * 64}}
    return {"sound": False, "words": "it cannot be opened any more", "faults": faults, **nothing}


def _opened(path: Path, head: Head | None, secret: Path | None, database: str | None) -> dict[str, Any]:
    from percuss.cli.study_open import opened

    with opened(path, database) as target:
        from percuss.study.seal import load_key
        from percuss.study.verification.whole import verify_study

        key, closed = None, None
        if secret is not None or target.folder.secret_path.exists():
            try:
                key = load_key(target.folder, secret)
            except RunError as error:
                closed = error
        verdict = verify_study(target, head=head, key=key)
        # A key that was touched is among the faults; one that is whole needs another secret.
        if closed is not None and verdict.sound:
            raise closed
    words = f"{verdict.records} records, {verdict.answers} answers, pictures and protocol"
    words += "" if verdict.with_key else "; the key was not at hand, so orders were not looked at"
    counts = {"records": verdict.records, "answers": verdict.answers, "with_key": verdict.with_key}
    found = {"sound": verdict.sound, "words": words, "faults": list(verdict.faults), **counts}
    return {**found, **_reached(verdict.trail)}


def _gone(path: Path, database: str | None) -> list[str]:
    """What a study lacks or nobody can read, so that it cannot be opened; none of it where this never was a study."""
    from percuss.study.database import WHOLE_URL
    from percuss.study.folder import StudyFolder

    folder = StudyFolder(path)
    if not any(file.exists() for file in (folder.info_path, folder.public_path, folder.sealed)):
        return []
    faults, elsewhere = [], database or os.environ.get(WHOLE_URL, "")
    for file, read in ((folder.info_path, folder.info), (folder.public_path, folder.public)):
        try:
            read()
        except RunError:
            faults.append(f"{file.name}: {'not as it was written' if file.exists() else 'missing'}")
    if not faults and not elsewhere and not folder.info().database:
        faults += _file_gone(folder.database_path)
    return faults


def _file_gone(path: Path) -> list[str]:
    """What SQLite itself says against a file; nothing where the file is whole, or only held by somebody."""
    if not path.exists():
        return [f"{path.name}: missing"]
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as raw:
            told = [str(line) for (line,) in raw.execute("PRAGMA integrity_check(3)")]
    except sqlite3.OperationalError:
        return []
    except sqlite3.DatabaseError as error:
        told = [str(error)]
    return [f"{path.name}: {line}" for line in told if line != "ok"]


def _reached(verdict: Verdict) -> dict[str, Any]:
    """Up to where the chain holds, and the first record that was touched."""
    fault = verdict.fault
    first = None if fault is None else {"kind": fault.kind, "number": fault.number, "line": fault.line}
    return {"head": verdict.head.model_dump(), "first": first}
