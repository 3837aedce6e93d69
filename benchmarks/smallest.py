"""Smallest changes by Percuss and its peers: median size, gradients an image and CPU time, in one interleaved run.

The same model and images for all: a folder that ``percuss train`` wrote, and rightly decided images of its data's
test split. Every size is measured here on the images that come back, and counts only where the user's model decides
wrongly on them; a gradient is one backward pass through the logits of one image. Prints tables for
docs/performance.md.

    python benchmarks/smallest.py MODEL DATA [--images 64] [--steps 100] [--norms linf,l2,l1,l0] [--threads 1]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.model import is_right
from percuss.data.spec import load_data
from percuss.models.spec import load_model

ORDER = {"linf": math.inf, "l2": 2, "l1": 1, "l0": 0}
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Meter:
    """Counts images forward and backward; shared by all copies of the model that holds it."""

    def __init__(self) -> None:
        self.forwards = self.gradients = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Meter:
        return self

    def backward(self, slope: Tensor) -> None:
        """Hook on the logits: one gradient for each image."""
        self.gradients += len(slope)


class Metered(nn.Module):
    """A model that counts the images it is run forward and backward on."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.meter = model, Meter()

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, outputs]``."""
        self.meter.forwards += len(images)
        logits: Tensor = self.model(images)
        if logits.requires_grad:
            logits.register_hook(self.meter.backward)
        return logits


def peers(norm: str, steps: int) -> dict[str, Attack]:
    """Smallest-change attacks of adv-lib and foolbox that know the norm, each with about ``steps`` gradients.

    Left out: ALMA, which takes three classes or more; TR and PDGD, not measured; VFGA, stopped after ten minutes;
    PDPGD but under l1: with its own settings its changes were 8 times as large as others' and more.
    """
    from adv_lib import attacks

    order = ORDER[norm]
    found: dict[str, Attack] = {"adv-lib FMN": lambda m, x, y: attacks.fmn(m, x, y, norm=order, steps=steps)}
    if norm == "l1":
        found["adv-lib PDPGD"] = lambda m, x, y: attacks.pdpgd(m, x, y, norm=order, num_steps=steps)
    if norm != "l0":
        found["adv-lib FAB"] = lambda m, x, y: attacks.fab(m, x, y, norm=order, n_iter=steps)
    if norm == "l0":
        found["adv-lib sigma-zero"] = lambda m, x, y: attacks.sigma_zero(m, x, y, num_steps=steps)
    if norm == "l2":
        found["adv-lib DDN"] = lambda m, x, y: attacks.ddn(m, x, y, steps=steps, levels=None)
        found["adv-lib SuperDeepFool"] = lambda m, x, y: attacks.sdf(m, x, y, steps=steps)
    found |= {f"foolbox {key}": attack for key, attack in _foolbox(norm, steps).items()}
    return found


def _foolbox(norm: str, steps: int) -> dict[str, Attack]:
    import foolbox

    names = {"linf": "LInf", "l2": "L2", "l1": "L1", "l0": "L0"}
    made = {"FMN": getattr(foolbox.attacks, f"{names[norm]}FMNAttack")(steps=steps)}
    if norm == "l2":
        made["DDN"] = foolbox.attacks.DDNAttack(steps=steps)

    def run(attack: Any) -> Attack:
        def call(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
            _, clipped, _ = attack(wrapped, images, labels, epsilons=None)
            result: Tensor = clipped
            return result

        return call

    return {name: run(attack) for name, attack in made.items()}


def percuss(norm: str, steps: int) -> dict[str, Attack]:
    """Ours, through the public function."""
    from percuss.attacks.smallest import smallest_change

    def run(attack: str) -> Attack:
        own = {"count": "values"} if attack == "sigma_zero" else {}  # what the peers count
        return lambda m, x, y: smallest_change(m, x, y, norm, attack=attack, steps=steps, **own).images

    names = {"l2": ["fmn", "ddn"], "l0": ["sigma_zero", "fmn"]}.get(norm, ["fmn"])
    return {f"Percuss {name}": run(name) for name in names}


def sizes(norm: str, model: nn.Module, clean: Tensor, labels: Tensor, attacked: Tensor) -> Tensor:
    """Size of each change that flips its image within [0, 1], float64 ``[N]``; infinite for the others."""
    with torch.no_grad():
        flipped = ~is_right(model(attacked), labels, "classify")
    inside = (attacked.flatten(1).amin(1) >= 0) & (attacked.flatten(1).amax(1) <= 1)
    flat = (attacked.double() - clean.double()).flatten(1)
    found = (flat != 0).sum(1).double() if norm == "l0" else flat.norm(p=ORDER[norm], dim=1)
    return torch.where(flipped & inside, found, torch.full_like(found, math.inf))


def setting(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """The model and the first rightly decided images of the test split, spread over the classes."""
    torch.set_num_threads(options.threads)
    model = load_model(options.model)
    model.requires_grad_(False)
    data = load_data(options.data, "test")
    images, labels = data.tensors(2 * options.images)
    with torch.no_grad():
        right = torch.cat([is_right(model(x), y, "classify") for x, y in _parts(images, labels)])
    return model, images[right][: options.images], labels[right][: options.images]


def _parts(images: Tensor, labels: Tensor, size: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(images.split(size), labels.split(size), strict=True)


def run(attack: Attack, norm: str, given: tuple[nn.Module, Tensor, Tensor]) -> dict[str, Any]:
    """One method over all images in batches of 32."""
    model, images, labels = given
    metered = Metered(model).eval()
    before, found = time.process_time(), []
    for x, y in _parts(images, labels):
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(attack(metered, x.clone(), y.clone()).detach().to(x.dtype))
    spent = time.process_time() - before
    per = sizes(norm, model, images, labels, torch.cat(found))
    counts = metered.meter.gradients / len(images), metered.meter.forwards / len(images)
    return {"sizes": per.tolist(), "gradients": counts[0], "forwards": counts[1], "seconds": spent}


def visdom_is_optional() -> None:
    """adv-lib's drawing library is not needed and often does not build."""
    with contextlib.suppress(ImportError):
        import visdom  # noqa: F401
    if "visdom" not in sys.modules:
        sys.modules["visdom"] = types.ModuleType("visdom")
        sys.modules["visdom"].Visdom = object  # type: ignore[attr-defined]


