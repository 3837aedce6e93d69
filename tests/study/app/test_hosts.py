"""Which hosts a request may be for: a name that somebody else turned to this machine is refused."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.study.app.served import code_of, serving
from tests.study.small_study import make

from percuss.core.errors import UsageError
from percuss.study.app.hosts import Hosts, hosts_of
from percuss.study.app.server import create_app
from percuss.study.app.serving import _listen

NEAR = hosts_of("127.0.0.1", 8000, bound="127.0.0.1")
WIDE = hosts_of("0.0.0.0", 8000, bound="0.0.0.0", allowed=("reading.example.org", "ward:8443"))
ANYWHERE = [
    "Localhost:8000",
    "localhost.:8000",
    "127.0.0.1:8000",
    "127.9.9.9:8000",
    "[::1]:8000",
    "[0:0:0:0:0:0:0:1]:8000",
]
NOWHERE = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example:8000",
    "127.0.0.1.evil.example:8000",
    "evil-localhost:8000",
    "[::1:8000",
    "::1",
    "[localhost]:8000",
    "[127.0.0.1]:8000",
    "localhost:",
    "localhost:x",
    "localhost:80000",
    "localhost:8000:8000",
    "localhost:8000/x",
    "u@localhost:8000",
    "http://localhost:8000",
    "2130706433:8000",
    "0x7f.1:8000",
    "127.1:8000",
    "*:8000",
    "localhost..:8000",
    ".localhost:8000",
    "lócalhost:8000",
    "localhost:٨٠٠٠",
    "localhost:+8000",
    "localhost:08000000",
]


@pytest.mark.parametrize("said", ANYWHERE)
def test_this_machine_is_always_taken_with_its_port(said):
    assert NEAR.take(said) and WIDE.take(said) and Hosts().take(said.removesuffix(":8000") + ":1234")


def test_whatever_else_is_refused():
    for said in ("", " ", "localhost, evil.example", "localhost:8000 evil", *NOWHERE):
        assert not NEAR.take(said) and not WIDE.take(said), said


def test_other_ports_and_other_addresses_are_refused_where_one_is_listened_at():
    own = hosts_of("192.0.2.7", 8000, bound="192.0.2.7")
    for said in (
        "localhost",
        "localhost:80",
        "localhost:8001",
        "127.0.0.1:443",
        "192.0.2.7",
        "192.0.2.8:8000",
        "[::2]:8000",
    ):
        assert not NEAR.take(said) and not own.take(said), said
    assert own.take("192.0.2.7:8000") and not NEAR.take("192.0.2.7:8000")
    named = hosts_of("Reading.Example.org", 8000, bound="192.0.2.7")
    assert named.take("reading.example.org:8000") and not named.take("reading.example.org:8001")


def test_a_browser_leaves_out_the_usual_ports():
    for port in (80, 443):
        assert hosts_of("127.0.0.1", port, bound="127.0.0.1").take("localhost")
    assert hosts_of("h", 8443, bound="192.0.2.7", allowed=("ward:443",)).take("ward")
    assert not WIDE.take("ward")


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_where_all_addresses_are_listened_at_any_is_taken_and_names_by_leave_alone(bound):
    wide = hosts_of(bound, 8000, bound=bound, allowed=("reading.example.org", "ward:8443", "2001:db8::1"))
    for said in (
        "192.0.2.7:8000",
        "192.0.2.7",
        "[2001:DB8::7]:8000",
        "Reading.example.org",
        "reading.example.org:9",
        "ward:8443",
    ):
        assert wide.take(said), said
    for said in ("ward:8000", "other.example.org", "0x7f000001:8000", "[fe80::1%eth0]:8000", "host:8000"):
        assert not wide.take(said), said
    assert str(wide) == "localhost:8000, any IP address, reading.example.org, ward:8443, [2001:db8::1]"
    assert str(NEAR) == "localhost:8000, 127.0.0.1:8000, [::1]:8000"


@given(st.text(max_size=30))
def test_no_text_is_too_odd(said):
    assert not NEAR.take(said + ".evil.example") and NEAR.take(said) in (True, False)


@pytest.mark.parametrize(
    "name", ["", "*", "*.example.org", "https://a.example", "a.example/x", "a b", "a:0x1", "a:70000", "é.example"]
)
def test_a_name_that_is_none_is_refused_with_a_next_step(name):
    with pytest.raises(UsageError, match="no name of a host") as raised:
        hosts_of("127.0.0.1", 8000, bound="127.0.0.1", allowed=(name,))
    assert "--allow-host" in raised.value.next_step


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    """A study served at a port that its app knows, as ``serve`` has it."""
    study, _ = make(tmp_path_factory.mktemp("hosts") / "study")
    app = create_app(study)
    with serving(study, app=app) as found:
        app.state.hosts = hosts_of("127.0.0.1", found.port, bound="127.0.0.1", allowed=("reading.example.org",))
        yield found


REBOUND = ["evil.example", "evil.example:{port}", "localhost", "localhost.evil.example:{port}", "192.0.2.7:{port}"]


@pytest.mark.parametrize("host", REBOUND)
def test_a_request_for_another_host_is_refused_before_its_body_is_read(near, host):
    said = host.format(port=near.port)
    for path in (
        "/",
        "/healthz",
        "/static/page.css",
        "/api/v1/openapi.json",
        "/api/v1/standing",
        "/r/" + "a" * 40,
        "/none",
    ):
        response = near.browser().get(path, headers={"Host": said, "Accept": "text/html"})
        assert (response.status_code, code_of(response)) == (421, "wrong-host"), path
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "small study" not in response.text and "evil" not in response.text
    head = f"POST /api/v1/login HTTP/1.1\r\nHost: {said}\r\nConnection: close\r\nContent-Length: 99\r\n"
    # No body follows, and none is asked for: who waited for it would wait long.
    refused = near.raw(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert refused.startswith(b"HTTP/1.1 421 ")


def test_a_right_code_and_a_login_are_worth_nothing_under_another_name(near):
    ada = near.enrolled()
    rebound = {"Host": f"evil.example:{near.port}", "Origin": f"http://evil.example:{near.port}"}
    response = ada.post("/api/v1/login", {"secret": ada.credentials.code}, headers=rebound)
    assert response.status_code == 421 and "set-cookie" not in response.headers
    assert ada.get("/api/v1/standing", headers=rebound).status_code == 421
    assert ada.get("/api/v1/standing").status_code == 200


def test_what_a_proxy_says_of_the_host_is_not_asked(near):
    claims = {
        "X-Forwarded-Host": "localhost",
        "Forwarded": "host=localhost",
        "X-Host": "localhost",
        "X-Original-Host": "localhost",
    }
    assert near.browser().get("/healthz", headers={"Host": "evil.example", **claims}).status_code == 421
    foreign = {name: "evil.example" for name in claims}
    assert near.browser().get("/healthz", headers=foreign).status_code == 200


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/healthz", "http://evil.example/healthz", "*", "localhost:{port}"]
)
def test_a_target_that_is_no_path_is_refused(near, target):
    for host in ("evil.example", "localhost:{port}"):
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".format(port=near.port)
        assert near.raw(request.encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.1 421 "),
        (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /healthz HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n", b"HTTP/1.1 421 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost, evil.example\r\nConnection: close\r\n\r\n", b"HTTP/1.1 421 "),
    ],
)
def test_a_request_with_no_host_or_with_two_is_refused(near, lines, status):
    assert near.raw(lines).startswith(status)


def test_a_name_by_leave_is_served(near):
    for said in ("reading.example.org", "READING.example.org:8443"):
        assert near.browser().get("/", headers={"Host": said}).status_code == 200
    own = {"Host": "reading.example.org", "Origin": "https://reading.example.org"}
    assert near.browser().post("/api/v1/login", {"secret": "x"}, headers=own).status_code == 401


def test_an_ipv6_address_is_served(tmp_path, monkeypatch: pytest.MonkeyPatch):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listening = _listen("::1", 0)
    except UsageError:
        pytest.skip("no IPv6 loopback here")
    with listening:
        hosts = hosts_of("::1", listening.getsockname()[1], bound=listening.getsockname()[0])
    assert hosts.take(f"[::1]:{hosts.port}") and not hosts.take("[::1]:1")
