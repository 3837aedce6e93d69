"""A study that was touched anywhere is found out: one planted fault for each way of touching it."""

import json
import shutil
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from tests.study.reading import DAYS, at, enrolled, read, sent, two_sessions

from percuss.study.access import revoke
from percuss.study.answering import save_answer
from percuss.study.canonical import canonical
from percuss.study.closing import close
from percuss.study.opening import open_study
from percuss.study.overriding import override_washout
from percuss.study.seal import load_key
from percuss.study.trail import Head, Record, hash_of, read_line
from percuss.study.verify import Fault
from percuss.study.verifying import verify_study

GROWING = ("trail", "slots", "answers", "places", "overrides")


def lived(folder, **settings):
    """A study with all that a trail tells of: two readers, a correction, an override, somebody shut out, its end."""
    study = two_sessions(folder, **settings)
    ada, bob = enrolled(study, "Ada"), enrolled(study, "Bob", now=at(minutes=1))
    read(study, ada, 1, 6, now=at(hours=1))
    save_answer(study, ada, sent(study, ada, 6, label="normal", reason="slip", comment="ü\u2028"), now=at(hours=1))
    override_washout(study, "Ada", 2, who="Eve", reason="leaves the hospital", now=at(hours=2))
    read(study, ada, 7, 8, now=at(hours=3))
    read(study, bob, 1, 2, now=at(hours=4))
    revoke(study, "Bob", who="Eve", reason="left", now=at(hours=5))
    return study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    study = lived(folder)
    open_head = verify_study(study).trail.head
    shutil.copytree(folder, folder.with_name("before"))
    close(study, who="Eve", reason="done", now=at(days=DAYS))
    study.database.close()
    return folder, folder.with_name("before"), open_head


@contextmanager
def copied(source, target):
    shutil.copytree(source, target, copy_function=shutil.copy2, dirs_exist_ok=True)
    study = open_study(target / "study")
    try:
        yield study
    finally:
        study.database.close()


@pytest.fixture
def study(made, tmp_path):
    """The closed study, to be touched."""
    with copied(made[0], tmp_path / "closed") as study:
        yield study


@pytest.fixture
def running(made, tmp_path):
    """The study before it was closed."""
    with copied(made[1], tmp_path / "running") as study:
        yield study


def touch(study, *acts, **values):
    """What somebody who owns the database can do: the triggers go, and every act of SQL works."""
    postgresql = study.database.engine.dialect.name != "sqlite"
    with study.database.write() as session:
        if postgresql:
            for table in GROWING:
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            names = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
            for name in names:
                session.execute(text(f"DROP TRIGGER {name}"))
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        for act in acts:
            assert session.execute(text(act), values).rowcount > 0, act


def rows(study, query):
    with study.database.read() as session:
        return session.execute(text(query)).all()


def lines(study):
    return [line for (line,) in rows(study, "SELECT line FROM trail ORDER BY number")]


def put(study, new):
    """The lines of the whole trail in place of those that are there, hashes and numbers as the lines say."""
    with study.database.write() as session:
        for name in session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        session.execute(text("DELETE FROM trail"))
        for number, line in enumerate(new, start=1):
            values = {"n": number, "h": json.loads(line)["hash"] + "" if line.startswith("{") else line, "l": line}
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
    told = [read_line(line.encode()) for line in lines(study)]
    return next(record.number for record in told if (record.what, record.who) == (act, who))


def test_a_study_that_nobody_touched_is_sound(study, running):
    for one in (study, running):
        for key in (None, load_key(one.folder)):
            verdict = verify_study(one, key=key)
            assert verdict.sound and verdict.faults == () and verdict.answers == 11
            assert verdict.with_key == (key is not None) and verdict.records == verdict.trail.head.number


def test_a_study_on_postgresql_is_judged_alike(postgresql_url, tmp_path):
    study = lived(tmp_path, database=postgresql_url)
    assert verify_study(study, key=load_key(study.folder)).sound
    touch(study, "UPDATE answers SET reason = 'none' WHERE reader = 1 AND version = 2")
    assert verify_study(study).faults == (
        f"answer 6 of Ada, version 2: not as in record {number_of(study, 'correct 6')} of the trail (reason)",
    )
    study.database.close()


TRAIL = {
    "changed": (lambda L, n: [*L[: n - 1], L[n - 1].replace("tumour", "normal"), *L[n:]], "changed"),
    "changed with its own hash": (lambda L, n: [*L[: n - 1], rechained(L, n, new="x")[n - 1], *L[n:]], "changed"),
    "removed": (lambda L, n: [*L[: n - 1], *L[n:]], "removed"),
    "inserted": (lambda L, n: [*L[: n - 1], rechained(L, n, new="x")[n - 1], *L[n - 1 :]], "inserted"),
    "reordered": (lambda L, n: [*L[: n - 1], L[n], L[n - 1], *L[n + 1 :]], "reordered"),
}


