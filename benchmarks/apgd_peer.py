"""Robust accuracy of apgd and square beside AutoAttack's own code, several seeds, on a 10-class control model.

Trains a small network on the images of an npz file (``train_images`` N x 32 x 32 x 3 in 8 bits, ``train_labels``,
``test_images``, ``test_labels``), plainly and adversarially, then runs each attack and its peer with the same steps on
the same rightly decided test images. The verdict is taken here, by the same model, on the images that come back. The
peer is ``pyautoattack`` (AutoAttack as packaged), or ``torchattacks`` where that is missing. Prints a table.

    python benchmarks/apgd_peer.py FILE.npz [--images 300] [--seeds 3] [--steps 100] [--queries 1000] [--only ce,l1]
        [--peer torchattacks]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo

#: Attack of ours, its settings, and the peer's name of the loss.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ce": ("apgd", {"loss": "ce"}),
    "margin": ("apgd", {"loss": "margin"}),
    "dlr": ("apgd", {"loss": "dlr"}),
    "targeted": ("apgd", {"loss": "targeted"}),
    "square": ("square", {}),
}
SIZES = {
    "plain": {"linf": "1.5/255", "l2": "0.2", "l1": "3"},
    "hardened": {"linf": "10/255", "l2": "0.8", "l1": "10"},
}
NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}
Attack = Callable[[int], Tensor]


def network(channels: int = 16) -> nn.Module:
    """A small convolutional network for 32 x 32 colour images."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, channels, 1), (channels, 2 * channels, 2), (2 * channels, 4 * channels, 2)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(4 * channels * 16, 10))


