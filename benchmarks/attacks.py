"""PGD-10 by Percuss and four peers in one interleaved run: CPU time over the floor, and peak memory.

The floor is the same number of forward and input-only backward passes of the frozen model, and nothing else.
Same model (ResNet-18 of timm, random weights from a seed, normalisation inside), same images, eps, step size and
number of steps; every library gets the model as a user hands it over. Prints the table of docs/performance.md.

    python benchmarks/attacks.py [--rounds 7] [--batch 8] [--size 224] [--threads 1] [--frozen]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

from measuring import apart, in_turn, peak

STEPS = 10
EPS = {"linf": 2 / 255, "l2": 1.0}
TEXT = {"linf": "linf=2/255", "l2": "l2=1.0"}
TEXTBOOK = {"early_stop": False, "keep": "last"}  # what the peers do: all steps, the last iterate
FLOORS = ("floor: 10 forward and backward", "floor: and 3 forward")
Attack = Callable[[], Any]


def setting(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Model, images in [0, 1] and the labels that the model gives, so that every image is right before."""
    import timm
    import torch

    from percuss.core.model import Model, ModelInfo

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=10)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    classes = tuple(str(i) for i in range(10))
    model = Model(network, ModelInfo("timm:resnet18", "classify", classes, 3, mean=mean, std=std))
    if options.frozen:
        model.requires_grad_(False)
    noise = torch.rand(options.batch, 3, options.size // 8, options.size // 8)
    images = torch.nn.functional.interpolate(noise, size=(options.size, options.size), mode="bilinear")
    images = (images * 255).round() / 255
    with torch.no_grad():
        labels = model(images).argmax(1)
    return model, images, labels


def floor(norm: str, model: Any, images: Any, labels: Any, *, extra: int) -> Attack:
    """The passes alone: STEPS forward and input-only backward of the frozen model, then ``extra`` forward."""
    import torch

    def run() -> Any:
        wanted = [parameter.requires_grad for parameter in model.parameters()]
        model.requires_grad_(False)
        for _ in range(STEPS):
            point = images.detach().requires_grad_()
            torch.autograd.grad(torch.nn.functional.cross_entropy(model(point), labels), point)
        with torch.no_grad():
            for _ in range(extra):
                model(images)
        for parameter, flag in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(flag)

    return run


def percuss(norm: str, model: Any, images: Any, labels: Any, *, early: bool) -> Attack:
    """The whole engine: check of the clean answer, ten steps, verdict in float and as stored."""
    from percuss.attacks.engine import run_attack
    from percuss.core.budget import parse_budget
    from percuss.core.images import PixelRange, Tensors

    ids = [str(i) for i in range(len(images))]
    batch = Tensors(ids, images, labels, [None] * len(ids), PixelRange())
    budget, settings = parse_budget(TEXT[norm]), {"steps": STEPS} | ({} if early else TEXTBOOK)
    return lambda: run_attack("pgd", model, batch, [budget], seed=0, batch_size=len(ids), settings=settings).images


def torchattacks(norm: str, model: Any, images: Any, labels: Any) -> Attack:
    """torchattacks: PGD and PGDL2."""
    import torchattacks as library

    kind = library.PGD if norm == "linf" else library.PGDL2
    attack = kind(model, eps=EPS[norm], alpha=EPS[norm] / 4, steps=STEPS, random_start=True)
    return lambda: attack(images, labels)


def foolbox(norm: str, model: Any, images: Any, labels: Any) -> Attack:
    """foolbox: LinfPGD and L2PGD, with its own verdict."""
    import foolbox as library
    from foolbox.attacks import L2PGD, LinfPGD

    wrapped = library.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = (LinfPGD if norm == "linf" else L2PGD)(abs_stepsize=EPS[norm] / 4, steps=STEPS)
    return lambda: attack(wrapped, images, labels, epsilons=EPS[norm])


def art(norm: str, model: Any, images: Any, labels: Any) -> Attack:
    """ART: ProjectedGradientDescentPyTorch on numpy images."""
    import numpy as np
    import torch
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    loss = torch.nn.CrossEntropyLoss()
    shape = tuple(images.shape[1:])
    classifier = PyTorchClassifier(model, loss, shape, 10, clip_values=(0.0, 1.0), device_type="cpu")
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=np.inf if norm == "linf" else 2,
        eps=EPS[norm],
        eps_step=EPS[norm] / 4,
        max_iter=STEPS,
        num_random_init=1,
        batch_size=len(images),
        verbose=False,
    )
    pixels, targets = images.numpy(), labels.numpy()
    return lambda: attack.generate(pixels, targets)


