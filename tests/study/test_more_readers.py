"""Room for more readers: orders that go on where the first ones ended, in one amendment, whenever the machine dies."""

from collections import Counter

import pytest
from sqlalchemy import select, text
from tests.study.app.served import serving
from tests.study.dying import killed_in
from tests.study.reading import enrolled, read
from tests.study.small_study import make

from percuss.core.errors import RunError, UsageError
from percuss.study.access import enrol
from percuss.study.amending import amend_study
from percuss.study.closing import close
from percuss.study.design import drawing
from percuss.study.design.drawing import as_table
from percuss.study.design.order import draw_order
from percuss.study.design.protocol import in_force
from percuss.study.more_readers import more_readers
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.study.tables import SlotRow
from percuss.study.trail import head
from percuss.study.verification.whole import verify_study

WHY = {"who": "Eve", "reason": "two colleagues join"}


@pytest.fixture(params=["sqlite", "postgresql"])
def study(request, tmp_path):
    """A study with two orders, on either database."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    made, _ = make(tmp_path / "study", cases=3, slots=2, database=url)
    yield made
    made.database.close()


@pytest.fixture
def local(tmp_path):
    made, _ = make(tmp_path / "study", cases=3, slots=2, tasks=("diagnosis", "choice"))
    yield made
    made.database.close()


def orders(study):
    with study.database.read() as session:
        return as_table(session.scalars(select(SlotRow)).all())


def faults(study):
    opened = open_study(study.folder.path)
    found = verify_study(opened, key=load_key(opened.folder)).faults
    opened.database.close()
    return found


def records(study):
    with study.database.read() as session:
        return head(session).number


def test_more_readers_than_orders_can_be_enrolled_after_an_amendment(study):
    ada = enrolled(study)
    read(study, ada, 1, 2)
    enrol(study, "Bo")
    with pytest.raises(UsageError, match=r"amend STUDY --more-readers N --reason"):
        enrol(study, "Cy")
    before = orders(study)
    frozen = more_readers(study, 3, **WHY)
    assert frozen.amendments[-1].changes == {"readers": 5} and in_force(frozen).readers == 5
    for name in ("Cy", "Di", "Ed"):
        enrol(study, name)
    with pytest.raises(UsageError, match="every order that was drawn"):
        enrol(study, "Flo")
    after = orders(study)
    assert after[: len(before)] == before and {row[0] for row in after} == set(range(5))
    assert records(study) == 11 and faults(study) == ()


def test_they_are_what_would_have_been_drawn_at_first_and_stay_balanced(local, tmp_path):
    more_readers(local, 4, **WHY)
    more_readers(local, 2, **WHY)
    key = load_key(local.folder)
    protocol, rows = key.frozen.protocol, orders(local)
    trials = protocol.trials()
    for slot in range(8):
        wanted = draw_order(trials, protocol.rules, seed=protocol.seed, reader=f"slot {slot}", index=slot)
        held = [(key.trials[row[3]], row[2]) for row in rows if row[0] == slot]
        assert held == [(place.trial, place.session) for place in wanted.places]
    # Of a pair each side is left for every other reader, over the border between old and new orders too.
    lefts = Counter((row[3], row[5]) for row in rows if row[6])
    assert lefts and set(lefts.values()) == {4}
    assert faults(local) == ()


def test_who_joins_reads_on_a_server_that_was_running_already(tmp_path):
    study, _ = make(tmp_path / "study", cases=3, slots=1)
    with serving(study) as served:
        ada = served.enrolled("Ada")
        assert ada.answer().status_code == 200
        command = open_study(study.folder.path)
        more_readers(command, 1, **WHY)
        command.database.close()
        bo = served.enrolled("Bo")
        seen, left = bo.read_all(), ada.read_all()
        assert (len(seen), len(left)) == (study.public.trials, study.public.trials - 1)
    assert faults(study) == ()


def test_an_amendment_of_readers_without_orders_stays_possible(local):
    amend_study(local, {"readers": 9}, **WHY)
    more_readers(local, 1, **WHY)
    assert in_force(load_key(local.folder).frozen).readers == 10 and faults(local) == ()


@pytest.mark.parametrize("number", [0, -1, 1001])
def test_a_number_that_makes_no_sense_is_refused(local, number):
    with pytest.raises(UsageError, match=rf"so many readers cannot be added: {number}. Allowed: 1 to 1000"):
        more_readers(local, number, **WHY)
    assert records(local) == 1


def test_it_needs_a_reason_the_secret_and_an_open_study(local, tmp_path):
    with pytest.raises(UsageError, match="needs a reason"):
        more_readers(local, 1, who="Eve", reason="")
    with pytest.raises(RunError, match="secret of the sealed key cannot be read"):
        more_readers(local, 1, secret_file=tmp_path / "none", **WHY)
    close(local, who="Eve", reason="done")
    with pytest.raises(UsageError, match="closed"):
        more_readers(local, 1, **WHY)
    assert {row[0] for row in orders(local)} == {0, 1}


def test_another_way_of_drawing_is_noticed_before_anything_is_added(local, monkeypatch):
    real = drawing.draw_order
    monkeypatch.setattr(drawing, "draw_order", lambda *a, **k: real(*a, **(k | {"seed": k["seed"] + 1})))
    with pytest.raises(RunError, match="further orders would not go on where those of the study ended: order 1"):
        more_readers(local, 1, **WHY)
    assert records(local) == 1 and {row[0] for row in orders(local)} == {0, 1}


@pytest.mark.parametrize("step", range(1, 7))
def test_a_kill_leaves_neither_or_both_of_orders_and_amendment(local, step):
    died = killed_in(lambda opened: more_readers(opened, 2, **WHY), local.folder.path, at=step)
    assert died == 9 and local.folder.amending.exists()
    assert faults(local) == () and not local.folder.amending.exists()
    done = step == 6
    assert records(local) == 1 + done and {row[0] for row in orders(local)} == set(range(4 if done else 2))
    more_readers(local, 1, **WHY)
    assert faults(local) == () and {row[0] for row in orders(local)} == set(range(5 if done else 3))


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE slots SET session = 2 WHERE slot = 3", "by amendment 2"),
        ("DELETE FROM slots WHERE slot = 3", "by amendment 2"),
        ("UPDATE slots SET session = 2 WHERE slot = 2", "by amendment 1"),
        ("UPDATE slots SET session = 2 WHERE slot = 1", "when the study was created"),
        ("UPDATE slots SET slot = 4 WHERE slot = 3", "by amendment 2"),
        (
            "INSERT INTO slots SELECT 4, number, session, trial, task, left_file, right_file FROM slots WHERE slot = 0",
            "by amendment 2",
        ),
    ],
)
def test_added_orders_that_were_touched_are_found(local, sql, named):
    more_readers(local, 1, **WHY)
    more_readers(local, 1, **WHY)
    assert faults(local) == ()
    with local.database.connection() as connection:
        for name in (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'slots'"))
            .scalars()
            .all()
        ):
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(sql))
    found = faults(local)
    told = [fault for fault in found if fault.startswith("the orders are not those")]
    assert told == [f"the orders are not those that were drawn {named}"]
