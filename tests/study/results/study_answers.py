"""Studies of a few cases and answers to them whose results can be worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from percuss.study.answers import Choice, Diagnosis, Manipulation, Same, Shown
from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Endpoint, Protocol
from percuss.study.design.trials import Arm, Case, Task, Trial
from percuss.study.results.read import Given, Read

SIZE = "linf=2/255"
ATTACKED = f"adversarial {SIZE}"
LOSS = Endpoint(
    name="true positives",
    role="primary",
    measure="true-positives",
    task="diagnosis",
    arm=ATTACKED,
    against="original",
    margin=0.05,
)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def protocol_of(
    cases: int = 20,
    *,
    arms: Sequence[Arm] = (Arm(kind="original"), Arm(kind="adversarial", size=SIZE)),
    tasks: Sequence[Task] = ("diagnosis",),
    copies: int = 2,
    endpoints: Sequence[Endpoint] = (LOSS,),
    negatives: int = 0,
    **more: object,
) -> Protocol:
    """A protocol of so many cases, the last ``negatives`` of them of the other class."""
    truths = ["tumour"] * (cases - negatives) + ["normal"] * negatives
    made = tuple(
        Case(
            id=f"case-{number:02d}",
            truth=truth,
            patient=str(more.get("patients", {}).get(number, "")),  # type: ignore[attr-defined]
            images={name: sha(f"{number} {name}") for name in ("original", *(arm.name for arm in arms))},
        )
        for number, truth in enumerate(truths)
    )
    asked = {"labels": ("tumour", "normal"), "positive": "tumour"} if "diagnosis" in tasks else {}
    more.pop("patients", None)
    return Protocol(
        title="Do readers see it?",
        run=sha("run"),
        seed=7,
        readers=1,
        cases=made,
        arms=tuple(arms),
        tasks=tuple(tasks),
        copies=copies,
        rules=OrderRules(distance=1),
        endpoints=tuple(endpoints),
        **asked,
        **more,  # type: ignore[arg-type]
    )


Answering = Callable[[str, Trial, str], Given]


def read_all(protocol: Protocol, answer: Answering, readers: Sequence[str] = ("R1",)) -> list[Read]:
    """Every trial read by every reader in the protocol's order; the arm's image of a pair stands left."""
    cases = {case.id: case for case in protocol.cases}
    found = []
    for reader in readers:
        for number, trial in enumerate(protocol.trials(), start=1):
            case = cases[trial.case]
            given = answer(reader, trial, case.truth)
            side = "left" if trial.beside else ""
            found.append(
                Read(
                    reader=reader,
                    number=number,
                    session=1,
                    trial=trial,
                    truth=case.truth,
                    patient=case.patient,
                    side=side,
                    answer=given,
                    first=given,
                    shown=Shown(reaction_ms=5000),
                    saved=f"2026-11-21T{12 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}+00:00",
                )
            )
    return found


def diagnosis(label: str, confidence: int = 4) -> Diagnosis:
    return Diagnosis(task="diagnosis", label=label, confidence=confidence)


def choice(right: bool) -> Choice:
    return Choice(task="choice", side="left" if right else "right")


def same(same: bool) -> Same:
    return Same(task="same", same=same)


def rated(rating: int) -> Manipulation:
    return Manipulation(task="manipulation", rating=rating)


def number_of(trial: Trial) -> int:
    return int(trial.case.partition("-")[2])


def foote(reader: str, trial: Trial, truth: str) -> Given:
    """Foote's Table 1b: 17 and 18 of 20 in set 1, 18 and 18 in set 2 (original, perturbed).

    Original: cases 0 to 2 are missed in set 1, 0 and 1 in set 2; attacked: 0 and 1 in set 1, 0 and 3 in set 2.
    """
    missed = {("original", 1): {0, 1, 2}, (ATTACKED, 1): {0, 1}, ("original", 2): {0, 1}, (ATTACKED, 2): {0, 3}}
    return diagnosis("normal" if number_of(trial) in missed[trial.arm, trial.copy_number] else "tumour")