@pytest.mark.parametrize("case", TRAIL)
def test_a_trail_that_was_touched_names_its_first_record(study, case):
    act, kind = TRAIL[case]
    number = number_of(study, "answer 3")
    put(study, act(lines(study), number))
    verdict = verify_study(study)
    assert verdict.trail.fault == Fault(kind, number, number) and not verdict.sound
    assert verdict.faults[0] == f"audit trail: record {number} was {kind} (line {number})"


def test_columns_beside_a_record_are_its_own(study):
    touch(study, "UPDATE trail SET hash = 'f' || substr(hash, 2) WHERE number = 4 AND hash NOT LIKE 'f%'")
    assert verify_study(study).faults == ("audit trail: the columns of row 4 are not those of its record",)


def test_an_answer_and_its_record_rewritten_show_against_a_head_noted_before(running, made):
    number = number_of(running, "answer 3")
    new = json.loads(lines(running)[number - 1])["new"]
    new["answer"]["label"] = "normal"
    put(running, rechained(lines(running), number, new=new))
    touch(running, "UPDATE answers SET answer = :a WHERE record = :n", a=json.dumps(new["answer"]), n=number)
    assert verify_study(running).sound  # nothing in the study can tell: who owns the database owns all of it
    assert verify_study(running, head=made[2]).trail.fault == Fault("rewritten", made[2].number, made[2].number)


def test_rewriting_after_the_closing_shows_against_closed_json(study):
    number = number_of(study, "log in", "Bob")
    put(study, rechained(lines(study), number, time="2026-03-01T09:00:00.000000+00:00"))
    last = len(lines(study))
    assert verify_study(study).faults == (
        f"closed.json: the end of the trail that it notes (record {last}) is not in the trail",
    )


def test_a_cut_tail_shows_against_closed_json_and_a_head(study, running, made):
    put(study, lines(study)[:-1])
    touch(study, "UPDATE study SET state = 'open', closed = NULL")
    assert "closed.json: the end of the trail" in str(verify_study(study).faults)
    put(running, lines(running)[:-1])
    assert verify_study(running, head=made[2]).trail.fault == Fault("removed", made[2].number, made[2].number)
    assert verify_study(running, head=Head(number=1, hash=read_line(lines(running)[0].encode()).hash)).trail.sound


