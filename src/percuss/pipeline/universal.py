"""A universal change from plan to page: made on one split, judged on it and on another; goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from percuss.attacks.check import check_model
from percuss.attacks.universal_search import METHODS, Method, Setup
from percuss.core.budget import Budget
from percuss.core.errors import AttackError, DataError, RunError, UsageError, nearest
from percuss.core.images import DENSE, ImageSet
from percuss.core.model import Model
from percuss.core.norms import distance
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.universal import Tally
from percuss.data.spec import load_data
from percuss.pipeline import environment
from percuss.pipeline.inputs import Chosen, check_sizes, data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.plan import AuditPlan, make_plan
from percuss.pipeline.progress import Progress
from percuss.pipeline.universal_files import UniversalOptions, same_images, write_files
from percuss.pipeline.universal_judges import Beside, check_judges, judge_others, open_judges
from percuss.pipeline.universal_units import Search, clean_part, judge_part, search
from percuss.report.sections import Table
from percuss.report.universal import table
from percuss.store.folder import RunFolder, check_free

#: Default of ``rate``: the mean update (sgd) or the first step (batched), as a share of the budget.
RATES: dict[Method, float] = {"sgd": 0.02, "batched": 0.1}


@dataclass(frozen=True)
class Universal:
    """A finished universal change: its folder, what it does, and results.json as plain values."""

    path: Path
    tallies: tuple[Tally, ...]
    findings: tuple[Finding, ...]
    record: dict[str, Any]

    @property
    def change(self) -> Tensor:
        """The change, float32 ``[C, H, W]`` in [0, 1] units."""
        with np.load(self.path / "perturbation.npz") as found:
            return torch.from_numpy(found["perturbation"])

    @property
    def transfer(self) -> dict[str, tuple[Tally, ...]]:
        """What the change does to each of the other models (``judges``), by name."""
        found: dict[str, tuple[Tally, ...]] = {}
        for item in self.record["transfer"]:
            name, rest = item["judge"], {key: value for key, value in item.items() if key != "judge"}
            found[name] = (*found.get(name, ()), Tally(**_records(rest)))
        return found

    @property
    def table(self) -> Table:
        """Every count as text cells."""
        return table(self.tallies)


def universal(
    model: str | Model | nn.Module,
    *,
    data: str | ImageSet,
    budget: str,
    out: Path | str,
    progress: Progress | None = None,
    **options: Any,
) -> Universal:
    """Search one change that flips as many training images as can be, and judge it on unseen ones.

    Args:
        model: a spec, a model, or a module.
        data: a spec, or a set that is open, with both splits.
        budget: one norm and size, ``linf=8/255``.
        out: run folder; one of the same run is continued after its last epoch, a finished one is read.
        progress: told what happens.
        options: of ``UniversalOptions``; ``judges``, other models (specs, models or modules) that judge the change
            too, to see whether it carries over; and ``seed``, ``batch_size``, ``weights``, ``device``, ``threads``,
            ``allow_code``, ``grey_inside``, ``region`` (``mask``, ``tissue`` or the file of a mask: no image changes
            outside its region).

    Raises:
        PercussError: wrong input or options, splits that are missing or the same, a folder of another run.
    """
    check_free(path := Path(out))
    say = progress or Progress()

    def again(seeds: Sequence[int]) -> dict[int, tuple[Tally, ...]]:
        rest = {**given, "data": images, "budget": budget, "progress": progress, "seeds": 1, "judges": ()}
        return {n: universal(model, **(rest | {"out": path / f"seed-{n}", "seed": n})).tallies for n in seeds}

    given, others = dict(options), options.pop("judges", ())
    own = {name: options.pop(name) for name in UniversalOptions.__dataclass_fields__ if name in options}
    _check(wanted := UniversalOptions(budget, **own))
    images = load_data(data) if isinstance(data, str) else data
    named = model if isinstance(model, str) else model.info.spec if isinstance(model, Model) else "module"
    plan = make_plan(data=images.spec, model=named, attacks="noise", budgets=[budget], **options)
    with environment.threads(plan.threads):
        sets = _open_splits(plan, wanted, images)
        train, size = _only(sets[wanted.train_split], wanted.only), _one_budget(plan)
        check_sizes({size.norm: [size]}, train)
        device = environment.pick_device(plan.device)
        ready = open_model(plan, None if isinstance(model, str) else model, train).to(device)
        judges = open_judges(others, model=ready, plan=plan, chosen=train)
        folder = RunFolder.start(path, _identity(plan, wanted, sets, model=ready, device=device) | _named(judges))
        try:
            if folder.finished and folder.damaged():
                folder.reopen()
            if not folder.finished:
                numbers = wanted.epochs, plan.seed, plan.batch_size
                work = Search(sets, train, ready, device, size, _setup(wanted, size, train), *numbers, folder)
                _compute(work, wanted, Beside(judges, seeds=again(range(plan.seed + 1, plan.seed + wanted.seeds))), say)
            else:
                say.line("the search was finished before; nothing to compute")
        finally:
            folder.close()
    return read_universal(path)


def read_universal(path: Path) -> Universal:
    """A finished universal change from its folder; RunError where the numbers are not there."""
    try:
        record = json.loads((path / "results.json").read_text(encoding="utf-8"))
        found = [Tally(**_records(item)) for item in record["tallies"]]
    except (OSError, ValueError, KeyError) as error:
        raise RunError("the folder holds no finished universal change", value=path) from error
    return Universal(path, tuple(found), tuple(Finding(**item) for item in record["findings"]), record)


def _records(item: dict[str, Any]) -> dict[str, Any]:
    return {key: Interval(**value) if isinstance(value, dict) else value for key, value in item.items()}


def _check(wanted: UniversalOptions) -> None:
    if wanted.method not in METHODS:
        raise UsageError("unknown method", value=wanted.method, allowed=", ".join(METHODS))
    for name, number in (
        ("epochs", wanted.epochs),
        ("group", wanted.group),
        ("train_limit", wanted.train_limit),
        ("seeds", wanted.seeds),
    ):
        if number is not None and number < 1:
            raise UsageError(f"the option {name} is too small", value=number, allowed="1 or more")
    if wanted.rate is not None and not 0 < wanted.rate <= 10:
        raise UsageError("the option rate is out of range", value=wanted.rate, allowed="above 0, at most 10")
    if wanted.train_split == wanted.split:
        raise UsageError(
            "the change would be judged on the images it was made on",
            value=wanted.split,
            allowed="two different splits",
            next_step="give --train-split train --split test",
        )


def _one_budget(plan: AuditPlan) -> Budget:
    found = [budget for sizes in plan.by_norm().values() for budget in sizes]
    if len(found) != 1:
        raise UsageError("a universal change has one budget", value=", ".join(plan.budgets), allowed="linf=8/255")
    return found[0]


def _open_splits(plan: AuditPlan, wanted: UniversalOptions, images: ImageSet) -> dict[str, Chosen]:
    """Both splits; DataError where they are missing or their images differ in shape or range."""
    limits = {wanted.train_split: wanted.train_limit, wanted.split: wanted.limit}
    missing = [split for split in limits if split not in images.splits]
    if missing:
        raise DataError(
            f"the images have no split {missing[0]}",
            value=", ".join(images.splits) or "no splits at all",
            next_step="name splits of the set, or let them be drawn: ?split=0.7,0.15,0.15 behind the data spec",
        )
    sets = {
        split: open_images(plan.model_copy(update={"split": split, "limit": limit}), images)
        for split, limit in limits.items()
    }
    one, two = sets.values()
    if (one.shape, one.pixels) != (two.shape, two.pixels):
        raise DataError(
            "the splits hold images of different shape or range",
            value=f"{one.shape} and {two.shape}",
            next_step="give one size explicitly, for instance ?size=224 behind the data spec",
        )
    return sets


def _only(train: Chosen, name: str | None) -> Chosen:
    """The training images, or those of one class (of several labels: that have the label; of masks: that show it)."""
    if name is None:
        return train
    classes = list(train.images.classes)
    if name not in classes:
        raise UsageError("there is no such class", value=name, allowed=nearest(name, classes))
    index, kept = classes.index(name), []
    for case in train.ids:
        if _holds(train.images, case, index):
            kept.append(case)
    if not kept:
        raise DataError("no training image is of the class", value=name, next_step="name another class")
    return replace(train, ids=tuple(kept))


def _holds(images: ImageSet, case: str, index: int) -> bool:
    """Whether an image is of a class, has the label, or has a pixel of it; an image that cannot be read has not."""
    target = images.entry(case).target
    if images.task not in DENSE:
        return target == index if isinstance(target, int) else bool(target[index])
    try:
        return bool((np.asarray(images.read(case).target) == index).any())
    except DataError:
        return False


def _setup(wanted: UniversalOptions, budget: Budget, train: Chosen) -> Setup:
    method: Method = "sgd" if wanted.method == "sgd" else "batched"
    group = 1 if method == "sgd" else wanted.group
    steps = wanted.epochs * math.ceil(len(train.ids) / group)
    # Few steps must be long enough to cross the ball and come back.
    usual = min(1.0, max(RATES[method], 5 / steps))
    return Setup(
        norm=budget.norm,
        eps=budget.eps(train.shape, train.pixels),
        method=method,
        rate=usual if wanted.rate is None else wanted.rate,
        group=group,
        steps=steps,
    )


def _identity(
    plan: AuditPlan, wanted: UniversalOptions, sets: dict[str, Chosen], *, model: Model, device: torch.device
) -> dict[str, str]:
    return {
        "command": "universal",
        **{name: str(value) for name, value in vars(wanted).items()},
        **{f"images of {split}": data_fingerprint(chosen) for split, chosen in sets.items()},
        "model (--model, --weights)": model.fingerprint(),
        "seed": str(plan.seed),
        "Percuss version": environment.version(),
        "device": device.type,
    }


def _named(judges: dict[str, Model]) -> dict[str, str]:
    return {"judges (--judge)": " ".join(f"{name}={judge.fingerprint()}" for name, judge in judges.items())}


def _compute(work: Search, wanted: UniversalOptions, beside: Beside, say: Progress) -> None:
    """Check, clean passes, search, judging, files."""
    first = read_chunk(work.train, work.train.ids[:8])
    findings = [*check_model(work.model, first.images, first.targets), *same_images(work.sets)]
    findings += check_judges(beside.judges, work.train, work.device)
    if work.model.info.weights == "random":
        text = "The model has random weights: it was never trained, so nothing about it means anything."
        findings.append(Finding("random-weights", "severe", text, {"weights": "random"}))
    say.line(f"clean pass over {sum(len(chosen.ids) for chosen in work.sets.values())} images")
    clean = {split: [clean_part(work, split, ids) for ids in chosen.chunks] for split, chosen in work.sets.items()}
    bad = [item for parts in clean.values() for part in parts for item in part.attrs["bad"]]
    if bad:
        text = f"{len(bad)} images could not be used and were left out, first {bad[0]['id']}: {bad[0]['reason']}"
        findings.append(Finding("bad-images", "warning", text, {"n_bad": len(bad)}))
    wish = set(work.train.ids)
    readable = [str(name) for part in clean[wanted.train_split] for name in part["id"] if str(name) in wish]
    change, history = search(work, readable, say)
    _held_to(work, change)
    parts = [(split, part) for split, made in clean.items() for part in made if len(part)]
    say.start("judging", len(parts))
    judged = []
    for split, part in parts:
        judged.append(judge_part(work, split, part, change=change))
        say.advance()
    say.stop()
    beside = replace(beside, tallies=judge_others(work, beside.judges, change=change, say=say))
    rows = pd.concat(judged, ignore_index=True)
    write_files(work, wanted, change=change, rows=rows, told=(history, findings), beside=beside)
    work.folder.finish()
    work.folder.drop("parts")


def _held_to(work: Search, change: Tensor) -> None:
    """AttackError where the change is not finite or larger than its budget: the search is not trusted."""
    size, eps = float(distance(work.budget.norm, change)), work.setup.eps
    if not bool(torch.isfinite(change).all()) or size > eps * (1 + 1e-5):
        raise AttackError("the universal change left its budget", value=size, allowed=f"{work.budget.text}, {eps:g}")
