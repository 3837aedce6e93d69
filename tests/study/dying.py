"""An act on a study in a process that dies in its middle, as a machine does that loses its power."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

from percuss.study.opening import OpenStudy, open_study


def killed_in(act: Callable[[OpenStudy], object], path: Path, *, at: int) -> int | None:
    """Exit code of a process that opens the study and acts: 9 where it died at this call of ``os.fsync``, from 1."""
    process = multiprocessing.get_context("fork").Process(target=_die, args=(act, path, at))
    process.start()
    process.join()
    return process.exitcode


def _die(act: Callable[[OpenStudy], object], path: Path, at: int) -> None:
    study, whole, calls = open_study(path), os.fsync, []

    def dying(handle: int) -> None:
        calls.append(handle)
        if len(calls) == at:
            os._exit(9)
        whole(handle)

    os.fsync = dying
    act(study)
