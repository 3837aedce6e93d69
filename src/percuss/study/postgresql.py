"""What a PostgreSQL URL asks of the connection: its password from the environment, and encryption."""

from __future__ import annotations

import os
import ssl
from typing import Any

from sqlalchemy import URL

from percuss.core.errors import UsageError

#: Where a password may stand, so that it stands in no command and no file.
PASSWORD = "PERCUSS_STUDY_DATABASE_PASSWORD"
_MODES = ("disable", "prefer", "require", "verify-full")
_OPTIONS = ("sslmode", "sslrootcert")


def connecting(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL for the driver, with its password, and what the driver is told besides.

    ``?sslmode=`` is ``disable``, ``prefer`` (the default: encrypted where the server can, whoever it is), ``require``
    (encrypted, whoever it is) or ``verify-full`` (and its certificate is checked, against ``sslrootcert=FILE`` or the
    machine's own list).

    Raises:
        UsageError: another option or mode, or a file of certificates that cannot be read.
    """
    for name in url.query:
        if name not in _OPTIONS:
            raise UsageError(
                "the URL of the database has an option that is not known",
                value=name,
                allowed=", ".join(_OPTIONS),
                next_step=f"leave it out; a password stands before @HOST, or in {PASSWORD}",
            )
    told: dict[str, Any] = {
        "ssl_context": _context(str(url.query.get("sslmode", "prefer")), url.query.get("sslrootcert"))
    }
    password = url.password or os.environ.get(PASSWORD) or None
    if password is None:
        # Without any the driver breaks on a server that asks for one; the empty one the server refuses in its words.
        told["password"] = ""
    return url.set(drivername="postgresql+pg8000", query={}, password=password), told


def _context(mode: str, roots: object) -> ssl.SSLContext | bool | None:
    if mode not in _MODES:
        allowed = ", ".join(_MODES)
        raise UsageError("no such sslmode", value=mode, allowed=allowed, next_step="write one of them")
    if mode != "verify-full":
        return {"disable": False, "prefer": None, "require": True}[mode]
    try:
        return ssl.create_default_context(cafile=None if roots is None else str(roots))
    except OSError as error:
        step = "name a file of certificates in PEM form with sslrootcert="
        raise UsageError("the certificates cannot be read", value=roots, next_step=step) from error
