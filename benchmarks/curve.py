"""A whole robust-accuracy curve of 8 sizes: one search by Percuss beside PGD-10 at each size by four peers.

Every method gets the same model, images, sizes, number of steps (10 of a quarter of the size) and batch size, in one
interleaved run on one thread; each round has a seed of its own and begins with another method. Every curve is over all
images, those that are wrong from the start counting as not robust; peers' images are judged by one more pass of the
same model, which is part of their time where the library does not make it itself. Prints the table of
docs/performance.md.

    python benchmarks/curve.py --model RUN_OF_PERCUSS_TRAIN --data SPEC [--images 128] [--rounds 3] [--norm linf]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

import percuss
from attacks import load_adv_lib
from measuring import rounds_of
from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors

STEPS = 10
SIZES = {
    "linf": [size / 255 for size in (0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8)],
    "l2": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0],
}
#: Robust at each size, bool ``[sizes, N]``, and search passes (forward plus backward) per image where known.
Found = tuple[np.ndarray, float | None]
Method = Callable[[int], Found]


class Setting:
    """Model, images, labels, norm and sizes, alike for all methods."""

    def __init__(self, options: argparse.Namespace, norm: str) -> None:
        self.norm, self.sizes, self.batch = norm, options.sizes or SIZES[norm], options.batch
        self.model = percuss.load_model(options.model)
        data = percuss.load_data(options.data, split=options.split)
        self.images, self.labels = data.tensors(limit=options.images)

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """Images and labels, a batch at a time."""
        return list(zip(self.images.split(self.batch), self.labels.split(self.batch), strict=True))

    def right(self, images: Tensor) -> np.ndarray:
        """Which images the model decides rightly."""
        with torch.no_grad():
            found = [self.model(part).argmax(1) for part in images.split(self.batch)]
        return (torch.cat(found) == self.labels).numpy()


def ours(setting: Setting, effort: str) -> Method:
    """``percuss.curve``: every size at once, verdicts as float and as stored."""

    def run(seed: int) -> Found:
        given = (setting.model, setting.images, setting.labels, setting.norm, setting.sizes)
        found = percuss.curve(*given, effort=effort, seed=seed, batch_size=setting.batch)
        sizes = torch.tensor(found.sizes, dtype=torch.float64)[:, None]
        robust = (found.smallest[None] > sizes * (1 + 1e-9)).numpy()
        tried = found.smallest != 0
        passes = (found.gradient_evaluations + found.model_evaluations)[tried].double().mean()
        return robust, float(passes)

    return run


def apart(setting: Setting) -> Method:
    """Percuss's own PGD at each size by itself, every iterate looked at, images leaving when flipped."""
    count = len(setting.images)
    batch = Tensors([str(i) for i in range(count)], setting.images, setting.labels, [None] * count, PixelRange())

    def run(seed: int) -> Found:
        robust, passes = [], 0.0
        for size in setting.sizes:
            budget = parse_budget(f"{setting.norm}={size!r}")
            options = {"steps": STEPS, "step_size": size / 4}
            swept = run_attack(
                "pgd", setting.model, batch, [budget], seed=seed, batch_size=setting.batch, settings=options
            )
            robust.append([row.correct and not row.success for row in swept.outcomes])
            tried = [row for row in swept.outcomes if row.correct]
            passes += sum(row.gradient_evaluations + row.model_evaluations for row in tried) / max(1, len(tried))
        return np.array(robust), passes

    return run


def torchattacks(setting: Setting) -> Method:
    """torchattacks: PGD or PGDL2 at each size, and a pass for the verdict."""
    import torchattacks as library

    kind = library.PGD if setting.norm == "linf" else library.PGDL2

    def run(seed: int) -> Found:
        torch.manual_seed(seed)
        robust = []
        for size in setting.sizes:
            attack = kind(setting.model, eps=size, alpha=size / 4, steps=STEPS, random_start=True)
            robust.append(setting.right(torch.cat([attack(*part) for part in setting.parts()])))
        return np.array(robust), None

    return run


def foolbox(setting: Setting) -> Method:
    """foolbox: LinfPGD or L2PGD with its list of sizes and its own verdict."""
    import foolbox as library
    from foolbox.attacks import L2PGD, LinfPGD

    wrapped = library.PyTorchModel(setting.model, bounds=(0, 1), device="cpu")
    attack = (LinfPGD if setting.norm == "linf" else L2PGD)(rel_stepsize=0.25, steps=STEPS)

    def run(seed: int) -> Found:
        torch.manual_seed(seed)
        flips = [attack(wrapped, *part, epsilons=setting.sizes)[2] for part in setting.parts()]
        return ~torch.cat([part.cpu() for part in flips], dim=1).numpy(), None

    return run