ANSWERS = {
    "changed": ("UPDATE answers SET answer = replace(answer, 'tumour', 'normal') WHERE record = :n", "(new)"),
    "what was shown changed": ("UPDATE answers SET shown = '{}' WHERE record = :n", "(new)"),
    "its time changed": ("UPDATE answers SET saved = '2026' WHERE record = :n", "(time)"),
    "a reason given later": ("UPDATE answers SET reason = 'slip' WHERE record = :n", "(reason)"),
    "its id changed": ("UPDATE answers SET id = 'other' WHERE record = :n", "(new)"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_was_changed_names_its_record(study, case):
    act, says = ANSWERS[case]
    number = number_of(study, "answer 3")
    touch(study, act, n=number)
    faults = verify_study(study).faults
    assert faults == (f"answer 3 of Ada, version 1: not as in record {number} of the trail {says}",)


def test_an_answer_moved_removed_or_invented_is_found(study, made, tmp_path):
    number = number_of(study, "answer 2", "Bob")
    touch(study, "DELETE FROM answers WHERE record = :n", n=number)
    assert verify_study(study).faults == (f"record {number} (answer 2 of Bob) has no row: it was removed",)
    with copied(made[0], tmp_path / "moved") as moved:
        touch(moved, "UPDATE answers SET reader = 2, number = 3 WHERE record = :n", n=number_of(moved, "answer 8"))
        assert verify_study(moved).faults == ("answer 3 of Bob, version 1: not in the trail",)
    with copied(made[0], tmp_path / "invented") as invented:
        last = number_of(invented, "log in", "Bob")
        touch(
            invented,
            "INSERT INTO answers SELECT 'new', 2, 3, 1, answer, shown, '', saved, :r FROM answers WHERE record = :n",
            n=number_of(invented, "answer 3"),
            r=last,
        )
        assert verify_study(invented).faults == ("answer 3 of Bob, version 1: not in the trail",)
    with copied(made[0], tmp_path / "first") as first:
        gone = number_of(first, "answer 6")
        touch(first, "DELETE FROM answers WHERE record = :n", n=gone)
        assert verify_study(first).faults == (
            "answer 6 of Ada, version 2: no version 1 before it, or nobody who gave it",
            f"record {gone} (answer 6 of Ada) has no row: it was removed",
        )


def test_an_answer_after_the_closing_is_found(study):
    touch(study, "UPDATE study SET state = 'open', closed = NULL")
    assert verify_study(study).faults == ("the study is open, which the trail does not say",)
    ada = rows(study, "SELECT id FROM readers WHERE name = 'Ada'")[0][0]
    read(study, ada, 9, 9, now=at(days=DAYS, hours=1))
    assert verify_study(study).faults == (
        "answer 9 of Ada, version 1: saved after the study was closed",
        "the study is open, which the trail does not say",
    )


ROWS = {
    "override, its reason": ("UPDATE overrides SET reason = 'none'", "override of session 2 of Ada: not as in record"),
    "override, who": ("UPDATE overrides SET who = 'Ada'", "override of session 2 of Ada: not in the trail"),
    "override removed": ("DELETE FROM overrides", "(wash-out overridden Ada session 2 of Eve) has no row"),
    "an order": ("UPDATE slots SET session = 1 WHERE slot = 5", "the orders are not those that were drawn"),
    "an order removed": ("DELETE FROM slots WHERE slot = 5", "the orders are not those that were drawn"),
    "a place": ("UPDATE places SET trial = 'x' WHERE reader = 1 AND number = 2", "Ada: the places are not those"),
    "two places swapped": (
        "UPDATE places SET left_file = (SELECT left_file FROM places WHERE reader = 1 AND number = 5)"
        " WHERE reader = 1 AND number = 2",
        "Ada: the places are not those",
    ),
    "a reader's name": ("UPDATE readers SET name = 'Eva' WHERE name = 'Bob'", "Eva: not enrolled as the trail says"),
    "a reader's order": ("UPDATE readers SET slot = 4 WHERE name = 'Bob'", "Bob: not enrolled as the trail says"),
    "a reader let in": ("UPDATE readers SET revoked = NULL", "Bob: access is not as the trail says"),
    "a reader removed": ("DELETE FROM readers WHERE name = 'Bob'", "(enrol reader Bob) has no row: it was removed"),
    "the study": ("UPDATE study SET study = 'x'", "does not hold this study any more"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_are_held_against_the_trail(study, case):
    act, says = ROWS[case]
    others = ["DELETE FROM logins", "DELETE FROM answers WHERE reader = 2", "DELETE FROM places WHERE reader = 2"]
    touch(study, *(others if case == "a reader removed" else []), act)
    assert says in "\n".join(verify_study(study).faults)


def rewrite(path, change):
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(canonical(values) + "\n", encoding="utf-8")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def first_image(folder):
    return min(folder.images.iterdir())


def swap_images(folder):
    first, second = sorted(folder.images.iterdir())[:2]
    first.rename(folder.path / "x")
    second.rename(first)
    (folder.path / "x").rename(second)


FILES = {
    "sealed.bin": (lambda f: flip(f.sealed), "sealed.bin: not as it was written"),
    "sealed.bin gone": (lambda f: f.sealed.unlink(), "sealed.bin: a file of the run cannot be read"),
    "protocol.json": (
        lambda f: rewrite(f.public_path, lambda v: v.update(positive="normal")),
        "protocol.json: not as it was written",
    ),
    "protocol.json is none": (lambda f: f.public_path.write_text("{}"), "protocol.json: a file of the study cannot"),
    "an image": (lambda f: flip(first_image(f)), "images: not as it was written"),
    "an image gone": (lambda f: first_image(f).unlink(), "images: not as it was written"),
    "an image more": (lambda f: (f.images / "0.png").write_bytes(b"x"), "images: not as it was written"),
    "two images swapped": (swap_images, "images: not as it was written"),
    "study.json": (
        lambda f: rewrite(f.info_path, lambda v: v.update(protocol_hash="0" * 64)),
        "study.json: protocol is not as in the trail",
    ),
    "study.json is none": (lambda f: f.info_path.write_text("{}"), "study.json: a file of the study cannot be read"),
    "closed.json": (
        lambda f: rewrite(f.closed_path, lambda v: v.update(number=3)),
        "closed.json: the end of the trail that it notes (record 3)",
    ),
    "closed.json is none": (lambda f: f.closed_path.write_text("{"), "closed.json: a file of the study cannot"),
    "closed.json gone": (lambda f: f.closed_path.unlink(), "closed.json is missing: close the study again"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_are_held_against_the_trail(study, case):
    act, says = FILES[case]
    act(study.folder)
    assert says in "\n".join(verify_study(study).faults)


def test_with_the_key_it_says_which_picture_was_touched(study):
    key = load_key(study.folder)
    path = first_image(study.folder)
    flip(path)
    assert f"images/{path.name}: not as it was written" in verify_study(study, key=key).faults


def test_with_the_key_orders_that_were_drawn_otherwise_are_found(study):
    key = load_key(study.folder)
    # Whoever knows the key and forges the first record too: two places of one order, swapped.
    touch(study, "DELETE FROM slots WHERE slot = 5 AND number = 12")
    assert any(fault.startswith("order 5: the order of reader slot 5 does not hold") for fault in found(study, key))
    touch(
        study,
        "UPDATE slots SET left_file = (SELECT left_file FROM slots WHERE slot = 4 AND number = 1)"
        " WHERE slot = 4 AND number > 1",
    )
    assert "order 4: a place shows other files than its trial has" in found(study, key)
    touch(study, "UPDATE slots SET session = 1 WHERE slot = 3")
    assert any(fault.startswith("order 3: ") and "sessions one by one" in fault for fault in found(study, key))


def found(study, key):
    return verify_study(study, key=key).faults


def test_a_key_of_another_protocol_is_found(study):
    key = load_key(study.folder)
    touched = key.model_copy(update={"frozen": key.frozen.model_copy(update={"hash": "0" * 64})})
    assert any(fault.startswith("the key: the protocol is not as it was") for fault in found(study, touched))
