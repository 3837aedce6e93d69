"""percuss study status: how far everybody is, and no answer."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from percuss.cli.options import StudyDatabase, StudyJson, StudyPath, Verbose
from percuss.cli.pasteable import Typed

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy
    from percuss.study.progress import ReaderStatus, StudyStatus


def status(
    study: StudyPath, *, database: StudyDatabase = None, as_json: StudyJson = False, verbose: Verbose = False
) -> None:
    """Say how far each reader of a study is: trials done, session, wash-out. No answer is shown before closing."""
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.progress import status as look

        found = look(target)
    if as_json:
        head = {"title": target.info.title, "study": target.info.id, "trials": target.public.trials}
        print(json.dumps({**head, **dataclasses.asdict(found), "head": found.head.model_dump()}))
    else:
        print("\n".join(_lines(target, found, Typed(study, database))))


def _lines(study: OpenStudy, found: StudyStatus, typed: Typed) -> list[str]:
    state = found.state if found.closed is None else f"{found.state} {_minute(found.closed)}"
    lines = [f"{study.info.title}: {state}, {study.public.trials} trials per reader"]
    if found.readers:
        lines += ["", *_table([("name", "done", "session", "stands", "last answer"), *map(_row, found.readers)])]
    else:
        lines.append(f"nobody is enrolled: {typed.command('enrol', '--name NAME')}")
    return [*lines, "", f"audit trail: {found.head.number} records, {found.head.number}:{found.head.hash}"]


def _row(reader: ReaderStatus) -> tuple[str, ...]:
    if reader.role != "reader":
        return (reader.name, "", "", reader.role if reader.revoked is None else "revoked", "")
    phase = reader.phase if reader.opens is None else f"{reader.phase} until {_minute(reader.opens)}"
    stands = phase if reader.revoked is None else f"{phase}, revoked {_minute(reader.revoked)}"
    last = "" if reader.last_saved is None else _minute(reader.last_saved)
    return (reader.name, f"{reader.done}/{reader.total}", f"{reader.session}/{reader.sessions}", stands, last)


def _minute(time: str) -> str:
    """An ISO 8601 time to the minute, with its zone."""
    from datetime import datetime

    return datetime.fromisoformat(time).isoformat(sep=" ", timespec="minutes")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
