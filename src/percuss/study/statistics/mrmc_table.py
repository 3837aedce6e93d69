"""The table of a reader study with several readers: who gave which score to which case in which arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.errors import DataError

_COLUMNS = ("reader", "case", "arm", "score")
# The order of the axes of the scores.
_AXES = ("arm", "reader", "case")


@dataclass(frozen=True)
class Readings:
    """Scores of a fully crossed study: every reader read every case in every arm, once.

    Attributes:
        readers, cases, arms: names, in the order in which the table first has them.
        scores: ``[arms, readers, cases]``, finite. Higher means surer that the case is positive; for shares it is
            the outcome itself, 1 (correct) or 0.
        truth: ``[cases]``, True for a positive case; None where the table has no truth.
    """

    readers: tuple[str, ...]
    cases: tuple[str, ...]
    arms: tuple[str, ...]
    scores: NDArray[np.float64]
    truth: NDArray[np.bool_] | None

    @classmethod
    def of(cls, table: pd.DataFrame) -> Readings:
        """From columns ``reader``, ``case``, ``arm``, ``score`` and, where known, ``truth`` (0 or 1, one per case).

        Raises:
            DataError: a column is missing, the table is empty, a score is no finite number, a reader's score of a
                case in an arm is missing or there twice, or a case has two truths.
        """
        _check(table)
        names = {name: tuple(dict.fromkeys(table[name].astype(str))) for name in _COLUMNS[:3]}
        places = [pd.Index(names[name]).get_indexer(pd.Index(table[name].astype(str))) for name in _AXES]
        shape = (len(names["arm"]), len(names["reader"]), len(names["case"]))
        counts = np.zeros(shape, dtype=np.int64)
        np.add.at(counts, tuple(places), 1)
        if (counts != 1).any():
            arm, reader, case = (int(i) for i in np.argwhere(counts != 1)[0])
            times = f"{counts[arm, reader, case]} scores"
            where = f"reader {names['reader'][reader]}, case {names['case'][case]}, arm {names['arm'][arm]}: {times}"
            raise DataError(
                "the study is not fully crossed",
                value=where,
                allowed="one score of every reader for every case in every arm",
                next_step="leave out the readers or cases that are not complete, and report that they were left out",
            )
        scores = np.zeros(shape)
        scores[tuple(places)] = _numbers(table["score"])
        truth = _truth(table, places[2], len(names["case"])) if "truth" in table else None
        return cls(names["reader"], names["case"], names["arm"], scores, truth)

    def of_arm(self, name: str) -> NDArray[np.float64]:
        """Scores of one arm, ``[readers, cases]``; DataError where the study has no such arm."""
        if name not in self.arms:
            raise DataError("the study has no such arm", value=name, allowed=", ".join(self.arms))
        return np.asarray(self.scores[self.arms.index(name)])


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise DataError("the table of readings lacks columns", value=", ".join(missing), allowed=", ".join(_COLUMNS))
    if table.empty:
        raise DataError("the table of readings is empty", next_step="export the study's answers first")
    blank = table[list(_COLUMNS[:3])].isna().any(axis=1)
    if blank.any():
        raise DataError("a reading lacks its reader, case or arm", value=f"row {int(np.argmax(blank.to_numpy()))}")
    numbers = _numbers(table["score"])
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError("a score is no finite number", value=f"{table['score'].iloc[row]} in row {row}")


def _truth(table: pd.DataFrame, case: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    values = _numbers(table["truth"])
    if not np.isin(values, (0.0, 1.0)).all():
        row = int(np.argmin(np.isin(values, (0.0, 1.0))))
        raise DataError("a truth is neither 0 nor 1", value=f"{table['truth'].iloc[row]} in row {row}")
    positive = np.bincount(case, weights=values, minlength=count)
    rows = np.bincount(case, minlength=count)
    torn = (positive != 0) & (positive != rows)
    if torn.any():
        name = table["case"].iloc[int(np.argmax(torn[case]))]
        raise DataError("a case has two truths", value=name, allowed="the same truth in every row of a case")
    return np.asarray(positive > 0)


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """The column as numbers, not a number where it holds none."""
    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
