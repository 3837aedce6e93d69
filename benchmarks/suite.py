"""The standard suite at one size beside AutoAttack's standard suite: robust accuracy and CPU time.

AutoAttack is ``pyautoattack`` (the authors' code as packaged): APGD-CE, APGD-T and FAB-T with 9 targets, Square with
5000 queries, each on the images still robust. It needs ten classes or more. Every method gets the same model, images,
size and batch size in one interleaved run on one thread; each round has a seed of its own. The verdict on AutoAttack's
images is taken here. Prints the table of docs/performance.md.

    python benchmarks/suite.py --model RUN_OF_PERCUSS_TRAIN --data SPEC --budget linf=4/255 [--images 64] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

import percuss
from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors

#: Which images stay right, bool ``[N]``.
Method = Callable[[int], np.ndarray]


class Setting:
    """Model, images, labels and the size, alike for all methods."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.model = percuss.load_model(options.model)
        data = percuss.load_data(options.data, split=options.split)
        self.images, self.labels = data.tensors(limit=options.images)
        self.budget, self.batch = parse_budget(options.budget), options.batch

    def right(self, images: torch.Tensor) -> np.ndarray:
        """Which images the model decides rightly."""
        with torch.no_grad():
            found = [self.model(part).argmax(1) for part in images.split(self.batch)]
        return (torch.cat(found) == self.labels).numpy()


def ours(setting: Setting, name: str, **settings: Any) -> Method:
    """An attack of Percuss through its engine, verdicts as float and as stored; robust as float."""
    count = len(setting.images)
    batch = Tensors([str(i) for i in range(count)], setting.images, setting.labels, [None] * count, PixelRange())

    def run(seed: int) -> np.ndarray:
        swept = run_attack(
            name, setting.model, batch, [setting.budget], seed=seed, batch_size=setting.batch, settings=settings
        )
        return np.array([row.correct and not row.success for row in swept.outcomes])

    return run


def autoattack(setting: Setting) -> Method:
    """AutoAttack's standard suite."""
    from pyautoattack import AutoAttack

    eps = setting.budget.eps(tuple(setting.images.shape[1:]), PixelRange())
    norm = {"linf": "Linf", "l2": "L2"}[setting.budget.norm.value]

    def run(seed: int) -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):
            suite = AutoAttack(setting.model, norm=norm, eps=eps, version="standard", seed=seed, device="cpu")
            made = suite.run_standard_evaluation(setting.images, setting.labels, batch_size=setting.batch)
        if isinstance(made, tuple):
            made = made[0]
        return setting.right(made)

    return run


METHODS: dict[str, Callable[[Setting], Method]] = {
    "Percuss, PGD-10": lambda setting: ours(setting, "pgd", steps=10),
    "Percuss, suite standard, quick": lambda setting: ours(setting, "standard", effort="quick"),
    "Percuss, suite standard, standard": lambda setting: ours(setting, "standard", effort="standard"),
    "Percuss, suite standard, thorough": lambda setting: ours(setting, "standard", effort="thorough"),
    "Percuss, as_autoattack": lambda setting: ours(setting, "as_autoattack"),
    "AutoAttack, standard": autoattack,
}


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--budget", required=True)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], help="a method to leave out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    setting = Setting(options)
    ready = {name: make(setting) for name, make in METHODS.items() if name not in options.without}
    print(f"Python {platform.python_version()}, torch {version('torch')}, pyautoattack {version('pyautoattack')}")
    print(f"{len(setting.images)} images, accuracy {setting.right(setting.images).mean():.1%}, {options.budget}")
    found: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in ready}
    for turn in range(options.rounds):
        for name in list(ready)[turn % len(ready) :] + list(ready)[: turn % len(ready)]:
            gc.collect()
            before = time.process_time()
            robust = ready[name](turn)
            found[name].append((time.process_time() - before, robust))
            print(f"  round {turn}: {name} {found[name][-1][0]:.1f} s, {robust.mean():.1%}", flush=True)
    last = statistics.median(seconds for seconds, _ in found[list(ready)[-1]])
    print(f"\n| {options.budget} | CPU s | of {list(ready)[-1]} | robust accuracy %, mean (each seed) |")
    print("|---|---|---|---|")
    for name, rounds in found.items():
        seconds = statistics.median(part for part, _ in rounds)
        shares = [100 * float(robust.mean()) for _, robust in rounds]
        each = ", ".join(f"{share:.1f}" for share in shares)
        print(f"| {name} | {seconds:.1f} | {seconds / last:.2f} | {statistics.mean(shares):.1f} ({each}) |")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
