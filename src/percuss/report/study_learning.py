"""Learning curves of a study: loss and Dice (heat maps: AUC-PR; else accuracy) of trainings over their epochs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from percuss.report.line_chart import Series, line_chart
from percuss.report.sections import Panel

#: Columns of history.csv, the first of each group that is there, with the panel's title and whether they are shares.
_PANELS: tuple[tuple[tuple[str, ...], str, bool], ...] = (
    (("train_loss",), "loss on training images", False),
    (("val_loss",), "loss on validation images", False),
    (("val_auc_pr", "val_dice", "val_accuracy"), "on validation images", True),
    (("robust_auc_pr", "robust_dice", "robust_accuracy"), "on attacked validation images", True),
)
_WORDS = {
    "val_auc_pr": "AUC-PR",
    "robust_auc_pr": "AUC-PR",
    "val_dice": "mean Dice",
    "robust_dice": "mean Dice",
    "val_accuracy": "accuracy",
    "robust_accuracy": "accuracy",
}


@dataclass(frozen=True)
class _Run:
    name: str
    history: pd.DataFrame
    best: float | None


def learning_panels(steps: Sequence[tuple[str, Path]], *, title: str = "") -> list[Panel]:
    """A chart for each quantity that a training recorded, with a line for each; a ring marks the epoch that is kept.

    Args:
        steps: name and folder of each training.
        title: stands before that of each panel.
    """
    runs = [_open(name, folder) for name, folder in steps]
    panels = []
    for columns, words, share in _PANELS:
        there = [column for column in columns if any(column in run.history for run in runs)]
        if not there:
            continue
        column = there[0]
        lines = [_series(run, column) for run in runs if column in run.history]
        if not any(line.points for line in lines):
            continue
        name = f"{_WORDS[column]} {words}" if share else words
        label = f"{name} over epochs; the numbers are in history.csv of each training"
        made = line_chart(lines, across="epoch (ring: the epoch that is kept)", up=name, label=label, share=share)
        panels.append(Panel(", ".join(part for part in (title, name) if part), made))
    return panels


def _open(name: str, folder: Path) -> _Run:
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return _Run(name, pd.read_csv(folder / "history.csv"), record.get("best_epoch"))


def _series(run: _Run, column: str) -> Series:
    part = run.history[["epoch", column]].dropna()
    points = tuple((float(epoch), float(value)) for epoch, value in zip(part["epoch"], part[column], strict=True))
    return Series(run.name, points, run.best)
