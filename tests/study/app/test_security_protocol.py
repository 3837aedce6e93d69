"""What HTTP allows beyond what browsers do: ranges, conditions, pipelines, compression, slow and silent clients."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from fastapi import Response
from tests.study.app.served import answer_to, code_of, serving
from tests.study.small_study import make

from percuss.study.app.protocol import StudyProtocol
from percuss.study.app.server import create_app

CONDITIONS = [
    {"Range": "bytes=0-0"},
    {"Range": "bytes=-1"},
    {"Range": "bytes=0-1,5-6,9-"},
    {"Range": "bytes=99999999-"},
    {"If-Range": "x", "Range": "bytes=1-2"},
    {"If-None-Match": "*"},
    {"If-Match": "x"},
    {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"},
    {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"Accept-Encoding": "gzip, br, zstd, identity;q=0"},
    {"Accept": "image/webp"},
    {"TE": "gzip, trailers"},
    {"X-HTTP-Method-Override": "DELETE"},
]


def test_every_image_is_sent_whole_with_the_same_headers_whatever_is_asked(ada):
    url = ada.get("/api/v1/trials/next").json()["images"][0]["url"]
    plain = ada.get(url)
    for asked in CONDITIONS:
        odd = ada.get(url, headers=asked)
        told = [[(name, value) for name, value in r.headers.items() if name != "date"] for r in (plain, odd)]
        assert (odd.status_code, odd.content, told[1]) == (200, plain.content, told[0]), asked
    assert not {"etag", "last-modified", "accept-ranges", "content-encoding", "vary"} & set(plain.headers)


PATHS = """// /read/ //read /read// /./admin/ /%72ead /read%2F /api/v1/standing/ /api//v1/standing /api/v1%2Fstanding
    /api%2Fv1/standing /api/v1/standing%00 /api/v1/standing;x=1 /API/v1/standing /api/v1/../../etc/passwd
    /static//read.js /static/..%2fguard.py /static/%2e%2e/guard.py /static/read%2ejs /r/ /r/a/b //evil.example/%2e%2e
    /\\evil.example /%5cevil.example /api/v1/images/ /healthz/ /%"""


@pytest.mark.parametrize("path", PATHS.split())
def test_an_address_is_taken_as_it_is_written_or_not_at_all(shared, path):
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = shared.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 404 ") and b"location:" not in answer.lower()


def test_requests_in_one_pipe_are_answered_in_turn_each_for_itself(shared, ada):
    cookie = f"Cookie: percuss_session={ada.client.cookies['percuss_session']}\r\n"
    head = "GET /api/v1/standing HTTP/1.1\r\nHost: localhost\r\n"
    foreign = "GET /api/v1/standing HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    last = f"{head}Connection: close\r\n\r\n"
    answers = shared.raw(f"{head}{cookie}\r\n{head}\r\n{foreign}{head}{cookie}\r\n{last}".encode())
    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"401", b"421", b"200", b"401"], "one request's login is not another's"


def test_what_follows_a_refused_body_is_no_request(shared):
    """A body whose end two programs would see at different places is refused as a whole."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for lengths in (
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: +4",
        b"Content-Length: 4 4",
        b"Content-Length: -1",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: x",
        b"Transfer-Encoding : chunked",
    ):
        head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        answers = shared.raw(head + lengths + b"\r\n\r\nnull" + inner)
        assert answers.startswith(b"HTTP/1.1 4") or answers.startswith(b"HTTP/1.1 501 "), lengths
        assert b'{"ok":true}' not in answers, lengths


def test_a_chunked_body_is_read_as_any_other(ada):
    trial = ada.get("/api/v1/trials/next").json()
    body = json.dumps(answer_to(trial)).encode()
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    headers = {"Content-Type": "application/json", "X-CSRF-Token": ada.csrf}
    response = ada.client.post("/api/v1/answers", content=pieces, headers=headers)
    assert response.request.headers["transfer-encoding"] == "chunked" and response.status_code == 200


