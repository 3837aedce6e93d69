"""Serving a study: on this machine alone unless told otherwise, by one process, until it is asked to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import UsageError
from percuss.study.extra import require_extra
from percuss.study.opening import OpenStudy

if TYPE_CHECKING:
    from uvicorn import Server

_LOG = logging.getLogger("percuss.study")
#: Seconds that requests under way get when the server is asked to stop.
GRACE = 10
_WAITING = 2048


@dataclass(frozen=True)
class Address:
    """Where a server listens, and what it is called.

    Attributes:
        host: address to listen at; the default can be reached from this machine alone.
        port: 0 takes a free one.
        names: further names that browsers may ask for, NAME or NAME:PORT: of a proxy, or in a certificate.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()


def serve(
    study: OpenStudy,
    at: Address,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    proxy: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first.

    One process serves: it counts wrong codes in its memory, and fifty readers keep it far from busy. The address is
    printed once it can be reached, with the names that are answered to and, where it is so, that the study is closed;
    requests are logged to stderr by route, without tokens, names or answers.

    Args:
        study: as ``open_study`` gives it.
        at: where, and under which names.
        certificate: file with the TLS certificate and its chain (PEM); needs ``key``.
        key: file with its private key (PEM).
        proxy: a reverse proxy on this machine ends TLS: cookies travel by TLS only, and its word on where a request
            comes from is believed.

    Raises:
        UsageError: the extra ``study`` is not installed, a certificate without a key or one that cannot be read, an
            address that cannot be had, or a name that is none.
        RunError: image files that differ in length.
    """
    require_extra()
    from percuss.study.app.hosts import hosts_of
    from percuss.study.app.server import create_app

    encrypted = _check_tls(certificate, key)
    with contextlib.closing(_listen(at.host, at.port)) as listening:
        bound, port = listening.getsockname()[:2]
        hosts = hosts_of(at.host, port, bound=bound, allowed=at.names)
        app = create_app(study, secure=encrypted or proxy, hosts=hosts)
        for warning in (exposure(at.host, encrypted=encrypted, proxy=proxy), nameless(at, proxy=proxy)):
            if warning:
                print(warning, file=sys.stderr, flush=True)
        server = _server(app, certificate, key, proxy=proxy)
        with _logging_to_stderr(), _stopping(server):
            address = _address(at.host, port, encrypted=encrypted)
            print(f"{_titled(study)} at {address} (answers to {hosts}; Ctrl-C stops)", flush=True)
            server.run(sockets=[listening])


def _titled(study: OpenStudy) -> str:
    """The study by its title, and that it is closed where it is: whoever serves it then is told why nobody can read."""
    from percuss.study.reasons import is_open

    with study.database.read() as session:
        closed = "" if is_open(session) else " (closed: progress can be seen, nothing can be answered)"
    return f'Percuss study "{study.info.title}"{closed}'


def nameless(at: Address, *, proxy: bool) -> str:
    """What to warn of where browsers come by a proxy and its name is not known; else empty."""
    if at.names or not proxy:
        return ""
    return "Warning: give --allow-host and the name of the proxy, or whoever comes by that name is refused (421)."


def exposure(host: str, *, encrypted: bool, proxy: bool) -> str:
    """What to warn of before listening at ``host``; empty where other machines cannot listen in."""
    if encrypted or proxy or is_loopback(host):
        return ""
    return (
        f"Warning: {host} can be reached from other machines, and without TLS whoever is on the way reads codes and "
        "answers. Give --certificate and --key-file, or put a reverse proxy with TLS in front (--proxy)."
    )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_tls(certificate: Path | None, key: Path | None) -> bool:
    if certificate is None and key is None:
        return False
    if certificate is None or key is None:
        raise UsageError("TLS needs a certificate and its key", next_step="give both --certificate and --key-file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            "the certificate or its key cannot be used",
            value=f"{certificate}, {key}",
            allowed="two PEM files that belong together, the key without a password",
            next_step="check both files",
        ) from error
    return True


def _listen(host: str, port: int) -> socket.socket:
    """A socket at this address; the system takes a port above 65535 for another one, so that is refused here."""
    with contextlib.ExitStack() as undone:
        try:
            if not 0 <= port <= 65535:
                raise OverflowError(port)
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listening = undone.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_WAITING)  # from now on who comes is kept waiting, not sent away
        except (OSError, OverflowError) as error:
            why = (error.strerror or error) if isinstance(error, OSError) else "ports are 0 to 65535"
            step = "give another --port (0 takes a free one) or --host, or stop what listens there"
            raise UsageError(
                "the server cannot listen there", value=f"{host}:{port} ({why})", next_step=step
            ) from error
        undone.pop_all()
    return listening


def _server(app: object, certificate: Path | None, key: Path | None, *, proxy: bool) -> Server:
    from uvicorn import Config, Server

    from percuss.study.app.protocol import StudyProtocol

    return Server(
        Config(
            app,  # type: ignore[arg-type]
            ssl_certfile=certificate,
            ssl_keyfile=str(key) if key else None,
            http=StudyProtocol,
            ws="none",
            lifespan="off",
            access_log=False,  # it would hold paths, and paths hold tokens
            log_config=None,
            server_header=False,
            proxy_headers=proxy,
            forwarded_allow_ips="127.0.0.1,::1",
            timeout_graceful_shutdown=GRACE,
        )
    )


def _address(host: str, port: int, *, encrypted: bool) -> str:
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if encrypted else 'http'}://{named}:{port}/"


@contextlib.contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """The app's own log, and what uvicorn warns of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    kept = {name: logging.getLogger(name).level for name in ("percuss.study", "uvicorn.error")}
    try:
        for name, level in (("percuss.study", logging.INFO), ("uvicorn.error", logging.WARNING)):
            logging.getLogger(name).setLevel(level)
            logging.getLogger(name).addHandler(handler)
        yield
    finally:
        for name, level in kept.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _stopping(server: Server) -> Iterator[None]:
    """Uvicorn stops at SIGTERM and SIGINT, and raises the signal again when it has: here that ends in peace."""

    def asked(*_: object) -> None:
        server.should_exit = True

    signals = (signal.SIGINT, signal.SIGTERM)
    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    try:
        for each in signals:
            with contextlib.suppress(ValueError):  # only the main thread may listen to signals
                before[each] = signal.signal(each, asked)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
