"""What the commands of a study share: the open study, and how a person's link is told."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from percuss.cli.pasteable import Typed
from percuss.core.errors import UsageError

if TYPE_CHECKING:
    from percuss.study.credentials import Credentials
    from percuss.study.opening import OpenStudy


@contextlib.contextmanager
def opened(path: Path, database: str | None) -> Iterator[OpenStudy]:
    """The study, its connections ended at the end; UsageError without the extra ``study``."""
    from percuss.study.extra import require_extra

    require_extra()
    from percuss.study.opening import open_study

    study = open_study(path, database=database)
    try:
        yield study
    finally:
        study.database.close()


def link(credentials: Credentials, address: str) -> str:
    """The personal link below an address that ``checked_address`` gave: it warns once, here nothing is said again."""
    return f"{address}/r/{credentials.link_token}"


def checked_address(address: str) -> str:
    """An address without its last slash; a word on stderr where a link would go over a network in the clear."""
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            "this is no address of a server",
            value=address,
            allowed="http://HOST:PORT or https://HOST",
            next_step="give the address that readers type into their browser",
        )
    if parts.scheme == "http" and not _loopback(parts.hostname):
        print(f"percuss: {address} is not encrypted: whoever listens on the network can read links", file=sys.stderr)
    return address.strip().rstrip("/")


def tell_once(credentials: Credentials, address: str, typed: Typed) -> None:
    """Link and code on stdout, and that they are not shown again; ``typed`` is the study that they open."""
    print(f"{credentials.name} ({credentials.role})")
    print(f"link  {link(credentials, address)}")
    print(f"code  {credentials.code}")
    again = typed.command("renew", f"--name {shlex.quote(credentials.name)} --reason WHY")
    print(f"Hand them over now: they are not stored and not shown again. New ones: {again}")


def as_record(credentials: Credentials, address: str) -> dict[str, str]:
    """Name, role, code and link, for scripts."""
    whole = link(credentials, address)
    return {"name": credentials.name, "role": credentials.role, "code": credentials.code, "link": whole}


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
