"""How a command ends: exit codes, and errors as one readable block."""

from __future__ import annotations

import functools
import os
import select
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from percuss.cli.pasteable import Typed, explain
from percuss.core.errors import PercussError

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 3
#: As a shell says of a program that SIGPIPE ended: whoever read its stdout (``| head``) had enough.
NO_READER = 141


#: What is said of an interrupted command whose work goes on where it was when it is given again.
RESUMES = "What is finished is kept: give the same command again to go on."


def guarded(command: Callable[..., None], *, interrupted: str = RESUMES) -> Callable[..., None]:
    """A command whose errors end it with one block on stderr: 2 for wrong use or input, 3 when interrupted.

    Other exceptions are faults of Percuss: one block too, and the traceback with ``--verbose``.

    Args:
        command: the function.
        interrupted: what became of its work when somebody stops it, unless the KeyboardInterrupt itself says so.
    """

    @functools.wraps(command)
    def run(**options: Any) -> None:
        try:
            command(**options)
            sys.stdout.flush()  # here, where a reader who is gone can still be told from a fault
        except PercussError as error:
            _end(explain(error, Typed.of(options)), WRONG, options)
        except KeyboardInterrupt as stopped:
            _end(f"interrupted. {str(stopped) or interrupted}", INTERRUPTED, options)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                raise typer.Exit(NO_READER) from None
            text = f"a fault of Percuss: {type(error).__name__}: {error}\n  Next: repeat with --verbose and report it"
            _end(text, WRONG, options)

    return run


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
