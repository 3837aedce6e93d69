"""Commands in what Percuss says, as a shell takes them: with the study, the database and the secret that were typed."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percuss.core.errors import PercussError, UsageError

#: How messages below the command line write a command: they know what to do, and not what was typed.
_COMMAND = re.compile(
    r"""percuss study (?P<act>[a-z]+) STUDY(?P<more>(?: --[a-z-]+ (?:[^\s'",;]|'[^']*'|"[^"]*")+)*)"""
)
#: Which commands take ``--secret``, and the one that takes no ``--database``.
_WITH_SECRET, _WITHOUT_DATABASE = {"plan", "results", "verify", "export", "amend"}, {"plan"}
#: Stands for a blank within a command while lines are wrapped.
_BLANK = "\x1f"
_WIDTH = 110


@dataclass(frozen=True)
class Typed:
    """The study that a command line names, and how it is opened: whatever command comes next opens it so too.

    Attributes:
        study: its folder, as typed.
        database: URL, as typed. secret: file of the key's secret, as typed.
    """

    study: Path
    database: str | None = None
    secret: Path | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Typed | None:
        """What the options of a command name; None where that is not one study."""
        named = options.get("study")
        study = named[0] if isinstance(named, list | tuple) and len(named) == 1 else named
        if not isinstance(study, Path):
            return None
        return cls(study, options.get("database"), options.get("secret"))

    def command(self, act: str, more: str = "") -> str:
        """``percuss study ACT`` on this study, quoted for a shell; a password is left to the environment.

        Args:
            act: such as ``results``.
            more: further options, quoted already.
        """
        words = ["percuss", "study", act, shell_path(self.study)]
        if self.database and act not in _WITHOUT_DATABASE:
            words += _without_password(self.database)
        if self.secret is not None and act in _WITH_SECRET:
            words += ["--secret", shell_path(self.secret)]
        return " ".join([*words, *([more] if more else [])])

    def fill(self, text: str, *, blank: str = " ") -> str:
        """The text with this study in its commands, whose blanks are ``blank``."""

        def whole(found: re.Match[str]) -> str:
            return self.command(found["act"], found["more"].strip()).replace(" ", blank)

        return _COMMAND.sub(whole, text)


def shell_path(path: Path) -> str:
    """A path as one word of a shell, which no command takes for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def explain(error: PercussError, typed: Typed | None = None) -> str:
    """The error as short lines: what, allowed, next. A command in it names the study that was typed, on one line."""
    first = error.thing if error.value is None else f"{error.thing}: {error.value}"
    lines = [first, *([f"Allowed: {error.allowed}"] if error.allowed else [])]
    lines += [f"Next: {error.next_step}"] if error.next_step else []
    wrapped = [_wrapped(line if typed is None else typed.fill(line, blank=_BLANK)) for line in lines]
    return "\n".join(line if i == 0 else textwrap.indent(line, "  ") for i, line in enumerate(wrapped))


def _wrapped(line: str) -> str:
    # Neither a long word nor one with a hyphen is broken: paths are copied from here.
    text = textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return text.replace(_BLANK, " ")


def _without_password(url: str) -> list[str]:
    from percuss.study.database import stored_url

    try:
        return ["--database", shlex.quote(stored_url(url))]
    except UsageError:  # no URL: the message is about that
        return []