def train(images: Tensor, labels: Tensor, *, eps: float, epochs: int) -> Model:
    """Adam with flips; with ``eps``, on images of a two-step attack of that size from a random start."""
    torch.manual_seed(0)
    inner = network()
    model = Model(
        inner, ModelInfo("control", "classify", tuple(map(str, range(10))), 3, mean=(0.47,) * 3, std=(0.25,) * 3)
    )
    best = torch.optim.Adam(inner.parameters(), 2e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(best, 4e-3, total_steps=epochs * (len(images) // 100))
    for _ in range(epochs):
        for part in torch.randperm(len(images)).split(100)[: len(images) // 100]:
            clean, truth = images[part], labels[part]
            clean = torch.where(torch.rand(len(part), 1, 1, 1) < 0.5, clean.flip(3), clean)
            inner.train()
            change = (torch.rand_like(clean) * 2 - 1) * eps
            for _ in range(2 if eps else 0):
                point = (clean + change).clamp(0, 1).requires_grad_()
                (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(point), truth), point)
                change = (change + 0.75 * eps * slope.sign()).clamp(-eps, eps)
            best.zero_grad()
            nn.functional.cross_entropy(model((clean + change).clamp(0, 1)), truth).backward()
            best.step()
            plan.step()
    return model.eval()


def right(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Whether each image is decided rightly."""
    with torch.no_grad():
        return torch.cat([model(a).argmax(1) == b for a, b in zip(images.split(100), labels.split(100), strict=True)])


def ours(case: str, model: Model, data: Tensors, norm: str, options: argparse.Namespace, size: str) -> Attack:
    """Percuss, in batches of 100."""
    name, settings = CASES[case]
    amount = {"queries": options.queries} if name == "square" else {"steps": options.steps}
    budget = parse_budget(f"{norm}={size}")

    def run(seed: int) -> Tensor:
        swept = run_attack(name, model, data, [budget], seed=seed, batch_size=100, settings={**settings, **amount})
        return swept.images[budget.text]

    return run


def peer(case: str, model: Model, data: Tensors, norm: str, options: argparse.Namespace, size: str) -> Attack | None:
    """The peer, in batches of 100; None where it has no such attack."""
    eps = parse_budget(f"{norm}={size}").eps(data.images.shape[1:])
    if case == "margin" or (options.peer == "torchattacks" and norm == "l1"):
        return None
    keys: dict[str, Any] = {"norm": NORMS[norm], "eps": eps, "device": "cpu"}

    def attacker(seed: int) -> Any:
        if options.peer == "torchattacks":
            return None
        try:
            from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
            from pyautoattack.square import SquareAttack
        except ImportError:
            return None
        if case == "square":
            return SquareAttack(model, n_queries=options.queries, seed=seed, n_restarts=1, **keys)
        many = {"n_iter": options.steps, "seed": seed, "use_largereps": norm == "l1", "topk": None, **keys}
        return APGDAttack_targeted(model, **many) if case == "targeted" else APGDAttack(model, loss=case, **many)

    def run(seed: int) -> Tensor:
        attack = attacker(seed)
        pairs = zip(data.images.split(100), data.targets.split(100), strict=True)
        if attack is None:
            return torch.cat([fallback(case, model, norm, eps, options, seed)(a, b) for a, b in pairs])
        return torch.cat([attack.perturb(a, b) for a, b in pairs])

    return run


def fallback(case: str, model: Model, norm: str, eps: float, options: argparse.Namespace, seed: int) -> Any:
    """torchattacks' copies."""
    import torchattacks

    if case == "square":
        return torchattacks.Square(model, norm=NORMS[norm], eps=eps, n_queries=options.queries, seed=seed)
    if case == "targeted":
        return torchattacks.APGDT(model, norm=NORMS[norm], eps=eps, steps=options.steps, seed=seed, n_classes=10)
    return torchattacks.APGD(model, norm=NORMS[norm], eps=eps, steps=options.steps, seed=seed, loss=case)


def timed(attack: Attack, model: Model, data: Tensors, seeds: int) -> tuple[list[float], float]:
    """Robust accuracy in percent of the images given, per seed, and mean CPU seconds."""
    found, start = [], time.process_time()
    for seed in range(seeds):
        found.append(100 * float(right(model, attack(seed), data.targets).double().mean()))
    return found, (time.process_time() - start) / seeds


def lines(name: str, model: Model, data: Tensors, options: argparse.Namespace) -> Iterator[str]:
    """One row of the table for each norm and loss."""
    for case in CASES:
        for norm, size in SIZES[name].items():
            if options.only and case not in options.only.split(",") and norm not in options.only.split(","):
                continue
            own, spent = timed(ours(case, model, data, norm, options, size), model, data, options.seeds)
            other = peer(case, model, data, norm, options, size)
            text = "- | -"
            if other is not None:
                theirs, used = timed(other, model, data, options.seeds)
                text = f"{statistics.mean(theirs):.2f} ({', '.join(f'{v:.1f}' for v in theirs)}) | {used:.0f}"
            each = ", ".join(f"{value:.1f}" for value in own)
            yield f"| {name} | {norm}={size} | {case} | {statistics.mean(own):.2f} ({each}) | {spent:.0f} | {text} |"


def main() -> None:
    """Train, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    for key, value in (("images", 300), ("seeds", 3), ("steps", 100), ("queries", 1000), ("epochs", 12)):
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--only", default="", help="losses or norms, with commas between")
    parser.add_argument("--peer", choices=["pyautoattack", "torchattacks"], default="pyautoattack")
    parser.add_argument("--models", default="plain,hardened")
    options = parser.parse_args()
    torch.set_num_threads(1)
    held = {key: np.asarray(value) for key, value in np.load(options.file).items() if value.dtype != object}
    images, tests = (
        torch.from_numpy(held[key]).permute(0, 3, 1, 2).contiguous().float() / 255
        for key in ("train_images", "test_images")
    )
    labels, truths = (torch.from_numpy(held[key]).long().flatten() for key in ("train_labels", "test_labels"))
    print(f"| model | budget | loss | percuss: mean (seeds), % | CPU s | {options.peer}: mean (seeds), % | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name in options.models.split(","):
        model = train(images, labels, eps=6 / 255 if name == "hardened" else 0.0, epochs=options.epochs)
        chosen = right(model, tests, truths)
        some = chosen.nonzero().flatten()[: options.images]
        ids = [f"test-{i}" for i in some.tolist()]
        data = Tensors(ids, tests[some], truths[some], [None] * len(ids), PixelRange())
        for line in lines(name, model, data, options):
            print(line, flush=True)
        print(f"{name}: {100 * float(chosen.double().mean()):.1f} % of {len(chosen)} test images right", flush=True)


if __name__ == "__main__":
    main()
