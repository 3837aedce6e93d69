"""torchattacks:NAME, attacks of torchattacks (Kim 2020)."""

from __future__ import annotations

import inspect
from typing import Any

from percuss.attacks.foreign import Foreign, Question
from percuss.attacks.library import load
from percuss.core.budget import Norm

#: The library does not say which norm an attack works under: these, linf where not listed, any where it takes a norm.
_NORMS = {
    "CW": Norm.L2,
    "DeepFool": Norm.L2,
    "PGDL2": Norm.L2,
    "PGDRSL2": Norm.L2,
    "EADL1": Norm.L1,
    "EADEN": Norm.L1,
    "JSMA": Norm.L0,
    "OnePixel": Norm.L0,
    "Pixle": Norm.L0,
    "SparseFool": Norm.L0,
}
_SPELT = {Norm.LINF: "Linf", Norm.L2: "L2", Norm.L1: "L1"}
#: They attack sets of models or none at all.
_OTHER = ("LGV", "MultiAttack", "VANILA", "GN")
_TAKEN = ("model", "eps", "max_epsilon", "norm", "n_classes", "seed")


def known() -> dict[str, Any]:
    """Its attack classes by name."""
    library = load("torchattacks", "torchattacks")
    whole = library.attack.Attack
    return {
        name: kind
        for name, kind in vars(library).items()
        if inspect.isclass(kind) and issubclass(kind, whole) and name not in _OTHER
    }


def foreign(name: str, kind: Any) -> Foreign:
    """One of them; its settings are those of its class, with its own defaults (step sizes do not follow eps)."""
    parameters = inspect.signature(kind).parameters
    own = [item for key, item in parameters.items() if key not in _TAKEN and item.kind is not item.VAR_KEYWORD]
    norms = tuple(_SPELT) if "norm" in parameters else (_NORMS.get(kind.__name__, Norm.LINF),)

    def ask(question: Question, **settings: Any) -> Any:
        facts = {
            "eps": question.eps,
            "max_epsilon": question.eps,
            "norm": _SPELT.get(question.norm),
            "n_classes": len(question.model.inner.classes),
            "seed": question.seed,
        }
        made = kind(question.model, **{key: fact for key, fact in facts.items() if key in parameters}, **settings)
        made.set_device(question.images.device)
        if question.aim is None:
            return made(question.images, question.targets)
        made.set_mode_targeted_by_label(quiet=True)
        return made(question.images, question.aim)

    smallest = not {"eps", "max_epsilon"} & set(parameters)
    return Foreign(name, ask, own, norms=norms, smallest=smallest)
