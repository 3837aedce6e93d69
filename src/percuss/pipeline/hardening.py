"""A defence in a training plan: its budget on the images at hand, its start, its record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from percuss.core.budget import parse_budget
from percuss.core.errors import UsageError
from percuss.core.images import Task, Tensors
from percuss.core.model import Model
from percuss.defend.augmenting import Augmenting
from percuss.defend.hardening import Ground, Hardening
from percuss.defend.heat_judging import check_choice
from percuss.defend.library import defences, make_defence
from percuss.defend.records import Epoch, TrainData, TrainResult


class DefencePlan(BaseModel):
    """What ``percuss harden`` is told beside a training plan.

    Attributes:
        name: of ``percuss list defences``.
        budget: text of one linf or l2 budget.
        settings: of the defence, by name; None means its default.
        fresh: start from fresh weights of the model's network, not from its own.
        augmented: folder of the sets of a defence that makes its images before the training; None for ``augmented`` in
            the model folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    budget: str
    settings: dict[str, Any] = {}
    fresh: bool = False
    augmented: str | None = None


def defence(plan: DefencePlan, data: TrainData, seed: int, *, task: Task) -> Hardening:
    """The defence on these images; errors as ``make_defence``, ``Hardening.check_task`` and ``parse_budget``.

    UsageError too where the validation tiles of heat maps cannot choose the best epoch.
    """
    budget, images = parse_budget(plan.budget), data.train
    eps = budget.eps(tuple(images.images.shape[1:]), images.range)
    found = make_defence(plan.name, Ground(budget.norm, eps, seed), plan.settings)
    found.check_task(task)
    if task == "heatmap" and found.settings.choose == "robust":
        check_choice(data.val)
    return found


def check_start(plan: DefencePlan, model: str, out: Path, *, weights: str | None) -> None:
    """UsageError where the start contradicts itself, or the hardened model would replace the given one.

    Also where images are to be made against a model that has learnt nothing, or by a defence that makes none.
    """
    known = defences().get(plan.name)
    makes = known is not None and issubclass(known.Defence, Augmenting)
    if makes and weights is None and not Path(model).is_dir():
        raise UsageError(
            f"the defence {plan.name} needs a trained model, to make its images against",
            value=model,
            allowed="a folder that percuss train wrote, or a network with weights",
            next_step="percuss train first, and give its folder with --model",
        )
    if plan.augmented is not None and known is not None and not makes:
        raise UsageError(f"the defence {plan.name} makes no images before the training", value=plan.augmented)
    if plan.fresh and weights is not None:
        raise UsageError("--fresh excludes weights to start from", value=weights)
    if Path(model).is_dir() and Path(model).resolve() == out.resolve():
        raise UsageError("the hardened model would replace the given one", value=out, next_step="give another --out")


def defence_record(
    plan: DefencePlan, recipe: Hardening, result: TrainResult, *, model: Model, test: Tensors | None, batch_size: int
) -> dict[str, Any]:
    """The parts ``defence``, ``before``, ``robust`` and ``findings`` of training.json.

    ``robust``: accuracy under the same PGD as after each epoch, of the best epoch on val, and on test where there is
    one. ``before``: validation accuracies of the model at the start. Of class maps with the Dice of each, of heat
    maps with the AUC-PR.
    ``batch_size``: images at once.
    """
    clean = sum(row.clean_images or 0 for row in result.history)
    attacked = sum(row.adversarial_images or 0 for row in result.history)
    best = result.history[result.best_epoch - 1]
    names = ["robust_accuracy", "one_step_accuracy"]
    names += [] if best.robust_dice is None else ["robust_dice", "one_step_dice"]
    names += [] if best.robust_auc_pr is None else ["robust_auc_pr", "one_step_auc_pr"]
    ending = recipe.ending(result.history)
    start = result.before
    return {
        "defence": recipe.told()
        | {
            "budget": plan.budget,
            "fresh": plan.fresh,
            "clean_images": clean,
            "adversarial_images": attacked,
            "ratio_used": attacked / (clean + attacked),
        },
        "before": start and _clean(start) | {name: getattr(start, name) for name in names},
        "robust": {
            "val": {name: getattr(best, name) for name in names},
            "test": None if test is None else recipe.judge(model, test, batch_size=batch_size),
        },
        "findings": [asdict(ending)] if ending else [],
    }


def _clean(row: Epoch) -> dict[str, float]:
    found = {"accuracy": row.val_accuracy} | ({} if row.val_dice is None else {"dice": row.val_dice})
    return found | ({} if row.val_auc_pr is None else {"auc_pr": row.val_auc_pr})