ODD_KINDS = [
    [("Content-Type", "application/json; charset=utf-16")],
    [("Content-Type", "application/json; charset=latin-1")],
    [("Content-Type", "application/json, text/plain")],
    [("Content-Type", "application/json; x=y")],
    [("Content-Type", "application/problem+json")],
    [("Content-Type", "application/json"), ("Content-Type", "text/plain")],
    [("Content-Type", "text/plain; application/json")],
    [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
    [("Content-Type", "application/json"), ("Content-Encoding", "identity")],
]


def test_a_body_that_might_be_something_else_is_refused(ada):
    for kinds in ODD_KINDS:
        content = gzip.compress(b"{}") if ("Content-Encoding", "gzip") in kinds else b"{}"
        headers = [*kinds, ("X-CSRF-Token", ada.csrf)]
        response = ada.client.post("/api/v1/display", content=content, headers=headers)
        assert (response.status_code, code_of(response)) == (415, "content-type"), kinds


def test_json_in_utf_8_is_taken_however_it_is_called(ada):
    for kind in ("application/json", "Application/JSON ; Charset=UTF-8", 'application/json;charset="utf-8"'):
        headers = {"Content-Type": kind, "X-CSRF-Token": ada.csrf}
        assert ada.client.post("/api/v1/display", content=b"{}", headers=headers).status_code == 204, kind


AMBIGUOUS = {
    "a name twice": b'{"monitor": "a", "monitor": "b"}',
    "a name twice, once in hex": b'{"monitor": "a", "\\u006donitor": "b"}',
    "a name twice inside": b'{"screen": [1, 2], "note": {"a": 1, "a": 2}}',
    "a number beyond numbers": b'{"px_per_cm": 1e999}',
    "another, below": b'{"px_per_cm": -1e999}',
    "a byte order mark": b'\xef\xbb\xbf{"monitor": "a"}',
    "overlong UTF-8": b'{"monitor": "\xc0\xaf"}',
    "UTF-16 without a mark": '{"monitor": "a"}'.encode("utf-16-le"),
    "something behind it": b'{"monitor": "a"} {}',
    "a comment": b'{"monitor": "a" /* b */}',
    "single quotes": b"{'monitor': 'a'}",
}


def test_json_that_programs_read_differently_is_refused(ada):
    headers = {"Content-Type": "application/json", "X-CSRF-Token": ada.csrf}
    for what, content in AMBIGUOUS.items():
        response = ada.client.post("/api/v1/display", content=content, headers=headers)
        assert (response.status_code, code_of(response)) == (400, "malformed"), what


def test_what_a_reader_says_is_not_guessed(tmp_path):
    guesses = {
        "diagnosis": [{"confidence": "4"}, {"confidence": 4.0}, {"confidence": True}, {"seen": "yes"}, {"seen": 1}],
        "manipulation": [{"rating": "2"}, {"rating": 2.0}, {"rating": False}],
        "same": [{"same": "yes"}, {"same": 1}, {"same": "true"}, {"same": None}],
    }
    study, _ = make(tmp_path / "study", tasks=tuple(guesses), cases=2)
    with serving(study) as served:
        ada, asked = served.enrolled(), set()
        while (response := ada.get("/api/v1/trials/next")).status_code == 200:
            trial = response.json()
            for guess in guesses[trial["task"]]:
                refused = ada.answer(trial, **guess)
                assert (refused.status_code, code_of(refused)) == (422, "invalid"), guess
            asked.add(trial["task"])
            assert ada.answer(trial).status_code == 200
        assert asked == set(guesses)


@pytest.mark.parametrize(
    "after",
    [b"GET /healthz HTTP/1.1\r\nHost: local", b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nX: y\r\n"],
)
def test_a_further_request_that_never_comes_to_its_end_is_not_waited_for(served, monkeypatch, after):
    # Otherwise the connection would outlive the patience of the test.
    monkeypatch.setattr(StudyProtocol, "patience", 0.2)
    with socket.create_connection(("127.0.0.1", served.port), timeout=25) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"ok":true}'):
            answer += connection.recv(65536)
        connection.sendall(after)
        assert connection.recv(65536) == b""


def test_a_refused_body_that_never_ends_is_not_waited_for(served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(StudyProtocol, "patience", 0.2)
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=25) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(3000):
                connection.sendall(b"x")
                time.sleep(0.01)  # a drop now and then


def test_who_does_not_take_an_answer_is_not_waited_for(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(StudyProtocol, "patience", 0.2)
    study, _ = make(tmp_path / "study")
    app = create_app(study)
    app.add_api_route("/long", lambda: Response(b"x" * 30_000_000))
    with serving(study, app=app) as served, socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connections, never = served.server.server_state.connections, threading.Event()
        for there in (True, False):  # it comes, and it is ended, though nothing is read here
            for _ in range(6000):
                if bool(connections) is there or never.wait(0.01):
                    break
            assert bool(connections) is there


class Wire:
    """A connection with something unsent, as a protocol sees it."""

    def __init__(self):
        self.unsent, self.ended = 0, []

    def get_write_buffer_size(self):
        return self.unsent

    def abort(self):
        self.ended.append("abort")

    def close(self):
        self.ended.append("close")


def test_who_takes_an_answer_slowly_is_waited_for():
    protocol, wire, later = object.__new__(StudyProtocol), Wire(), []
    protocol.transport, protocol._seen, protocol.cycle = wire, (None, 0), SimpleNamespace(response_complete=True)
    protocol.loop = SimpleNamespace(call_later=lambda *a: later.append(a))
    for unsent in range(1000, 0, -100):
        wire.unsent = unsent
        protocol.look()
    protocol.cycle = SimpleNamespace(response_complete=False)
    for wire.unsent in (1000, 0, 0, 0):  # an answer of the same length, then one that the database is asked for
        protocol.look()
    assert wire.ended == [] and len(later) == 14
    protocol.cycle.response_complete = True
    protocol.look()
    assert wire.ended == ["close"]
    protocol.cycle, wire.unsent = SimpleNamespace(response_complete=True), 7
    protocol.look()
    protocol.look()
    assert wire.ended == ["close", "abort"]
