"""Requests that are foreign, huge or malformed are refused: with a status of 4xx, in one form, without a trace."""

from __future__ import annotations

import json
import uuid

import pytest
from tests.study.app.served import answer_to, code_of

from percuss.study.app import guard

POSTS = ["login", "logout", "display", "answers", "admin/revoke", "admin/renew", "admin/override", "admin/close"]
GUARDED = POSTS[1:]


def test_a_post_without_or_with_a_wrong_csrf_token_is_refused(shared, ada, boss):
    eve = shared.enrolled("Eve of csrf")
    for path in GUARDED:
        body = {"name": "Ada", "session": 2, "reason": "r"} if path.startswith("admin") else {}
        who = boss if path.startswith("admin") else ada
        for token in (None, "", "x", eve.csrf, who.csrf.swapcase(), who.csrf + "a"):
            headers = {} if token is None else {"X-CSRF-Token": token}
            response = who.post(f"/api/v1/{path}", body, csrf=False, headers=headers)
            assert (response.status_code, code_of(response)) == (403, "csrf"), (path, token)
    assert ada.get("/api/v1/standing").status_code == 200


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_post_from_another_site_is_refused(shared, ada, foreign):
    for path in POSTS:
        response = ada.post(f"/api/v1/{path}", {"secret": "x"}, headers=foreign)
        assert (response.status_code, code_of(response)) == (403, "foreign-origin"), path


def test_our_own_page_may_post(shared, ada):
    own = {"Origin": shared.address, "Sec-Fetch-Site": "same-origin"}
    assert ada.post("/api/v1/display", {}, headers=own).status_code == 204


@pytest.mark.parametrize("path", POSTS)
def test_a_huge_body_is_refused_whether_it_says_so_or_not(shared, path):
    head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    said = shared.raw(f"{head}Content-Length: 10000000000\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 413 ") and b'"too-long"' in said
    chunk = b"4000\r\n" + b"[" * 0x4000 + b"\r\n"
    chunked = shared.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 5)
    assert chunked.startswith(b"HTTP/1.1 413 ") and b"content-security-policy" in chunked


