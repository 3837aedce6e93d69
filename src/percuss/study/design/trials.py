"""What is shown in a study: cases, the arms of each, and one trial for each task, arm and copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from percuss.core.budget import parse_budget
from percuss.core.errors import DataError, UsageError

#: What is done to a case: nothing; an attack; noise of the attack's size; nothing (shown beside itself); what all see.
Kind = Literal["original", "adversarial", "noise", "identical", "visible"]
#: What is asked. ``diagnosis`` and ``manipulation`` show one image, ``choice`` (which of two is the changed one, 2AFC)
#: and ``same`` (same or different) the original beside the arm's image.
Task = Literal["diagnosis", "manipulation", "choice", "same"]

#: Tasks that show two images.
PAIRS: frozenset[Task] = frozenset({"choice", "same"})
_SIZED = {"adversarial", "noise", "visible"}
_SHOWN: dict[Task, set[Kind]] = {
    "diagnosis": {"original", "adversarial", "noise", "visible"},
    "manipulation": {"original", "adversarial", "noise", "visible"},
    "choice": {"adversarial", "noise", "visible"},
    "same": {"adversarial", "noise", "visible", "identical"},
}
_SHA = r"^[0-9a-f]{64}$"


class Arm(BaseModel):
    """One treatment of every case.

    Attributes:
        kind: what is done.
        size: the budget as text (``linf=2/255``) of adversarial, noise and visible; empty for original and identical.
        tasks: the tasks that show it; empty for every task that can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind
    size: str = ""
    tasks: tuple[Task, ...] = ()

    @model_validator(mode="after")
    def _sized(self) -> Arm:
        if (self.kind in _SIZED) != bool(self.size):
            needs = "a size such as linf=2/255" if self.kind in _SIZED else "no size"
            raise ValueError(f"{needs} with the arm {self.kind}")
        if self.size and str(parse_budget(self.size)) != self.size:
            raise ValueError(f"a size as Percuss prints it: {parse_budget(self.size)}")
        for task in self.tasks:
            if self.kind not in _SHOWN[task]:
                can = ", ".join(name for name, kinds in _SHOWN.items() if self.kind in kinds)
                raise ValueError(f"the arm {self.kind} in {can}, not in {task}")
        return self

    def shown_in(self, task: Task) -> bool:
        """Whether the task shows the arm."""
        return self.kind in _SHOWN[task] and (not self.tasks or task in self.tasks)

    @property
    def name(self) -> str:
        """``adversarial linf=2/255``, or the kind alone."""
        return f"{self.kind} {self.size}".strip()


class Case(BaseModel):
    """One case and the files that stand for it.

    Attributes:
        id: the case's id in the audit.
        truth: its class, as the study counts it.
        patient: who it is from; empty where unknown.
        images: SHA-256 (hex) of the file shown, by name of arm. ``identical`` shows the original's twice, and has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(min_length=1)
    truth: str
    patient: str = ""
    images: dict[str, str]

    @field_validator("images")
    @classmethod
    def _hashes(cls, images: dict[str, str]) -> dict[str, str]:
        for arm, sha in images.items():
            if len(sha) != 64 or set(sha) - set("0123456789abcdef"):
                raise ValueError(f"64 hex digits, a SHA-256, for {arm}")
        return images


class Trial(BaseModel):
    """One question to one reader. It names its arm: no part of it but the images may reach a reader.

    Attributes:
        case: id of the case.
        task: what is asked.
        arm: name of the arm.
        copy_number: which reading of this case, task and arm, from 1.
        image: SHA-256 of the arm's file.
        beside: SHA-256 of the original's file in tasks that show two images, else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    case: str
    task: Task
    arm: str
    copy_number: int = Field(ge=1)
    image: str = Field(pattern=_SHA)
    beside: str = ""

    @property
    def key(self) -> str:
        """What tells this trial from all others of the study; on the server only."""
        return f"{self.task}|{self.copy_number}|{self.arm}|{self.case}"


def build_trials(
    cases: Sequence[Case], arms: Sequence[Arm], tasks: Sequence[Task], *, copies: int = 1
) -> tuple[Trial, ...]:
    """Every trial of a study, once: each case in each task, copy and arm that the task shows.

    Tasks follow each other as given, and copies within a task: diagnoses belong before what tells readers that images
    may be changed. The original alone is shown in ``diagnosis`` and ``manipulation``, identical pairs in ``same``.
    A. Foote et al. (2022), section 2.3: cases of one class, original and one attack, ``diagnosis``, two copies.

    Args:
        cases: the cases, ids unique, each with a file for each arm and for the original.
        arms: the arms, names unique. Noise must have the size of an adversarial arm: it is its control.
        tasks: the tasks, each once.
        copies: readings of each, 1 or more; 2 for the agreement of a reader with themselves.

    Raises:
        UsageError: arms, tasks or copies that make no study.
        DataError: cases twice, without a file, or with the original's file in an arm that changes it.
    """
    _check_design(arms, tasks, copies)
    _once("case", [case.id for case in cases])
    return tuple(
        Trial(
            case=case.id,
            task=task,
            arm=arm.name,
            copy_number=copy,
            image=_file(case, "original" if arm.kind == "identical" else arm.name),
            beside=_file(case, "original") if task in PAIRS else "",
        )
        for task in tasks
        for copy in range(1, copies + 1)
        for arm in arms
        if arm.shown_in(task)
        for case in cases
    )


def _check_design(arms: Sequence[Arm], tasks: Sequence[Task], copies: int) -> None:
    _once("arm", [arm.name for arm in arms])
    _once("task", tasks)
    if copies < 1:
        raise UsageError(
            "the number of copies is too small", value=copies, allowed="1 or more", next_step="give 1 or 2"
        )
    attacked = [arm.size for arm in arms if arm.kind == "adversarial"]
    for arm in arms:
        if arm.kind == "noise" and arm.size not in attacked:
            raise UsageError(
                "noise without an attack of its size",
                value=arm.name,
                allowed=", ".join(f"noise {size}" for size in attacked) or "noise beside an adversarial arm",
                next_step="give the noise the size of an adversarial arm",
            )
    for task in tasks:
        if not any(arm.shown_in(task) for arm in arms):
            raise UsageError(
                "a task has no arm to show",
                value=task,
                allowed=", ".join(sorted(_SHOWN[task])),
                next_step="add such an arm, or leave the task out",
            )


def _file(case: Case, arm: str) -> str:
    if arm not in case.images:
        raise DataError(
            "a case has no file for an arm",
            value=f"case {case.id}, arm {arm}",
            allowed=", ".join(sorted(case.images)) or "a file for each arm",
            next_step="leave the case out, or audit it at this size",
        )
    if arm != "original" and case.images[arm] == case.images.get("original"):
        raise DataError(
            "the file of an arm is the file of the original",
            value=f"case {case.id}, arm {arm}",
            allowed="a file that differs",
            next_step="leave the case out: its change was lost when it was stored",
        )
    return case.images[arm]


def _once(word: str, names: Iterable[str]) -> None:
    counts = Counter(names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice or not counts:
        kind = DataError if word == "case" else UsageError
        thing = f"a {word} is there twice" if twice else f"a study without a {word}"
        step = f"name each {word} once" if twice else f"give at least one {word}"
        raise kind(thing.replace("a arm", "an arm"), value=twice[0] if twice else None, next_step=step)
