"""A closed study as files that need no Percuss: tables, protocol, key, audit trail, and ratings for iMRMC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import UsageError
from percuss.store.safe import disk_errors, write_bytes
from percuss.study.canonical import canonical
from percuss.study.design.key import Key
from percuss.study.export_tables import Known, answer_rows, as_csv, case_rows, order_rows, reader_rows
from percuss.study.reasons import is_open
from percuss.study.statistics.imrmc_export import imrmc_text
from percuss.study.statistics.mrmc_table import Readings
from percuss.study.tables import TrailRow

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy

#: Files of the study's folder that go along as they are, where they are there.
_AS_THEY_ARE = ("study.json", "closed.json", "results.json", "report.html")


def export_study(study: OpenStudy, key: Key, *, out: Path) -> dict[str, str]:
    """Write a closed study into a new folder; the SHA-256 of each file by its name, as manifest.json has it.

    The folder is for its owner alone. Readers are called R1, R2, ... in the tables; readers.csv and the trail have
    their names. Comments and reasons are in answers.csv as they were given, but for an apostrophe before what a
    spreadsheet would take for a formula. What fails leaves the folder empty.

    Raises:
        UsageError: the study is open, or the folder holds something.
        RunError: the key is not of this study, or the disk cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("there is something already", value=out, next_step="give a new folder with --out")
    with study.database.read() as session:
        if is_open(session):
            raise UsageError(
                "the study is open: answers are not shown before it is closed",
                value=study.folder.path,
                next_step="percuss study close STUDY --reason WHY",
            )
        files = _files(session, key)
    for name in _AS_THEY_ARE:
        path = study.folder.path / name
        if path.exists():
            files[name] = path.read_bytes()
    about = {"study": study.info.id, "title": study.info.title, "percuss_version": version("percuss")}
    with _all_or_nothing(out):
        written = {name: write_bytes(out / name, content) for name, content in sorted(files.items())}
        write_bytes(out / "manifest.json", _json({**about, "files": written}))
    return written


@contextlib.contextmanager
def _all_or_nothing(out: Path) -> Iterator[None]:
    """Within, the folder is there; whatever fails leaves it empty, so that the same export can be asked for again."""
    with disk_errors(out):
        # Names of readers and their answers: the study's own folder is for its owner alone, so is its copy.
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        # It was empty before: everything in it was written here.
        for path in out.iterdir():
            path.unlink(missing_ok=True)
        raise


def _files(session: Session, key: Key) -> dict[str, bytes]:
    known = Known.of(session, key)
    answers = answer_rows(session, known)
    lines = session.scalars(select(TrailRow.line).order_by(TrailRow.number)).all()
    return {
        "protocol.json": _json(key.frozen.model_dump(mode="json")),
        "key.json": _json(key.model_dump(mode="json", exclude={"frozen"})),
        "trail.jsonl": "".join(f"{line}\n" for line in lines).encode(),
        "readers.csv": as_csv(reader_rows(session, known), ("reader", "name")),
        "cases.csv": as_csv(case_rows(key, known)),
        "orders.csv": as_csv(order_rows(session, known), ("reader", "number")),
        "answers.csv": as_csv(answers, ("reader", "number", "version")),
        **_imrmc(answers, known),
    }


def _imrmc(answers: list[dict[str, Any]], known: Known) -> dict[str, bytes]:
    """One file for each copy of the diagnoses, of the readers who gave them all; none where a class has no case."""
    protocol = known.protocol
    last = {(row["reader"], row["number"]): row for row in answers if row["task"] == "diagnosis"}
    names = {case.id: f"C{place}" for place, case in enumerate(protocol.cases, 1)}
    wanted = {trial.key for trial in known.trials.values() if trial.task == "diagnosis"}
    files = {}
    for copy in range(1, protocol.copies + 1):
        rows = [row for row in last.values() if row["copy"] == copy]
        each = sum(key.split("|")[1] == str(copy) for key in wanted)
        counts = pd.Series([row["reader"] for row in rows], dtype=object).value_counts()
        whole = [row for row in rows if counts[row["reader"]] == each]
        truths = {row["truth"] == protocol.positive for row in whole}
        if len(truths) == 2:
            table = pd.DataFrame([_rating(row, protocol.positive, names) for row in whole])
            text = imrmc_text(Readings.of(table), title=f"Percuss diagnosis copy {copy}")
            files[f"diagnosis-copy{copy}.imrmc"] = text.encode()
    return files


def _rating(row: Mapping[str, Any], positive: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Surely not positive is 1, just not 5, just positive 6, surely positive 10."""
    sure = int(row["confidence"])
    score = 5 + sure if row["label"] == positive else 6 - sure
    truth = int(row["truth"] == positive)
    return {"reader": row["reader"], "case": names[row["case"]], "arm": row["arm"], "score": score, "truth": truth}


def _json(value: object) -> bytes:
    return (canonical(value) + "\n").encode()