def test_the_longest_body_is_still_read(shared):
    browser = shared.browser()
    for extra, status in ((0, 422), (1, 413)):
        content = b'{"secret":"' + b"x" * (guard.LONGEST - 13 + extra) + b'"}'
        response = browser.client.post("/api/v1/login", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == status


def test_a_body_that_never_ends_is_cut_off(served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard.Guard.__init__, "__defaults__", (guard.LONGEST, 0.2))
    served.app.middleware_stack = served.app.build_middleware_stack()
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 50\r\n\r\n{"
    assert served.raw(head).startswith(b"HTTP/1.1 408 ")


MALFORMED = {
    "empty": b"",
    "cut off": b'{"secret": "x"',
    "no JSON": b"secret=x",
    "not a number": b'{"secret": NaN}',
    "infinite": b'{"secret": -Infinity}',
    "nested": b"[" * 30_000 + b"]" * 30_000,
    "nested a little": b"[" * 40 + b"]" * 40,
    "nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "latin-1": b'{"secret": "\xe9"}',
    "utf-16": '{"secret": "x"}'.encode("utf-16"),
    "a lone surrogate": b'{"secret": "\\ud800"}',
    "NUL": b'{"secret": "a\\u0000b"}',
    "NUL in a name": b'{"a\\u0000": "b"}',
    "a long number": b'{"secret": ' + b"9" * 60_000 + b"}",
    "an unknown field": b'{"secret": "x", "role": "administrator"}',
    "twice": b'{"secret": "x"}{"secret": "y"}',
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_body_is_refused(ada, boss, what):
    for path in POSTS:
        who = boss if path.startswith("admin") else ada
        headers = {"Content-Type": "application/json", "X-CSRF-Token": who.csrf}
        response = who.client.post(f"/api/v1/{path}", content=MALFORMED[what], headers=headers)
        if path == "logout" and response.status_code == 204:
            assert what in ("empty", "a list", "null", "a text", "an unknown field"), "it reads no body"
            who.log_in(who.credentials.code)
        else:
            assert response.status_code in (400, 422), (path, response.text)
            assert code_of(response) in ("malformed", "invalid"), path


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
def test_another_kind_of_body_is_refused(ada, kind):
    headers = {"Content-Type": kind, "X-CSRF-Token": ada.csrf}
    response = ada.client.post("/api/v1/display", content=b"{}", headers=headers)
    assert (response.status_code, code_of(response)) == (415, "content-type")


GOOD = {"task": "diagnosis", "label": "tumour", "confidence": 4}
BAD = {
    "label": {"answer": {**GOOD, "label": "elephant"}},
    "confidence": {"answer": {**GOOD, "confidence": 6}},
    "no whole number": {"answer": {**GOOD, "confidence": 4.5}},
    "another task": {"answer": {"task": "choice", "side": "left"}},
    "no task": {"answer": {"label": "tumour", "confidence": 4}},
    "id": {"id": "1"},
    "long comment": {"answer": {**GOOD, "comment": "x" * 2001}},
    "long reason": {"reason": "x" * 2001},
    "negative time": {"shown": {"reaction_ms": -1}},
    "too many hashes": {"shown": {"sha256": ["a", "b", "c"]}},
    "a number beyond all tables": {"shown": {"focus_losses": 10**400}},
    "a time beyond all charts": {"shown": {"reaction_ms": 1e300}},
    "a screen beyond all screens": {"shown": {"screen": [10**30, 1]}},
    "a long hash": {"shown": {"sha256": ["a" * 65]}},
    "deep": {"shown": {"screen": [[[1]]]}},
    "more": {"arm": "original"},
}


def test_an_answer_that_is_none_is_refused_and_not_saved(ada):
    trial = ada.get("/api/v1/trials/next").json()
    for what, change in BAD.items():
        response = ada.post("/api/v1/answers", {**answer_to(trial), **change})
        assert (response.status_code, code_of(response)) in ((422, "invalid"), (422, "not-an-answer")), what
    assert ada.get("/api/v1/standing").json()["done"] == 0


def test_what_was_sent_does_not_come_back(shared):
    browser, mark = shared.browser(), f"<script>{uuid.uuid4()}</script>"
    for body in ({"secret": [mark]}, {mark: 1}, {"secret": mark}, {"secret": {"deep": mark}}):
        assert mark not in browser.post("/api/v1/login", body).text
    response = browser.get("/" + mark, headers={"Accept": "text/html"})
    assert response.status_code == 404 and "<script>" not in response.text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_refused(shared, method):
    for path in ("/", "/api/v1/login", "/api/v1/standing", "/static/page.css"):
        response = shared.browser().client.request(method, path)
        assert response.status_code == 405 and "content-security-policy" in response.headers


def test_an_unexpected_error_tells_nothing_and_is_logged_without_its_message(served, monkeypatch, caplog):
    ada = served.enrolled()
    monkeypatch.setattr("percuss.study.standing.standing", lambda *_: 1 / 0 if _ else 0)
    response = ada.get("/api/v1/standing")
    assert (response.status_code, code_of(response)) == (500, "unexpected")
    assert "ZeroDivision" not in response.text and "division" not in caplog.text
    number = response.json()["error"]["next"].split("number ")[1][:8]
    assert number in caplog.text and "ZeroDivisionError" in caplog.text and "api.py" in caplog.text


def test_a_database_that_is_gone_is_said_and_may_be_asked_again(served, monkeypatch: pytest.MonkeyPatch):
    from sqlalchemy.exc import OperationalError

    ada = served.enrolled()

    def gone(*_):
        raise OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    monkeypatch.setattr(type(served.study.database.engine), "connect", gone)
    response = ada.get("/api/v1/trials/next")
    assert (response.status_code, code_of(response)) == (503, "unavailable")
    assert response.headers["retry-after"] == "2" and "secret" not in response.text


def test_a_time_out_behind_the_guard_is_no_fault_of_the_browser(served, monkeypatch: pytest.MonkeyPatch):
    ada = served.enrolled()

    def slow(*_):
        raise TimeoutError

    monkeypatch.setattr("percuss.study.standing.standing", slow)
    response = ada.get("/api/v1/standing")
    assert (response.status_code, code_of(response)) == (500, "unexpected")


def test_json_is_served_as_json(ada):
    for path in ("standing", "trials/next", "trials/last", "openapi.json"):
        response = ada.get(f"/api/v1/{path}")
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        json.loads(response.content)
