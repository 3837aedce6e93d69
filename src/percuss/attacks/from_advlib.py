"""advlib:NAME, attacks of adv-lib (Rony and Ben Ayed)."""

from __future__ import annotations

import inspect
import math
from typing import Any

from percuss.attacks.foreign import Foreign, Question
from percuss.attacks.library import load
from percuss.core.budget import Norm

#: Those that take no norm; l2 where not listed. Its l0 counts values, ours pixels: never more than its own count.
_NORMS = {
    "pgd_linf": Norm.LINF,
    "carlini_wagner_linf": Norm.LINF,
    "sigma_zero": Norm.L0,
    "fga": Norm.L0,
    "vfga": Norm.L0,
    "str_attack": Norm.L0,
}
_POWERS = {Norm.LINF: math.inf, Norm.L2: 2.0, Norm.L1: 1.0, Norm.L0: 0.0}
_TAKEN = ("targeted", "norm", "callback", "num_classes", "starting_points", "return_unsuccessful", "return_targets")


def known() -> dict[str, Any]:
    """Its attack functions by name."""
    attacks = load("adv_lib.attacks", "adv-lib")
    return {name: made for name, made in vars(attacks).items() if inspect.isfunction(made)}


def foreign(name: str, attack: Any) -> Foreign:
    """One of them; its settings are its keywords, with its own defaults."""
    parameters = inspect.signature(attack).parameters
    late = list(parameters.values())[3:]
    # In one attack eps is a number for the floating point and not the budget: it has a default then.
    size = next((item.name for item in late if item.name in ("eps", "ε") and item.default in (item.empty, None)), None)
    own = [item for item in late if item.name not in (*_TAKEN, size) and item.kind is not item.VAR_KEYWORD]
    norms = tuple(_POWERS) if "norm" in parameters else (_NORMS.get(attack.__name__, Norm.L2),)

    def ask(question: Question, **settings: Any) -> Any:
        aim, classes = question.aim, len(question.model.inner.classes)
        facts = {"norm": _POWERS.get(question.norm), "num_classes": classes, "targeted": aim is not None}
        given = {key: fact for key, fact in facts.items() if key in parameters}
        if size is not None:
            given[size] = question.eps
        return attack(question.model, question.images, question.targets if aim is None else aim, **given, **settings)

    return Foreign(name, ask, own, norms=norms, smallest=size is None)
