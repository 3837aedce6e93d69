"""Whether a study is as it was written: its trail, and every row and file that the trail vouches for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from percuss.core.errors import PercussError
from percuss.study.design.key import Key
from percuss.study.folder import read_record
from percuss.study.recorded import CLOSED
from percuss.study.tables import AnswerRow, StudyRow, TrailRow
from percuss.study.trail import START, Head, Record, read_line
from percuss.study.verification.files import file_faults, key_faults
from percuss.study.verification.pages import page_faults, readable_row_faults
from percuss.study.verification.trail_lines import Verdict, verify_lines
from percuss.study.verification.triggers import trigger_faults

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


@dataclass(frozen=True)
class StudyVerdict:
    """What a study is worth.

    Attributes:
        trail: of the audit trail by itself, and against a head noted elsewhere.
        faults: everything that was found, that of the trail first, in words.
        records, answers: how many there are, corrections among the answers.
        with_key: whether the key was there to look with.
    """

    trail: Verdict
    faults: tuple[str, ...]
    records: int
    answers: int
    with_key: bool

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.faults


class _Noted(Head):
    """What closed.json says: the end of the trail at closing, and when."""

    time: str


def verify_study(study: OpenStudy, *, head: Head | None = None, key: Key | None = None) -> StudyVerdict:
    """Read a whole study again, from one moment of its database, and say what is not as it was written.

    A server may run, and readers answer, meanwhile. Found is whatever was changed, removed or inserted without the
    trail, and in the trail without its chain. Who owns the database can write rows, trail and chain anew together: that
    shows only against a ``head`` noted elsewhere.

    Args:
        study: the study.
        head: the end of the trail as noted elsewhere, before; closed.json is looked at anyway.
        key: to look at pictures one by one and at orders; None looks at what needs no key.

    Raises:
        RunError: the database cannot be used.
    """
    verdict = _looked(study, head, key)
    # Files are read after the rows: an amendment or a closing in between looks like a fault, so look once more.
    if not verdict.sound and _records_now(study) > verdict.records:
        return _looked(study, head, key)
    return verdict


def _records_now(study: OpenStudy) -> int:
    try:
        with study.database.read() as session:
            return session.scalar(select(func.count()).select_from(TrailRow)) or 0
    except (SQLAlchemyError, PercussError):  # a damaged file: what was found stands
        return 0


def _looked(study: OpenStudy, head: Head | None, key: Key | None) -> StudyVerdict:
    with study.database.read() as session:
        broken = page_faults(session)
        try:
            rows = session.scalars(select(TrailRow).order_by(TrailRow.number)).all()
        except SQLAlchemyError:
            if not broken:
                raise
            nothing = Verdict(Head(number=0, hash=START), None)
            return StudyVerdict(nothing, tuple(broken), records=0, answers=0, with_key=False)
        verdict = verify_lines([row.line for row in rows], head=head)
        records = _records(row.line for row in rows)
        faults = [*broken] if verdict.fault is None else [*broken, f"audit trail: {verdict.fault}"]
        faults += [
            f"audit trail: the columns of row {row.number} are not those of its record"
            for row in rows
            if row.number not in records or records[row.number].hash != row.hash
        ]
        faults += readable_row_faults(session, records)
        faults += _closing_faults(session, study, records)
        faults += trigger_faults(session)
        faults += file_faults(study.folder, records)
        if key is not None:
            faults += key_faults(session, study.folder, key=key, records=records)
        answers = session.scalar(select(func.count()).select_from(AnswerRow)) or 0
    told = tuple(dict.fromkeys(faults))
    return StudyVerdict(verdict, told, records=len(rows), answers=answers, with_key=key is not None)


def _records(lines: Iterable[str]) -> dict[int, Record]:
    """The records by number, of a number twice the first; lines that are none are left out."""
    found: dict[int, Record] = {}
    for line in lines:
        record = read_line(line.encode("utf-8", "surrogatepass"))
        if record is not None:
            found.setdefault(record.number, record)
    return found


def _closing_faults(session: Session, study: OpenStudy, records: Mapping[int, Record]) -> Iterator[str]:
    """The state of the study, its closing in the trail, and what closed.json noted of it."""
    row = session.scalars(select(StudyRow)).one_or_none()
    if row is None or row.study != study.info.id:
        yield "the database does not hold this study any more"
        return
    closing = [record for record in records.values() if record.what == CLOSED]
    if (row.state == "closed") != bool(closing):
        yield f"the study is {row.state}, which the trail does not say"
    elif row.closed != (closing[0].time if closing else None):
        yield "the study was closed at another time than the trail says"
    if not study.folder.closed_path.exists():
        if closing:
            yield "closed.json is missing: percuss study close STUDY --reason WHY writes it anew"
        return
    try:
        noted = read_record(study.folder.closed_path, _Noted)
    except PercussError as error:
        yield f"closed.json: {error}"
        return
    there = records.get(noted.number)
    if there is None or (there.hash, there.what, there.time) != (noted.hash, CLOSED, noted.time):
        yield f"closed.json: the end of the trail that it notes (record {noted.number}) is not in the trail"