def adv_lib(setting: Setting) -> Method | None:
    """adv-lib: pgd_linf at each size, and a pass for the verdict; it has no PGD under l2."""
    if setting.norm != "linf":
        return None
    pgd_linf = load_adv_lib().pgd_linf

    def run(seed: int) -> Found:
        torch.manual_seed(seed)
        robust = []
        for size in setting.sizes:
            made = [
                pgd_linf(setting.model, *part, size, steps=STEPS, absolute_step_size=size / 4)
                for part in setting.parts()
            ]
            robust.append(setting.right(torch.cat(made)))
        return np.array(robust), None

    return run


def art(setting: Setting) -> Method:
    """ART: ProjectedGradientDescentPyTorch at each size on numpy images, and a pass for the verdict."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    loss, shape = torch.nn.CrossEntropyLoss(), tuple(setting.images.shape[1:])
    outputs = len(setting.model.classes)
    classifier = PyTorchClassifier(setting.model, loss, shape, outputs, clip_values=(0.0, 1.0), device_type="cpu")
    order = np.inf if setting.norm == "linf" else 2

    def run(seed: int) -> Found:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (ART draws from it)
        robust = []
        for size in setting.sizes:
            attack = ProjectedGradientDescentPyTorch(
                classifier,
                norm=order,
                eps=size,
                eps_step=size / 4,
                max_iter=STEPS,
                num_random_init=1,
                batch_size=setting.batch,
                verbose=False,
            )
            made = attack.generate(setting.images.numpy(), setting.labels.numpy())
            robust.append(setting.right(torch.from_numpy(made)))
        return np.array(robust), None

    return run


METHODS: dict[str, Callable[[Setting], Method | None]] = {
    "Percuss, quick": lambda setting: ours(setting, "quick"),
    "Percuss, standard": lambda setting: ours(setting, "standard"),
    "Percuss, thorough": lambda setting: ours(setting, "thorough"),
    "Percuss PGD at each size": apart,
    "torchattacks": torchattacks,
    "foolbox": foolbox,
    "adv-lib": adv_lib,
    "ART": art,
}


def measure(
    setting: Setting, rounds: int, *, once: list[str], without: list[str]
) -> dict[str, list[tuple[float, Found]]]:
    """CPU seconds and what was found, per method and round."""
    made = {name: make(setting) for name, make in METHODS.items() if name not in without}
    ready = {name: method for name, method in made.items() if method is not None}
    return rounds_of(ready, rounds, once=once, told=sys.stdout)


def show(setting: Setting, found: dict[str, list[tuple[float, Found]]]) -> None:
    """The table as Markdown; robust accuracy as the mean over seeds."""
    heads = [f"{size * 255:.3g}/255" if setting.norm == "linf" else f"{size:g}" for size in setting.sizes]
    seconds = {name: statistics.median(time for time, _ in rounds) for name, rounds in found.items()}
    own = seconds["Percuss, standard"]
    print(f"\n| {setting.norm} | CPU s | over standard | passes per image | robust accuracy % at {', '.join(heads)} |")
    print("|---|---|---|---|---|")
    curves = {name: np.mean([result[0].mean(1) for _, result in rounds], axis=0) for name, rounds in found.items()}
    for name, rounds in found.items():
        passes = [result[1] for _, result in rounds if result[1] is not None]
        told = f"{np.mean(passes):.1f}" if passes else ""
        line = " ".join(f"{100 * share:.1f}" for share in curves[name])
        print(f"| {name} | {seconds[name]:.1f} | {seconds[name] / own:.2f} | {told} | {line} |")
    others = {name: curve for name, curve in curves.items() if not name.startswith("Percuss, ")}
    for effort in ("quick", "standard", "thorough"):
        worse = {name: float((curves[f"Percuss, {effort}"] - curve).max()) * 100 for name, curve in others.items()}
        print(f"largest excess of {effort}, points: " + ", ".join(f"{name} {gap:+.2f}" for name, gap in worse.items()))
    strong, best = found["Percuss, thorough"], [found[name] for name in others]
    each = max(
        float((strong[i][1][0].mean(1) - result[0].mean(1)).max()) * 100
        for rounds in best
        for i, (_, result) in enumerate(rounds)
    )
    print(f"largest excess of thorough over any method at any size and seed, points: {each:+.2f}")


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="append", default=[], help="a method that runs in the first round only")
    parser.add_argument("--without", action="append", default=[], help="a method to leave out")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--norm", choices=list(SIZES), action="append")
    parser.add_argument("--sizes", type=float, nargs="*", help="in [0, 1] units, ascending")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    names = ("torch", "torchattacks", "foolbox", "adv-lib", "adversarial-robustness-toolbox")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))
    for norm in options.norm or list(SIZES):
        setting = Setting(options, norm)
        accuracy = setting.right(setting.images).mean()
        print(f"{norm}: {len(setting.images)} images, accuracy {accuracy:.1%}, {options.rounds} rounds", flush=True)
        show(setting, measure(setting, options.rounds, once=options.once, without=options.without))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
