"""What a user may decide of a study: options by name, a preset's defaults, and the same from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from percuss.core.budget import Budget, parse_budgets
from percuss.core.checked import checked
from percuss.core.errors import UsageError, nearest
from percuss.study.design.protocol import Endpoint, check_title
from percuss.study.design.trials import Arm, Task

#: What a preset says where nothing else is said. ``foote`` is section 2.3 of A. Foote et al. (2022). Readers see the
#: title: it must not tell what is looked for.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {
        "title": "Reader study",
        "cases": 30,
        "tasks": ("diagnosis", "choice", "same"),
        "washout_days": 14.0,
        "ask_seen": True,
    },
    "foote": {
        "title": "Reader study",
        "cases": 20,
        "tasks": ("diagnosis",),
        "copies": 2,
        "sessions": 1,
        "only_flipped": True,
    },
}


class StudyOptions(BaseModel):
    """Everything of a study that a user may decide; None leaves it to the preset, or to what the run offers.

    Attributes:
        title: what readers see as its name.
        cases: how many, half of them of the positive class, the others evenly of the rest (preset foote: all of the
            positive class); or by class, as a table or as text, ``tumour=12,normal=8``.
        budgets: sizes of the attack, all of one norm, such as ``linf=2/255,4/255``.
        arms: all arms, instead of those that follow from the budgets.
        visible: size of the change that everybody sees, a share of the whole range under linf, 32/255 to 128/255.
        only_flipped: cases whose attack flips the model as stored, at the largest size asked for.
        positive: class that counts as positive; the last one unless said.
        tasks, copies, ask_seen, target, endpoints, washout_days, readers: as in the protocol.
        margin, alpha: of the primary endpoint, where ``endpoints`` does not say.
        sessions, distance, together, begin: rules of every order.
        seed: decides the choice of cases and the orders; drawn where None, so that nobody can draw the orders again.
        database: URL of the database; ``study.db`` in the study's folder where None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str | None = Field(default=None, min_length=1)
    cases: int | str | dict[str, int] | None = None
    budgets: tuple[str, ...] | None = None
    arms: tuple[Arm, ...] | None = None
    visible: str = "linf=64/255"
    only_flipped: bool = False
    positive: str | None = None
    tasks: tuple[Task, ...] = ()
    copies: int = Field(default=1, ge=1)
    ask_seen: bool = False
    target: float = Field(default=0.75, gt=0.5, lt=1)
    endpoints: tuple[Endpoint, ...] | None = None
    washout_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    readers: int = Field(default=1, ge=1)
    margin: float = Field(default=0.1, gt=0, lt=1)
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    sessions: int | None = Field(default=None, ge=1)
    distance: int | None = Field(default=None, ge=1)
    together: int | None = Field(default=None, ge=1)
    begin: tuple[Task, ...] | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    database: str | None = None

    def sizes(self) -> list[Budget]:
        """The budgets asked for, one by one; UsageError where they are of several norms, BudgetError for no budget."""
        found = [budget for text in self.budgets or () for budget in parse_budgets(text)]
        if len({budget.norm for budget in found}) > 1:
            raise UsageError(
                "the sizes of a study are of several norms",
                value=", ".join(map(str, found)),
                allowed="one norm, so that they make one curve",
                next_step="make a study for each norm",
            )
        return found


def read_options(preset: str, protocol: Path | None, given: Mapping[str, Any]) -> StudyOptions:
    """The options of a preset, changed by a file, changed by what is given by name; None is not given.

    Args:
        preset: ``default`` or ``foote``.
        protocol: a TOML file with fields of ``StudyOptions``.
        given: the same by name.

    Raises:
        UsageError: an unknown preset or field, a value that cannot be used, options that exclude each other.
    """
    if preset not in PRESETS:
        raise UsageError(
            "unknown preset", value=preset, allowed=nearest(preset, PRESETS), next_step="give --preset default"
        )
    told = _listed({name: value for name, value in given.items() if value is not None})
    values = _known(PRESETS[preset] | _listed(_known(_file(protocol))) | _known(told))
    options = checked(StudyOptions, values, word="field of the study")
    check_title(options.title or PRESETS[preset]["title"])
    if options.arms is not None and options.budgets is not None:
        raise UsageError("budgets and arms are both given", next_step="give budgets, or arms with their sizes")
    return options


def _file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            "the protocol file cannot be read",
            value=f"{path}: {error}",
            allowed="a TOML file with fields of a study",
            next_step="docs/study-create.md shows one",
        ) from error


def _known(values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if name not in StudyOptions.model_fields:
            raise UsageError(
                "a study has no such field",
                value=name,
                allowed=nearest(name, StudyOptions.model_fields),
                next_step="docs/study-create.md lists them",
            )
    return values


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    """Texts with commas as lists, where a list is asked for."""
    found = dict(values)
    for name in ("tasks", "begin"):
        if isinstance(found.get(name), str):
            found[name] = [word.strip() for word in found[name].split(",") if word.strip()]
        elif isinstance(found.get(name), (list, tuple)):
            found[name] = [word.strip() for text in found[name] for word in str(text).split(",") if word.strip()]
    if isinstance(found.get("budgets"), str):
        found["budgets"] = [found["budgets"]]
    return found
