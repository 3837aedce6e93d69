"""The suite for masks beside its parts: mean Dice of the worst masks found, on a small segmenter of synthetic patterns.

python benchmarks/segsuite.py [--images 20] [--budgets linf=2/255,l2=0.3]
"""

from __future__ import annotations

import argparse
import time

import torch

from percuss.attacks.engine import run_attack
from percuss.attacks.segsuite import SUITES, parts
from percuss.core.budget import parse_budget
from percuss.core.dense import BAR, quality
from percuss.testing.segmenter import patterns, trained, well_segmented


def main() -> None:
    """Print one row per attack and budget: gradient steps, mean Dice, images below the bar, seconds."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--images", type=int, default=20)
    asked.add_argument("--budgets", default="linf=2/255,l2=0.3")
    given = asked.parse_args()
    model = trained()
    batch = well_segmented(model, patterns("test"), given.images)
    steps = SUITES["standard"].steps
    total = steps * len(parts("standard"))
    singles = [("apgd", {"loss": loss}) for loss in ("dice", "ce", "js", "masked", "balanced")]
    singles += [("segpgd", {}), ("cospgd", {}), ("pgd", {})]
    rows = [("segsuite", {"effort": "quick"}), ("segsuite", {"effort": "standard"})]
    rows += [(name, more | {"steps": count}) for name, more in singles for count in (steps, total)]
    rows += [(name, more | {"steps": steps, "radius": "shrinking"}) for name, more in singles if name == "apgd"]
    print(f"{len(batch.ids)} images")
    for text in given.budgets.split(","):
        for name, settings in rows:
            begun = time.perf_counter()
            swept = run_attack(name, model, batch, [parse_budget(text)], settings={"early_stop": False, **settings})
            took = time.perf_counter() - begun
            with torch.no_grad():
                dice = quality(model(swept.images[text]).argmax(1), batch.targets, len(model.classes))
            cost = sum(row.gradient_evaluations for row in swept.outcomes) / len(batch.ids)
            below = int((dice < BAR).sum())
            print(
                f"{text} {name} {settings}: {cost:.0f} gradients, Dice {dice.mean():.4f}, {below} below, {took:.1f} s"
            )


if __name__ == "__main__":
    main()
