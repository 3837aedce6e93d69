"""CPU time until a sparse code's energy is within 1 % of the least, by our solvers and by explicit inhibition.

Explicit inhibition is LCA as Rozell et al. 2008 print it, u += (D'x - u - (D'D - I) a) / tau, with the products of
overlapping atoms as one convolution of the code with itself; plain LCA and the fast solvers are Percuss's own. All get
the same standardised tiles of synthetic tissue, the same learned dictionary and soft threshold, in float32.

The least energy is that of the working set at a tolerance of 1e-5. How many iterations or rounds each method needs is
found first; then a run of just so many, from the empty code, is timed, in turn with the others. Explicit inhibition
takes the same steps as plain LCA (a test holds that), so its iterations are plain LCA's: on the first tile its energy
after so many is checked. LCA runs with each tau given, and the best is reported, beside tau = 100. Where a run of
explicit inhibition would take longer than --patience seconds, its time is the preparation plus iterations times the
median time of a few, marked "computed". Prints the table of docs/performance.md.

    python benchmarks/sparse_coding.py [--rounds 3] [--tiles 3] [--taus 5,10,20,30,50,100] [--sizes 64x8s2,...]
        [--patience 60]
"""

from __future__ import annotations

import argparse
import bisect
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from measuring import in_turn

WITHIN = 1.01
THRESHOLD = 2.0
SIDE = 128
PLAIN_TAU = 100.0
FEW = 3


@dataclass(frozen=True)
class Setting:
    """One tile ``[1, 3, H, W]`` and the atoms it is coded with."""

    tile: Any
    dictionary: Any
    stride: int
    least: float


def prepare(size: tuple[int, int, int], tiles: int, steps: int) -> list[Setting]:
    """Tiles of synthetic tissue, and atoms learned on others of the same generator."""
    import percuss
    from percuss.models.lca import Solver, encode, standardise
    from percuss.models.lca_learning import begin, learn

    atoms, side, stride = size
    drawn = percuss.load_data(f"synthetic:tissue?n={tiles + 12}&size={SIDE}&patients=4&mpp=0.97", split=None)
    images = standardise(drawn.tensors()[0])[0]
    state = begin(images[tiles:], atoms, side, seed=0, stride=stride)
    for step in range(steps):
        one = tiles + step % 12
        state, info = learn(state, images[one : one + 1], threshold=THRESHOLD, solver=Solver(tolerance=0.05))
    found = []
    for tile in images[:tiles].split(1):
        best = Solver("working_set", tolerance=1e-5)
        _, info = encode(tile, state.dictionary, threshold=THRESHOLD, stride=stride, solver=best)
        found.append(Setting(tile, state.dictionary, stride, float(info.energy)))
        print(
            f"  {atoms} x {side} x {side} s{stride}: active {100 * (1 - float(info.sparsity)):.2f} %, violation "
            f"{float(info.violation):.1e}, gap {float(info.gap):.1e}",
            file=sys.stderr,
        )
    return found


def ours(given: Setting, name: str, steps: int, tau: float = PLAIN_TAU) -> Any:
    """A run of just so many steps; energy."""
    from percuss.models.lca import Solver, encode

    solver = Solver(name, tolerance=0.0, steps=steps, tau=tau)
    info = encode(given.tile, given.dictionary, threshold=THRESHOLD, stride=given.stride, solver=solver)[1]
    return float(info.energy)


