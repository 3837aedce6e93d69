"""One row per image, attack and budget: what the engine re-measured, and nothing the attack claimed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True)
class Outcome:
    """What one attack did to one image within one budget, re-measured by the engine.

    Attributes:
        id, group: image and patient (empty where unknown).
        label: true class index, or for multilabel the 0/1 labels as text ("0110").
        clean_prediction: the decision on the clean image, in the form of ``label``.
        clean_confidence: probability of that decision.
        correct: the clean decision was right.
        attack, norm, budget, eps: attack name, norm, budget as given, size in the norm's absolute measure.
        success: right before, wrong after, on the float image.
        success_stored: the same on the image rounded to native depth within the budget.
        linf, l2, l1, l0: measured size of the float change ([0, 1] units; l0 share of pixels).
        confidence: probability of the decision on the attacked float image.
        prediction: decision on the attacked float image.
        margin: best wrong minus true logit after (above 0 is flipped).
        gradient_evaluations, model_evaluations: cost, counted per image.
        carried: the change was found at a smaller budget and still counts here.
        image, image_sha256: stored file of the attacked image, empty where not kept.
    """

    id: str
    group: str
    label: str
    clean_prediction: str
    clean_confidence: float
    correct: bool
    attack: str
    norm: str
    budget: str
    eps: float
    success: bool
    success_stored: bool
    linf: float
    l2: float
    l1: float
    l0: float
    confidence: float
    prediction: str
    margin: float
    gradient_evaluations: int
    model_evaluations: int
    carried: bool = False
    image: str = ""
    image_sha256: str = ""


COLUMNS: tuple[str, ...] = tuple(item.name for item in fields(Outcome))


def frame(outcomes: list[Outcome]) -> pd.DataFrame:
    """Outcomes as a table with the columns in their declared order."""
    return pd.DataFrame([vars(row) for row in outcomes], columns=list(COLUMNS))


Severity = Literal["info", "warning", "severe"]


@dataclass(frozen=True)
class Finding:
    """A doubt or a fact that the reader must know, stored in the run and shown in the report.

    Attributes:
        id: stable name, listed in docs/findings.md.
        severity: ``info``, ``warning`` or ``severe`` (the verdict cannot be trusted).
        message: one or two sentences with the numbers in them.
        evidence: the numbers, by name.
    """

    id: str
    severity: Severity
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