def table(norm: str, rows: dict[str, dict[str, Any]]) -> str:
    """Markdown of one norm, smallest median first."""
    unit = {"l0": "values"}.get(norm, "[0, 1] units")
    lines = [
        f"| {norm} | median size ({unit}) | mean | flipped | gradients an image | forwards an image | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: sorted(item[1]["sizes"])[len(item[1]["sizes"]) // 2]):
        per = torch.tensor(row["sizes"], dtype=torch.float64)
        hit = per.isfinite()
        middle, mean = per.median().item(), per[hit].mean().item()
        lines.append(
            f"| {name} | {middle:.5g} | {mean:.5g} | {int(hit.sum())}/{len(per)} "
            f"| {row['gradients']:.1f} | {row['forwards']:.1f} | {row['seconds']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Each norm: every method in turn, on the same images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--norms", default="linf,l2,l1,l0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="methods whose name holds this text")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    visdom_is_optional()
    given = setting(options)
    record: dict[str, Any] = {}
    for norm in options.norms.split(","):
        methods = {**percuss(norm, options.steps), **peers(norm, options.steps)}
        chosen = {name: attack for name, attack in methods.items() if options.only in name}
        record[norm] = {name: run(attack, norm, given) for name, attack in chosen.items()}
        print(table(norm, record[norm]) + "\n", flush=True)
    if options.out:
        options.out.write_text(json.dumps(record))


if __name__ == "__main__":
    main()
