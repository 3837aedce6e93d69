"""Square attack by Percuss beside torchattacks' Square: images still right after so many queries, several seeds.

The same model and the same rightly decided images of the test split for both, in the same batches; torchattacks is
judged here by the same model on the images that come back, as float. It draws one place for all images of a batch,
Percuss one for each. Prints a table.

    python benchmarks/square_peer.py MODEL DATA [--budgets linf=4/255,l2=1] [--queries 600,2000] [--images 48]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor

import percuss
from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, is_right

NORMS = {"linf": "Linf", "l2": "L2"}  # those torchattacks' Square knows
Attack = Callable[[int], Tensor]


def rightly_decided(model: Model, spec: str, count: int) -> Tensors:
    """The first so many images of the test split that the model has right, spread over the classes."""
    images, labels = percuss.load_data(spec, split="test").tensors(3 * count)
    with torch.no_grad():
        pairs = zip(images.split(32), labels.split(32), strict=True)
        right = torch.cat([is_right(model(x), y, "classify") for x, y in pairs])
    images, labels = images[right][:count], labels[right][:count]
    return Tensors([f"test-{i}" for i in range(len(images))], images, labels, [None] * len(images), PixelRange())


def ours(model: Model, data: Tensors, text: str, *, queries: int, batch: int) -> Attack:
    """Percuss, through its engine."""

    def run(seed: int) -> Tensor:
        given = {"queries": queries}
        return run_attack(
            "square", model, data, [parse_budget(text)], seed=seed, batch_size=batch, settings=given
        ).images[text]

    return run


def peer(model: Model, data: Tensors, text: str, *, queries: int, batch: int) -> Attack:
    """torchattacks' Square."""
    import torchattacks

    budget = parse_budget(text)
    eps = budget.eps(tuple(data.images.shape[1:]), PixelRange())

    def run(seed: int) -> Tensor:
        attack = torchattacks.Square(model, norm=NORMS[budget.norm.value], eps=eps, n_queries=queries, seed=seed)
        pairs = zip(data.images.split(batch), data.targets.split(batch), strict=True)
        return torch.cat([attack(x, y).detach() for x, y in pairs])

    return run


def measured(attack: Attack, model: Model, data: Tensors, seeds: int) -> tuple[list[float], float]:
    """Per cent still right for each seed, and mean CPU seconds."""
    found, start = [], time.process_time()
    for seed in range(seeds):
        torch.manual_seed(seed)
        attacked = attack(seed)
        with torch.no_grad():
            pairs = zip(attacked.split(32), data.targets.split(32), strict=True)
            right = torch.cat([is_right(model(x), y, "classify") for x, y in pairs])
        found.append(100 * float(right.double().mean()))
    return found, (time.process_time() - start) / seeds


def told(found: tuple[list[float], float]) -> str:
    """Mean, each seed, seconds."""
    shares, seconds = found
    return f"{statistics.mean(shares):.1f} ({', '.join(f'{share:.1f}' for share in shares)}) | {seconds:.0f}"


def main() -> None:
    """Each budget and number of queries, both libraries in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--budgets", default="linf=4/255,l2=1")
    parser.add_argument("--queries", default="600,2000")
    for key, value in (("images", 48), ("seeds", 3), ("batch", 32), ("threads", 1)):
        parser.add_argument(f"--{key}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = percuss.load_model(options.model)
    data = rightly_decided(model, options.data, options.images)
    print(f"torch {version('torch')}, torchattacks {version('torchattacks')}, {len(data.ids)} images right")
    print("| budget | queries | percuss still right %: mean (seeds) | CPU s | torchattacks: mean (seeds) | CPU s |")
    print("|---|---|---|---|---|---|")
    for text in options.budgets.split(","):
        for queries in map(int, options.queries.split(",")):
            made = [make(model, data, text, queries=queries, batch=options.batch) for make in (ours, peer)]
            row = " | ".join(told(measured(attack, model, data, options.seeds)) for attack in made)
            print(f"| {text} | {queries} | {row} |", flush=True)


if __name__ == "__main__":
    main()
