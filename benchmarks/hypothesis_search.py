"""Method two's searches over {minus, nothing, plus} for each class: agreement with the best of all, regret, cost.

For some images of a data set, patterns of each class are made as the attack makes them, every choice is judged, and the
quick search and a plain coordinate search (single signs until none is better, then pairs, until neither is) are held
against that: for the worse (attack) and for the better (training), by loss and by mean absolute error. Regret is the
part of the gain of the best choice over no change that the search misses. CPU seconds are of the whole search, patterns
included, on one thread. Prints the table of docs/performance.md.

    python benchmarks/hypothesis_search.py --model RUN_OF_PERCUSS_TRAIN --data SPEC [--images 32] [--budget linf=8/255]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

import percuss
from measuring import apart, peak
from percuss.attacks import choosing
from percuss.attacks.engine import run_attack
from percuss.attacks.hypothesis import AT_ONCE, CRITERIA, Candidates, judged
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors

#: A score as near to the best as this share of the gain is the best: passes of other sizes round otherwise.
SAME = 1e-6


class Setting:
    """Model, images in batches, class maps and the budget."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.set_num_threads(options.threads)
        self.model = percuss.load_model(options.model).eval().requires_grad_(False)
        data = percuss.load_data(options.data, split=options.split)
        self.images, truth = data.tensors(limit=options.images)
        self.truth, self.batch = truth.to(torch.uint8), options.batch
        self.budget, self.classes = parse_budget(options.budget), len(self.model.classes)

    def each(self, search: Callable[[Candidates, Callable[..., Tensor], int], Any], *criteria: str) -> list[Any]:
        """What a search finds on each batch, given its candidates, a score for the worse, and its number of images.

        The score is by the first criterion; with several it is ``[n, criteria]``.
        """
        found = []
        for images, truth in zip(self.images.split(self.batch), self.truth.split(self.batch), strict=True):
            batch, rows = Batch(images, truth), torch.arange(len(images))
            target = Target(self.model, batch, Goal(early_stop=False), pixels=PixelRange())
            made = Candidates(target, batch, self.budget, rows=rows)

            def score(index: Tensor, choices: Tensor, made: Any = made, target: Any = target) -> Tensor:
                logits, truth = target.logits(made.images(index, choices), index), target.sides(index)[0]
                bad = torch.stack([judged(logits, truth, criterion) for criterion in criteria], dim=1)
                return bad if len(criteria) > 1 else bad[:, 0]

            found.append((search(made, score, len(images)), target.model_evaluations - 1))
        return found


def every(setting: Setting) -> tuple[dict[str, Tensor], float]:
    """Scores of all choices by criterion, float64 ``[N, choices]``, and the CPU seconds of the exact search."""
    rows: list[Tensor] = []

    def search(made: Any, score: Any, count: int) -> None:
        listed: list[Tensor] = []

        def kept_score(index: Tensor, choices: Tensor) -> Tensor:
            listed.append(score(index, choices))
            return listed[-1][:, 0]

        choosing.exact(kept_score, count, setting.classes, at_once=AT_ONCE * count)
        rows.append(torch.cat(listed).view(-1, count, len(CRITERIA)).transpose(0, 1))

    before = time.process_time()
    setting.each(search, *CRITERIA)
    seconds, scores = time.process_time() - before, torch.cat(rows)
    return {criterion: scores[:, :, place] for place, criterion in enumerate(CRITERIA)}, seconds


def quick(score: Any, count: int, patterns: int) -> Tensor:
    """Percuss's own."""
    return choosing.quick(score, count, patterns, at_once=AT_ONCE * count)[1]


def coordinate(score: Any, count: int, patterns: int) -> Tensor:
    """Single signs of each image until none is better, then pairs, until neither is."""
    best = torch.zeros(count, dtype=torch.float64)
    for row in range(count):
        best[row] = _climb(
            lambda choice, row=row: float(score(torch.tensor([row]), torch.tensor([choice]))[0]), patterns
        )
    return best


