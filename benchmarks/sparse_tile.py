"""One large tile's sparse code: to a violation of 1.003, again from a nearly equal image, its exact gradient, memory.

512 atoms of 24 x 24 x 3 (learned as in sparse_coding.py), a standardised tile of synthetic tissue, soft threshold 2,
float32. The gradient is that of a random weighting of the code, by conjugate gradients to a rest of 1e-2; products on
the active coefficients are compiled (sparse) or two convolutions (dense). Peak memory is that above what the process
held, each in a process of its own, of the working set and of two iterations of LCA by explicit inhibition (see
sparse_coding.py) on a tile of --memory pixels a side. Prints the tables of docs/performance.md.

    python benchmarks/sparse_tile.py [--side 512] [--strides 4,2] [--rounds 3] [--threads 1] [--memory 256]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from measuring import apart, peak
from sparse_coding import THRESHOLD, Setting, explicit, prepare

SIZE = (512, 24, 4)
TOLERANCE = 3e-3
REST = 1e-2
CHANGE = 25.0


def tile_of(side: int) -> Any:
    """A standardised tile ``[1, 3, side, side]``."""
    import percuss
    from percuss.models.lca import standardise

    drawn = percuss.load_data(f"synthetic:tissue?n=6&size={side}&patients=3&mpp=0.97", split=None)
    return standardise(drawn.tensors()[0][:1])[0]


def seconds(work: Any, rounds: int) -> tuple[float, float, Any]:
    """Medians of CPU and of wall seconds, and what came back last."""
    cpu, wall, found = [], [], None
    for _ in range(rounds):
        one, two = time.process_time(), time.perf_counter()
        found = work()
        cpu.append(time.process_time() - one)
        wall.append(time.perf_counter() - two)
    return statistics.median(cpu), statistics.median(wall), found


def rows(tile: Any, dictionary: Any, stride: int, rounds: int) -> list[tuple[str, str, float, float]]:
    """What was done, what came of it, CPU and wall seconds."""
    import torch

    from percuss.models.lca import Solver, encode
    from percuss.models.lca_gradient import code_with_gradient

    solver = Solver("working_set", tolerance=TOLERANCE)
    settings: dict[str, Any] = {"threshold": THRESHOLD, "stride": stride}
    cpu, wall, (code, info) = seconds(lambda: encode(tile, dictionary, solver=solver, **settings), rounds)
    told = f"{int(info.iterations)} rounds, {int(info.active)} active, violation {1 + float(info.violation):.4f}"
    found = [("code", told, cpu, wall)]
    noise = torch.randn(tile.shape, generator=torch.Generator().manual_seed(0))
    near = (tile + CHANGE * noise / noise.norm()).requires_grad_(True)
    again = partial(code_with_gradient, near, dictionary, solver=solver, start=code, cg_tolerance=REST, **settings)
    cpu, wall, (moved, info) = seconds(again, rounds)
    found.append((f"code, image changed by L2 {CHANGE:g}, warm", f"{int(info.iterations)} rounds", cpu, wall))
    weights = torch.randn(moved.shape, generator=torch.Generator().manual_seed(1))
    cpu, wall, _ = seconds(lambda: moved.backward(weights, retain_graph=True), rounds)
    told = f"{int(info.backward.iterations)} iterations, rest {float(info.backward.rest):.1e}"
    assert bool(info.backward.converged.all()), told
    return [*found, ("gradient, implicit", told, cpu, wall), *products(moved[0].detach(), dictionary, stride, rounds)]


def products(code: Any, dictionary: Any, stride: int, rounds: int) -> list[tuple[str, str, float, float]]:
    """A product with the matrix of the active atoms, compiled and by convolutions."""
    import torch

    from percuss.models.lca_active_set import DenseAtoms, SparseAtoms
    from percuss.models.lca_geometry import synthesis_kernel

    active, places = code.nonzero(), (code.shape[1], code.shape[2])
    kernel = synthesis_kernel(dictionary, stride)
    ready = {
        "sparse": SparseAtoms(dictionary, stride=stride, places=places, active=active),
        "dense": DenseAtoms(dictionary, kernel, stride, places, active),
    }
    vector = torch.randn(len(active), generator=torch.Generator().manual_seed(2))
    assert torch.allclose(ready["sparse"].normal(vector), ready["dense"].normal(vector), atol=1e-3)
    timed = {name: seconds(partial(atoms.normal, vector), rounds) for name, atoms in ready.items()}
    over = timed["dense"][0] / timed["sparse"][0]
    return [
        ("one product, sparse", "1", *timed["sparse"][:2]),
        ("one product, dense", f"{over:.0f} times the sparse one", *timed["dense"][:2]),
    ]


def memory(name: str, folder: Path) -> float:
    """Peak MiB of one method, in this process."""
    import torch

    from percuss.models.lca import Solver, encode

    torch.set_num_threads(1)
    given = torch.load(folder / "given.pt", weights_only=True)
    setting = Setting(given["tile"], given["dictionary"], SIZE[2], 0.0)
    small = Setting(given["tile"][:, :, :48, :48], given["dictionary"], SIZE[2], 0.0)

    def ours(one: Setting) -> None:
        solver = Solver("working_set", tolerance=TOLERANCE)
        encode(one.tile, one.dictionary, threshold=THRESHOLD, stride=one.stride, solver=solver)

    work = ours if name == "working_set" else partial(explicit, steps=2, tau=100.0)
    if name == "working_set":
        ours(small)  # read or compiled before
    return peak(lambda: work(setting))


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--strides", type=lambda text: [int(part) for part in text.split(",")], default=[4, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--learn", type=int, default=60, help="steps of dictionary learning")
    parser.add_argument("--memory", type=int, default=256, help="side of the tile whose memory is measured, 0 for none")
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(memory(options.peak[0], Path(options.peak[1]))))
        return
    import torch

    torch.set_num_threads(options.threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[-options.threads :]))
    where = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
    print(f"{where}, {options.threads} pinned threads\n")
    dictionary = prepare(SIZE, 1, options.learn)[0].dictionary
    print("| stride | what | | CPU s | wall s |\n|---|---|---|---|---|")
    tile = tile_of(options.side)
    for stride in options.strides:
        rows(tile[:, :, :96, :96], dictionary, stride, 1)  # compiled, or read from disk, before anything is timed
        for what, told, cpu, wall in rows(tile, dictionary, stride, options.rounds):
            print(f"| {stride} | {what} | {told} | {cpu:.3f} | {wall:.3f} |", flush=True)
    if options.memory:
        with tempfile.TemporaryDirectory() as folder:
            torch.save({"tile": tile_of(options.memory), "dictionary": dictionary}, Path(folder) / "given.pt")
            print(f"\n| method, {options.memory} px, stride {SIZE[2]} | peak MiB |\n|---|---|")
            for name in ("working_set", "explicit"):
                print(f"| {name} | {apart([sys.argv[0], '--peak', name, folder]):.0f} |", flush=True)


if __name__ == "__main__":
    main()
