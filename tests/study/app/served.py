"""The app of a small study behind a real server on a free port, and people who use it as browsers do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid

import httpx

from percuss.study.access import enrol
from percuss.study.app.server import create_app
from percuss.study.app.serving import GRACE, _listen, _server

ANSWERS = {
    "diagnosis": {"label": "tumour", "confidence": 4},
    "manipulation": {"rating": 2},
    "choice": {"side": "left"},
    "same": {"same": True},
}
#: Addresses whose server has ended: a page that is still open there loses its connection, by no fault of its own.
ENDED: set[str] = set()


@contextlib.contextmanager
def serving(study, *, secure=False, proxy=False, app=None):
    """The address of the study while it is served by a thread of this process."""
    app = app or create_app(study, secure=secure)
    with contextlib.closing(_listen("127.0.0.1", 0)) as listening:
        server = _server(app, None, None, proxy=proxy)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        found = Served(study, f"http://127.0.0.1:{listening.getsockname()[1]}", app)
        found.server = server
        ENDED.discard(found.address)
        try:
            yield found
        finally:
            ENDED.add(found.address)
            for browser in found.browsers:
                browser.client.close()
            server.should_exit = True
            thread.join(6 * GRACE)
            assert not thread.is_alive()
            study.database.close()


class Served:
    """A study that is served, with its app for tests that look behind it."""

    def __init__(self, study, address, app):
        self.study, self.address, self.app = study, address, app
        self.port, self.browsers = int(address.rpartition(":")[2]), []
        self.server = None

    def browser(self, **headers):
        """A browser that is not logged in."""
        self.browsers.append(Browser(self.address, headers))
        return self.browsers[-1]

    def enrolled(self, name="Ada", *, role="reader"):
        """Somebody new, logged in."""
        credentials = enrol(self.study, name, role=role)
        browser = self.browser()
        browser.log_in(credentials.code)
        browser.credentials = credentials
        return browser

    def stop(self):
        """Ask the server to stop, as SIGTERM does."""
        self.server.should_exit = True

    def raw(self, content):
        """What comes back on a bare connection for these bytes, to its end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=25) as connection:
            connection.sendall(content)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


class Browser:
    """Keeps its cookie, sends its CSRF token, and remembers every response."""

    def __init__(self, address, headers):
        self.client = httpx.Client(base_url=address, headers=headers, timeout=20, trust_env=False)
        self.csrf, self.seen, self.credentials = None, [], None

    def get(self, path, **more):
        return self._kept(self.client.get(path, **more))

    def post(self, path, json=None, *, csrf=True, **more):
        headers = dict(more.pop("headers", {}))
        if csrf and self.csrf:
            headers.setdefault("X-CSRF-Token", self.csrf)
        return self._kept(self.client.post(path, json=json, headers=headers, **more))

    def log_in(self, secret):
        response = self.post("/api/v1/login", {"secret": secret})
        if response.status_code == 200:
            self.csrf = response.json()["csrf"]
        return response

    def answer(self, trial=None, **fields):
        """Answer a trial (the next one), whatever its task; the response."""
        trial = trial or self.get("/api/v1/trials/next").json()
        return self.post("/api/v1/answers", answer_to(trial, **fields))

    def read_all(self):
        """Read to the end of what is open, images and all; the trials, with the bytes of their images."""
        trials = []
        while (response := self.get("/api/v1/trials/next")).status_code == 200:
            trial = response.json()
            content = [self.get(image["url"]).content for image in trial["images"]]
            trials.append((trial, content))
            assert self.answer(trial).status_code == 200
        return trials

    def _kept(self, response):
        self.seen.append(response)
        return response


def answer_to(trial, *, id=None, reason="", shown=None, **answer):
    """An answer as the page sends it."""
    body = {"task": trial["task"], **ANSWERS[trial["task"]], **answer}
    return {
        "id": id or str(uuid.uuid4()),
        "trial": trial["trial"],
        "answer": body,
        "shown": shown or {},
        "reason": reason,
    }


def code_of(response):
    """The code of an error, once its form is as documented."""
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"code", "thing", "allowed", "next"}
    assert "Traceback" not in response.text and error["thing"]
    return error["code"]