def inhibition(dictionary: Any, stride: int) -> Any:
    """Products of every two atoms at every offset in the code at which they overlap, less that of each with itself."""
    import torch

    side, reach = dictionary.shape[-1], -(-dictionary.shape[-1] // stride) - 1
    found = torch.nn.functional.conv2d(dictionary, dictionary, stride=stride, padding=reach * stride)
    assert found.shape[-1] == 2 * reach + 1, (found.shape, side, stride)
    weights = found.transpose(0, 1).flip(-1, -2).contiguous()
    numbers = torch.arange(len(dictionary))
    weights[numbers, numbers, reach, reach] -= 1
    return weights


def explicit(given: Setting, steps: int, tau: float) -> Any:
    """LCA by the inhibition between atoms, for so many steps; the code."""
    import torch

    from percuss.models.lca_geometry import Geometry

    with torch.no_grad():
        canvas = Geometry(given.dictionary.shape[-1], given.stride, "mirror").canvas(given.tile)
        weights = inhibition(given.dictionary, given.stride)
        drive = torch.nn.functional.conv2d(canvas, given.dictionary, stride=given.stride)
        state = torch.zeros_like(drive)
        code = torch.relu(state - THRESHOLD)
        for _ in range(steps):
            inhibited = torch.nn.functional.conv2d(code, weights, padding=weights.shape[-1] // 2)
            state += (drive - state - inhibited) / tau
            code = torch.relu(state - THRESHOLD)
    return code


def energy(given: Setting, code: Any) -> float:
    """Of a code, on the canvas."""
    import torch

    from percuss.models.lca_geometry import Geometry, synthesis_kernel, synthesise

    side = given.dictionary.shape[-1]
    canvas = Geometry(side, given.stride, "mirror").canvas(given.tile)
    made = synthesise(code, synthesis_kernel(given.dictionary, given.stride), stride=given.stride, side=side)
    square = (canvas - made).square().sum(dtype=torch.float64)
    return float(square) / 2 + THRESHOLD * float(code.sum(dtype=torch.float64))


def needed(given: Setting, name: str, tau: float = PLAIN_TAU) -> int | None:
    """The first number of steps whose energy is within 1 % (found by halving, but for lca); None where it is not."""
    from percuss.core.errors import UsageError

    goal = WITHIN * given.least
    try:
        if name == "lca":
            return traced(given, tau, int(30 * tau))
        high = next((2**power for power in range(12) if ours(given, name, 2**power) <= goal), None)
        if high is None:
            return None
        return bisect.bisect_left(
            range(high), True, lo=max(1, high // 2), key=lambda steps: ours(given, name, steps) <= goal
        )
    except UsageError as error:
        print(f"  {name}, tau {tau:g}: {error}", file=sys.stderr)
        return None


def traced(given: Setting, tau: float, most: int) -> int | None:
    """The same for plain LCA, in one run that looks at every energy; Percuss's own run of so many must agree.

    None where the code diverges or ``most`` steps were not enough.
    """
    import torch

    from percuss.models.lca_geometry import Geometry
    from percuss.models.lca_solvers import Problem
    from percuss.models.lca_thresholds import soft

    canvas = Geometry(given.dictionary.shape[-1], given.stride, "mirror").canvas(given.tile)[0]
    with torch.no_grad():
        problem = Problem.of(canvas, given.dictionary, stride=given.stride, threshold=soft(THRESHOLD))
        drive = torch.zeros_like(problem.correlate(canvas))
        for steps in range(most):
            code = torch.relu(drive - THRESHOLD)
            residual = canvas - problem.synthesise(code)
            if not float(residual.square().sum()) < 10 * float(canvas.square().sum()):
                return None
            if float(residual.square().sum()) / 2 + THRESHOLD * float(code.sum()) <= WITHIN * given.least:
                assert ours(given, "lca", steps, tau) <= WITHIN * given.least * (1 + 1e-4)
                return steps
            drive += (problem.correlate(residual) + code - drive) / tau
    return None


def timed(work: Any) -> float:
    """CPU seconds of one run."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure(given: Setting, options: argparse.Namespace, *, check: bool) -> dict[str, tuple[float, str]]:
    """For each method its median CPU seconds and what to say of its steps."""
    found: dict[str, tuple[float, str]] = {}
    steps = {name: needed(given, name) for name in ("working_set", "fista")}
    taus = {tau: needed(given, "lca", tau) for tau in options.taus}
    reached = {tau: count for tau, count in taus.items() if count}
    print(f"  steps {steps}, lca {taus}", file=sys.stderr, flush=True)
    if not reached:
        raise SystemExit(f"lca came nowhere near the least energy with any tau of {options.taus}")
    best = min(reached, key=lambda tau: reached[tau])
    work: dict[str, Any] = {name: partial(ours, given, name, count) for name, count in steps.items() if count}
    notes = {name: f"{count}" for name, count in steps.items()}
    each = (timed(lambda: explicit(given, 2 + FEW, best)) - timed(lambda: explicit(given, 2, best))) / FEW
    for label, tau in (("best tau", best), (f"tau {PLAIN_TAU:g}", PLAIN_TAU)):
        if tau not in reached or f"lca {label}" in work:
            continue
        count = reached[tau]
        work[f"lca {label}"] = partial(ours, given, "lca", count, tau)
        notes[f"lca {label}"] = f"{count}, tau {tau:g}"
        if each * count <= options.patience:
            work[f"explicit {label}"] = partial(explicit, given, count, tau)
            notes[f"explicit {label}"] = f"{count}, tau {tau:g}"
        else:
            setup = timed(lambda: explicit(given, 0, best))
            parts = [timed(lambda: explicit(given, FEW, best)) for _ in range(options.rounds)]
            whole = setup + count * (statistics.median(parts) - setup) / FEW
            found[f"explicit {label}"] = (whole, f"{count}, tau {tau:g}, computed")
    if check and "explicit best tau" in work:
        assert energy(given, work["explicit best tau"]()) <= WITHIN * given.least * (1 + 1e-4)
    times = in_turn(work, options.rounds)
    return {**{name: (statistics.median(seconds), notes[name]) for name, seconds in times.items()}, **found}


def main() -> None:
    """Measures every size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiles", type=int, default=3)
    parser.add_argument("--learn", type=int, default=60, help="steps of dictionary learning")
    parser.add_argument(
        "--taus", type=lambda text: [float(part) for part in text.split(",")], default=[5, 10, 20, 30, 50, 100]
    )
    parser.add_argument("--sizes", default="64x8s2,128x16s4,512x24s8")
    parser.add_argument("--patience", type=float, default=60)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}, one pinned thread\n")
    print("| atoms, sides, stride | method | steps (first tile) | CPU s, median of tiles | over working_set, range |")
    print("|---|---|---|---|---|")
    for text in options.sizes.split(","):
        atoms, rest = text.split("x")
        side, stride = rest.split("s")
        size = (int(atoms), int(side), int(stride))
        settings = prepare(size, options.tiles, options.learn)
        ours(settings[0], "working_set", 1)  # compiled, or read from disk, before anything is timed
        rows = [measure(given, options, check=place == 0) for place, given in enumerate(settings)]
        for name in rows[0]:
            own = [row for row in rows if name in row]
            seconds = statistics.median(row[name][0] for row in own)
            ratios = sorted(row[name][0] / row["working_set"][0] for row in own)
            spread = f"{ratios[0]:.1f}-{ratios[-1]:.1f}" if name != "working_set" else "1"
            note = f"{own[0][name][1]}" + ("" if len(own) == len(rows) else f" ({len(own)} of {len(rows)} tiles)")
            label = f"{size[0]}, {size[1]} x {size[1]} x 3, {size[2]}"
            print(f"| {label} | {name} | {note} | {seconds:.3f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