def _climb(ask: Callable[[tuple[int, ...]], float], patterns: int) -> float:
    known: dict[tuple[int, ...], float] = {}

    def value(choice: tuple[int, ...]) -> float:
        if choice not in known:
            known[choice] = ask(choice)
        return known[choice]

    now = (0,) * patterns
    sizes = (1, 2)
    while True:
        start = now
        for size in sizes:
            while (better := _pass(now, value, size)) != now:
                now = better
        if now == start:
            return value(now)


def _pass(now: tuple[int, ...], value: Callable[[tuple[int, ...]], float], size: int) -> tuple[int, ...]:
    for places in combinations(range(len(now)), size):
        for signs in product((-1, 0, 1), repeat=size):
            other = list(now)
            for place, sign in zip(places, signs, strict=True):
                other[place] = sign
            if value(tuple(other)) > value(now):
                now = tuple(other)
    return now


SEARCHES = {"quick": quick, "coordinate, pairs": coordinate}


def row(setting: Setting, name: str, criterion: str, turn: int, known: Tensor) -> str:
    """A row of the table: one search, criterion and direction, against all choices."""
    before = time.process_time()

    def search(made: Any, score: Any, count: int) -> Tensor:
        return SEARCHES[name](lambda *pair: turn * score(*pair), count, setting.classes)

    parts = setting.each(search, criterion)
    seconds = (time.process_time() - before) / len(known)
    found, asks = torch.cat([part for part, _ in parts]), torch.cat([asked for _, asked in parts]).double()
    best = (turn * known).max(1).values
    gain = (best - turn * known[:, 0]).clamp_min(1e-12)
    regret = ((best - found) / gain).clamp_min(0)
    agree = 100 * (regret <= SAME).double().mean()
    goal = "worse" if turn == 1 else "better"
    return (
        f"| {name}, {criterion}, {goal} | {asks.mean():.1f} | {known.shape[1] / asks.mean():.1f} | {seconds:.2f} | "
        f"{agree:.1f} | {100 * regret.mean():.2f} | {100 * regret.max():.1f} |"
    )


def attack(setting: Setting, name: str, settings: dict[str, Any]) -> Callable[[], Any]:
    """A whole attack on the first batch, for its memory."""
    count = min(setting.batch, len(setting.images))
    ids = [str(i) for i in range(count)]
    batch = Tensors(ids, setting.images[:count], setting.truth[:count], [None] * count, PixelRange())
    settings = {"early_stop": False, **settings}
    return lambda: run_attack(name, setting.model, batch, [setting.budget], batch_size=count, settings=settings)


ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "pgd": ("pgd", {"steps": 2}),
    "hypothesis, quick": ("hypothesis", {"search": "quick"}),
    "hypothesis, exact": ("hypothesis", {"search": "exact"}),
}


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--budget", default="linf=8/255")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], help="a search to leave out")
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    setting = Setting(options)
    if options.memory:
        with contextlib.redirect_stdout(io.StringIO()):
            most = peak(attack(setting, *ATTACKS[options.memory]))
        print(json.dumps(most))
        return
    known, seconds = every(setting)
    count, choices = known["loss"].shape
    print(f"{count} images of {setting.images.shape[-1]} px, {setting.classes} classes, {options.budget}")
    print("| search | judged per image | times fewer | CPU s per image | agree % | mean regret % | largest % |")
    print("|---|---|---|---|---|---|---|")
    print(f"| exact | {choices} | 1.0 | {seconds / count:.2f} | 100 | 0 | 0 |", flush=True)
    for name in SEARCHES:
        if name not in options.without:
            for criterion, turn in product(CRITERIA, (1, -1)):
                print(row(setting, name, criterion, turn, known[criterion]), flush=True)
    command = [f"--{key}={getattr(options, key)}" for key in ("model", "data", "split", "images", "batch", "budget")]
    for name in ATTACKS:
        print(f"peak MiB above model, {name}: {apart([__file__, '--memory', name, *command]):.0f}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
