"""Defences by name, with checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from percuss.core.budget import Norm
from percuss.core.catalogue import entries
from percuss.core.checked import checked
from percuss.core.errors import BudgetError, UsageError, nearest
from percuss.defend.hardening import Ground, Hardening

#: A module of ``percuss.defend`` with this class is a defence; it has ``Settings`` beside it.
MARKER = "Defence"


def defences() -> dict[str, ModuleType]:
    """Every defence by name, from ``percuss.defend`` and its entry points."""
    return entries("defend", MARKER)


def make_defence(name: str, ground: Ground, given: Mapping[str, Any]) -> Hardening:
    """A defence from settings by name; None means the default.

    UsageError for an unknown name or setting, or a value out of range; BudgetError unless the norm is linf or l2.
    """
    known = defences()
    if name not in known:
        raise UsageError(
            "unknown defence", value=name, allowed=nearest(name, known), next_step="percuss list defences shows them"
        )
    if ground.norm not in (Norm.LINF, Norm.L2):
        raise BudgetError(
            "a defence cannot use this norm",
            value=ground.norm.value,
            allowed="linf, l2",
            next_step="--budget linf=2/255",
        )
    chosen = {key: value for key, value in given.items() if value is not None}
    kind = known[name].Settings
    for key in chosen:
        if key not in kind.model_fields:
            raise UsageError(
                f"the defence {name} has no setting of this name", value=key, allowed=", ".join(kind.model_fields)
            )
    found: Hardening = known[name].Defence(checked(kind, chosen, word="setting"), ground)
    return found
