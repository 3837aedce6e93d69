"""The protocol of a study: fixed and hashed before the first answer; what changes later is added, with its reason."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from percuss.core.checked import checked
from percuss.core.errors import PercussError, RunError, UsageError, nearest
from percuss.store.safe import write_bytes
from percuss.study.canonical import canonical, digest
from percuss.study.design.order import OrderRules, check_rules
from percuss.study.design.trials import Arm, Case, Task, Trial, build_trials

_HASH = r"^[0-9a-f]{64}$"


class Endpoint(BaseModel):
    """One question that the study answers.

    Attributes:
        name: how the results call it.
        role: what decides the study (``primary``), or is told beside it.
        measure: ``true-positives`` (share of right diagnoses), ``detection`` (percent correct and d'), ``rating``
            (mean manipulation rating) or ``agreement`` (a reader with themselves, over two copies).
        task, arm: where it is measured.
        against: the arm it is compared with; empty where it is compared with none.
        margin: the loss in [0, 1] that still counts as none (non-inferiority); None where no margin is tested.
        alpha: one-sided error rate of its test, and half of what its interval leaves out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1)
    role: Literal["primary", "secondary"]
    measure: Literal["true-positives", "detection", "rating", "agreement"]
    task: Task
    arm: str
    against: str = ""
    margin: float | None = Field(default=None, gt=0, lt=1)
    alpha: float = Field(default=0.025, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _compared(self) -> Endpoint:
        if self.margin is not None and not self.against:
            raise ValueError("a margin with an arm to compare with (against)")
        return self


class Protocol(BaseModel):
    """All that is decided before the first answer.

    Attributes:
        version: of this record's form.
        title: what the study is called.
        run: SHA-256 of the results.json of the audit that the cases come from.
        seed: what orders are drawn from.
        readers: how many are planned.
        cases: every case with the SHA-256 of every file; their number is the study's n.
        arms, tasks, copies: as ``build_trials`` takes them.
        rules: what every order keeps.
        endpoints: with at least one primary.
        labels: the diagnoses to choose from, names of classes; empty without the task ``diagnosis``.
        positive: the label that counts as positive (true positives, ROC); empty without the task ``diagnosis``.
        washout_days: a reader's next session opens so many days after the last answer of the one before, or later.
        ask_seen: readers are also asked whether they remember the case.
        target: share right at which the human threshold is read off the curve.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal["1"] = "1"
    title: str = Field(min_length=1)
    run: str = Field(pattern=_HASH)
    seed: int = Field(ge=0)
    readers: int = Field(ge=1)
    cases: tuple[Case, ...]
    arms: tuple[Arm, ...]
    tasks: tuple[Task, ...]
    copies: int = Field(default=1, ge=1)
    rules: OrderRules
    endpoints: tuple[Endpoint, ...]
    labels: tuple[str, ...] = ()
    positive: str = ""
    washout_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    ask_seen: bool = False
    target: float = Field(default=0.75, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _asked(self) -> Protocol:
        if "diagnosis" in self.tasks:
            if len(set(self.labels)) < max(2, len(self.labels)):
                raise ValueError("two labels or more, each once, for the task diagnosis")
            for label in (self.positive, *(case.truth for case in self.cases)):
                if label not in self.labels:
                    raise ValueError(f"the truth of every case and the positive one among the labels, not {label!r}")
        elif self.labels or self.positive:
            raise ValueError("labels only with the task diagnosis")
        return self

    @model_validator(mode="after")
    def _holds_together(self) -> Protocol:
        trials = self.trials()
        check_rules(trials, self.rules)
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("endpoints with different names")
        if not any(endpoint.role == "primary" for endpoint in self.endpoints):
            raise ValueError("at least one primary endpoint")
        shown = {(trial.task, trial.arm) for trial in trials}
        for endpoint in self.endpoints:
            for arm in filter(None, (endpoint.arm, endpoint.against)):
                if (endpoint.task, arm) not in shown:
                    raise ValueError(f"endpoints on what is shown: {endpoint.name} needs {arm} in {endpoint.task}")
            if endpoint.measure == "agreement" and self.copies < 2:
                raise ValueError(f"two copies or more for the agreement {endpoint.name}")
        return self

    def trials(self) -> tuple[Trial, ...]:
        """Every trial of the study; DataError and UsageError as ``build_trials``."""
        return build_trials(self.cases, self.arms, self.tasks, copies=self.copies)


class Amendment(BaseModel):
    """A change after freezing: who, when (ISO 8601 with zone), why, new values by field, the hash before, its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(ge=1)
    time: str
    who: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    changes: dict[str, JsonValue]
    before: str = Field(pattern=_HASH)
    hash: str = Field(pattern=_HASH)


class Frozen(BaseModel):
    """A protocol as first fixed, its hash (SHA-256 of its canonical JSON), and every amendment since."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    protocol: Protocol
    hash: str = Field(pattern=_HASH)
    amendments: tuple[Amendment, ...] = ()

    @property
    def last_hash(self) -> str:
        """The hash that stands for the protocol with all its amendments."""
        return self.amendments[-1].hash if self.amendments else self.hash


def freeze(protocol: Protocol) -> Frozen:
    """Fix a protocol under its hash; UsageError where its title cannot be shown."""
    check_title(protocol.title)
    return Frozen(protocol=protocol, hash=digest(protocol.model_dump(mode="json")))


def in_force(frozen: Frozen) -> Protocol:
    """The protocol with its amendments applied; UsageError where they leave no protocol that holds."""
    values: dict[str, Any] = frozen.protocol.model_dump(mode="json")
    for amendment in frozen.amendments:
        values |= amendment.changes
    return checked(Protocol, values, word="field of the protocol")


def amend(
    frozen: Frozen, changes: Mapping[str, JsonValue], *, who: str, reason: str, now: datetime | None = None
) -> Frozen:
    """Add an amendment; what stood before stays as it was.

    Args:
        frozen: the protocol with the amendments so far.
        changes: new values by name of field, whole fields, as JSON.
        who: who decided it.
        reason: why; cannot be empty.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: no reason, nobody named, no zone, an unknown field, nothing that changes, or a protocol that does
            not hold.
    """
    if not who.strip() or not reason.strip():
        missing = "who decided it" if not who.strip() else "a reason"
        raise UsageError(f"an amendment without {missing}", next_step=f"give {missing}")
    if now is not None and now.utcoffset() is None:
        raise UsageError("a time without a zone", value=now, allowed="a time with its zone", next_step="give tzinfo")
    current = in_force(frozen).model_dump(mode="json")
    fields = [name for name in current if name != "version"]
    for name in changes:
        if name not in fields:
            step = "name a field that can be amended"
            if name in Endpoint.model_fields:
                step = "each endpoint has its own: amend endpoints, all of them, as they stand in protocol.json"
            raise UsageError(
                "the protocol has no such field", value=name, allowed=nearest(name, fields), next_step=step
            )
    if all(current[name] == value for name, value in changes.items()):
        raise UsageError("an amendment that changes nothing", next_step="give the fields with their new values")
    body: dict[str, Any] = {
        "number": len(frozen.amendments) + 1,
        "time": (now or datetime.now().astimezone()).isoformat(timespec="microseconds"),
        "who": who,
        "reason": reason,
        "changes": dict(changes),
        "before": frozen.last_hash,
    }
    amendment = Amendment.model_validate({**body, "hash": digest(body)})
    amended = frozen.model_copy(update={"amendments": (*frozen.amendments, amendment)})
    held = in_force(amended)
    if "title" in changes:
        check_title(held.title)
    return amended


def check_title(title: str) -> None:
    """UsageError for a title of blanks or with control characters, which a terminal would obey."""
    if not title.strip() or any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in title):
        raise UsageError(
            "this cannot be a title",
            value=repr(title),
            allowed="text on one line, without control characters",
            next_step="give another title",
        )


def check_frozen(frozen: Frozen) -> None:
    """RunError naming the protocol or the first amendment that is not as it was when it was hashed."""
    if digest(frozen.protocol.model_dump(mode="json")) != frozen.hash:
        raise _touched("the protocol")
    before = frozen.hash
    for number, amendment in enumerate(frozen.amendments, start=1):
        linked = amendment.number == number and amendment.before == before
        if not linked or digest(amendment.model_dump(mode="json", exclude={"hash"})) != amendment.hash:
            raise _touched(f"amendment {number}")
        before = amendment.hash


def save(path: Path, frozen: Frozen) -> str:
    """Write the protocol with its amendments; the SHA-256 (hex) of the file.

    A file that is there may only grow by amendments: RunError where it holds another protocol or
    amendments that are not here, or cannot be written.
    """
    check_frozen(frozen)
    if path.exists():
        stored = load(path)
        kept = frozen.amendments[: len(stored.amendments)]
        if stored.hash != frozen.hash or kept != stored.amendments:
            raise RunError(
                "a frozen protocol cannot be replaced",
                value=path,
                allowed="the same protocol with its amendments, and further ones",
                next_step="amend the stored protocol, or create another study",
            )
    return write_bytes(path, (canonical(frozen.model_dump(mode="json")) + "\n").encode())


def load(path: Path) -> Frozen:
    """Read a stored protocol and check every hash; RunError where it cannot be read or was touched."""
    try:
        frozen = Frozen.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, PercussError) as error:
        step = "give the protocol.json of an export, or restore it from its copy"
        raise RunError("the frozen protocol of a study cannot be read", value=path, next_step=step) from error
    check_frozen(frozen)
    return frozen


def _touched(what: str) -> RunError:
    return RunError(
        f"{what} is not as it was when it was hashed",
        allowed="what was frozen, and amendments added by Percuss",
        next_step="restore the study from its copy, and ask who changed the file",
    )
