"""PGD-20 on class maps by Percuss and its peers in one interleaved run: CPU time over the floor, and peak memory.

The floor is the same number of forward and input-only backward passes of the frozen network, and nothing else. Without
--model it is the paper's U-Net with random weights from a seed and random images; the truth is what the model decides,
so that every pixel is right before. Every library gets the model as a user hands it over. adv-lib's attacks on masks
search the smallest change that makes 99 % of the pixels wrong: with the same number of steps, to another end. What a
library cannot attack is listed with its own words. Prints the table of docs/performance.md.

    python benchmarks/segmentation.py [--rounds 3] [--batch 1] [--size 256] [--steps 20] [--threads 1]
        [--once METHOD] [--model SPEC --data SPEC]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import platform
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from attacks import load_adv_lib
from measuring import apart, in_turn, peak

EPS = 2 / 255
CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
FLOORS = ("floor: forward and backward", "floor: and 3 forward")
#: Gives attacked images; None for the floor.
Attack = Callable[[], Any]


@dataclass(frozen=True)
class Setting:
    """What every method gets: the model, images in [0, 1], class maps, and the number of steps."""

    model: Any
    images: Any
    truth: Any
    steps: int

    @property
    def step(self) -> float:
        """Length of a step."""
        return 2.5 * EPS / self.steps


def prepare(options: argparse.Namespace, steps: int) -> Setting:
    """The model asked for, or the paper's U-Net at random, on as many images; truths are the model's decisions."""
    import torch

    import percuss
    from percuss.core.model import Model, ModelInfo
    from percuss.models.unet_avramidis import UNetAvramidis

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.model:
        model = percuss.load_model(options.model).eval()
        images = percuss.load_data(options.data, split=options.split).tensors(limit=options.batch)[0]
    else:
        network = UNetAvramidis(3, len(CLASSES))
        model = Model(network, ModelInfo("percuss:unet_avramidis", "segment", CLASSES, 3)).eval()
        noise = torch.rand(options.batch, 3, options.size // 8, options.size // 8)
        images = torch.nn.functional.interpolate(noise, size=(options.size, options.size), mode="bilinear")
        images = (images * 255).round() / 255
    with torch.no_grad():
        truth = model(images).argmax(1)
    return Setting(model, images, truth, steps)


def floor(given: Setting, *, extra: int) -> Attack:
    """The passes alone: forward and input-only backward of the frozen model, then ``extra`` forward."""
    import torch

    def run() -> Any:
        given.model.requires_grad_(False)
        for _ in range(given.steps):
            point = given.images.detach().requires_grad_()
            torch.autograd.grad(torch.nn.functional.cross_entropy(given.model(point), given.truth), point)
        with torch.no_grad():
            for _ in range(extra):
                given.model(given.images)
        given.model.requires_grad_(True)

    return run


def percuss(given: Setting, name: str, **settings: Any) -> Attack:
    """The whole engine without early stop: the clean answer, all steps, the verdict in float and as stored."""
    import torch

    from percuss.attacks.engine import run_attack
    from percuss.core.budget import parse_budget
    from percuss.core.images import PixelRange, Tensors

    ids = [str(i) for i in range(len(given.images))]
    batch = Tensors(ids, given.images, given.truth.to(torch.uint8), [None] * len(ids), PixelRange())
    budget, settings = parse_budget("linf=2/255"), {"steps": given.steps, "early_stop": False, **settings}
    return lambda: run_attack(name, given.model, batch, [budget], batch_size=len(ids), settings=settings).images[
        budget.text
    ]


def torchattacks(given: Setting) -> Attack:
    """torchattacks: PGD, whose cross-entropy takes maps as well."""
    import torchattacks as library

    attack = library.PGD(given.model, eps=EPS, alpha=given.step, steps=given.steps, random_start=True)
    return lambda: attack(given.images, given.truth)


def foolbox(given: Setting) -> Attack:
    """foolbox: LinfPGD."""
    import foolbox as library
    from foolbox.attacks import LinfPGD

    wrapped = library.PyTorchModel(given.model, bounds=(0, 1), device="cpu")
    attack = LinfPGD(abs_stepsize=given.step, steps=given.steps)
    return lambda: attack(wrapped, given.images, given.truth, epsilons=EPS)[1]


def art(given: Setting, *, labelled: bool) -> Attack:
    """ART: ProjectedGradientDescentPyTorch; it takes no maps as labels, but works from the model's own decisions."""
    import numpy as np
    import torch
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    loss, shape = torch.nn.CrossEntropyLoss(), tuple(given.images.shape[1:])
    outputs = len(given.model.classes)
    classifier = PyTorchClassifier(given.model, loss, shape, outputs, clip_values=(0.0, 1.0), device_type="cpu")
    count = len(given.images)
    options: dict[str, Any] = {"norm": np.inf, "eps": EPS, "eps_step": given.step, "max_iter": given.steps}
    attack = ProjectedGradientDescentPyTorch(classifier, num_random_init=1, batch_size=count, verbose=False, **options)
    pixels, truth = given.images.numpy(), given.truth.numpy()
    return lambda: torch.from_numpy(attack.generate(pixels, truth) if labelled else attack.generate(pixels))


