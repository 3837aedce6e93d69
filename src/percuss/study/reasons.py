"""What an administrator does to a study is done by somebody, for a reason, to somebody who is there."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import UsageError, nearest
from percuss.study.tables import ReaderRow, StudyRow


def check_who(act: str, who: str) -> None:
    """UsageError where an act, such as "closing the study", is done by nobody."""
    if not who.strip():
        raise UsageError(f"{act} needs somebody who does it", next_step="give a name (--who)")
    check_text("a name", who)


def check_reason(act: str, *, who: str, reason: str) -> None:
    """UsageError where an act comes without a person or a reason."""
    check_who(act, who)
    if not reason.strip():
        raise UsageError(f"{act} needs a reason", next_step="say why (--reason)")
    check_text("a reason", reason)


def check_text(what: str, text: str) -> None:
    """UsageError for a text that a database cannot hold: with the character 0, or half a character."""
    if any(letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in text):
        step = "leave the characters out that cannot be printed"
        raise UsageError(f"{what} that cannot be stored", value=repr(text[:80]), allowed="any text", next_step=step)


def is_open(session: Session) -> bool:
    """Whether the study still takes answers."""
    return session.scalars(select(StudyRow.state)).one() == "open"


def check_open(session: Session, act: str) -> None:
    """UsageError where the study is closed, for an act that would serve answers, which it takes no more.

    Access of administrators can be renewed and anybody's ended all the same: they can still look at the study.
    """
    if not is_open(session):
        raise UsageError(
            f"the study is closed and takes no answer any more: no {act}",
            allowed="status, serve, verify, results and export; revoke; renew for an administrator",
            next_step="see what it shows: percuss study results STUDY",
        )


def reader_called(session: Session, name: str) -> ReaderRow:
    """The reader or administrator of this name; UsageError with the nearest names where there is none."""
    check_text("a name", name)
    found = session.scalars(select(ReaderRow).where(ReaderRow.name == name)).one_or_none()
    if found is None:
        names = session.scalars(select(ReaderRow.name)).all()
        allowed = nearest(name, names) if names else "nobody is enrolled yet"
        raise UsageError(
            "nobody of this name is enrolled",
            value=name if name.isprintable() and name.strip() else repr(name),
            allowed=allowed,
            next_step="see who is there: percuss study status STUDY",
        )
    return found
