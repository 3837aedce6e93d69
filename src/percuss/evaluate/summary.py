"""All numbers of an audit from its rows: clean performance, curves, sensitivity, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from percuss.core.images import Task
from percuss.core.outcome import Finding
from percuss.core.results import Clean, CurvePoint, Dense, Sensitivity
from percuss.evaluate.clean import clean_performance
from percuss.evaluate.complete import check_rows
from percuss.evaluate.curves import curve, points
from percuss.evaluate.findings import look
from percuss.evaluate.intervals import Clusters
from percuss.evaluate.sensitivity import sensitivities


@dataclass(frozen=True)
class Summary:
    """What the rows of an audit say."""

    clean: Clean
    curves: list[CurvePoint]
    sensitivity: list[Sensitivity]
    findings: list[Finding]


def summarise(
    rows: pd.DataFrame,
    clean: pd.DataFrame,
    *,
    classes: Sequence[str],
    task: Task = "classify",
    seed: int = 0,
    dense: Dense | None = None,
) -> Summary:
    """Numbers of an audit.

    Args:
        rows: one row per image, attack and budget (``percuss.core.outcome.Outcome``).
        clean: one row per image: id, group, label, prediction, confidence, correct, score_0, ...; of class maps
            quality instead of scores, and the classes that a map holds as label and prediction (``0|2``).
        classes: class names in index order.
        task: ``classify``, ``multilabel`` or ``segment``.
        seed: of the bootstrap.
        dense: what ``dense_summary`` says of the class maps, for findings on them.

    Raises:
        RunError: no image, rows missing or doubled, or rows that disagree with the clean table.
    """
    check_rows(rows, clean)
    groups = [str(name) if isinstance(name, str) else "" for name in clean["group"]]
    clusters = Clusters.of(groups, seed)
    found = points(rows, clean, task=task)
    curves = curve(found, clean, clusters)
    performance = clean_performance(clean, classes, task, clusters=clusters)
    findings = look(found, clean, clusters, task=task, dense=dense)
    return Summary(performance, curves, sensitivities(found, clean), findings)