def adv_lib(given: Setting, name: str) -> Attack:
    """adv-lib: its PGD for classifiers, or one of its attacks on masks with as many steps."""
    library = load_adv_lib()
    if name == "pgd_linf":
        return lambda: library.pgd_linf(given.model, given.images, given.truth, EPS, steps=given.steps)
    from adv_lib.attacks import segmentation

    options: dict[str, Any] = {"max_iter" if name == "dag" else "num_steps": given.steps}
    if name == "pdpgd":
        options["norm"] = float("inf")
    return lambda: getattr(segmentation, name)(given.model, given.images, given.truth, **options)


METHODS: dict[str, Callable[[Setting], Attack]] = {
    FLOORS[0]: lambda given: floor(given, extra=0),
    FLOORS[1]: lambda given: floor(given, extra=3),
    "Percuss pgd, last iterate": lambda given: percuss(given, "pgd", keep="last"),
    "Percuss pgd": lambda given: percuss(given, "pgd"),
    "Percuss segpgd": lambda given: percuss(given, "segpgd"),
    "torchattacks PGD": torchattacks,
    "ART PGD, own decisions": lambda given: art(given, labelled=False),
    "ART PGD, maps as labels": lambda given: art(given, labelled=True),
    "foolbox LinfPGD": foolbox,
    "adv-lib pgd_linf": lambda given: adv_lib(given, "pgd_linf"),
    **{f"adv-lib {name}": lambda given, name=name: adv_lib(given, name) for name in ("alma_prox", "asma", "dag")},
    **{f"adv-lib {name}": lambda given, name=name: adv_lib(given, name) for name in ("pdgd", "pdpgd")},
}


def able(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Which methods attack maps at all, tried with two steps at full size; the others with the library's own words."""
    works, refused = [], {}
    for name, make in METHODS.items():
        if name in options.without:
            continue
        try:
            make(prepare(options, 2))()
            works.append(name)
        except Exception as error:  # whatever a library says of maps
            refused[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return works, refused


def outcome(given: Setting, attack: Attack) -> tuple[str, str]:
    """Largest change in 1/255 and mean quality of the maps afterwards."""
    import torch

    from percuss.core.dense import quality

    made = attack()
    if made is None:
        return "", ""
    with torch.no_grad():
        after = given.model(made).argmax(1)
    left = quality(after, given.truth, len(given.model.classes)).mean()
    return f"{float((made - given.images).abs().max()) * 255:.2f}", f"{float(left):.3f}"


def table(options: argparse.Namespace) -> None:
    """The measured table as Markdown."""
    names = ("torch", "torchattacks", "foolbox", "adv-lib", "adversarial-robustness-toolbox")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))
    print(f"{options.rounds} rounds, {options.batch} images, {options.steps} steps, {options.threads} thread(s)")
    works, refused = able(options)  # warms up too
    given, told = prepare(options, options.steps), {}
    ready = {name: METHODS[name](given) for name in works}

    def told_of(name: str) -> Attack:
        def run() -> None:
            told[name] = ready[name]()

        return run

    found = in_turn({name: told_of(name) for name in works}, options.rounds, once=options.once)
    lowest = statistics.median(found[FLOORS[0]])
    print("\n| PGD, linf=2/255 | CPU s, median (range) | over the floor | peak MiB above model | change /255 | Dice |")
    print("|---|---|---|---|---|---|")
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        change, left = outcome(given, lambda name=name: told[name])
        command = [f"--{key}={getattr(options, key)}" for key in ("batch", "size", "threads", "model", "data", "split")]
        most = apart([__file__, "--memory", name, *command])
        spread = f"{middle:.1f} ({min(seconds):.1f}-{max(seconds):.1f})"
        print(f"| {name} | {spread} | {middle / lowest:.2f} | {most:.0f} | {change} | {left} |", flush=True)
    for name, words in refused.items():
        print(f"{name} cannot: {words}")


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 3), ("batch", 1), ("size", 256), ("steps", 20), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--once", action="append", default=[], help="a method that runs in the first round only")
    parser.add_argument("--without", action="append", default=[], help="a method to leave out")
    parser.add_argument("--model", default="", help="a model of task segment instead of the paper's U-Net at random")
    parser.add_argument("--data", default="", help="its images")
    parser.add_argument("--split", default="test")
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if options.memory:
        with contextlib.redirect_stdout(io.StringIO()):
            most = peak(METHODS[options.memory](prepare(options, 2)))  # two steps hold what twenty hold
        print(json.dumps(most))
    else:
        table(options)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
