"""Logging in: wrong secrets tell nothing and are slowed down; sessions rotate, end, and travel as they should."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select
from tests.study.app.served import code_of, serving
from tests.study.small_study import make

from percuss.study.access import enrol, renew, revoke
from percuss.study.tables import TrailRow

WRONG = ["0000-0000-0000-0000", "x", "'; DROP TABLE readers; --", "é" * 100, "A" * 200, "0" * 43, " "]


def cookie_of(response):
    """The attributes of the session's cookie, in lower case, and its value."""
    name_value, *attributes = response.headers["set-cookie"].split("; ")
    assert name_value.startswith("percuss_session=")
    return name_value.partition("=")[2].strip('"'), {each.lower() for each in attributes}


def test_code_and_link_log_in_and_opening_the_link_alone_does_not(served):
    credentials = enrol(served.study, "Ada")
    browser = served.browser()
    opened = browser.get(f"/r/{credentials.link_token}")
    assert opened.status_code == 200 and "set-cookie" not in opened.headers
    assert code_of(browser.get("/api/v1/standing")) == "not-logged-in"
    for secret in (credentials.link_token, credentials.code, credentials.code.lower().replace("-", " ")):
        response = served.browser().log_in(secret)
        assert response.json() == {"csrf": response.json()["csrf"], "name": "Ada", "role": "reader"}


def test_every_wrong_secret_gets_the_same_answer_for_the_same_work(served):
    gone = enrol(served.study, "Gone")
    revoke(served.study, "Gone", who="test", reason="left")
    old = enrol(served.study, "Old")
    renew(served.study, "Old", who="test", reason="lost")
    statements = []
    event.listen(served.study.database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    browser, answers, work = served.browser(), set(), set()
    browser.log_in(WRONG[5])  # the first one is told in the audit trail, whatever it was; those that follow in sums
    for secret in [gone.code, gone.link_token, old.code, old.link_token, *WRONG[:5]]:
        statements.clear()
        response = browser.log_in(secret)
        kept = tuple((name, value) for name, value in response.headers.items() if name != "date")
        answers.add((response.status_code, response.content, kept))
        work.add(tuple(statements))
    assert len(answers) == 1 and next(iter(answers))[0] == 401
    assert len(work) == 1, "the database is asked the same, whatever was sent"


def test_the_eleventh_wrong_code_waits_and_others_do_not(tmp_path):
    study, _ = make(tmp_path / "study")
    with serving(study, proxy=True) as served:
        credentials, inside = enrol(study, "Ada"), served.enrolled("Eve")
        noisy = served.browser(**{"X-Forwarded-For": "192.0.2.1"})
        assert [noisy.log_in(WRONG[0]).status_code for _ in range(11)] == [401] * 10 + [429]
        refused = noisy.log_in(credentials.code)
        assert (refused.status_code, code_of(refused)) == (429, "too-often"), "not even looked at"
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert "wait" in refused.json()["error"]["next"] and "administrator" in refused.json()["error"]["next"]
        assert served.browser(**{"X-Forwarded-For": "192.0.2.2"}).log_in(credentials.code).status_code == 200
        assert inside.get("/api/v1/standing").status_code == 200


def test_an_address_cannot_give_itself_another_name_without_a_proxy(served):
    statuses = []
    for number in range(11):
        browser = served.browser(**{"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"})
        statuses.append(browser.log_in(WRONG[0]).status_code)
    assert statuses == [401] * 10 + [429]


def test_right_codes_of_one_address_at_one_moment_are_not_taken_for_wrong_ones(served):
    codes = [enrol(served.study, f"Boss {number}", role="administrator").code for number in range(30)]
    browsers = [served.browser() for _ in codes]
    with ThreadPoolExecutor(len(codes)) as pool:
        responses = list(pool.map(lambda browser, code: browser.log_in(code), browsers, codes))
    assert {response.status_code for response in responses} == {200}
    with served.study.database.read() as session:
        assert not any("refused" in line for line in session.scalars(select(TrailRow.line)))


def test_no_secret_is_looked_at_while_an_address_waits(served, monkeypatch: pytest.MonkeyPatch):
    browser = served.browser()
    for _ in range(10):
        browser.log_in(WRONG[0])
    monkeypatch.setattr("percuss.study.access.log_in", lambda *_: pytest.fail("looked at"))
    assert browser.log_in(WRONG[0]).status_code == 429


@pytest.mark.parametrize("secure", [False, True])
def test_the_cookie_is_for_our_own_page_alone(tmp_path, secure):
    study, _ = make(tmp_path / "study")
    with serving(study, secure=secure) as served:
        response = served.browser().log_in(enrol(study, "Ada").code)
        value, attributes = cookie_of(response)
        assert {"httponly", "samesite=strict", "path=/"} == attributes - {"secure"}
        assert ("secure" in attributes) == secure
        assert len(value) >= 43 and value not in response.text
        token, signature = value.split(".")
        assert token.encode() not in study.folder.database_path.read_bytes(), "kept as a hash alone"
        for forged in (token, f"{token}.{'0' * len(signature)}"):
            assert served.browser(Cookie=f"percuss_session={forged}").get("/api/v1/standing").status_code == 401
        assert served.browser(Cookie=f"percuss_session={value}").get("/api/v1/standing").status_code == 200


def test_logging_in_rotates_and_a_planted_cookie_is_worth_nothing(served):
    ada = served.browser()
    planted = "A" * 43
    ada.client.cookies.set("percuss_session", planted, domain="127.0.0.1", path="/")
    credentials = enrol(served.study, "Ada")
    first, _ = cookie_of(ada.log_in(credentials.code))
    second, _ = cookie_of(ada.log_in(credentials.code))
    assert len({planted, first, second}) == 3
    for dead, status in ((planted, 401), (first, 401), (second, 200)):
        other = served.browser(Cookie=f"percuss_session={dead}")
        assert other.get("/api/v1/standing").status_code == status


def test_a_wrong_login_ends_nothing(served):
    ada = served.enrolled()
    assert ada.log_in(WRONG[0]).status_code == 401
    assert ada.get("/api/v1/standing").status_code == 200


def test_logging_out_ends_the_session_on_the_server(served):
    ada = served.enrolled()
    token = ada.client.cookies["percuss_session"]
    assert ada.post("/api/v1/logout").status_code == 204
    assert "percuss_session" not in ada.client.cookies
    assert served.browser(Cookie=f"percuss_session={token}").get("/api/v1/standing").status_code == 401


@pytest.mark.parametrize("cookie", ["", '"', "x" * 4000, "é", "%00", "a=b; c"])
def test_odd_cookies_are_nobody(served, cookie):
    response = served.raw(
        b"GET /api/v1/standing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: percuss_session="
        + cookie.encode("latin-1")
        + b"\r\n\r\n"
    )
    assert response.startswith(b"HTTP/1.1 401 ")


def test_refused_log_ins_are_in_the_audit_trail_without_what_was_typed(served):
    browser = served.browser()
    for secret in ("K7QM-2XPD-9RTA-5WZ0", *WRONG[:4]):
        assert browser.log_in(secret).status_code == 401
    with served.study.database.read() as session:
        lines = session.scalars(select(TrailRow.line).order_by(TrailRow.number)).all()
    refused = [json.loads(line) for line in lines if "refused" in line]
    assert [(r["who"], r["what"], r["new"]) for r in refused] == [("server", "log in refused", {"times": 1})]
    assert not any("K7QM" in line or "127.0.0.1" in line for line in lines)
