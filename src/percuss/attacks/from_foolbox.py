"""foolbox:NAME, attacks of foolbox (Rauber et al. 2017) that know a distance."""

from __future__ import annotations

import inspect
import math
from typing import Any

from percuss.attacks.foreign import Foreign, Question
from percuss.attacks.library import load
from percuss.core.budget import Norm

_NORMS = {0.0: Norm.L0, 1.0: Norm.L1, 2.0: Norm.L2, math.inf: Norm.LINF}


def known() -> dict[str, Any]:
    """Its attack classes by name."""
    library = load("foolbox", "foolbox")
    with_distance = library.attacks.base.AttackWithDistance
    return {
        name: kind
        for name, kind in vars(library.attacks).items()
        if inspect.isclass(kind) and issubclass(kind, with_distance) and not inspect.isabstract(kind)
    }


def foreign(name: str, kind: Any) -> Foreign:
    """One of them; its settings are those of its class.

    Its raw images are taken, before foolbox clips them to eps. Attacks that look for the smallest change are told
    eps where that lets them stop early.
    """
    own = [item for item in inspect.signature(kind).parameters.values() if item.name not in _TAKEN]
    flexible = "distance" in inspect.signature(kind).parameters

    def ask(question: Question, **settings: Any) -> Any:
        library = load("foolbox", "foolbox")
        if flexible:
            power = next(power for power, norm in _NORMS.items() if norm is question.norm)
            settings["distance"] = library.distances.LpDistance(power)
        model = library.PyTorchModel(question.model, bounds=(0, 1), device=question.images.device)
        criterion = library.Misclassification(question.targets)
        if question.aim is not None:
            criterion = library.TargetedMisclassification(question.aim)
        eps = None if question.norm is Norm.L0 else question.eps  # foolbox cannot clip under l0
        return kind(**settings)(model, question.images, criterion, epsilons=eps)[0]

    smallest = issubclass(kind, load("foolbox", "foolbox").attacks.base.MinimizationAttack)
    return Foreign(name, ask, own, norms=tuple(_NORMS.values()) if flexible else _norms(kind), smallest=smallest)


_TAKEN = ("distance", "tensorboard")


def _norms(kind: Any) -> tuple[Norm, ...] | None:
    """The norm of its distance; None where the class cannot be made to say."""
    try:
        return (_NORMS[float(kind().distance.p)],)
    except (TypeError, AttributeError, ImportError):
        return None
