"""A study that was lived in, and what somebody who owns its database and folder can do to it."""

import json
import shutil
from contextlib import contextmanager

from sqlalchemy import text
from tests.study.reading import DAYS, at, enrolled, read, sent, two_sessions

from percuss.study.access import revoke
from percuss.study.answering import save_answer
from percuss.study.closing import close
from percuss.study.opening import open_study
from percuss.study.overriding import override_washout
from percuss.study.trail import Record, hash_of, read_line
from percuss.study.verification.whole import verify_study

GROWING = ("trail", "slots", "answers", "places", "overrides")


def lived(folder, **settings):
    """A study with all that a trail tells of: two readers, a correction, an override, somebody shut out, its end."""
    folder.mkdir(exist_ok=True)
    study = two_sessions(folder, **settings)
    ada, bob = enrolled(study, "Ada"), enrolled(study, "Bob", now=at(minutes=1))
    read(study, ada, 1, 6, now=at(hours=1))
    save_answer(study, ada, sent(study, ada, 6, label="normal", reason="slip", comment="ü\u2028"), now=at(hours=1))
    override_washout(study, "Ada", 2, who="Eve", reason="leaves the hospital", now=at(hours=2))
    read(study, ada, 7, 8, now=at(hours=3))
    read(study, bob, 1, 2, now=at(hours=4))
    revoke(study, "Bob", who="Eve", reason="left", now=at(hours=5))
    return study


def made_in(folder):
    """The folders of a closed study, and of the same before it was closed, with the head of its trail then."""
    study = lived(folder / "closed")
    head = verify_study(study).trail.head
    shutil.copytree(folder / "closed", folder / "running")
    close(study, who="Eve", reason="done", now=at(days=DAYS))
    study.database.close()
    return folder / "closed", folder / "running", head


@contextmanager
def copied(source, target):
    """A copy of a study that was made, opened."""
    shutil.copytree(source, target, copy_function=shutil.copy2, dirs_exist_ok=True)
    study = open_study(target / "study")
    try:
        yield study
    finally:
        study.database.close()


@contextmanager
def unguarded(study):
    """A writing session without triggers, which are there again afterwards: every act of SQL works, and none shows."""
    postgresql = study.database.engine.dialect.name != "sqlite"
    with study.database.write() as session:
        if postgresql:
            made = [f"ALTER TABLE {table} ENABLE TRIGGER ALL" for table in GROWING]
            for table in GROWING:
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            made = []
            for name, sql in session.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all():
                made.append(sql)
                session.execute(text(f"DROP TRIGGER {name}"))
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        yield session
        for statement in made:
            session.execute(text(statement))


def touch(study, *acts, **values):
    """What somebody who owns the database can do to its rows."""
    with unguarded(study) as session:
        for act in acts:
            assert session.execute(text(act), values).rowcount > 0, act


def rows(study, query):
    """What a query finds."""
    with study.database.read() as session:
        return session.execute(text(query)).all()


def lines(study):
    """The trail."""
    return [line for (line,) in rows(study, "SELECT line FROM trail ORDER BY number")]


def put(study, new):
    """The lines of the whole trail in place of those that are there, hashes and numbers as the lines say."""
    with unguarded(study) as session:
        session.execute(text("DELETE FROM trail"))
        for number, line in enumerate(new, start=1):
            values = {"n": number, "h": json.loads(line)["hash"], "l": line}
            if session.scalar(text("SELECT count(*) FROM trail WHERE hash = :h"), values):
                values["h"] = f"{number:064x}"
            session.execute(text("INSERT INTO trail (number, hash, line) VALUES (:n, :h, :l)"), values)


def rechained(all_lines, first, **changes):
    """The trail written anew from a record on: that one with other fields, all hashes fitting."""
    made = [read_line(line.encode()) for line in all_lines]
    before, out = made[first - 1].before, all_lines[: first - 1]
    for record in made[first - 1 :]:
        body = {**record.model_dump(), **(changes if record.number == first else {}), "before": before}
        body["hash"] = hash_of(before, body)
        out.append(Record.model_validate(body).line().decode().rstrip("\n"))
        before = body["hash"]
    return out


def number_of(study, act, who="Ada"):
    """Which record tells of an act."""
    told = [read_line(line.encode()) for line in lines(study)]
    return next(record.number for record in told if (record.what, record.who) == (act, who))
