"""The cookie of a login: 256 bits of chance, signed (HMAC-SHA-256), so that a forged one never reaches the database."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from percuss.core.errors import RunError
from percuss.store.safe import SCRATCH, disk_errors

#: Name of the cookie, and of the file in the study's folder with the key that signs it.
COOKIE, FILE = "percuss_session", "cookie.key"
_BYTES = 32


def signing_key(folder: Path) -> bytes:
    """The key of a study's cookies, made by the first server: logins outlive a restart. Only its owner may read it.

    RunError where it can neither be read nor written, or is no such key.
    """
    path = folder / FILE
    with disk_errors(path):
        if not path.exists():
            _make(folder, path)
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii"))
        except ValueError:
            key = b""
    if len(key) != _BYTES:
        step = "remove it: a new one is made, and everybody logs in again"
        raise RunError("the key of the cookies is damaged", value=path, next_step=step)
    return key


def signed(token: str, key: bytes) -> str:
    """What the browser gets: the token, a dot, and its signature in hex."""
    return f"{token}.{_signature(token, key)}"


def unsigned(cookie: str, key: bytes) -> str | None:
    """The token of a cookie; None where its signature is missing or another's."""
    token, _, signature = cookie.rpartition(".")
    good = hmac.compare_digest(signature.encode(), _signature(token, key).encode())
    return token if token and good else None


def _signature(token: str, key: bytes) -> str:
    return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()


def _make(folder: Path, path: Path) -> None:
    """Written whole under another name first: of two servers that start at once, one is first and both read its key."""
    scratch = folder / f"{SCRATCH}{secrets.token_hex(8)}"
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
