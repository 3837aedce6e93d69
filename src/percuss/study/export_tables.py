"""The tables of a closed study, row by row: readers, cases, orders and answers with what the key says of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import RunError
from percuss.study.design.key import Key
from percuss.study.design.protocol import Protocol, in_force
from percuss.study.design.trials import Trial
from percuss.study.tables import AnswerRow, PlaceRow, ReaderRow

Row = dict[str, Any]
#: A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHOWN = (
    "reaction_ms", "pixel_ratio", "zoom_first", "zoom_last", "zoom_most", "level", "width", "focus_losses",
    "focus_lost_ms", "offline", "tries", "client_time",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What joins the database with the key: the protocol in force and every trial by the id that the database has."""

    protocol: Protocol
    trials: Mapping[str, Trial]
    hashes: Mapping[str, str]
    readers: Mapping[int, str]

    @classmethod
    def of(cls, session: Session, key: Key) -> Known:
        """From the key, and the readers in the order of enrolment, who are called R1, R2, ..."""
        protocol = in_force(key.frozen)
        by_key = {trial.key: trial for trial in protocol.trials()}
        trials = {opaque: by_key[name] for opaque, name in key.trials.items()}
        ids = session.scalars(select(ReaderRow.id).where(ReaderRow.role == "reader").order_by(ReaderRow.id)).all()
        return cls(protocol, trials, key.files, {number: f"R{place}" for place, number in enumerate(ids, 1)})

    def trial(self, place: PlaceRow) -> Trial:
        """What a place shows; RunError where the key does not know it."""
        if place.trial not in self.trials:
            raise RunError(
                "the key does not know a trial of the database",
                value=place.trial,
                next_step="percuss study verify STUDY",
            )
        return self.trials[place.trial]

    def side(self, place: PlaceRow) -> str:
        """``left`` or ``right``, where the arm's image was of two; empty where one was shown or both are the same."""
        trial = self.trial(place)
        if not place.right_file or trial.image == trial.beside:
            return ""
        return "left" if self.hashes.get(place.left_file) == trial.image else "right"


def reader_rows(session: Session, known: Known) -> list[Row]:
    """One row for each reader: the name in the tables, the true one, order, and when access began and ended."""
    found = session.scalars(select(ReaderRow).where(ReaderRow.role == "reader").order_by(ReaderRow.id)).all()
    return [
        {
            "reader": known.readers[row.id],
            "name": row.name,
            "order": row.slot,
            "enrolled": row.enrolled,
            "revoked": row.revoked,
        }
        for row in found
    ]


def case_rows(key: Key, known: Known) -> list[Row]:
    """One row for each case and arm: truth, the file's hash and name, and what the model says of that file."""
    names = {sha: name for name, sha in key.files.items()}
    says = {case.id: case.model for case in key.cases}
    rows = []
    for place, case in enumerate(known.protocol.cases, 1):
        for arm, sha in case.images.items():
            model = says.get(case.id, {}).get(arm)
            told = {} if model is None else model.model_dump()
            rows.append(
                {"case": case.id, "imrmc": f"C{place}", "patient": case.patient, "truth": case.truth, "arm": arm}
                | {
                    "sha256": sha,
                    "file": names.get(sha, ""),
                    **{f"model_{name}": value for name, value in told.items()},
                }
            )
    return rows


def order_rows(session: Session, known: Known) -> list[Row]:
    """One row for each place in each reader's order."""
    places = session.scalars(select(PlaceRow).order_by(PlaceRow.reader, PlaceRow.number)).all()
    return [_place(place, known) for place in places if place.reader in known.readers]


def answer_rows(session: Session, known: Known) -> list[Row]:
    """One row for each answer and each correction, oldest first; of a place the highest version counts."""
    both = (AnswerRow.reader == PlaceRow.reader) & (AnswerRow.number == PlaceRow.number)
    found = session.execute(select(AnswerRow, PlaceRow).join(PlaceRow, both).order_by(AnswerRow.record))
    return [_answer(answer, place, known) for answer, place in found]


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] = ()) -> bytes:
    """The rows as CSV in UTF-8; columns in the order in which rows first have them, or as given where none is there.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(columns)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        value = json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _place(place: PlaceRow, known: Known) -> Row:
    trial = known.trial(place)
    return {
        "reader": known.readers[place.reader],
        "number": place.number,
        "session": place.session,
        "task": trial.task,
        "case": trial.case,
        "arm": trial.arm,
        "copy": trial.copy_number,
        "side": known.side(place),
    }


def _answer(answer: AnswerRow, place: PlaceRow, known: Known) -> Row:
    truths = {case.id: case.truth for case in known.protocol.cases}
    shown = _place(place, known)
    given = {"label": "", "confidence": "", "rating": "", "same": "", "seen": "", "comment": ""}
    given |= {name: value for name, value in answer.answer.items() if name not in ("task", "side")}
    return {
        **shown,
        "truth": truths[shown["case"]],
        "version": answer.version,
        **given,
        "chosen": answer.answer.get("side", ""),
        "reason": answer.reason,
        "saved": answer.saved,
        "record": answer.record,
        "id": answer.id,
        **{name: answer.shown.get(name) for name in _SHOWN},
        "sha256": answer.shown.get("sha256", []),
    }
