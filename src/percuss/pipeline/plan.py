"""What an audit shall do, typed and checked, and what of it decides the rows."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from percuss.attacks.engine import check_task, split_settings
from percuss.core import catalogue
from percuss.core.budget import Budget, Norm, parse_budgets
from percuss.core.checked import checked
from percuss.core.errors import UsageError, nearest
from percuss.core.latent import Coder
from percuss.core.model import Model
from percuss.pipeline.requirements import parse_requirement

DEFAULT_ATTACKS = ("pgd", "fgsm", "noise")
#: Of heat maps, where no attack is named: of a network with a code, and of any other.
CODE_ATTACKS = ("codesuite", "noise")
HEAT_ATTACKS = ("apgd", "pgd", "noise")
#: With ``curve`` ranges of sizes, where no attack is named.
CURVE_ATTACKS = ("curve", "noise")
DEFAULT_BUDGETS = ("linf=0.5/255,1/255,2/255,4/255,8/255", "l2=0.1,0.25,0.5,1")
#: Attacks that a suite adds before those named; noise is the control.
SUITES = {name: (name, "noise") for name in ("standard", "as_autoattack", "segsuite", "codesuite")}
#: Images of a unit of work. Results do not depend on it; what a kill can cost does.
CHUNK = 32


class AuditPlan(BaseModel):
    """Everything an audit is told. ``make_plan`` fills and checks it.

    Attributes:
        data, model: specs.
        split: a split's name, ``all``, or ``auto``: test where the set has it, else all images.
        attacks: names; ``settings`` holds keyword arguments per attack.
        budgets: texts of one size each (``linf=2/255``).
        steps, restarts, confidence, effort: for every attack that knows them; None leaves its own default.
        label: of several labels the one that is judged alone; None for all, of which any may flip.
        rounding: ``native``: attacks search among images at native levels.
        region: ``mask``, ``tissue`` or the file of a mask: only pixels there may change.
        limit: at most so many images, each class with its share.
        weights: None, ``pretrained`` or a file.
        checks: how much is spent on checks of masked gradients (``attacks.alarms``): ``off``, or an effort.
        protocol: ``corrected``, or ``paper``: attacks aim away from the model's own prediction (Joel et al. 2022).
        require: limits on robust accuracy (of heat maps AUC-PR), ``linf=2/255:0.60``.
        usual: no attack was named, so that the model decides which are taken (``fitting``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    model: str
    split: str = "auto"
    attacks: tuple[str, ...] = DEFAULT_ATTACKS
    budgets: tuple[str, ...] = DEFAULT_BUDGETS
    settings: dict[str, dict[str, Any]] = {}
    steps: int | None = None
    restarts: int | None = None
    effort: Literal["quick", "standard", "thorough"] | None = None
    confidence: float | None = None
    checks: Literal["off", "quick", "standard", "thorough"] = "quick"
    label: str | None = None
    rounding: Literal["none", "native"] | None = None
    region: str | None = None
    limit: int | None = None
    seed: int = 0
    batch_size: int = 32
    weights: str | None = None
    allow_code: bool = False
    grey_inside: bool = False
    device: str = "auto"
    threads: int | None = None
    protocol: Literal["corrected", "paper"] = "corrected"
    require: tuple[str, ...] = ()
    usual: bool = Field(default=False, exclude=True)

    def toml(self) -> str:
        """The plan as TOML; what is None is left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def attack_settings(self, name: str) -> dict[str, Any]:
        """Settings handed to one attack, those of every attack included."""
        known = inspect.signature(catalogue.function("attacks", name, allow_code=self.allow_code)).parameters
        found: dict[str, Any] = dict(self.settings.get(name, {}))
        if self.steps is not None and "steps" in known:
            found.setdefault("steps", self.steps)
        if self.effort is not None and "effort" in known:
            found.setdefault("effort", self.effort)
        shared = {"restarts": self.restarts, "confidence": self.confidence, "rounding": self.rounding}
        for key, value in shared.items():
            if value is not None:
                found.setdefault(key, value)
        return found

    def by_norm(self) -> dict[Norm, list[Budget]]:
        """Budgets of each norm, in the order given."""
        found: dict[Norm, list[Budget]] = {}
        for text in self.budgets:
            for budget in parse_budgets(text):
                found.setdefault(budget.norm, []).append(budget)
        return found

    def identity(self) -> dict[str, str]:
        """What of the plan decides the rows, as text by name. Batch size, threads and limits do not."""
        return {
            "attacks": json.dumps({name: self.attack_settings(name) for name in self.attacks}, sort_keys=True),
            "budgets": " ".join(self.budgets),
            "protocol": self.protocol,
            "seed": str(self.seed),
        }


def make_plan(**options: Any) -> AuditPlan:
    """A checked plan from options by name (those of ``AuditPlan``); None means the default.

    ``curve`` takes ranges of sizes, ``linf=0.25/255:8/255:8``, added to the budgets; the attack is then ``curve``
    with ``noise`` where none is named. ``suite`` names one of ``SUITES``, whose attacks come before those named; with
    it the checks are ``standard`` where nothing else is said.

    ``attacks``, ``budgets`` and ``require`` take texts or lists of texts, commas allowed. Raises UsageError,
    BudgetError, AttackError or PercussError where an option cannot be honoured.
    """
    known = {*AuditPlan.model_fields, "curve", "suite"} - {"usual"}
    for name in options:
        if name not in known:
            raise UsageError("unknown option", value=name, allowed=nearest(name, known))
    given = {name: value for name, value in options.items() if value is not None}
    curves, suite = _list(given.pop("curve", ())), _suite(given.pop("suite", None))
    given["usual"] = not (suite or curves or "attacks" in given)
    named = given.get("attacks", suite or (CURVE_ATTACKS if curves else DEFAULT_ATTACKS))
    given["attacks"] = _attacks((*suite, *_list(named)))
    if suite:
        given.setdefault("checks", "standard")
    given["budgets"] = _budgets((*_list(given.get("budgets", () if curves else DEFAULT_BUDGETS)), *curves))
    given["require"] = _list(given.get("require", ()))
    plan = checked(AuditPlan, given)
    _check(plan)
    return plan


def fitting(plan: AuditPlan, model: Model) -> AuditPlan:
    """The plan for this model: where no attack was named, heat maps get those of ``HEAT_ATTACKS`` or ``CODE_ATTACKS``.

    Raises:
        AttackError: an attack is not for models of this task, or needs a network with a code.
        UsageError: a setting that the attacks so chosen do not have.
    """
    if plan.usual and model.task == "heatmap":
        names = CODE_ATTACKS if isinstance(model.network, Coder) else HEAT_ATTACKS
        plan = plan.model_copy(update={"attacks": names})
        _check(plan)
    for name in plan.attacks:
        check_task(name, catalogue.function("attacks", name, allow_code=plan.allow_code), model)
    return plan


def _list(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _suite(name: str | None) -> tuple[str, ...]:
    if name is not None and name not in SUITES:
        raise UsageError("unknown suite", value=name, allowed=nearest(name, SUITES), next_step="give --suite standard")
    return SUITES[name] if name else ()


def _attacks(value: str | Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for text in _list(value) for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("no attack is named", next_step="percuss list attacks shows them all")
    for name in names:
        catalogue.entry("attacks", name)
    return tuple(dict.fromkeys(names))


def _budgets(value: Sequence[Any]) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else [str(item) for item in value]
    found = [budget.text for text in texts for budget in parse_budgets(text)]
    if not found:
        raise UsageError("no budget is given", next_step="write for instance --budget linf=1/255,2/255")
    return tuple(dict.fromkeys(found))


def _check_norms(name: str, attack: Any, plan: AuditPlan) -> None:
    """UsageError where the file of an attack names ``NORMS`` and a budget is of another."""
    known = getattr(sys.modules.get(getattr(attack, "__module__", "")), "NORMS", tuple(Norm))
    unknown = [norm.value for norm in plan.by_norm() if norm not in known]
    if unknown:
        raise UsageError(
            f"the attack {name} does not know this norm",
            value=", ".join(unknown),
            allowed=", ".join(norm.value for norm in known),
            next_step="give budgets of its norms alone, or another attack",
        )


def check_counts(**counts: int | None) -> None:
    """UsageError naming the option whose count is below 1; None is none given."""
    for name, number in counts.items():
        if number is not None and number < 1:
            raise UsageError(
                f"the option {name} is too small",
                value=number,
                allowed="1 or more",
                next_step="leave it out, or raise it",
            )


def _check(plan: AuditPlan) -> None:
    check_counts(limit=plan.limit, batch_size=plan.batch_size, steps=plan.steps, threads=plan.threads)
    if not 0 <= plan.seed < 2**31:
        raise UsageError(
            "the option seed is out of range", value=plan.seed, allowed="0 to 2147483647", next_step="give --seed 0"
        )
    for name in plan.settings:
        if name not in plan.attacks:
            raise UsageError("settings for an attack that is not run", value=name, allowed=", ".join(plan.attacks))
    for name in plan.attacks:
        attack = catalogue.function("attacks", name, allow_code=plan.allow_code)
        _check_norms(name, attack, plan)
        split_settings(name, attack, plan.attack_settings(name))
    if plan.effort is not None and not any("effort" in plan.attack_settings(name) for name in plan.attacks):
        raise UsageError(
            "none of the attacks takes an effort",
            value=", ".join(plan.attacks),
            next_step="add --suite standard (of masks segsuite, of heat maps codesuite) or --attack curve",
        )
    if plan.steps is not None and not any("steps" in plan.attack_settings(name) for name in plan.attacks):
        raise UsageError("none of the attacks takes steps", value=", ".join(plan.attacks))
    for text in plan.require:
        parse_requirement(text, plan.budgets)
