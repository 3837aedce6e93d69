"""Who may take part: enrolled once, logged in by a secret, shut out at once."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from tests.study.reading import START, at, at_once, enrolled
from tests.study.small_study import make

from percuss.core.errors import UsageError
from percuss.study.access import enrol, log_in, log_out, login_of, renew, revoke
from percuss.study.closing import close
from percuss.study.tables import LoginRow, PlaceRow, ReaderRow, SlotRow, Table, TrailRow
from percuss.study.verification.whole import verify_study

WHY = {"who": "Grace", "reason": "as planned"}


#: A test that also runs on PostgreSQL.
both = pytest.mark.parametrize("study", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def study(request, tmp_path):
    kind = getattr(request, "param", "sqlite")
    database = request.getfixturevalue("postgresql_url") if kind == "postgresql" else None
    made, _ = make(tmp_path / "study", slots=3, database=database)
    yield made
    made.database.close()


def rows(study, table):
    with study.database.read() as session:
        return session.scalars(select(table)).all()


def events(study):
    return [re.search(r'"what":"([^"]*)"', row.line)[1] for row in rows(study, TrailRow)]


def test_a_reader_gets_the_next_order_with_tokens_of_their_own(study):
    enrolled(study, "Ada"), enrolled(study, "Grace")
    readers, places, slots = rows(study, ReaderRow), rows(study, PlaceRow), rows(study, SlotRow)
    assert [(reader.name, reader.role, reader.slot) for reader in readers] == [
        ("Ada", "reader", 0),
        ("Grace", "reader", 1),
    ]
    for reader in readers:
        order = [(s.number, s.session, s.trial, s.task, s.left_file) for s in slots if s.slot == reader.slot]
        theirs = [(p.number, p.session, p.trial, p.task, p.left_file) for p in places if p.reader == reader.id]
        assert sorted(theirs) == sorted(order) and theirs
    tokens = [token for place in places for token in (place.token, place.left_token)]
    assert len(set(tokens)) == len(tokens) and all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)


def test_a_pair_has_a_token_for_each_side(tmp_path):
    study, _ = make(tmp_path / "pairs", tasks=("same",))
    enrolled(study)
    assert all(place.right_token and place.right_token != place.left_token for place in rows(study, PlaceRow))


def test_an_administrator_has_no_places_and_takes_no_order(study):
    credentials = enrol(study, "Chief", role="administrator")
    login = log_in(study, credentials.link_token)
    assert login.reader.role == credentials.role == "administrator"
    assert rows(study, PlaceRow) == [] and rows(study, ReaderRow)[0].slot is None
    assert events(study)[1:] == ["enrol administrator Chief", "log in"]


def test_names_are_stored_as_given_and_once(study):
    name = "O'Brien <script>\u00e9"
    enrol(study, name)
    assert rows(study, ReaderRow)[0].name == name
    with pytest.raises(UsageError, match=r"somebody of this name is enrolled.*renew"):
        enrol(study, name)
    with pytest.raises(UsageError, match="this cannot be a name"):
        enrol(study, "a\nb")
    with pytest.raises(UsageError, match="no such role: chief"):
        enrol(study, "B", role="chief")
    with pytest.raises(UsageError, match="needs somebody who does it"):
        enrol(study, "B", who=" ")
    assert len(rows(study, ReaderRow)) == 1


def test_when_every_order_has_its_reader_it_says_how_to_get_more(study):
    for name in "ABC":
        enrol(study, name)
    revoke(study, "A", **WHY)
    with pytest.raises(
        UsageError, match=r"every order .* has its reader: 3 readers.*percuss study amend STUDY --more-readers"
    ):
        enrol(study, "D")
    enrol(study, "E", role="administrator")


def test_nobody_is_enrolled_into_a_closed_study(study):
    close(study, **WHY)
    for role in ("reader", "administrator"):
        with pytest.raises(
            UsageError, match=r"closed and takes no answer any more: no enrolment.*percuss study results"
        ):
            enrol(study, "A", role=role)


def test_a_closed_study_lets_its_administrators_back_and_anybody_be_shut_out(study):
    ada, boss = enrol(study, "Ada"), enrol(study, "Boss", role="administrator")
    close(study, **WHY)
    with pytest.raises(UsageError, match=r"closed and .*: no new code for a reader.* renew for an administrator"):
        renew(study, "Ada", **WHY)
    assert log_in(study, ada.code).reader.name == "Ada"  # what she had is still hers
    again = renew(study, "Boss", **WHY)
    assert log_in(study, boss.code) is None and log_in(study, again.code).reader.role == "administrator"
    for name in ("Ada", "Boss"):
        revoke(study, name, **WHY)
    assert log_in(study, ada.code) is log_in(study, again.code) is None
    assert verify_study(study).sound


def test_code_and_link_log_in_and_nothing_else_does(study):
    credentials = enrol(study, "Ada")
    for secret in (credentials.code, credentials.code.lower().replace("-", " "), credentials.link_token):
        login = log_in(study, secret)
        assert login.reader.name == "Ada" and login_of(study, login.token) == login
    for secret in ("", credentials.code[:-1], credentials.link_token[:-1], credentials.link_token.swapcase(), "Ada"):
        assert log_in(study, secret) is None
    assert login_of(study, "x") is None and login_of(study, credentials.code) is None
    assert events(study)[2:] == ["log in"] * 3


@both
def test_neither_database_nor_trail_nor_any_file_holds_a_secret(study):
    credentials = enrol(study, "Ada")
    login = log_in(study, credentials.code)
    again = renew(study, "Ada", **WHY)
    secrets = [again.link_token, credentials.link_token, login.token]
    secrets += [form for c in (credentials, again) for form in (c.code, c.code.replace("-", ""))]
    with study.database.read() as session:
        held = str([session.execute(text(f"SELECT * FROM {name}")).all() for name in Table.metadata.tables])
    files = [path.read_bytes() for path in study.folder.path.rglob("*") if path.is_file()]
    in_files = any(b"Ada" in content for content in files)
    assert "Ada" in held and in_files == study.database.url.startswith("sqlite")
    for secret in secrets:
        assert secret not in held
        assert not any(secret.encode() in content for content in files)


def test_a_login_ends_when_idle_and_in_any_case_after_a_week(study):
    credentials = enrol(study, "Ada", now=START)
    login = log_in(study, credentials.code, now=START)
    assert login_of(study, login.token, now=at(hours=11, minutes=59)) == login
    # The request before counts as one: half a day runs from it.
    assert login_of(study, login.token, now=at(hours=23)) == login
    assert login_of(study, login.token, now=at(hours=35, seconds=1)) is None
    other = log_in(study, credentials.code, now=START)
    for hours in range(11, 168, 11):
        assert login_of(study, other.token, now=at(hours=hours)) == other
    assert login_of(study, other.token, now=at(hours=168)) is None


def test_the_last_request_is_kept_to_the_minute(study):
    login = log_in(study, enrol(study, "Ada", now=START).code, now=START)
    for passed, seen in ((59, 0), (60, 60), (100, 60), (120, 120)):
        login_of(study, login.token, now=at(seconds=passed))
        assert rows(study, LoginRow)[0].seen == at(seconds=seen).isoformat(timespec="microseconds")


def test_logging_out_ends_this_login_alone(study):
    credentials = enrol(study, "Ada")
    one, other = (log_in(study, credentials.code) for _ in range(2))
    assert one.token != other.token and one.csrf != other.csrf
    log_out(study, one.token), log_out(study, one.token), log_out(study, "nobody's")
    assert login_of(study, one.token) is None and login_of(study, other.token) == other
    assert events(study)[-1] == "log out" and events(study).count("log out") == 1


@both
def test_a_revoked_reader_is_out_at_once_and_cannot_come_back(study):
    credentials = enrol(study, "Ada")
    login = log_in(study, credentials.code)
    other = log_in(study, enrol(study, "Grace").code)
    revoke(study, "Ada", **WHY)
    assert login_of(study, login.token) is None
    assert log_in(study, credentials.code) is None and log_in(study, credentials.link_token) is None
    assert login_of(study, other.token) == other
    with pytest.raises(UsageError, match=r"ended before: Ada.*renew"):
        revoke(study, "Ada", **WHY)
    assert events(study)[-1] == "revoke Ada"


@both
def test_a_renewed_reader_has_another_code_link_and_login_and_the_same_places(study):
    credentials = enrol(study, "Ada")
    login, places = log_in(study, credentials.code), [place.token for place in rows(study, PlaceRow)]
    again = renew(study, "Ada", **WHY)
    assert login_of(study, login.token) is None
    assert log_in(study, credentials.code) is None and log_in(study, credentials.link_token) is None
    assert log_in(study, again.code).reader == log_in(study, again.link_token).reader == login.reader
    assert [place.token for place in rows(study, PlaceRow)] == places


def test_renewing_lets_a_revoked_reader_back(study):
    enrol(study, "Ada")
    revoke(study, "Ada", **WHY)
    assert log_in(study, renew(study, "Ada", **WHY).code).reader.name == "Ada"
    assert [event.split()[0] for event in events(study)[1:]] == ["enrol", "revoke", "renew", "log"]


@pytest.mark.parametrize("act", [revoke, renew])
def test_shutting_out_and_renewing_need_a_reader_a_person_and_a_reason(study, act):
    enrol(study, "Ada")
    with pytest.raises(UsageError, match=r"nobody of this name is enrolled: Adda. Allowed: Ada"):
        act(study, "Adda", **WHY)
    for lacking, said in (({"who": " ", "reason": "x"}, "somebody"), ({"who": "G", "reason": " "}, "a reason")):
        with pytest.raises(UsageError, match=f"needs {said}"):
            act(study, "Ada", **lacking)
    with pytest.raises(UsageError, match="cannot be stored"):
        act(study, "Ada", who="G", reason="a\x00b")
    assert len(events(study)) == 2


def test_a_time_needs_a_zone(study):
    with pytest.raises(UsageError, match="a time without a zone"):
        enrol(study, "Ada", now=START.replace(tzinfo=None))
    assert rows(study, ReaderRow) == [] and at(days=1) - START == timedelta(days=1)


@both
def test_readers_enrolled_at_the_same_instant_have_different_orders_and_names(study):
    told = at_once([lambda n=name: enrol(study, n) for name in ("Ada", "Grace", "Ada", "Emmy")])
    assert [type(result).__name__ for result in told].count("UsageError") == 1
    assert sorted(reader.slot for reader in rows(study, ReaderRow)) == [0, 1, 2]
    assert sorted(reader.name for reader in rows(study, ReaderRow)) == ["Ada", "Emmy", "Grace"]
