"""The server as a process: where it can be reached, what it says, and how it stops."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.study.app.served import answer_to, serving
from tests.study.small_study import make

from percuss.core.errors import UsageError
from percuss.study.access import enrol
from percuss.study.app.protocol import StudyProtocol
from percuss.study.app.serving import GRACE, Address, _listen, exposure, is_loopback, nameless, serve
from percuss.study.closing import close

SERVE = (
    "import sys; from pathlib import Path; from percuss.study.opening import open_study\n"
    "from percuss.study.app.serving import Address, serve\n"
    "place = {'port': 0} | eval(sys.argv[2])\n"
    "serve(open_study(Path(sys.argv[1])), Address(**place), **eval(sys.argv[3]))"
)


class Process:
    """The server in a process of its own."""

    def __init__(self, folder, *, at=(), **settings):
        command = [sys.executable, "-W", "error", "-c", SERVE, str(folder), repr(dict(at)), repr(settings)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        found = re.search(r"https?://\S+/", self.said)
        if found is None:
            self.process.kill()
            pytest.fail(f"{self.said!r} {self.process.communicate()}")
        self.address = found[0]

    def stop(self, how=signal.SIGTERM):
        """Exit status, and what stood on stderr."""
        self.process.send_signal(how)
        try:
            rest = self.process.communicate(timeout=6 * GRACE)
        finally:
            self.process.kill()
        return self.process.returncode, rest[1]


def test_it_says_where_it_is_serves_logs_no_token_and_stops_in_peace(tmp_path):
    study, _ = make(tmp_path / "study", title="A <small> study")
    credentials = enrol(study, "Ada Readersdottir")
    study.database.close()
    running = Process(tmp_path / "study")
    assert running.said.startswith('Percuss study "A <small> study" at http://127.0.0.1:')
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        assert client.get("/healthz").json() == {"ok": True}
        assert client.get(f"/r/{credentials.link_token}").status_code == 200
        csrf = client.post("/api/v1/login", json={"secret": credentials.code}).json()["csrf"]
        trial = client.get("/api/v1/trials/next").json()
        client.get(trial["images"][0]["url"])
        answer = {**answer_to(trial), "answer": {"task": "diagnosis", "label": "tumour", "confidence": 4}}
        answer["answer"]["comment"] = "a remark of hers"
        assert client.post("/api/v1/answers", json=answer, headers={"X-CSRF-Token": csrf}).status_code == 200
        secrets = [credentials.code, credentials.link_token, csrf, client.cookies["percuss_session"], trial["trial"]]
    status, logged = running.stop()
    assert status == 0
    assert "/images/{token} 200" in logged and "/answers 200" in logged
    for secret in (*secrets, trial["images"][0]["token"], "Readersdottir", "remark", "tumour", "127.0.0.1"):
        assert secret not in logged


def test_requests_under_way_are_finished_before_it_stops(tmp_path, monkeypatch: pytest.MonkeyPatch):
    study, _ = make(tmp_path / "study")
    from percuss.study.app import images

    with serving(study) as served:
        ada = served.enrolled()
        url = ada.get("/api/v1/trials/next").json()["images"][0]["url"]
        monkeypatch.setattr(images, "STEP", 0.5)
        got, arrived, read = [], threading.Event(), images._read
        monkeypatch.setattr(images, "_read", lambda *a: (arrived.set(), read(*a))[1])
        asking = threading.Thread(target=lambda: got.append(ada.get(url).status_code))
        asking.start()
        assert arrived.wait(30)
        served.stop()
        asking.join()
    assert got == [200]


def test_by_tls_the_cookie_is_for_tls_alone(tmp_path):
    study, _ = make(tmp_path / "study")
    code = enrol(study, "Ada").code
    study.database.close()
    certificate, key = certified(tmp_path)
    running = Process(tmp_path / "study", certificate=str(certificate), key=str(key))
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=running.address, verify=context, trust_env=False) as client:
        response = client.post("/api/v1/login", json={"secret": code})
    assert running.address.startswith("https://") and "; Secure" in response.headers["set-cookie"]
    status, logged = running.stop()
    assert status == 0 and "Warning" not in logged


def test_where_others_can_listen_in_there_is_a_warning(tmp_path):
    make(tmp_path / "study")[0].database.close()
    running = Process(tmp_path / "study", at={"host": "0.0.0.0"})
    status, logged = running.stop(signal.SIGINT)
    assert status == 0 and logged.startswith("Warning: 0.0.0.0 can be reached from other machines, and without TLS")


def test_who_is_warned():
    assert exposure("127.0.0.1", encrypted=False, proxy=False) == exposure("::1", encrypted=False, proxy=False) == ""
    assert exposure("0.0.0.0", encrypted=True, proxy=False) == exposure("0.0.0.0", encrypted=False, proxy=True) == ""
    assert "--certificate" in exposure("study.example.org", encrypted=False, proxy=False)
    assert [is_loopback(host) for host in ("localhost", "127.9.9.9", "10.0.0.1", "::")] == [True, True, False, False]


def test_it_says_which_names_it_answers_to(tmp_path):
    make(tmp_path / "study")[0].database.close()
    running = Process(tmp_path / "study", at={"names": ("reading.example.org",)})
    port = running.address.rstrip("/").rpartition(":")[2]
    names = f"localhost:{port}, 127.0.0.1:{port}, [::1]:{port}, reading.example.org"
    assert running.said.endswith(f" at {running.address} (answers to {names}; Ctrl-C stops)\n")
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        said = [f"localhost:{port}", "reading.example.org", f"localhost:{int(port) ^ 1}", f"evil.example:{port}"]
        statuses = [client.get("/healthz", headers={"Host": host}).status_code for host in said]
    assert statuses == [200, 200, 421, 421] and running.stop()[0] == 0


def test_a_closed_study_is_served_and_said_to_be_closed(tmp_path):
    study, _ = make(tmp_path / "study")
    boss = enrol(study, "Boss", role="administrator")
    close(study, who="Grace", reason="all have read")
    study.database.close()
    running = Process(tmp_path / "study")
    begins = (
        'Percuss study "A small study" (closed: progress can be seen, nothing can be answered) at http://127.0.0.1:'
    )
    assert running.said.startswith(begins)
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        assert client.post("/api/v1/login", json={"secret": boss.code}).status_code == 200
        assert client.get("/api/v1/admin/progress").json()["state"] == "closed"
    assert running.stop()[0] == 0


def test_a_proxy_without_a_name_is_warned_of():
    assert "--allow-host" in nameless(Address(), proxy=True)
    assert nameless(Address(names=("a.example",)), proxy=True) == nameless(Address(), proxy=False) == ""


def test_what_cannot_be_served_is_said_with_a_next_step(tmp_path):
    study, _ = make(tmp_path / "study")
    (tmp_path / "bad.pem").write_text("no certificate")
    bad = tmp_path / "bad.pem"
    taken = _listen("127.0.0.1", 0)
    cases = [
        ("needs a certificate and its key", {"certificate": bad}),
        ("needs a certificate and its key", {"key": bad}),
        ("cannot be used", {"certificate": bad, "key": bad}),
        ("cannot be used", {"certificate": tmp_path / "none.pem", "key": bad}),
        ("cannot listen there", {"at": Address(port=taken.getsockname()[1])}),
        ("cannot listen there", {"at": Address(port=70_000)}),
        ("cannot listen there", {"at": Address("not.a.host.invalid")}),
        ("no name of a host", {"at": Address(port=0, names=("https://reading.example.org/",))}),
    ]
    for message, settings in cases:
        with pytest.raises(UsageError, match=message) as raised:
            serve(study, **{"at": Address(port=0), **settings})
        assert raised.value.next_step
    taken.close()
    study.database.close()


def test_answers_leave_at_once():
    with _listen("127.0.0.1", 0) as listening:
        # Only of sockets that say TCP does asyncio know not to wait for more to send: 40 ms a request.
        assert listening.proto == socket.IPPROTO_TCP


def test_what_is_no_http_gets_the_headers_of_every_response(served):
    for noise in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    ):
        answer = served.raw(noise + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and b"content-security-policy: default-src 'none'" in answer


def test_a_connection_that_says_nothing_is_ended(served, monkeypatch: pytest.MonkeyPatch):
    # Otherwise the connection would outlive the patience of the test.
    monkeypatch.setattr(StudyProtocol, "patience", 0.2)
    assert served.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n") == b""


def certified(folder):
    """A certificate for 127.0.0.1 with its key, as files."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "percuss test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=plain)
    )
    private.chmod(0o600)
    return certificate, private
