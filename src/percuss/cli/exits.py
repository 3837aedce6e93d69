"""How a command ends: exit codes, and errors as one readable block."""

from __future__ import annotations

import functools
import os
import select
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from percuss.core.errors import PercussError

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 3
#: As a shell says of a program that SIGPIPE ended: whoever read its stdout (``| head``) had enough.
NO_READER = 141


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors end it with one block on stderr: 2 for wrong use or input, 3 when interrupted.

    Other exceptions are faults of Percuss: one block too, and the traceback with ``--verbose``.
    """

    @functools.wraps(command)
    def run(**options: Any) -> None:
        try:
            command(**options)
            sys.stdout.flush()  # here, where a reader who is gone can still be told from a fault
        except PercussError as error:
            _end(explain(error), WRONG, options)
        except KeyboardInterrupt:
            _end("interrupted. What is finished is kept: give the same command again to go on.", INTERRUPTED, options)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                raise typer.Exit(NO_READER) from None
            text = f"a fault of Percuss: {type(error).__name__}: {error}\n  Next: repeat with --verbose and report it"
            _end(text, WRONG, options)

    return run


def explain(error: PercussError) -> str:
    """The error as short lines: what, allowed, next."""
    first = error.thing if error.value is None else f"{error.thing}: {error.value}"
    lines = [first, *([f"Allowed: {error.allowed}"] if error.allowed else [])]
    lines += [f"Next: {error.next_step}"] if error.next_step else []
    wrapped = (textwrap.fill(line, 110, subsequent_indent="  ", break_long_words=False) for line in lines)
    return "\n".join(line if i == 0 else textwrap.indent(line, "  ") for i, line in enumerate(wrapped))


def _nobody_reads() -> bool:
    """Whether stdout is what broke; it then leads nowhere, so that Python's end does not fail on it once more."""
    try:
        stdout, watch = sys.stdout.fileno(), select.poll()
    except (OSError, ValueError, AttributeError):  # no file, or a system without poll
        return False
    watch.register(stdout, 0)
    gone = any(event & select.POLLERR for _, event in watch.poll(0))
    if gone:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stdout)
    return gone


def _end(text: str, code: int, options: dict[str, Any]) -> NoReturn:
    if options.get("verbose"):
        traceback.print_exc()
    print(f"percuss: {text}", file=sys.stderr)
    raise typer.Exit(code)
