"""What the benchmarks share: methods measured in turn, and peak memory in a process of its own."""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

Work = Callable[[], Any]
T = TypeVar("T")


def in_turn(ready: Mapping[str, Work], rounds: int, *, once: Sequence[str] = ()) -> dict[str, list[float]]:
    """CPU seconds per method and round (``rounds_of``), told on stderr; what the methods give is let go."""

    def seconds_only(work: Work) -> Callable[[int], None]:
        def run(_: int) -> None:
            work()

        return run

    found = rounds_of({name: seconds_only(work) for name, work in ready.items()}, rounds, once=once, told=sys.stderr)
    return {name: [seconds for seconds, _ in pairs] for name, pairs in found.items()}


def rounds_of(
    ready: Mapping[str, Callable[[int], T]], rounds: int, *, once: Sequence[str] = (), told: TextIO
) -> dict[str, list[tuple[float, T]]]:
    """CPU seconds and what came back, per method and round, each round beginning with another method.

    Methods are called with the number of the round; those named in ``once`` run in the first only. Nothing is warmed
    up here. Each measurement is told on ``told``.
    """
    found: dict[str, list[tuple[float, T]]] = {name: [] for name in ready}
    for turn in range(rounds):
        names = list(ready)[turn % len(ready) :] + list(ready)[: turn % len(ready)]
        for name in names:
            if turn and name in once:
                continue
            gc.collect()
            before = time.process_time()
            result = ready[name](turn)
            found[name].append((time.process_time() - before, result))
            print(f"  round {turn}: {name} {found[name][-1][0]:.1f} s", file=told, flush=True)
    return found


def peak(work: Work) -> float:
    """Peak resident MiB while this process works, above what it held before."""
    gc.collect()
    if Path("/proc/self/status").exists():
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
        before = _status("VmRSS")
        work()
        return (_status("VmHWM") - before) / 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def apart(arguments: Sequence[str]) -> float:
    """The number that a Python script, run with these arguments in a process of its own, prints last."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(key + ":")))
