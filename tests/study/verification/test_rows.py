"""Answers, overrides, readers and orders that were touched behind the trail: one planted fault for each way."""

import pytest
from tests.study.reading import DAYS, at, read
from tests.study.tampering import copied, made_in, number_of, rows, touch

from percuss.study.verification.whole import verify_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_in(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made, tmp_path):
    """The closed study, to be touched."""
    with copied(made[0], tmp_path / "closed") as study:
        yield study


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
    "a reader's code": ("UPDATE readers SET code_hash = 'x' WHERE name = 'Ada'", "Ada: code or link are not those"),
    "a reader's link": ("UPDATE readers SET link_hash = 'x' WHERE name = 'Ada'", "Ada: code or link are not those"),
    "when a reader came": ("UPDATE readers SET enrolled = '2026' WHERE name = 'Bob'", "Bob: not enrolled as the trail"),
    "when a reader left": ("UPDATE readers SET revoked = '2026' WHERE name = 'Bob'", "Bob: access is not as the trail"),
    "a login": (
        "INSERT INTO logins SELECT 'x', 1, 'y', '2026-01-01T00:00:00.000000+00:00', seen, NULL FROM logins LIMIT 1",
        "Ada: a login that is not in the trail",
    ),
    "when it was closed": ("UPDATE study SET closed = created", "closed at another time than the trail says"),
    "a reader removed": ("DELETE FROM readers WHERE name = 'Bob'", "(enrol reader Bob) has no row: it was removed"),
    "the study": ("UPDATE study SET study = 'x'", "does not hold this study any more"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_are_held_against_the_trail(study, case):
    act, says = ROWS[case]
    others = ["DELETE FROM logins", "DELETE FROM answers WHERE reader = 2", "DELETE FROM places WHERE reader = 2"]
    touch(study, *(others if case == "a reader removed" else []), act)
    assert says in "\n".join(verify_study(study).faults)
