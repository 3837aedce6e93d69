"""percuss.train and percuss.harden: training for programs and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from percuss.core.errors import UsageError, nearest
from percuss.defend.library import defences
from percuss.defend.settings import TrainSettings, make_settings
from percuss.pipeline.hardening import DefencePlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.training import Trained, TrainPlan
from percuss.pipeline.training import train as run

#: Options of the plan.
_PLAN = ("weights", "allow_code", "grey_inside")
_FOLDS = ("folds", "repeats")


def train(
    *, data: str, model: str | Path, out: Path | str, progress: Progress | None = None, **options: Any
) -> Trained:
    """Train a classifier or a segmenter, or go on with it; the best epoch is chosen on the validation split.

    Args:
        data: spec of the images. model: spec of a network, or a model folder to go on from.
        out: model folder to make.
        progress: told what happens; silent where None.
        options: as of ``percuss train``: those of ``percuss.defend.settings.TrainSettings``, and ``weights``,
            ``allow_code``, ``grey_inside``, ``folds``, ``repeats``.

    Raises:
        PercussError: wrong data, model or options, a folder of another training, a loss that is not finite.
    """
    own = _own(options, (*_PLAN, *_FOLDS))
    _refuse_unknown(options, TrainSettings.model_fields, (*_PLAN, *_FOLDS))
    plan = TrainPlan(data=data, model=str(model), settings=make_settings(**options), **own)
    return run(plan, out=Path(out), progress=progress)


def harden(
    *,
    data: str,
    model: str | Path,
    defence: str,
    out: Path | str,
    budget: str = "linf=2/255",
    progress: Progress | None = None,
    **options: Any,
) -> Trained:
    """Train against attacked images, or go on with it; the epoch most robust on validation is kept.

    Args:
        data: spec of the images. model: folder of the model to harden, or spec of a network.
        defence: ``pgd``, ``segpgd``, ``trades``, ``free``, ``fast``, ``layered``, ``hypothesis`` or ``both``.
        out: model folder to make.
        budget: text of one linf or l2 budget.
        progress: told what happens; silent where None.
        options: settings of the defence (``steps``, ``ratio``, ``beta`` and so on: its page in ``docs/defences``) and
            of the training as in ``train``, but 10 epochs where none are given, as the command has it; ``weights``,
            ``allow_code``, ``grey_inside``; ``fresh=True`` starts from fresh weights of the model's network;
            ``augmented`` is the folder of the sets that layered, hypothesis and both make.

    ``record`` of what comes back holds ``defence``, ``before``, ``robust`` and the scores.

    Raises:
        PercussError: as ``train``; an unknown defence or setting, a budget it cannot take.
    """
    own, fresh, sets = _own(options, _PLAN), bool(options.pop("fresh", False)), options.pop("augmented", None)
    given = {name: options.pop(name) for name in [*options] if name in TrainSettings.model_fields}
    if defence in defences():  # an unknown one is refused below, with the names there are
        known = defences()[defence].Settings.model_fields
        _refuse_unknown(options, known, (*TrainSettings.model_fields, *_PLAN, "fresh", "augmented"))
    wanted = {name: value for name, value in options.items() if value is not None}
    plan = TrainPlan(
        data=data,
        model=str(model),
        settings=make_settings(**{"epochs": 10} | given),
        defence=DefencePlan(
            name=defence, budget=budget, settings=wanted, fresh=fresh, augmented=None if sets is None else str(sets)
        ),
        **own,
    )
    return run(plan, out=Path(out), progress=progress)


def _own(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Options of the plan, taken out of the others; None means the default."""
    found = {name: options.pop(name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _refuse_unknown(options: Iterable[str], known: Iterable[str], more: Iterable[str]) -> None:
    for name in options:
        if name not in known:
            raise UsageError("unknown option", value=name, allowed=nearest(name, [*known, *more]))
