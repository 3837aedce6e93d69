"""The code and the link that a reader gets once: drawn at random, kept as hashes, read with a little patience."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass, field

from percuss.core.errors import UsageError

#: Letters of a code: D. Crockford's base 32, which leaves out I, L, O and U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Letters in a code; each is 5 bits of chance.
LETTERS = 16
#: Longest name of a reader, in characters.
NAME = 200
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_BETWEEN = re.compile(r"[\s\u00ad\u2010-\u2015\u2212_.-]+")
#: Who writes into the trail without being enrolled.
_TAKEN = {"server", "administrator"}


@dataclass(frozen=True)
class Credentials:
    """What one person needs to log in. It is shown once; the study keeps only hashes.

    Attributes:
        name: who it is for.
        role: ``reader`` or ``administrator``.
        code: 16 letters in fours, 80 bits of chance.
        link_token: what follows ``/r/`` in the personal link, 256 bits of chance.
    """

    name: str
    role: str
    code: str = field(repr=False)
    link_token: str = field(repr=False)


def draw(name: str, role: str) -> Credentials:
    """A new code and a new link for this person."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    code = "-".join(letters[at : at + 4] for at in range(0, LETTERS, 4))
    return Credentials(name=name, role=role, code=code, link_token=secrets.token_urlsafe(32))


def hash_of_secret(secret: str) -> str:
    """SHA-256 (64 hex digits) of a code or a link token as somebody gave it.

    A code is read whatever its case, with or without dashes and blanks, and with I or L for 1 and O for 0. A fast hash
    is enough: at 80 bits of chance nobody finds a code by trying, not even with the database in hand.
    """
    letters = _BETWEEN.sub("", secret).upper().translate(_READ_AS)
    is_code = len(letters) == LETTERS and set(letters) <= set(ALPHABET)
    return hash_of_token(letters if is_code else secret.strip())


def hash_of_token(token: str) -> str:
    """SHA-256 (64 hex digits) of a token as it is."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def check_name(name: str, role: str) -> None:
    """UsageError unless the name has 1 to 200 printable characters and is nobody else's in the audit trail.

    A blank at an end is seen by nobody, and would make two people of one.
    """
    if not name.strip() or name != name.strip() or len(name) > NAME or not name.isprintable():
        raise UsageError(
            "this cannot be a name",
            value=repr(name[:NAME]),
            allowed=f"1 to {NAME} printable characters, no blank at an end",
            next_step="give another name",
        )
    if name.strip().casefold() in _TAKEN and role == "reader":
        raise UsageError(
            "the audit trail uses this name for somebody else",
            value=name,
            allowed="any name but server and administrator",
            next_step="give another name",
        )


def alike(name: str) -> str:
    """What names have in common that people take for one: whatever their case, blanks and way of writing accents."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