def adv_lib(norm: str, model: Any, images: Any, labels: Any) -> Attack | None:
    """adv-lib: pgd_linf (it has no PGD under l2)."""
    if norm != "linf":
        return None
    pgd_linf = load_adv_lib().pgd_linf
    return lambda: pgd_linf(model, images, labels, EPS[norm], steps=STEPS, absolute_step_size=EPS[norm] / 4)


def load_adv_lib() -> Any:
    """adv-lib's attacks. Its drawing library visdom is not needed and often does not build."""
    with contextlib.suppress(ImportError):
        import visdom  # noqa: F401
    if "visdom" not in sys.modules:
        sys.modules["visdom"] = types.ModuleType("visdom")
        sys.modules["visdom"].Visdom = object  # type: ignore[attr-defined]
    from adv_lib import attacks as found

    return found


METHODS: dict[str, Callable[..., Attack | None]] = {
    FLOORS[0]: lambda *given: floor(*given, extra=0),
    FLOORS[1]: lambda *given: floor(*given, extra=3),
    "percuss, all steps": lambda *given: percuss(*given, early=False),
    "percuss, early stop": lambda *given: percuss(*given, early=True),
    "torchattacks": torchattacks,
    "foolbox": foolbox,
    "adv-lib": adv_lib,
    "ART": art,
}


def times(norm: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """CPU seconds per method and round, methods in turn, each round beginning with another one."""
    given = (norm, *setting(options))
    made = {name: make(*given) for name, make in METHODS.items()}
    ready = {name: attack for name, attack in made.items() if attack is not None}
    in_turn(ready, 1)  # warms up
    return in_turn(ready, options.rounds)


def memory(name: str, norm: str, options: argparse.Namespace) -> float:
    """Peak resident MiB above what model, images and imports take, in this process."""
    attack = METHODS[name](norm, *setting(options))
    return float("nan") if attack is None else peak(attack)


def memory_apart(name: str, norm: str, options: argparse.Namespace) -> float:
    """``memory`` in a process of its own."""
    return apart([__file__, "--memory", name, "--norm", norm, *_passed(options)])


def _passed(options: argparse.Namespace) -> list[str]:
    return [
        *(f"--{key}={getattr(options, key)}" for key in ("batch", "size", "threads")),
        *["--frozen"][: options.frozen],
    ]


def versions() -> str:
    """What was compared, on what."""
    from importlib.metadata import version

    names = ("torch", "timm", "torchattacks", "foolbox", "adv-lib", "adversarial-robustness-toolbox")
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names)


def table(options: argparse.Namespace) -> None:
    """The measured table as Markdown, and the seconds as JSON behind it."""
    print(f"{options.rounds} rounds, {options.batch} images of {options.size} px, {options.threads} thread(s).")
    print(versions() + ".")
    for norm in EPS:
        found = times(norm, options)
        lowest = statistics.median(found[FLOORS[0]])
        print(f"\n| PGD-{STEPS}, {TEXT[norm]} | CPU s, median (range) | over the floor | peak MiB above model |")
        print("|---|---|---|---|")
        for name, seconds in found.items():
            middle = statistics.median(seconds)
            peak = statistics.median(memory_apart(name, norm, options) for _ in range(3))
            spread = f"{middle:.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
            print(f"| {name} | {spread} | {middle / lowest:.2f} | {peak:.0f} |", flush=True)


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frozen", action="store_true", help="freeze the parameters for the peers too")
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    parser.add_argument("--norm", default="linf", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.memory:
        with contextlib.redirect_stdout(io.StringIO()):
            peak = memory(options.memory, options.norm, options)
        print(json.dumps(peak))
    else:
        table(options)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
